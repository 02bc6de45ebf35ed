package batch

import (
	"sync"
	"time"

	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/internal/wheel"
)

// agenda has keys looked at when their time has come.
type agenda[K comparable, R any] struct {
	clock clock.Clock
	timer *time.Timer

	mu      sync.Mutex
	wheel   wheel.Wheel[*resource[K, R]]
	ticking bool // a tick is to come
	over    bool
}

func (a *agenda[K, R]) open(c clock.Clock, span time.Duration) {
	a.clock = c
	a.wheel = wheel.New[*resource[K, R]](span)
	a.timer = time.AfterFunc(time.Hour, a.tick)
	a.timer.Stop()
}

// at has a key looked at then, and at no other time.
func (a *agenda[K, R]) at(r *resource[K, R], then time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.scheduled {
		if r.link.Due == then {
			return
		}
		a.wheel.Remove(r)
		r.scheduled = false
	}
	if then == forever || a.over {
		return
	}
	r.link.Due, r.scheduled = then, true
	a.wheel.Add(r)
	if !a.ticking {
		a.ticking = true
		a.timer.Reset(a.wheel.Next(a.clock.Elapsed()))
	}
}

func (a *agenda[K, R]) tick() {
	var due []*resource[K, R]
	a.mu.Lock()
	now := a.clock.Elapsed()
	a.wheel.Advance(now, func(r *resource[K, R]) {
		r.scheduled = false
		due = append(due, r)
	})
	a.ticking = a.wheel.Len() > 0 && !a.over
	if a.ticking {
		a.timer.Reset(a.wheel.Next(now))
	}
	a.mu.Unlock()
	for _, r := range due {
		r.wake()
	}
}

func (a *agenda[K, R]) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.timer.Stop()
}
