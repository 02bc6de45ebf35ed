package main

import (
	"bytes"
	"errors"
	"flag"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// Every row runs at a scale that proves nothing but that it works: whether bars are met is not a test's business.
func TestEveryRowRuns(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			s := scale{rounds: 2, side: 2 * time.Millisecond, ids: 20_000, callers: 64, buckets: 500, hold: 2 * time.Second, accuracy: time.Second}
			lines, err := r.measure(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if len(lines) == 0 {
				t.Fatal("no lines")
			}
			for _, l := range lines {
				if l.what == "" || l.ours == "" {
					t.Errorf("incomplete line %+v", l)
				}
			}
		})
	}
}

func TestLargestWindow(t *testing.T) {
	at := func(ms ...int) (times []time.Time) {
		for _, m := range ms {
			times = append(times, time.Unix(0, 0).Add(time.Duration(m)*time.Millisecond))
		}
		return times
	}
	for name, c := range map[string]struct {
		times []time.Time
		want  int
	}{
		"none":                    {nil, 0},
		"one":                     {at(5), 1},
		"exactly a window apart":  {at(0, 1000), 1},
		"just inside":             {at(0, 999), 2},
		"across aligned windows":  {at(900, 950, 1000, 1850, 1899), 5},
		"the largest comes last":  {at(0, 5000, 5001, 5002), 3},
		"all at the same instant": {at(7, 7, 7), 3},
	} {
		if got := largestWindow(c.times, time.Second); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		before := slices.Clone(values)
		if got := median(values); got != want {
			t.Errorf("median %v: got %v, want %v", values, got, want)
		}
		if !slices.Equal(before, values) {
			t.Errorf("median changed the order of its argument, and so the pairing of rounds")
		}
	}
}

// A refused call is cheaper than a permit, so a row must not quietly measure refusals.
func TestRefusalsAreAnError(t *testing.T) {
	refuses := side{name: "refuses", calls: func(_, n int) int { return n }}
	if _, err := once(refuses, 1, 10); err == nil {
		t.Error("no error")
	}
}

// sink keeps the compiler from leaving work out.
var sink atomic.Uint64

func TestCompareSeesTheSlowerSide(t *testing.T) {
	spin := func(loops int) func(int, int) int {
		return func(_, n int) int {
			x := uint64(n)
			for range n * loops {
				x = x*2862933555777941757 + 3037000493
			}
			sink.Store(x)
			return 0
		}
	}
	s := scale{rounds: 5, side: time.Millisecond}
	ratio, _, _, _, err := compare(t.Context(), s, 1, side{name: "slow", calls: spin(400)}, side{name: "fast", calls: spin(4)})
	if err != nil {
		t.Fatal(err)
	}
	if ratio < 2 { // a hundred times the work; the bound only tells the sides apart
		t.Errorf("ratio %.2f", ratio)
	}
}

func TestWalkStaysInsideAndReachesAll(t *testing.T) {
	w, seen := walk(1), map[int]bool{}
	for range 10_000 {
		i := w.next(100)
		if i < 0 || i >= 100 {
			t.Fatalf("index %d", i)
		}
		seen[i] = true
	}
	if len(seen) != 100 {
		t.Errorf("reached %d of 100", len(seen))
	}
}

func TestTableAndStrict(t *testing.T) {
	var out bytes.Buffer
	missed := printTable(&out, []line{
		{row: "a", what: "compared", ours: "10.0", theirs: "20.0", ratio: 0.5, cpu: 0.6, bar: "≤ 0.70", met: true, note: "how"},
		{row: "b", what: "for information", ours: "10.0", theirs: "5.0", ratio: 2},
		{row: "c", what: "alone", ours: "3 s", allocs: -1, bar: "≤ 2 s"},
	})
	if !slices.Equal(missed, []string{"alone"}) {
		t.Errorf("missed %v", missed)
	}
	for _, want := range []string{`compared +10\.0 +20\.0 +0\.50 +0\.60 +≤ 0\.70 +0\.00 +met`, `alone +3 s +≤ 2 s +- +missed`, `(?m)^a:\n  how$`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("%s is not in\n%s", want, out.String())
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-run", "("}, {"-rounds", "0"}, {"-accuracy", "10ms"}, {"extra"}, {"-run", "no such row"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	if err := run(t.Context(), []string{"-list"}, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), []string{"-h"}, &bytes.Buffer{}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
