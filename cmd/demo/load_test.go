package main

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
)

// arrival is a moment and an urgency that arrivals yields.
type arrival struct {
	at time.Duration
	priority
}

func collect(requests iter.Seq2[time.Duration, priority]) []arrival {
	var all []arrival
	for at, p := range requests {
		all = append(all, arrival{at, p})
	}
	return all
}

func TestArrivals(t *testing.T) {
	all := collect(arrivals(1, 500, time.Minute))
	assert.Equal(t, all, collect(arrivals(1, 500, time.Minute)), "one seed, one load")
	assert.NotEqual(t, all, collect(arrivals(2, 500, time.Minute)))
	assert.InEpsilon(t, 30_000, len(all), 0.03) // about 170 is one standard deviation
	hurried, last := 0, time.Duration(0)
	for _, a := range all {
		assert.GreaterOrEqual(t, a.at, last)
		last = a.at
		if a.priority == urgent {
			hurried++
		}
	}
	assert.Less(t, last, time.Minute)
	assert.InEpsilon(t, 1_500, hurried, 0.1) // about 38
	for range arrivals(1, 500, time.Minute) {
		break // a reader may stop
	}
}

// at yields n requests at the start, the first of them urgent.
func atOnce(n int) iter.Seq2[time.Duration, priority] {
	return func(yield func(time.Duration, priority) bool) {
		for i := range n {
			p := background
			if i == 0 {
				p = urgent
			}
			if !yield(0, p) {
				return
			}
		}
	}
}

// serveFor starts a server whose requests are all handled by h.
func serveFor(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// TestEveryOutcome: what became of a request is told by its answer, and by nothing else.
func TestEveryOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		deadline time.Duration
		want     outcomes
		fails    string
	}{
		"answered": {func(http.ResponseWriter, *http.Request) {}, time.Hour,
			outcomes{Sent: 3, Answered: 3, During: 3, Urgent: 1, UrgentAnswered: 1}, ""},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, time.Hour, outcomes{Sent: 3, Refused: 3, Urgent: 1}, ""},
		"late": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 20 * time.Millisecond,
			outcomes{Sent: 3, Late: 3, Urgent: 1}, ""},
		"no time to come back": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, time.Hour,
			outcomes{Sent: 3, Failed: 3, Urgent: 1}, `the server answered 503, Retry-After ""`},
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, time.Hour,
			outcomes{Sent: 3, Failed: 3, Urgent: 1}, "the server answered 500"},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, time.Hour,
			outcomes{Sent: 3, Failed: 3, Urgent: 1}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoad(serveFor(t, c.handler), c.deadline)
			l.run(t.Context(), atOnce(3), time.Hour)
			row := l.score("x", mill.Totals{})
			assert.Equal(t, c.want, row.outcomes)
			assert.Equal(t, c.want.Answered, row.Answers.Count)
			assert.Equal(t, c.want.Refused, row.Refusals.Count)
			assert.True(t, row.accounted())
			assert.Equal(t, c.fails == "", row.Reason == "")
			assert.Contains(t, row.Reason, c.fails)
		})
	}
}

// TestInterruptedLoad: requests on their way when the run is interrupted are cut off, and none is sent any more.
func TestInterruptedLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := newLoad(serveFor(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}), time.Hour)
	l.run(ctx, func(yield func(time.Duration, priority) bool) {
		if yield(0, background) {
			assert.False(t, yield(time.Hour, background))
		}
	}, time.Hour)
	assert.Equal(t, outcomes{Sent: 1, CutOff: 1}, l.score("x", mill.Totals{}).outcomes)
	assert.Less(t, l.sending, time.Hour)
}

// TestLateAnswersMakeNoRate: what comes when nothing is sent any more was answered, but says nothing of how many a second.
func TestLateAnswersMakeNoRate(t *testing.T) {
	l := newLoad(serveFor(t, func(http.ResponseWriter, *http.Request) {}), time.Hour)
	l.run(t.Context(), atOnce(2), 0)
	assert.Equal(t, outcomes{Sent: 2, Answered: 2, Urgent: 1, UrgentAnswered: 1}, l.score("x", mill.Totals{}).outcomes)
}

func TestScore(t *testing.T) {
	l := newLoad("", time.Second)
	l.sending = 2 * time.Second
	for i := range 10 {
		l.note(http.StatusOK, "", nil, background, 10*time.Millisecond, i < 8)
	}
	row := l.score("x", mill.Totals{Done: 25, Processor: 500 * time.Millisecond, Memory: 1 << 20})
	assert.InDelta(t, 4, row.PerSecond, 1e-9, "8 in 2 s")
	assert.Equal(t, 15, row.InVain)
	assert.InDelta(t, 0.2, row.share(100), 1e-9, "10 of the 50 that half a second of processor time is good for")
	assert.Zero(t, overloadRow{}.share(100))
}

func TestReasonIsTheFirst(t *testing.T) {
	l := newLoad("", time.Second)
	l.note(0, "", errors.New("first"), background, 0, true)
	l.note(http.StatusTeapot, "", nil, background, 0, true)
	row := l.score("x", mill.Totals{})
	assert.Equal(t, "first", row.Reason)
	assert.Equal(t, 2, row.Failed)
}
