package httplimit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/limit"
)

// A client of an API that allows each of its users 10 requests in any 6 seconds, and where somebody who looks at the
// screen goes before the nightly import.
func ExampleTransport() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", r.Header.Get("User"))
	}))
	defer api.Close()

	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(context.Background())
	family, err := bucket.NewFamily(sys, "api", bucket.Config{
		Limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}},
	})
	if err != nil {
		panic(err)
	}
	transport, err := httplimit.NewTransport(nil, family, httplimit.TransportConfig{
		Key: func(r *http.Request) string { return r.Header.Get("User") },
		Nice: func(r *http.Request) int {
			if r.Header.Get("Import") != "" {
				return 10
			}
			return -10
		},
	})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()

	req, _ := http.NewRequest(http.MethodGet, api.URL, nil)
	req.Header.Set("User", "ann")
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	// Output: 200 hello ann
}

// A server that allows each address 2 requests an hour.
func ExampleMiddleware() {
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(context.Background())
	family, err := bucket.NewFamily(sys, "callers", bucket.Config{
		Limits: []limit.Limit{{Name: "hourly", Events: 2, Per: time.Hour}},
	})
	if err != nil {
		panic(err)
	}
	handler := httplimit.Middleware(family, httplimit.MiddlewareConfig{})(http.NotFoundHandler())

	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 404 "hourly";q=2;w=3600
	// 404 "hourly";q=2;w=3600
	// 429 "hourly";q=2;w=3600
}

// Behind proxies in 10.0.0.0/8, the caller is the last address that is not one of theirs.
func ExampleTrustProxies() {
	key := httplimit.TrustProxies(netip.MustParsePrefix("10.0.0.0/8"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.5, 10.0.0.9")
	fmt.Println(key(r))
	// Output: 203.0.113.5
}

// A server that runs at most 100 handlers at once, lets 1,000 more wait for up to a second in all, and turns away the
// others; customers share it evenly, and what they click on goes before their reports.
func ExampleShed() {
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(context.Background())
	q, err := queue.Add(sys, "web", queue.Config{
		Regulators: []queue.Regulator{queue.Counter{Limit: 100}},
		MaxSize:    1000,
	})
	if err != nil {
		panic(err)
	}
	shed := httplimit.Shed(q, httplimit.ShedConfig{
		Flow: func(r *http.Request) string { return r.Header.Get("Customer") },
		Nice: func(r *http.Request) int {
			if strings.HasPrefix(r.URL.Path, "/reports/") {
				return 10
			}
			return 0
		},
		Timeout: time.Second,
	})
	handler := shed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d at work", q.Info().Running)
	}))

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body)

	// Somebody turns the valve off: everybody is told to come again.
	if err := q.SetAction(queue.Reject); err != nil {
		panic(err)
	}
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Retry-After") != "")
	// Output:
	// 200 1 at work
	// 503 true
}
