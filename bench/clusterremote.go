package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	bareBar    = 0.6 // of what a bare stream does with one request in a message
	batchedBar = 0.8 // of what it does with many
	nodeSide   = 4   // times -time is how long one side of the cluster rows takes in one round
)

// transport measures a room's way to its like on other nodes, without any of the rooms.
func clusterTransport(ctx context.Context, s scale) ([]line, error) {
	return clusterAgainstBare(ctx, s, "ask", "calls of a room that answers at once")
}

// clusterRemote measures permits of buckets that other nodes own.
func clusterRemote(ctx context.Context, s scale) ([]line, error) {
	return clusterAgainstBare(ctx, s, "acquire", "Acquire of buckets that other nodes own")
}

// clusterAgainstBare has three processes ask each other, in turn with bare streams between the same processes.
func clusterAgainstBare(ctx context.Context, s scale, ours, what string) (lines []line, err error) {
	sides := []string{ours, "bare", "batched"}
	sums, err := clusterRounds(ctx, s, sides)
	if err != nil {
		return nil, err
	}
	for i, theirs := range sides[1:] {
		bar, kind := bareBar, "one request in a message"
		if i > 0 {
			bar, kind = batchedBar, fmt.Sprintf("up to %d requests in a message", bareMost)
		}
		var ratios []float64
		for round := range s.rounds {
			ratios = append(ratios, sums[ours][round].perSecond/sums[theirs][round].perSecond)
		}
		lines = append(lines, line{
			what: fmt.Sprintf("%d processes, mTLS, %d callers each: %s, of a bare gRPC stream with %s", clusterNodes, clusterCallers, what, kind),
			ours: fmt.Sprintf("%.2f", median(ratios)), bar: fmt.Sprintf("≥ %.1f", bar), met: median(ratios) >= bar, allocs: -1,
			note: fmt.Sprintf("ours: %s; theirs: %s; %d rounds", told(sums[ours]), told(sums[theirs]), s.rounds),
		})
	}
	return lines, nil
}

// clusterRounds runs all sides in turn, in every round, and has another one begin in each.
func clusterRounds(ctx context.Context, s scale, sides []string) (sums map[string][]clusterSum, err error) {
	dir, err := os.MkdirTemp("", "penstock-bench")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := startNodes(dir, s.profile)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	sums = make(map[string][]clusterSum)
	for round := range s.rounds + 1 {
		for i := range sides {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			side := sides[(round+i)%len(sides)]
			sum, err := c.all(nodeTask{Do: side, For: nodeSide * s.side})
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				sums[side] = append(sums[side], sum)
			}
		}
	}
	return sums, c.close()
}

// told says how fast and how quick it was.
func told(sums []clusterSum) string {
	var rates, cpus []float64
	all := hdrhistogram.New(1, slowestCall, 3)
	for _, s := range sums {
		rates = append(rates, s.perSecond)
		cpus = append(cpus, s.cpu.Seconds()*1e6/float64(s.calls))
		all.Merge(s.micros)
	}
	slices.Sort(rates)
	at := func(q float64) time.Duration { return time.Duration(all.ValueAtQuantile(q)) * time.Microsecond }
	return fmt.Sprintf("%.1f k/s (%.1f to %.1f), p50 %v, p99 %v, %.1f µs of CPU each",
		median(rates)/1000, rates[0]/1000, rates[len(rates)-1]/1000, at(50), at(99), median(cpus))
}
