package httplimit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/httplimit"
)

func TestTransportWaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upstream
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "2/1s"), httplimit.TransportConfig{})
		for range 5 {
			get(t, tr, "a.example")
		}
		get(t, tr, "A.EXAMPLE") // the same host
		get(t, tr, "b.example") // another bucket
		const window = time.Second + 20*time.Millisecond
		assert.Equal(t, []time.Duration{0, window, 0, window, 0, 0}, u.waits())
	})
}

func TestG7_TransportSharesByFlow(t *testing.T) {
	order := func(cfg httplimit.TransportConfig) (order []string) {
		synctest.Test(t, func(t *testing.T) {
			var u upstream
			tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "1/1s"), cfg)
			var wg sync.WaitGroup
			for _, tenant := range []string{"crowd", "crowd", "crowd", "crowd", "one"} {
				req := newRequest(t, context.Background(), http.MethodGet, "a.example", nil)
				req.Header.Set("Tenant", tenant)
				wg.Go(func() {
					if resp, err := tr.RoundTrip(req); assert.NoError(t, err) {
						_ = resp.Body.Close()
					}
				})
				synctest.Wait() // one after the other
			}
			wg.Wait()
			for _, a := range u.seen {
				order = append(order, a.header.Get("Tenant"))
			}
		})
		return order
	}
	byTenant := func(req *http.Request) string { return req.Header.Get("Tenant") }
	assert.Equal(t, []string{"crowd", "crowd", "one", "crowd", "crowd"}, order(httplimit.TransportConfig{Flow: byTenant}))
	assert.Equal(t, []string{"crowd", "crowd", "crowd", "crowd", "one"}, order(httplimit.TransportConfig{}), "the default")
}

func TestB11_TransportThrottlesTheBucket(t *testing.T) {
	for name, c := range map[string]struct {
		answer answer
		wait   time.Duration
	}{
		"Retry-After":        {answer{429, "Retry-After: 7"}, 7 * time.Second},
		"503":                {answer{503, "Retry-After: 4"}, 4 * time.Second},
		"RateLimit":          {answer{200, `RateLimit: "default";r=0;t=30`}, 30 * time.Second},
		"X-RateLimit":        {answer{200, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 12"}, 12 * time.Second},
		"nothing said":       {answer{429, ""}, time.Second},
		"absurd, so ignored": {answer{200, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 36000"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := upstream{answers: []answer{c.answer}}
				tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "100/1s"), httplimit.TransportConfig{})
				assert.Equal(t, c.answer.status, get(t, tr, "a.example"), "the answer is returned as it is")
				get(t, tr, "b.example")
				get(t, tr, "a.example")
				assert.Equal(t, []time.Duration{0, c.wait}, u.waits(), "its own bucket only")
			})
		})
	}
}

func TestB11_TransportThrottlesTheFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, "Retry-After: 7"}, {429, ""}, {429, ""}}}
		family := newFamily(t, bucket.Config{}, "100/1s")
		tr := newTransport(t, &u, family, httplimit.TransportConfig{ThrottleFamily: true})
		for _, host := range []string{"a.example", "b.example", "c.example", "d.example"} {
			get(t, tr, host)
		}
		assert.Equal(t, []time.Duration{7 * time.Second, time.Second, 2 * time.Second}, u.waits())
	})
}

func TestTransportBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, ""}, {429, ""}, {429, ""}, {429, ""}, {200, ""}, {429, ""}}}
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "100/1s"),
			httplimit.TransportConfig{Backoff: 2 * time.Second, MaxBackoff: 10 * time.Second})
		for range 7 {
			get(t, tr, "a.example")
			time.Sleep(time.Millisecond) // so that an answer is older than the next request
		}
		var seconds []float64
		for _, w := range u.waits() {
			seconds = append(seconds, w.Truncate(time.Second).Seconds())
		}
		assert.Equal(t, []float64{2, 4, 8, 10, 0, 2}, seconds)
	})
}

func TestTransportRaisesTheSlack(t *testing.T) {
	for name, c := range map[string]struct {
		family, transport, want time.Duration
	}{
		"default":             {0, 0, 60 * time.Millisecond},
		"the family's":        {5 * time.Millisecond, 0, 5 * time.Millisecond},
		"raised":              {5 * time.Millisecond, 30 * time.Millisecond, 30 * time.Millisecond},
		"the family has more": {50 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			family := newFamily(t, bucket.Config{Slack: c.family}, "10/6s")
			newTransport(t, nil, family, httplimit.TransportConfig{Slack: c.transport})
			assert.Equal(t, c.want, family.Slack())
		})
	}
}

