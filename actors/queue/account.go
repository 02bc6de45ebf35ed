package queue

import (
	"math"
	"time"

	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/limit"
)

// account is what one regulator has let go and may let go now. It is pure; the gate of its queue guards it or, if queues
// share it, a lock of its own.
type account struct {
	rate      *limit.Rate     // nil unless it is one
	adaptive  *limit.Adaptive // nil unless it is one; its limit is the counter's
	counter   limit.Counter   // what is in use, of all but rates
	preset    float64         // the limit as configured; of an adaptive one the highest
	modifiers []Modifier
	corrected int                    // percent taken off the preset
	line      limit.Priority[*claim] // queues that wait for it; empty unless it is shared
	loan      *borrowed              // not nil if it is the cluster's: then the counter holds what was lent, also of a rate
	passed    uint64                 // jobs let go
	holds     uint64                 // times that it held somebody back
}

// newAccount returns an account of which nothing is used. The regulator is valid and not a shared one.
func newAccount(r Regulator) *account {
	a := new(account)
	switch r := r.(type) {
	case Rate:
		a.rate, _ = limit.NewRate(r.PerSecond)
		a.preset, a.modifiers = r.PerSecond, r.Modifiers
	case Counter:
		a.preset, a.modifiers = float64(r.Limit), r.Modifiers
		a.counter, _ = limit.NewCounter(r.Limit)
	case AdaptiveLimit:
		a.adaptive, _ = limit.NewAdaptive(r.config())
		a.preset = float64(r.most())
		a.counter, _ = limit.NewCounter(a.adaptive.Limit())
	}
	return a
}

// incrementOf is what a job takes of a counter for each of its cost.
func incrementOf(r Regulator) int {
	n := 1
	switch r := r.(type) {
	case Counter:
		n = r.Increment
	case namedCounter:
		n = r.increment
	}
	return max(n, 1)
}

// change goes over to other numbers, of a regulator of the same kind. What is in use stays so, and a rate gets no refill.
func (a *account) change(now time.Time, r Regulator) {
	switch r := r.(type) {
	case Rate:
		a.preset, a.modifiers = r.PerSecond, r.Modifiers
	case Counter:
		a.preset, a.modifiers = float64(r.Limit), r.Modifiers
	case AdaptiveLimit:
		a.preset = float64(r.most())
		_ = a.adaptive.Restrict(max(r.Min, 1), r.most()) // valid
		_ = a.counter.SetLimit(a.adaptive.Limit())
		return
	}
	a.apply(now)
}

func (a *account) kind() string {
	switch {
	case a.paced():
		return Rate{}.kind()
	case a.adaptive != nil:
		return AdaptiveLimit{}.kind()
	}
	return Counter{}.kind()
}

// paced reports whether it is a rate.
func (a *account) paced() bool { return a.rate != nil || a.loan != nil && a.loan.paced }

// correct brings the limit to what its modifiers make of the load, and reports whether that changed it.
func (a *account) correct(now time.Time, load sampler.Load) bool {
	before := a.corrected
	a.corrected = correction(a.modifiers, load)
	if a.corrected == before {
		return false
	}
	a.apply(now)
	return true
}

// apply puts the preset, less the correction, in force.
func (a *account) apply(now time.Time) {
	switch limit := a.inForce(); {
	case a.loan != nil: // the owner's limit decides
	case a.rate != nil:
		_ = a.rate.Set(now, limit) // between 0 and the preset, which is valid
	default:
		_ = a.counter.SetLimit(int(limit))
	}
}

// inForce is the preset, less the correction.
func (a *account) inForce() float64 {
	limit := a.preset * float64(100-a.corrected) / 100
	if !a.paced() {
		return math.Floor(limit)
	}
	if limit > 0 {
		limit = max(limit, minRate)
	}
	return limit
}

// minRate is the slowest rate above 0 that there is, a second.
const minRate = 0.001

// limit is what is in force now.
func (a *account) limit() float64 {
	if a.loan != nil {
		return a.inForce()
	}
	if a.rate != nil {
		return a.rate.PerSecond()
	}
	return float64(a.counter.Limit())
}

// need is what a job takes of the account.
func (a *account) need(increment, cost int) int {
	if a.rate != nil {
		return cost // as it is of a rate that was lent, of which the increment is 1
	}
	return increment * cost
}

// wait is how long until n fit if nothing else is taken; limit.Never if that takes something to be given back, or changed.
func (a *account) wait(now time.Time, n int) time.Duration {
	if a.rate != nil {
		return a.rate.Wait(now, n)
	}
	if n <= a.counter.Limit()-a.counter.Used() {
		return 0
	}
	return limit.Never
}

// enough reports whether n would fit if nothing were in use, under the limit in force.
func (a *account) enough(n int) bool {
	if a.loan != nil {
		return a.loan.paced && a.preset > 0 || n <= a.loan.most
	}
	if a.rate != nil {
		return a.rate.PerSecond() > 0
	}
	return n <= a.counter.Limit()
}

// possible reports whether n can ever fit under the limit as configured. A limit of 0 is a closed valve: it may be opened.
func (a *account) possible(n int) bool {
	if a.paced() {
		return true
	}
	return a.preset == 0 || float64(n) <= a.preset
}

// take takes n, which fit. wanted is since when somebody has been waiting for them.
func (a *account) take(now, wanted time.Time, n int) {
	a.passed++
	if a.rate != nil {
		a.rate.Take(now, wanted, n)
		return
	}
	a.counter.Take(n)
	if a.loan != nil {
		a.spend(n)
	}
}

// give gives back what a job took, when it is done.
func (a *account) give(n int) {
	if a.paced() {
		return
	}
	a.counter.Give(n)
	a.touch()
	if b := a.loan; b != nil && a.counter.Limit() < b.told.used {
		b.stirred = true // others wait for it
	}
}

// undo gives back what was taken at `at`, as if that had not been.
func (a *account) undo(now, at time.Time, n int) {
	a.passed--
	if a.loan != nil && a.loan.paced {
		if a.rate == nil {
			a.unspend(n)
		}
		return
	}
	if a.rate != nil {
		a.rate.Give(now, at, n)
		a.touch()
		return
	}
	a.give(n)
}

// learn tells an adaptive limit how long a job took, and how much was in use when it began.
func (a *account) learn(now time.Time, took time.Duration, inUse int, failed bool) {
	if a.adaptive == nil {
		return
	}
	a.adaptive.Sample(now, took, inUse, failed)
	if l := a.adaptive.Limit(); l != a.counter.Limit() {
		_ = a.counter.SetLimit(l)
	}
}

// touch has the queue at the front of the line look again: there may be room.
func (a *account) touch() {
	if front, ok := a.line.Peek(); ok {
		front.told = false
	}
}
