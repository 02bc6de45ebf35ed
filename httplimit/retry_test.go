package httplimit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/httplimit"
)

func TestTransportRetries(t *testing.T) {
	const second = "Retry-After: 1"
	for name, c := range map[string]struct {
		method  string
		header  string
		answers []answer
		status  int
		sent    int
	}{
		"GET until it is served":   {"GET", "", []answer{{429, second}, {503, second}}, 200, 3},
		"PUT":                      {"PUT", "", []answer{{429, ""}}, 200, 2},
		"the last answer":          {"GET", "", []answer{{429, ""}, {429, ""}, {429, ""}, {429, ""}}, 429, 3},
		"POST":                     {"POST", "", []answer{{429, second}}, 429, 1},
		"POST with a key":          {"POST", "Idempotency-Key", []answer{{429, second}}, 200, 2},
		"POST with an X-key":       {"POST", "X-Idempotency-Key", []answer{{429, second}}, 200, 2},
		"503 without a wait":       {"GET", "", []answer{{503, ""}}, 503, 1},
		"other failures":           {"GET", "", []answer{{500, second}}, 500, 1},
		"a wait that is not taken": {"GET", "", []answer{{429, "Retry-After: 7200"}}, 429, 1},
		"403 for its rate":         {"GET", "", []answer{{403, second}}, 403, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := upstream{answers: c.answers}
				tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "100/1s"), httplimit.TransportConfig{MaxRetries: 2})
				req := newRequest(t, t.Context(), c.method, "a.example", strings.NewReader("content"))
				if c.header != "" {
					req.Header.Set(c.header, "1")
				}
				before := req.Body
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err)
				assert.Equal(t, c.status, resp.StatusCode)
				assert.Equal(t, before, req.Body, "the request is not changed")
				content, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, "answer", string(content), "what is returned can still be read")

				require.Len(t, u.seen, c.sent)
				for i, a := range u.seen {
					assert.Equal(t, "content", a.body, "each time with its body")
					assert.Equal(t, i < c.sent-1, u.bodies[i].isClosed(), "answers that are not returned are closed")
				}
				assert.EqualValues(t, c.sent-1, tr.Info().Retried)
			})
		})
	}
}

func TestTransportRetrySpendsAPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, "Retry-After: 1"}}}
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "2/1m"), httplimit.TransportConfig{
			MaxRetries: 1, Slack: time.Second, MaxSlack: time.Second,
		})
		get(t, tr, "a.example")
		get(t, tr, "a.example")
		assert.Equal(t, []time.Duration{time.Second, time.Minute}, u.waits())
	})
}

func TestTransportDoesNotWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, "Retry-After: 30"}}}
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "100/1s"), httplimit.TransportConfig{MaxRetries: 5})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		resp, err := tr.RoundTrip(newRequest(t, ctx, http.MethodGet, "a.example", nil))
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode, "the answer, not an expired deadline")
		assert.Zero(t, time.Since(start))
	})
}

func TestTransportRetryIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, "Retry-After: 30"}}}
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "100/1s"), httplimit.TransportConfig{MaxRetries: 5})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		req := newRequest(t, ctx, http.MethodPut, "a.example", nil)
		var given []*body
		req.Body = &body{Reader: strings.NewReader("x")}
		req.GetBody = func() (io.ReadCloser, error) {
			given = append(given, &body{Reader: strings.NewReader("x")})
			return given[len(given)-1], nil
		}
		_, err := tr.RoundTrip(req)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, given, 1)
		assert.True(t, given[0].isClosed(), "a body that was not sent is closed")
		assert.True(t, u.bodies[0].isClosed())
	})
}

func TestTransportReturnsTheAnswerIfTheBodyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, ""}, {429, ""}}}
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "100/1s"), httplimit.TransportConfig{MaxRetries: 5})

		req := newRequest(t, t.Context(), http.MethodPut, "a.example", strings.NewReader("x"))
		req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode)

		req = newRequest(t, t.Context(), http.MethodPut, "a.example", io.LimitReader(strings.NewReader("x"), 9))
		resp, err = tr.RoundTrip(req) // no GetBody
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode)
	})
}

// dribble is a body that never ends and gives nothing, until it is closed.
type dribble struct{ closed chan struct{} }

func (d *dribble) Read([]byte) (int, error) {
	<-d.closed
	return 0, io.ErrClosedPipe
}

func (d *dribble) Close() error {
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
	return nil
}

// zeros never end; read counts them.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}

// roundTripFunc is a base in a line.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestTransportRetryIsNotHeldUpByTheRefusal(t *testing.T) {
	var z zeros
	for name, refusal := range map[string]func() io.ReadCloser{
		"dribbling": func() io.ReadCloser { return &dribble{make(chan struct{})} },
		"endless":   func() io.ReadCloser { return io.NopCloser(&z) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := []*http.Response{
					{StatusCode: 429, Body: refusal()},
					{StatusCode: 200, Body: http.NoBody},
				}
				base := roundTripFunc(func(*http.Request) (*http.Response, error) {
					next := answers[0]
					answers = answers[1:]
					return next, nil
				})
				tr := newTransport(t, base, newFamily(t, bucket.Config{}, "100/1s"), httplimit.TransportConfig{MaxRetries: 1})
				start := time.Now()
				assert.Equal(t, 200, get(t, tr, "a.example"))
				assert.Equal(t, time.Second, time.Since(start), "the back-off and no more")
			})
		})
	}
	assert.LessOrEqual(t, z.read, 128<<10, "of an endless answer little is read")
}
