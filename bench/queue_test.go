package main

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
)

func TestUnfairnessIsThatOfTheFlowThatIsWorstOff(t *testing.T) {
	equal := []flow{{"a", 1, 1}, {"b", 1, 1}}
	weighed := []flow{{"a", 1, 1}, {"b", 1, 2}, {"c", 1, 4}}
	for name, c := range map[string]struct {
		flows  []flow
		served []int64
		want   float64
	}{
		"as due":               {equal, []int64{500, 500}, 0},
		"one has a tenth more": {equal, []int64{550, 450}, 0.1},
		"one gets nothing":     {equal, []int64{1000, 0}, 1},
		"by weight":            {weighed, []int64{100, 200, 400}, 0},
		// 700 jobs: 100 are due to a, which got 200.
		"a light one has twice what is due": {weighed, []int64{200, 200, 300}, 1},
	} {
		if got, _ := unfairness(c.flows, c.served); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// What the rows say of who waited and when they were let go is no better than this.
func TestTheWatchedLineSeesWhoWaits(t *testing.T) {
	h, err := openEmpty()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if h.close(&err); err != nil {
			t.Error(err)
		}
	}()
	cfg, w := watch(queue.Config{Regulators: []queue.Regulator{queue.Counter{Limit: 1}}}, 1)
	q, err := queue.Add(h.sys, "test", cfg)
	if err != nil {
		t.Fatal(err)
	}
	first, err := q.Ask(t.Context(), queue.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if n := q.Info().Waited; n != 0 {
		t.Errorf("%d came to wait at a free queue", n)
	}
	const others = 2 // one more than there is room for times
	answers := make(chan error, others)
	for range others {
		go func() { answers <- q.Run(t.Context(), queue.Request{}, nothing) }()
	}
	if err := poll(t.Context(), time.Minute, func() bool { return q.Info().Waiting == others }); err != nil {
		t.Fatal(err)
	}
	released := time.Now()
	first.Done()
	for range others {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	if n := q.Info().Waited; n != others || len(w.went) != 1 {
		t.Errorf("%d came and the times of %d are known, want %d and 1", n, len(w.went), others)
	}
	if at := w.went[0]; at.Before(released) || at.After(time.Now()) {
		t.Errorf("let go %v after room was made", at.Sub(released))
	}
	if got := waited(q); !strings.HasPrefix(got, "66.7 %") {
		t.Errorf("of three requests two waited: %s", got)
	}
}

func TestGoodputIsAgainstTheCapacityOfItsRound(t *testing.T) {
	r := loadResult{capacity: []float64{400, 200, 100}, good: []float64{360, 190, 50}}
	if got := r.share(); got != 0.9 {
		t.Errorf("got %v", got)
	}
}

// A row that never saw a refusal has not shown that refusals are fast.
func TestNoRefusalIsNoProof(t *testing.T) {
	if l := (&loadResult{}).refusals(); l.met {
		t.Errorf("met: %+v", l)
	}
	fast := loadResult{full: []time.Duration{3, 1, 2}}
	if l := fast.refusals(); !l.met || l.ours != "3ns" {
		t.Errorf("%+v", l)
	}
}

func TestLiveHeapThatGrowsMisses(t *testing.T) {
	for grown, met := range map[uint64]bool{0: true, heapBar: true, heapBar + 1: false} {
		r := loadResult{before: 1 << 20, after: 1<<20 + grown}
		if l := r.heap(); l.met != met {
			t.Errorf("%d bytes more: %+v", grown, l)
		}
	}
}

func TestOpenLoopTellsWhatBecameOfEachRequest(t *testing.T) {
	const perSecond, length = 1000, 200 * time.Millisecond
	answer := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	for name, c := range map[string]struct {
		answer func(context.Context) error
		share  func(loadResult) float64 // of the requests, that this is for
	}{
		"served":          {answer(nil), func(r loadResult) float64 { return r.good[0] / perSecond }},
		"served too late": {patient, func(r loadResult) float64 { return float64(r.late) / float64(r.arrived) }},
		"refused at once": {
			answer(&queue.RefusedError{Reason: queue.Full}),
			func(r loadResult) float64 { return float64(len(r.full)) / float64(r.arrived) },
		},
		"refused later": {
			answer(&queue.RefusedError{Reason: queue.Overloaded, Waited: time.Millisecond}),
			func(r loadResult) float64 { return float64(r.waited) / float64(r.arrived) },
		},
		"gave up": {answer(context.DeadlineExceeded), func(r loadResult) float64 { return float64(r.waited) / float64(r.arrived) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var r loadResult
			g := guard{name, func(ctx context.Context, _ func(context.Context) error) error { return c.answer(ctx) }}
			if err := openLoop(t.Context(), g, perSecond, length, &r); err != nil {
				t.Fatal(err)
			}
			// The last millisecond's may be missing.
			if most := int64(perSecond * length / time.Second); r.arrived > most || r.arrived < most-1 {
				t.Errorf("%s: %d arrived, want %d", name, r.arrived, most)
			}
			if got := c.share(r); got < 0.99 || got > 1 {
				t.Errorf("%s: share %v of %+v", name, got, r)
			}
		})
	}
}

// patient serves, but not before the caller is gone.
func patient(context.Context) error {
	time.Sleep(loadPatience + time.Millisecond)
	return nil
}

func TestCapacityIsWhatTheGuardLetsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := make(chan struct{}, loadCounter)
		g := guard{"channel", func(ctx context.Context, job func(context.Context) error) error {
			room <- struct{}{}
			defer func() { <-room }()
			return job(ctx)
		}}
		got, err := closedLoop(t.Context(), g, time.Second)
		if want := loadCounter / loadJob.Seconds(); err != nil || math.Abs(got-want) > 0.01*want {
			t.Errorf("%v a second, want %v; %v", got, want, err)
		}
	})
}
