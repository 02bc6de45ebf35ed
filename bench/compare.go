package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// side is one of two things compared: a function that makes n calls, and returns how many of them were refused.
type side struct {
	name    string
	calls   func(worker, n int) (refused int)
	workers int // how many make them at once; 0: as many as on the other side
}

// crew is how many workers the side has.
func (sd side) crew(workers int) int {
	if sd.workers > 0 {
		return sd.workers
	}
	return workers
}

// sample is what one side showed over all rounds.
type sample struct {
	ns     []float64 // wall time a call, one value for each round
	cpu    []float64 // CPU time a call, of all cores
	allocs float64   // each call, over all rounds
}

// noAllocs is the most allocations a call may show and still count as none: the whole process is counted, and the
// runtime allocates a little in the background.
const noAllocs = 0.005

// compare runs both sides in turn, in every round, and swaps who goes first from round to round, so that neither a
// machine that gets slower nor a neighbour's load favours one side. The ratios are medians of the rounds' ratios: of wall
// time, and of CPU time, which a busy machine disturbs less.
func compare(ctx context.Context, s scale, workers int, ours, theirs side) (wall, cpu float64, a, b sample, err error) {
	n, err := calibrate(ctx, s.side, workers, ours, theirs)
	if err != nil {
		return 0, 0, a, b, err
	}
	var walls, cpus []float64
	for round := range s.rounds {
		if err := ctx.Err(); err != nil {
			return 0, 0, a, b, err
		}
		pair := []struct {
			side
			*sample
			n int
		}{{ours, &a, n[0]}, {theirs, &b, n[1]}}
		if round%2 == 1 {
			slices.Reverse(pair)
		}
		for _, p := range pair {
			c, err := once(p.side, p.crew(workers), p.n)
			if err != nil {
				return 0, 0, a, b, err
			}
			p.ns, p.cpu = append(p.ns, c.ns), append(p.cpu, c.cpu)
			p.allocs += c.allocs / float64(s.rounds)
		}
		walls = append(walls, a.ns[round]/b.ns[round])
		cpus = append(cpus, a.cpu[round]/b.cpu[round])
	}
	return median(walls), median(cpus), a, b, nil
}

// alone runs one side by itself, in rounds.
func alone(ctx context.Context, s scale, workers int, sd side) (a sample, err error) {
	n, err := calibrate(ctx, s.side, workers, sd)
	if err != nil {
		return a, err
	}
	for range s.rounds {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		c, err := once(sd, workers, n[0])
		if err != nil {
			return a, err
		}
		a.ns, a.cpu = append(a.ns, c.ns), append(a.cpu, c.cpu)
		a.allocs += c.allocs / float64(s.rounds)
	}
	return a, nil
}

// calibrate finds how many calls each worker of each side makes in the time of one round; it also warms both up.
func calibrate(ctx context.Context, target time.Duration, workers int, sides ...side) ([]int, error) {
	var counts []int
	for _, sd := range sides {
		n := 64
		for {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			workers := sd.crew(workers)
			c, err := once(sd, workers, n)
			if err != nil {
				return nil, err
			}
			// A worker's share of the wall time: workers run at the same time, so each makes that many more calls.
			if took := time.Duration(c.ns * float64(n*workers)); took >= target/2 {
				counts = append(counts, max(1, int(float64(n)*float64(target)/float64(took))))
				break
			}
			n *= 2
		}
	}
	return counts, nil
}

// cost is what one call took, on average.
type cost struct{ ns, cpu, allocs float64 }

// once lets each worker make n calls, all at once. A refused call is an error: a refusal is cheaper than a permit, and
// the rows compare permits.
func once(sd side, workers, n int) (cost, error) {
	refused := make([]int, workers)
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	for w := range workers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			refused[w] = sd.calls(w, n)
		})
	}
	ready.Wait()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := cpuTime(), time.Now()
	close(start)
	done.Wait()
	took := time.Since(began)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	for _, r := range refused {
		if r > 0 {
			return cost{}, fmt.Errorf("%s refused %d of %d calls, so its time is not that of a permit", sd.name, r, n)
		}
	}
	calls := float64(n * workers)
	return cost{float64(took) / calls, float64(cpu) / calls, float64(after.Mallocs-before.Mallocs) / calls}, nil
}

// comparison runs compare and makes its line. A bar of 0 asks for nothing; another also asks for no allocations.
func comparison(ctx context.Context, s scale, what string, workers int, ours, theirs side, bar float64) (line, error) {
	wall, cpu, a, b, err := compare(ctx, s, workers, ours, theirs)
	if err != nil {
		return line{}, err
	}
	l := line{
		what:   what,
		ours:   fmt.Sprintf("%.1f", median(a.ns)),
		theirs: fmt.Sprintf("%.1f", median(b.ns)),
		ratio:  wall,
		cpu:    cpu,
		allocs: a.allocs,
		note:   fmt.Sprintf("ours: %s; theirs: %s (%.2f allocs); %d rounds", ours.name, theirs.name, b.allocs, s.rounds),
	}
	if bar > 0 {
		l.bar = fmt.Sprintf("≤ %.2f, 0 allocs", bar)
		l.met = wall <= bar && a.allocs < noAllocs
	}
	return l, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