func TestTransportWidensTheSlack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upstream
		var log bytes.Buffer
		logger := penstock.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
		family := newFamilyIn(t, []penstock.Option{logger}, bucket.Config{}, "100/1s")
		tr := newTransport(t, &u, family, httplimit.TransportConfig{})
		var slack []time.Duration
		for range 5 {
			time.Sleep(time.Minute)
			u.answers = []answer{{429, "Retry-After: 1"}}
			get(t, tr, "a.example")
			slack = append(slack, family.Slack())
		}
		ms := time.Millisecond
		assert.Equal(t, []time.Duration{40 * ms, 80 * ms, 100 * ms, 100 * ms, 100 * ms}, slack, "doubled, to 10 % of the window")
		assert.Equal(t, 3, strings.Count(log.String(), "slack widened"), "one warning for each:\n%s", &log)
		assert.Equal(t, httplimit.TransportInfo{Sent: 5, Refused: 5, Throttled: 5, Widened: 3, Slack: 100 * ms}, tr.Info())
	})
}

func TestTransportDoesNotWidenTheSlack(t *testing.T) {
	for name, c := range map[string]struct {
		answer answer
		cfg    httplimit.TransportConfig
	}{
		"for another limit":  {answer{429, "Retry-After: 60"}, httplimit.TransportConfig{}},
		"for an overload":    {answer{503, "Retry-After: 1"}, httplimit.TransportConfig{}},
		"over its bound":     {answer{429, "Retry-After: 1"}, httplimit.TransportConfig{Slack: 20 * time.Millisecond, MaxSlack: 20 * time.Millisecond}},
		"for what was asked": {answer{200, `RateLimit: "default";r=0;t=1`}, httplimit.TransportConfig{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := upstream{answers: []answer{c.answer}}
				family := newFamily(t, bucket.Config{}, "100/1s")
				get(t, newTransport(t, &u, family, c.cfg), "a.example")
				assert.Equal(t, 20*time.Millisecond, family.Slack())
			})
		})
	}
}

func TestTransportInShadowWidensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{200, ""}, {429, "Retry-After: 1"}}}
		family := newFamily(t, bucket.Config{Shadow: true}, "1/1s")
		tr := newTransport(t, &u, family, httplimit.TransportConfig{})
		get(t, tr, "a.example")
		get(t, tr, "a.example")
		assert.Equal(t, []time.Duration{0}, u.waits(), "everything passes")
		assert.Equal(t, 20*time.Millisecond, family.Slack(), "our window had no room")
	})
}

func TestB12_TransportCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, "Retry-After: 1"}}}
		reader := sdk.NewManualReader()
		meters := penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
		tr := newTransport(t, &u, newFamilyIn(t, []penstock.Option{meters}, bucket.Config{}, "100/1s"), httplimit.TransportConfig{MaxRetries: 1})
		get(t, tr, "secret.example")
		assert.Equal(t, httplimit.TransportInfo{Sent: 2, Refused: 1, Throttled: 1, Retried: 1, Widened: 1, Slack: 40 * time.Millisecond}, tr.Info())

		var collected metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &collected))
		counts := map[string]int64{}
		for _, m := range collected.ScopeMetrics[0].Metrics {
			if !strings.HasPrefix(m.Name, "penstock.http.") {
				continue // the bucket's own
			}
			sum, ok := m.Data.(metricdata.Sum[int64])
			require.True(t, ok)
			require.Len(t, sum.DataPoints, 1)
			counts[m.Name] = sum.DataPoints[0].Value
			assert.Equal(t, attribute.NewSet(attribute.String("penstock.system", "penstock"), attribute.String("penstock.family", "api")), sum.DataPoints[0].Attributes, "no keys")
		}
		assert.Equal(t, map[string]int64{
			"penstock.http.sent": 2, "penstock.http.refused": 1, "penstock.http.throttled": 1,
			"penstock.http.retried": 1, "penstock.http.slack_widened": 1,
		}, counts)
	})
}

// slowly answers each request after a second, so that several are under way at once.
type slowly struct{ base http.RoundTripper }

func (s slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(time.Second)
	return s.base.RoundTrip(req)
}

func TestTransportWidensOnceForRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := upstream{answers: []answer{{429, ""}, {429, ""}, {429, ""}, {429, ""}}}
		family := newFamily(t, bucket.Config{}, "100/1s")
		tr := newTransport(t, slowly{&u}, family, httplimit.TransportConfig{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { get(t, tr, "a.example") })
		}
		wg.Wait()
		assert.Equal(t, 40*time.Millisecond, family.Slack())
		start := time.Now()
		get(t, tr, "a.example")
		assert.Equal(t, 2*time.Second, time.Since(start), "one step of back-off, and the way")
	})
}

func TestTransportWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upstream
		tr := newTransport(t, &u, newFamily(t, bucket.Config{}, "1/1m"), httplimit.TransportConfig{})
		get(t, tr, "a.example")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent := &body{Reader: strings.NewReader("x")}
		start := time.Now()
		_, err := tr.RoundTrip(newRequest(t, ctx, http.MethodPost, "a.example", sent))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), time.Second)
		assert.True(t, sent.isClosed())
		assert.Len(t, u.seen, 1, "nothing was sent")

		get(t, tr, "a.example")
		assert.Equal(t, []time.Duration{time.Minute + 600*time.Millisecond}, u.waits(), "giving up costs no permit")
	})
}

func TestTransportClientTimeoutCoversTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTransport(t, &upstream{}, newFamily(t, bucket.Config{}, "1/1m"), httplimit.TransportConfig{})
		get(t, tr, "a.example")
		_, err := (&http.Client{Transport: tr, Timeout: 2 * time.Second}).Get("http://a.example/")
		assertTimeout(t, err)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = (&http.Client{Transport: tr}).Do(newRequest(t, ctx, http.MethodGet, "a.example", nil))
		assertTimeout(t, err)
	})
}

// assertTimeout wants what callers of net/http look for.
func assertTimeout(t *testing.T, err error) {
	t.Helper()
	var failed *url.Error
	require.ErrorAs(t, err, &failed)
	assert.True(t, failed.Timeout())
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTransportClosesTheBodyOfRefusedRequests(t *testing.T) {
	tr := newTransport(t, &upstream{}, newFamily(t, bucket.Config{}, "1/1m"), httplimit.TransportConfig{
		Key: func(req *http.Request) string { return req.Header.Get("User") },
	})
	sent := &body{Reader: strings.NewReader("x")}
	_, err := tr.RoundTrip(newRequest(t, t.Context(), http.MethodPost, "a.example", sent))
	require.ErrorIs(t, err, penstock.ErrInvalid, "there is no bucket for an empty key")
	assert.True(t, sent.isClosed())
}

func TestTransportAfterClose(t *testing.T) {
	family := newFamily(t, bucket.Config{}, "1/1m")
	tr := newTransport(t, &upstream{}, family, httplimit.TransportConfig{})
	require.NoError(t, family.Close(t.Context()))
	_, err := tr.RoundTrip(newRequest(t, t.Context(), http.MethodGet, "a.example", nil))
	require.ErrorIs(t, err, penstock.ErrClosed)
}

func TestTransportAsksForNicenessAndCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u upstream
		family := newFamily(t, bucket.Config{}, "4/1s")
		name := family.Limits()[0].Name
		tr := newTransport(t, &u, family, httplimit.TransportConfig{
			Costs: func(*http.Request) map[string]int { return map[string]int{name: 3} },
		})
		get(t, tr, "a.example")
		get(t, tr, "a.example")
		assert.Equal(t, []time.Duration{time.Second + 20*time.Millisecond}, u.waits(), "3 + 3 is over 4")

		tr = newTransport(t, &u, family, httplimit.TransportConfig{Nice: func(*http.Request) int { return 99 }})
		_, err := tr.RoundTrip(newRequest(t, t.Context(), http.MethodGet, "a.example", nil))
		require.ErrorIs(t, err, penstock.ErrInvalid)
	})
}

// failing fails, and panics when it has no error.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) {
	if f.err == nil {
		panic("base is broken")
	}
	return nil, f.err
}

func TestTransportLeavesFailuresOfTheBaseAlone(t *testing.T) {
	broken := errors.New("no route")
	tr := newTransport(t, failing{broken}, newFamily(t, bucket.Config{}, "10/1m"), httplimit.TransportConfig{MaxRetries: 3})
	_, err := tr.RoundTrip(newRequest(t, t.Context(), http.MethodGet, "a.example", nil))
	assert.Same(t, broken, err)
	assert.EqualValues(t, 1, tr.Info().Sent, "a failure is not retried")

	tr = newTransport(t, failing{}, newFamily(t, bucket.Config{}, "10/1m"), httplimit.TransportConfig{})
	assert.PanicsWithValue(t, "base is broken", func() {
		_, _ = tr.RoundTrip(newRequest(t, t.Context(), http.MethodGet, "a.example", nil))
	}, "a panic reaches the caller")
}

func TestNewTransportNamesEveryBadField(t *testing.T) {
	_, err := httplimit.NewTransport(nil, nil, httplimit.TransportConfig{
		MaxThrottle: -1, Backoff: time.Minute, MaxBackoff: time.Second, Slack: -1, MaxSlack: -1, MaxRetries: -1,
	})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, field := range []string{"family", "MaxThrottle", "MaxBackoff", "Slack", "MaxSlack", "MaxRetries"} {
		assert.ErrorContains(t, err, field+" is ")
	}
	_, err = httplimit.NewTransport(nil, newFamily(t, bucket.Config{}, "1/1s"), httplimit.TransportConfig{
		Backoff: -1, Slack: time.Second, MaxSlack: time.Millisecond,
	})
	assert.ErrorContains(t, err, "Backoff is -1ns; it takes a positive duration, or 0 for 1s")
	assert.ErrorContains(t, err, "MaxSlack is 1ms; it takes no less than Slack, 1s")
}
