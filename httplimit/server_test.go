package httplimit_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/httplimit"
)

// judge is a strict API: it serves each caller at most events requests in any window, answers 429 otherwise, and keeps
// its own record. It knows nothing of package limit.
type judge struct {
	events  int
	window  time.Duration
	mu      sync.Mutex
	served  map[string][]time.Time
	refused int
}

func (j *judge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	caller := r.Header.Get("User")
	inWindow := 0
	for _, at := range j.served[caller] {
		if now.Sub(at) < j.window {
			inWindow++
		}
	}
	if inWindow >= j.events {
		j.refused++
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if j.served == nil {
		j.served = make(map[string][]time.Time)
	}
	j.served[caller] = append(j.served[caller], now)
}

func userKey(r *http.Request) string { return r.Header.Get("User") }

// demand sends n requests of each user at once, through a plain client.
func demand(t *testing.T, client *http.Client, url string, n int, users ...string) {
	var wg sync.WaitGroup
	for _, user := range slices.Repeat(users, n) {
		wg.Go(func() {
			req, err := http.NewRequest(http.MethodGet, url, nil)
			if !assert.NoError(t, err) {
				return
			}
			req.Header.Set("User", user)
			resp, err := client.Do(req)
			if assert.NoError(t, err) {
				assert.Equal(t, http.StatusOK, resp.StatusCode)
				assert.NoError(t, resp.Body.Close())
			}
		})
	}
	wg.Wait()
}

// pipes is a listener in memory, so that a real client and a real server can talk on synthetic time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// serve runs handler in memory until the test ends, and returns a transport to it.
func serve(t *testing.T, handler http.Handler) *http.Transport {
	network := newPipes()
	server := &http.Server{Handler: handler}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(network) }()
	base := &http.Transport{DialContext: network.dial, MaxIdleConnsPerHost: 100}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return base
}

func TestG1_StrictServerRefusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{events: 5, window: 300 * time.Millisecond}
		base := serve(t, j)
		tr := newTransport(t, base, newFamily(t, bucket.Config{}, "5/300ms"), httplimit.TransportConfig{Key: userKey})
		start := time.Now()
		demand(t, &http.Client{Transport: tr}, "http://api.example/", 20, "ann", "bob")
		assert.Zero(t, j.refused)
		assert.Len(t, j.served["ann"], 20)
		assert.Len(t, j.served["bob"], 20)
		assert.Equal(t, 3*(300+20)*time.Millisecond, time.Since(start), "and no slower than it has to be")

		// The control: the judge does refuse those who do not ask.
		refusedBefore := j.refused
		for range 6 {
			resp, err := (&http.Client{Transport: base}).Get("http://api.example/")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		assert.Equal(t, refusedBefore+1, j.refused)
	})
}

// TestTransportOnLoopback counts only what holds on a machine of any speed: a permit comes no earlier than the limit
// allows, so from before the first request until the last one arrived there is room for so many and no more.
func TestTransportOnLoopback(t *testing.T) {
	const window = 300 * time.Millisecond
	var mu sync.Mutex
	last, arrived := time.Time{}, 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		last = time.Now()
		arrived++
	}))
	defer server.Close()
	tr := newTransport(t, server.Client().Transport, newFamily(t, bucket.Config{}, "5/300ms"), httplimit.TransportConfig{})
	client := &http.Client{Transport: tr}
	start := time.Now()
	demand(t, client, server.URL, 20, "ann")
	client.CloseIdleConnections()
	assert.Equal(t, 20, arrived)
	assert.LessOrEqual(t, arrived, 5*(int(last.Sub(start)/window)+1))
}

// TestTransportParallel has answers of all kinds arrive at once; the race detector and the sums judge.
func TestTransportParallel(t *testing.T) {
	var served, refused sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := userKey(r)
		if _, again := refused.LoadOrStore(user, true); !again {
			w.Header().Set("Retry-After", "0.001")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("RateLimit", `"default";r=9;t=1`)
		served.LoadOrStore(user, true)
	}))
	defer server.Close()
	tr := newTransport(t, server.Client().Transport, newFamily(t, bucket.Config{}, "100000/1s"),
		httplimit.TransportConfig{Key: userKey, MaxRetries: 20})
	client := &http.Client{Transport: tr}
	users := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	demand(t, client, server.URL, 25, users...)
	client.CloseIdleConnections()

	info := tr.Info()
	assert.EqualValues(t, len(users), info.Refused)
	assert.EqualValues(t, len(users), info.Retried)
	assert.EqualValues(t, 25*len(users)+len(users), info.Sent)
}

func TestTransportHeedsOurMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		family := newFamily(t, bucket.Config{}, "5/3s")
		reached := 0
		handler := httplimit.Middleware(family, httplimit.MiddlewareConfig{Key: userKey})(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
		// The client believes in a limit that is twice too high, and is taught better.
		tr := newTransport(t, serve(t, handler), newFamily(t, bucket.Config{}, "10/3s"),
			httplimit.TransportConfig{Key: userKey, MaxRetries: 10})
		start := time.Now()
		for range 11 {
			demand(t, &http.Client{Transport: tr}, "http://api.example/", 1, "ann")
		}
		assert.Equal(t, 11, reached)
		assert.InDelta(t, 6, time.Since(start).Seconds(), 1.5, "5 at once, 5 after 3 s, 1 after 6 s")
	})
}
