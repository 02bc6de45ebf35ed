//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-go/penstock/internal/fleet"
)

// round is what came of one fault.
type round struct {
	fault
	lasted  time.Duration // from the fault to when all was as before
	gap     time.Duration
	longest string // whose gap it is
	served  int
	refused int
	late    int
	errs    map[string]int
	breach  []string
}

// play has one fault happen, and judges.
func (w *world) play(ctx context.Context, f fault) (r round, err error) {
	r.fault, r.errs = f, make(map[string]int)
	before := w.sum()
	began := fleet.Boottime()
	since := began // from when on the bound counts
	end, lasts, err := w.begin(ctx, f)
	if err != nil {
		return r, err
	}
	sleep(ctx, lasts)
	if f.kind == faultStore {
		since = fleet.Boottime() // without a store nobody can own what somebody else did
	}
	healed := fleet.Boottime()
	if err := end(); err != nil {
		return r, err
	}
	if err := w.settled(ctx, healed); err != nil {
		return r, err
	}
	now := fleet.Boottime()
	r.lasted = now - began
	r.longest, r.gap = w.api.gap(since, now)
	r.served, r.refused, r.late = w.api.count(began, now)
	for kind, n := range w.sum().Errors {
		if more := n - before.Errors[kind]; more > 0 {
			r.errs[kind] = more
		}
	}
	r.breach = w.judge(r)
	return r, nil
}

// judge says what must not have been.
func (c config) judge(r round) (breach []string) {
	if r.refused > 0 {
		breach = append(breach, fmt.Sprintf("the limit was exceeded %d times", r.refused))
	}
	if r.gap > c.bound()+c.grace {
		breach = append(breach, fmt.Sprintf("%s was not served for more than %v", r.longest, c.bound()+c.grace))
	}
	return breach
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// run plays all rounds. Each is told to see, in time.
func run(ctx context.Context, c config, see func(int, round)) (broken []string, sum fleet.Report, err error) {
	w, err := open(c)
	if err != nil {
		return nil, sum, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.settled(ctx, 0); err != nil {
		return nil, sum, err
	}
	for i, f := range draw(c.seed, c.rounds, c.nodes, c.kinds) {
		r, err := w.play(ctx, f)
		if err != nil {
			if errors.Is(err, errLost) {
				broken = append(broken, err.Error())
			}
			return broken, w.sum(), fmt.Errorf("round %d (%s, %s): %w", i+1, f.kind, f.who(c.nodes), err)
		}
		see(i, r)
		for _, b := range r.breach {
			broken = append(broken, fmt.Sprintf("round %d: %s", i+1, b))
		}
	}
	if err := w.stopAll(); err != nil {
		broken = append(broken, err.Error())
	}
	sum = w.sum()
	sum.Texts = w.texts
	return broken, sum, nil
}

// errors says how many of which there were.
func (r round) errors() string {
	var parts []string
	for _, kind := range kindsOf(r.errs) {
		parts = append(parts, fmt.Sprintf("%d %s", r.errs[kind], kind))
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}
