package httplimit_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/limit"
)

// newServer is a server on loopback whose handler says hello to whom family lets pass.
func newServer(t *testing.T, family *bucket.Family, cfg httplimit.MiddlewareConfig) *httptest.Server {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	server := httptest.NewServer(httplimit.Middleware(family, cfg)(hello))
	t.Cleanup(func() {
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return server
}

// ask sends one request as user, and returns the answer and its body.
func ask(t *testing.T, server *httptest.Server, method, user string) (*http.Response, string) {
	req, err := http.NewRequest(method, server.URL, nil)
	require.NoError(t, err)
	req.Header.Set("User", user)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, string(content)
}

func TestMiddlewareLimitsByKey(t *testing.T) {
	family := newFamily(t, bucket.Config{Limits: []limit.Limit{{Name: "hourly", Events: 2, Per: time.Hour}}})
	server := newServer(t, family, httplimit.MiddlewareConfig{Key: userKey})

	for _, left := range []string{`"hourly";r=1`, `"hourly";r=0`} {
		resp, content := ask(t, server, http.MethodGet, "ann")
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, "hello", content)
		assert.Equal(t, left, resp.Header.Get("RateLimit"))
		assert.Equal(t, `"hourly";q=2;w=3600`, resp.Header.Get("RateLimit-Policy"))
		assert.Empty(t, resp.Header.Get("Retry-After"))
	}

	resp, content := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
	assert.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
	assert.Equal(t, `"hourly";q=2;w=3600`, resp.Header.Get("RateLimit-Policy"))
	wait := resp.Header.Get("Retry-After")
	assert.Equal(t, `"hourly";r=0;t=`+wait, resp.Header.Get("RateLimit"))
	var problem struct {
		Type, Title, Detail, Limit string
		Status, RetryAfter         int
	}
	require.NoError(t, json.Unmarshal([]byte(content), &problem))
	assert.Equal(t, "about:blank", problem.Type)
	assert.Equal(t, "Too Many Requests", problem.Title)
	assert.Equal(t, http.StatusTooManyRequests, problem.Status)
	assert.Equal(t, "hourly", problem.Limit)
	assert.InDelta(t, 3600, problem.RetryAfter, 600)
	assert.Contains(t, problem.Detail, wait+" seconds")

	resp, _ = ask(t, server, http.MethodGet, "bob")
	assert.Equal(t, http.StatusOK, resp.StatusCode, "another caller has a bucket of his own")
}

func TestMiddlewareDefaultKeyIsTheAddress(t *testing.T) {
	family := newFamily(t, bucket.Config{}, "1/1h")
	server := newServer(t, family, httplimit.MiddlewareConfig{})
	ask(t, server, http.MethodGet, "ann")
	resp, _ := ask(t, server, http.MethodGet, "bob")
	assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
	_, ok := family.Lookup("127.0.0.1")
	assert.True(t, ok)
}

func TestMiddlewareAnswersHEADWithoutABody(t *testing.T) {
	handler := httplimit.Middleware(newFamily(t, bucket.Config{}, "1/1h"), httplimit.MiddlewareConfig{})(http.NotFoundHandler())
	for range 2 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
		if w.Code == http.StatusTooManyRequests {
			assert.Empty(t, w.Body.String())
			assert.NotEqual(t, "0", w.Header().Get("Content-Length"), "that of the GET")
			assert.NotEmpty(t, w.Header().Get("Retry-After"))
			return
		}
	}
	t.Fatal("was never refused")
}

func TestMiddlewareRefusesWhileThrottled(t *testing.T) {
	family := newFamily(t, bucket.Config{}, "1/1h")
	family.Bucket("ann").Throttle(time.Now().Add(time.Hour))
	server := newServer(t, family, httplimit.MiddlewareConfig{Key: userKey})
	resp, _ := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode, "a throttled bucket refuses")

	family = newFamily(t, bucket.Config{}, "100000/1s")
	family.Throttle(time.Now().Add(time.Hour))
	server = newServer(t, family, httplimit.MiddlewareConfig{Key: userKey})
	resp, _ = ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode, "and so does a throttled family")
}

func TestMiddlewareRefusesWhatNoWaitCures(t *testing.T) {
	family := newFamily(t, bucket.Config{MaxBuckets: 1}, "10/1h")
	server := newServer(t, family, httplimit.MiddlewareConfig{
		Key: userKey,
		Nice: func(r *http.Request) int {
			if r.Method == http.MethodPut {
				return 99
			}
			return 0
		},
	})
	resp, content := ask(t, server, http.MethodGet, "")
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
	assert.Contains(t, content, `"title":"Bad Request"`)
	assert.Empty(t, resp.Header.Get("Retry-After"))
	assert.Empty(t, resp.Header.Get("RateLimit"))

	resp, _ = ask(t, server, http.MethodGet, strings.Repeat("a", 513))
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)

	resp, _ = ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	resp, _ = ask(t, server, http.MethodPut, "ann")
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)

	resp, content = ask(t, server, http.MethodGet, "bob")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "the family is full")
	assert.NotEmpty(t, resp.Header.Get("Retry-After"))
	assert.NotContains(t, content, "bob")

	require.NoError(t, family.Close(context.Background()))
	resp, _ = ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "closed")
	assert.Empty(t, resp.Header.Get("Retry-After"))
}

func TestMiddlewareInShadowLetsEverythingPass(t *testing.T) {
	server := newServer(t, newFamily(t, bucket.Config{Shadow: true}, "1/1h"), httplimit.MiddlewareConfig{Key: userKey})
	for i := range 3 {
		resp, content := ask(t, server, http.MethodGet, "ann")
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, "hello", content)
		assert.Equal(t, i == 0, resp.Header.Get("RateLimit") != "", "callers are not told of a refusal that was none")
	}
}

func TestMiddlewareCosts(t *testing.T) {
	family := newFamily(t, bucket.Config{Limits: []limit.Limit{{Name: "points", Events: 5, Per: time.Hour}}})
	server := newServer(t, family, httplimit.MiddlewareConfig{
		Key:   userKey,
		Costs: func(*http.Request) map[string]int { return map[string]int{"points": 3} },
	})
	resp, _ := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, `"points";r=2`, resp.Header.Get("RateLimit"))
	resp, _ = ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
}

func TestMiddlewareFollowsTheLimits(t *testing.T) {
	family := newFamily(t, bucket.Config{}, "1/1h")
	server := newServer(t, family, httplimit.MiddlewareConfig{Key: userKey})
	ask(t, server, http.MethodGet, "ann")
	require.NoError(t, family.SetLimits(limit.Limit{Name: "more", Events: 9, Per: time.Hour}))
	resp, _ := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, `"more";q=9;w=3600`, resp.Header.Get("RateLimit-Policy"))
}

func TestMiddlewareNeedsAFamily(t *testing.T) {
	assert.Panics(t, func() { httplimit.Middleware(nil, httplimit.MiddlewareConfig{}) })
}
