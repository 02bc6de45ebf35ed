package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cmd/demo/internal/accesslog"
	"github.com/penstock-go/penstock/limit"
)

const (
	shownMalformed = 3  // malformed lines that a report quotes
	shownClients   = 10 // most affected clients that a report names
	// lookAhead is how many requests late a line may be and still be put in its place: some 10 MB.
	lookAhead = 100_000
	// maxClients bounds the memory: some hundred bytes a client and limit.
	maxClients = 10_000_000
)

// whatIf tells what limits would do to the requests of an access log, every client a bucket.
type whatIf struct {
	limits     []limit.Limit
	maxWaiting int // requests a client, 0: the library's default
	lookAhead  int
}

// run reads the log through one replay a limit, to its end or to where reading it is interrupted by [context.Canceled].
func (w whatIf) run(log io.Reader) (*logReport, error) {
	report := &logReport{latest: make(map[string]time.Time)}
	for _, l := range w.limits {
		effect, err := newEffect(l, w.maxWaiting)
		if err != nil {
			return nil, err
		}
		report.effects = append(report.effects, effect)
	}
	reader, err := accesslog.NewReader(log)
	if err != nil {
		return nil, err
	}
	sorter := accesslog.NewSorter(reader, w.lookAhead)
	for {
		entry, err := sorter.Next()
		var malformed *accesslog.LineError
		switch {
		case err == nil:
			err = report.add(entry)
		case errors.As(err, &malformed):
			report.addMalformed(malformed)
			continue
		case errors.Is(err, io.EOF), errors.Is(err, context.Canceled):
			report.Disordered = sorter.Disordered
			report.Interrupted = errors.Is(err, context.Canceled)
			return report, report.finish()
		}
		if err != nil {
			return nil, err
		}
	}
}

// logReport is what a log held and what each limit would have done to it.
type logReport struct {
	Requests    int             `json:"requests"`
	Clients     int             `json:"clients"`
	From        time.Time       `json:"from"` // of the earliest request
	To          time.Time       `json:"to"`   // of the latest
	Malformed   int             `json:"malformed"`
	Cut         int             `json:"cut"`          // lines whose end is missing, but not client and time
	Disordered  int             `json:"out_of_order"` // requests older than one before them
	Late        int             `json:"late"`         // of those, too late to be put in order: taken at their client's latest time
	Interrupted bool            `json:"interrupted"`
	Limits      []effectSummary `json:"limits"`

	effects   []*effect
	latest    map[string]time.Time // of each client
	malformed []*accesslog.LineError
}

func (r *logReport) addMalformed(e *accesslog.LineError) {
	r.Malformed++
	if len(r.malformed) < shownMalformed {
		r.malformed = append(r.malformed, e)
	}
}

// add counts a request and lets it arrive at every limit. One that is older than its client's latest arrives with that one.
func (r *logReport) add(e accesslog.Entry) error {
	r.Requests++
	if e.Cut {
		r.Cut++
	}
	if r.Requests == 1 || e.Time.Before(r.From) {
		r.From = e.Time
	}
	if e.Time.After(r.To) {
		r.To = e.Time
	}
	latest, known := r.latest[e.Client]
	switch {
	case known && e.Time.Before(latest):
		r.Late++
		e.Time = latest
	case !known && len(r.latest) == maxClients:
		return fmt.Errorf("more than %s clients: their waits would not fit into memory", grouped(maxClients))
	}
	r.latest[e.Client] = e.Time
	for _, effect := range r.effects {
		if err := effect.replay.Arrive(e.Client, e.Time, bucket.Request{}); err != nil {
			return fmt.Errorf("client %.40q: %w", e.Client, err)
		}
	}
	return nil
}

// finish lets everything that still waits have its turn and sums up.
func (r *logReport) finish() error {
	r.Clients = len(r.latest)
	for _, effect := range r.effects {
		effect.replay.Finish()
		r.Limits = append(r.Limits, effect.summary())
	}
	if r.Requests > 0 {
		return nil
	}
	if r.Malformed == 0 {
		return errors.New("empty: it holds no request")
	}
	return fmt.Errorf("none of its lines is in the common or combined log format (%s); the first: %w",
		counted(r.Malformed, "line"), r.malformed[0])
}

// effect is what one limit does to the log.
type effect struct {
	limit   limit.Limit
	replay  *bucket.Replay
	all     *waits // of every request that got its turn, most of them 0
	delayed *waits // of those that had to wait
	refused int
	clients map[string]*affected
}

// affected is a client that a limit held back.
type affected struct {
	Client  string        `json:"client"`
	Delayed int           `json:"delayed"`
	Refused int           `json:"refused"`
	Total   time.Duration `json:"total_wait_ns"`
	Longest time.Duration `json:"longest_wait_ns"`
}

func newEffect(l limit.Limit, maxWaiting int) (*effect, error) {
	e := &effect{limit: l, all: newWaits(), delayed: newWaits(), clients: make(map[string]*affected)}
	var err error
	e.replay, err = bucket.NewReplay(bucket.Config{Limits: []limit.Limit{l}, MaxWaiting: maxWaiting}, e.outcome)
	return e, err
}

// outcome takes down what became of one request.
func (e *effect) outcome(o bucket.Outcome) {
	if o.Err == nil {
		e.all.add(o.Wait)
		if o.Wait <= 0 {
			return
		}
	}
	c := e.clients[o.ID]
	if c == nil {
		c = &affected{Client: o.ID}
		e.clients[o.ID] = c
	}
	if o.Err != nil {
		e.refused++
		c.Refused++
		return
	}
	e.delayed.add(o.Wait)
	c.Delayed++
	c.Total += o.Wait
	c.Longest = max(c.Longest, o.Wait)
}

// effectSummary is what one limit did to the log, in figures.
type effectSummary struct {
	Limit    string     `json:"limit"`
	HeldBack int        `json:"clients_held_back"` // at least one request delayed or refused
	Refused  int        `json:"refused"`           // the client's line was full
	All      quantiles  `json:"waits_of_all"`
	Delayed  quantiles  `json:"waits_of_delayed"`
	Worst    []affected `json:"most_affected"` // by total wait, then by refusals
}

func (e *effect) summary() effectSummary {
	s := effectSummary{
		Limit: e.limit.String(), HeldBack: len(e.clients), Refused: e.refused,
		All: e.all.quantiles(), Delayed: e.delayed.quantiles(),
		Worst: make([]affected, 0, len(e.clients)),
	}
	for _, c := range e.clients {
		s.Worst = append(s.Worst, *c)
	}
	slices.SortFunc(s.Worst, func(a, b affected) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Client, b.Client))
	})
	s.Worst = slices.Clip(s.Worst[:min(len(s.Worst), shownClients)])
	return s
}
