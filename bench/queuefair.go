package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
)

// fairBar is how far a flow's share may be from what it is due, of that.
const fairBar = 0.05

// flow is callers who come again as soon as they were served, and what they are due.
type flow struct {
	name    string
	callers int
	weight  int
}

// queueFair lets flows of very different size ask for one counter, and looks at what each got.
func queueFair(ctx context.Context, s scale) ([]line, error) {
	few := max(4, s.callers/8)
	equal := []flow{{"greedy", s.callers, 1}, {"b", few, 1}, {"c", few, 1}, {"d", few, 1}}
	weighed := []flow{{"greedy", s.callers, 1}, {"double", few, 2}, {"fourfold", few, 4}}
	var lines []line
	for _, c := range []struct {
		what  string
		flows []flow
		named bool // requests say whose they are
	}{
		{"equal flows", equal, true},
		{"flows weighted 1:2:4", weighed, true},
		{"the same callers without flows (control)", equal, false},
	} {
		served, err := shares(ctx, s, c.flows, c.named)
		if err != nil {
			return nil, err
		}
		off, note := unfairness(c.flows, served)
		l := line{what: "fairness, " + c.what + ": largest error", allocs: -1, ours: fmt.Sprintf("%.2f %%", 100*off), note: note}
		if c.named {
			l.bar, l.met = fmt.Sprintf("≤ %.0f %%", 100*fairBar), off <= fairBar
		} else {
			// Nothing is proved if those who ask are served alike anyway.
			l.bar, l.met = fmt.Sprintf("> %.0f %%", 100*fairBar), off > fairBar
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// shares lets the flows ask for a while, and returns how many jobs of each were let go.
func shares(ctx context.Context, s scale, flows []flow, named bool) (served []int64, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	weights := make(map[string]int)
	for _, f := range flows {
		weights[f.name] = f.weight
	}
	q, err := queue.Add(h.sys, "bench", queue.Config{Regulators: []queue.Regulator{queue.Counter{Limit: 1}}, Weights: weights})
	if err != nil {
		return nil, err
	}
	var (
		wg     sync.WaitGroup
		stop   atomic.Bool
		counts = make([]atomic.Int64, len(flows))
		failed = make([]error, len(flows))
	)
	for i, f := range flows {
		r := queue.Request{}
		if named {
			r.Flow = f.name
		}
		var once sync.Once
		for range f.callers {
			wg.Go(func() {
				for !stop.Load() {
					err := q.Run(ctx, r, func(ctx context.Context) error {
						if !stop.Load() { // those who are in line when it is over are served whoever they are
							counts[i].Add(1)
						}
						return yields(ctx)
					})
					if err != nil {
						once.Do(func() { failed[i] = err })
						return
					}
				}
			})
		}
	}
	time.Sleep(s.side * time.Duration(s.rounds))
	stop.Store(true)
	wg.Wait()
	for i := range counts {
		served = append(served, counts[i].Load())
	}
	return served, errors.Join(failed...)
}

// unfairness is how far what was served is from what is due, at the flow where that is most, as a share of what is due.
func unfairness(flows []flow, served []int64) (worst float64, note string) {
	var jobs int64
	weights := 0
	for i, f := range flows {
		jobs += served[i]
		weights += f.weight
	}
	for i, f := range flows {
		due := float64(jobs) * float64(f.weight) / float64(weights)
		off := math.Abs(float64(served[i])-due) / max(1, due)
		worst = max(worst, off)
		if i > 0 {
			note += ", "
		}
		note += fmt.Sprintf("%s (%d callers, weight %d) %.2f %%", f.name, f.callers, f.weight, 100*float64(served[i])/float64(max(1, jobs)))
	}
	return worst, fmt.Sprintf("of %d jobs: %s", jobs, note)
}
