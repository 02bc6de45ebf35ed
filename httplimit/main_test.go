package httplimit_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newFamily is a family with limits such as "10/6s" in a system of its own, which ends with the test.
func newFamily(t testing.TB, cfg bucket.Config, limits ...string) *bucket.Family {
	t.Helper()
	return newFamilyIn(t, nil, cfg, limits...)
}

// newFamilyIn is newFamily in a system with options.
func newFamilyIn(t testing.TB, opts []penstock.Option, cfg bucket.Config, limits ...string) *bucket.Family {
	t.Helper()
	sys, err := penstock.New(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sys.Close(context.Background())) })
	for _, text := range limits {
		l, err := limit.Parse(text)
		require.NoError(t, err)
		cfg.Limits = append(cfg.Limits, l)
	}
	family, err := bucket.NewFamily(sys, "api", cfg)
	require.NoError(t, err)
	return family
}

func newTransport(t testing.TB, base http.RoundTripper, family *bucket.Family, cfg httplimit.TransportConfig) *httplimit.Transport {
	t.Helper()
	transport, err := httplimit.NewTransport(base, family, cfg)
	require.NoError(t, err)
	return transport
}

// upstream is a server in memory: it records when each request arrived and answers with the next of its answers, and
// with 200 when it has no more.
type upstream struct {
	mu      sync.Mutex
	answers []answer
	seen    []arrival
	bodies  []*body // of all answers
}

// answer is a status and fields, as "Name: value" in lines.
type answer struct {
	status int
	fields string
}

type arrival struct {
	at     time.Time
	host   string
	body   string
	header http.Header
}

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = append(u.seen, arrival{time.Now(), req.URL.Host, string(sent), req.Header})
	next := answer{status: http.StatusOK}
	if len(u.answers) > 0 {
		next, u.answers = u.answers[0], u.answers[1:]
	}
	b := &body{Reader: strings.NewReader("answer")}
	u.bodies = append(u.bodies, b)
	return &http.Response{StatusCode: next.status, Header: fields(next.fields), Body: b, Request: req}, nil
}

// waits are the times between arrivals.
func (u *upstream) waits() []time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	var waits []time.Duration
	for i := 1; i < len(u.seen); i++ {
		waits = append(waits, u.seen[i].at.Sub(u.seen[i-1].at))
	}
	return waits
}

// fields makes a header of lines "Name: value".
func fields(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

// body knows whether it was closed.
type body struct {
	io.Reader
	mu     sync.Mutex
	closed bool
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func (b *body) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// get sends a GET to host over transport and closes the answer.
func get(t testing.TB, transport http.RoundTripper, host string) int {
	t.Helper()
	resp, err := transport.RoundTrip(newRequest(t, context.Background(), http.MethodGet, host, nil))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func newRequest(t testing.TB, ctx context.Context, method, host string, content io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+"/", content)
	require.NoError(t, err)
	return req
}
