package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/penstock-go/penstock/actors/stat"
)

// loseEvery is which part of the commits nobody hears of, the first one among them.
const loseEvery = 4

var (
	errLost   = errors.New("the connection was cut after COMMIT, before its answer")
	errLocked = errors.New("the database was locked by another connection")
)

// shaky is a sink that stores what it is given, and whose answers do not always arrive.
type shaky[K comparable] struct {
	sink   stat.Sink[K]
	faults *faults
}

func (s shaky[K]) Flush(ctx context.Context, f stat.Flush[K]) error {
	ctx, a := s.faults.begin(ctx, f.ID)
	defer a.giveUp(nil)
	return s.faults.end(ctx, a, s.sink.Flush(ctx, f))
}

// faults are what befell the flushes.
type faults struct {
	mu struct {
		sync.Mutex
		faultCounts
		stored  int             // answers nil, those of flushes left out that have lost one before
		tries   map[string]int  // by flush ID
		lost    map[string]bool // by the IDs of flushes that have lost an answer: whether they are still to come again
		running map[*attempt]bool
	}
}

type faultCounts struct {
	Attempts int `json:"attempts"` // to flush
	Lost     int `json:"lost"`     // answers to COMMITs, each of another flush
	Gone     int `json:"gone"`     // of those, the flushes that did not come again
	Locked   int `json:"locked"`   // attempts given up because the database was locked
	Other    int `json:"other"`    // attempts that failed without our doing
	Repeated int `json:"repeated"` // flushes whose IDs the sink saw more than once
}

// attempt is a flush at the sink.
type attempt struct {
	id     string
	giveUp context.CancelCauseFunc
}

func newFaults() *faults {
	f := new(faults)
	f.mu.tries, f.mu.lost, f.mu.running = make(map[string]int), make(map[string]bool), make(map[*attempt]bool)
	return f
}

// begin notes an attempt, which ends when ctx does or the database is locked for too long.
func (f *faults) begin(ctx context.Context, id string) (context.Context, *attempt) {
	a := &attempt{id: id}
	ctx, a.giveUp = context.WithCancelCause(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.Attempts++
	f.mu.tries[id]++
	if f.mu.tries[id] == 2 {
		f.mu.Repeated++
	}
	if gone, lost := f.mu.lost[id]; lost && gone {
		f.mu.lost[id] = false
		f.mu.Gone--
	}
	f.mu.running[a] = true
	return ctx, a
}

// end is what the buffer hears of an attempt.
func (f *faults) end(ctx context.Context, a *attempt, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.running, a)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errLocked):
		f.mu.Locked++
		return fmt.Errorf("%w: %w", errLocked, err)
	case err != nil:
		f.mu.Other++
		return err
	}
	if _, lost := f.mu.lost[a.id]; lost {
		return nil
	}
	if f.mu.stored++; f.mu.stored%loseEvery != 1 {
		return nil
	}
	f.mu.lost[a.id] = true
	f.mu.Lost++
	f.mu.Gone++
	return errLost
}

// giveUp ends all attempts that are under way.
func (f *faults) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.mu.running {
		a.giveUp(errLocked)
	}
}

func (f *faults) told() faultCounts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.faultCounts
}
