package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
)

// openConnections bounds the connections to a server. A request that finds none is given up at its deadline as well, so the
// bound holds back nobody who could be answered in time: so many open requests are several times of what a server can do
// within a deadline.
const openConnections = 1024

// arrivals yields when requests are sent, perSecond on average for d, and how urgent each is. Their moments are independent of
// each other and of every answer. The same seed yields the same.
func arrivals(seed uint64, perSecond float64, d time.Duration) iter.Seq2[time.Duration, priority] {
	return func(yield func(time.Duration, priority) bool) {
		random := rand.New(rand.NewPCG(seed, 1))
		gap := float64(time.Second) / perSecond // mean
		for at := random.ExpFloat64() * gap; at < float64(d); at += random.ExpFloat64() * gap {
			p := background
			if random.Float64() < urgentShare {
				p = urgent
			}
			if !yield(time.Duration(at), p) {
				return
			}
		}
	}
}

// load sends requests to a server at given moments, whatever becomes of those before, and takes down what became of each.
type load struct {
	url         string
	deadline    time.Duration // from the moment of a request to the end of its answer
	sending     time.Duration // for how long; answers in that time make the rate
	connections *http.Transport
	client      *http.Client

	answered *waits // 200 within the deadline
	refused  *waits // 503 with Retry-After within the deadline
	mu       struct {
		sync.Mutex
		counts outcomes
		reason error // of the first that failed
	}
}

// outcomes are what became of requests.
type outcomes struct {
	Sent           int `json:"sent"`
	Answered       int `json:"answered"`  // with 200 within the deadline
	During         int `json:"during"`    // of the answered, those that came while requests were still being sent
	Refused        int `json:"refused"`   // with 503 and Retry-After within the deadline
	Late           int `json:"late"`      // given up at the deadline
	Failed         int `json:"failed"`    // for any other reason, or with any other answer
	CutOff         int `json:"cut_off"`   // by an interruption
	Urgent         int `json:"urgent"`    // of the sent, those that are urgent
	UrgentAnswered int `json:"urgent_ok"` // of the answered
}

// accounted reports whether something became of every request.
func (o outcomes) accounted() bool { return o.Answered+o.Refused+o.Late+o.Failed+o.CutOff == o.Sent }

func newLoad(url string, deadline time.Duration) *load {
	connections := &http.Transport{MaxConnsPerHost: openConnections, MaxIdleConnsPerHost: openConnections}
	return &load{
		url: url, deadline: deadline,
		connections: connections, client: &http.Client{Transport: connections},
		answered: newWaits(), refused: newWaits(),
	}
}

// run sends requests for d, or until ctx ends, and returns when something has become of each.
func (l *load) run(ctx context.Context, requests iter.Seq2[time.Duration, priority], d time.Duration) {
	defer l.connections.CloseIdleConnections()
	var done sync.WaitGroup
	defer done.Wait()
	start := time.Now()
	for after, p := range requests {
		since := start.Add(after)
		if !sleepUntil(ctx, since) {
			break
		}
		l.sent(p)
		done.Go(func() {
			within, cancel := context.WithDeadline(ctx, since.Add(l.deadline))
			defer cancel()
			status, retry, err := ask(within, l.client, l.url, p)
			now := time.Now()
			l.note(status, retry, err, p, now.Sub(since), now.Sub(start) <= d)
		})
	}
	l.sending = d
	if ctx.Err() != nil {
		l.sending = min(d, time.Since(start))
	}
}

func (l *load) sent(p priority) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.counts.Sent++
	if p == urgent {
		l.mu.counts.Urgent++
	}
}

// note takes down what became of one request.
func (l *load) note(status int, retry string, err error, p priority, took time.Duration, during bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.mu.counts
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		c.Late++
	case errors.Is(err, context.Canceled):
		c.CutOff++
	case err == nil && status == http.StatusOK:
		l.answered.add(took)
		c.Answered++
		if during {
			c.During++
		}
		if p == urgent {
			c.UrgentAnswered++
		}
	case err == nil && status == http.StatusServiceUnavailable && retry != "":
		l.refused.add(took)
		c.Refused++
	default:
		c.Failed++
		if err == nil {
			err = fmt.Errorf("the server answered %d, Retry-After %q", status, retry)
		}
		l.mu.reason = cmp.Or(l.mu.reason, err)
	}
}

// score sums a run up that is over.
func (l *load) score(name string, totals mill.Totals) overloadRow {
	l.mu.Lock()
	defer l.mu.Unlock()
	reason := ""
	if l.mu.reason != nil {
		reason = l.mu.reason.Error()
	}
	return overloadRow{
		Name: name, Reason: reason, outcomes: l.mu.counts,
		PerSecond: float64(l.mu.counts.During) / max(l.sending, 1).Seconds(),
		Answers:   l.answered.quantiles(), Refusals: l.refused.quantiles(),
		Done: totals.Done, InVain: max(0, totals.Done-l.mu.counts.Answered),
		Processor: totals.Processor, Memory: totals.Memory,
	}
}

// ask sends one request and returns the answer's status and when it says to come back.
func ask(ctx context.Context, c *http.Client, url string, p priority) (status int, retryAfter string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Priority", string(p))
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10)) // read to its end, a connection is used again
	_ = answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("Retry-After"), err
}
