package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-go/penstock/actors/batch"
)

const (
	commitTime  = time.Millisecond
	commitBar   = 100 * time.Microsecond // more than the save's own time
	commitCalls = 200                    // a round
)

// batchGroupCommit has one caller at a key that nobody else uses, whose save takes about as long as a disk's.
func batchGroupCommit(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	var own time.Duration // of the last save
	p, err := batch.NewProcessor(h.sys, "bench", batch.Config[string, *int]{
		MinDuration: batch.NoWait,
		Load:        func(context.Context, string) (*int, error) { return new(int), nil },
		Save: func(context.Context, string, *int) error {
			began := time.Now()
			time.Sleep(commitTime)
			own = time.Since(began)
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	var more, saves []time.Duration
	for range commitCalls * s.rounds {
		began := time.Now()
		if err := p.Run(ctx, one, func(n *int) { *n++ }); err != nil {
			return nil, err
		}
		more, saves = append(more, time.Since(began)-own), append(saves, own)
	}
	return commitLines(more, saves), nil
}

// commitLines are of what calls took beyond their saves.
func commitLines(more, saves []time.Duration) (lines []line) {
	slices.Sort(more)
	slices.Sort(saves)
	for _, percent := range []int{50, 99} {
		at := len(more) * percent / 100
		lines = append(lines, line{
			what: fmt.Sprintf("group commit on an idle key, beyond the save's own time, p%d", percent), ours: micros(more[at]), allocs: -1,
			bar: "≤ " + micros(commitBar), met: more[at] <= commitBar,
		})
	}
	lines[0].note = fmt.Sprintf("%d calls, one after the other, each loaded and saved; the saves took %s (p50), %s (p99)",
		len(more), micros(saves[len(saves)/2]), micros(saves[len(saves)*99/100]))
	return lines
}

func micros(d time.Duration) string { return fmt.Sprintf("%.0f µs", d.Seconds()*1e6) }
