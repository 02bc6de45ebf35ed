package queue

import (
	"math"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// window is what was let go lately, of which a span of time may hold so many.
type window struct {
	most  int
	span  time.Duration
	keep  time.Duration // how far back it remembers, at least the span
	marks []mark        // oldest first
	first int           // the oldest in the span
	total int           // of those in the span
}

// mark is so many, the earliest and the latest of them then.
type mark struct {
	from, at time.Time
	n        int
}

// marksMost bounds what a window remembers: marks are no nearer to each other than such a part of it.
const marksMost = 1024

// bound makes the window that of a rate. Of one that reaches back further than it remembers, it takes all that may be for let go just now.
func (w *window) bound(now time.Time, perSecond float64) {
	w.most = int(max(math.Floor(perSecond*(1+1e-12)), 1)) // as limit.Rate has it
	w.span = time.Duration(math.Ceil(float64(w.most)*float64(time.Second)/perSecond)) + permitLife
	if w.span > w.keep {
		w.keep = max(w.span, time.Second+permitLife)
		w.add(now, w.most)
	}
	w.first, w.total = 0, 0
	for _, m := range w.marks {
		w.total += m.n
	}
	w.forget(now)
}

func (w *window) forget(now time.Time) {
	for w.first < len(w.marks) && !w.marks[w.first].at.Add(w.span).After(now) {
		w.total -= w.marks[w.first].n
		w.first++
	}
	for w.first > 0 && !w.marks[0].at.Add(w.keep).After(now) {
		w.marks = w.marks[1:]
		w.first--
	}
}

// wait is how long until there is room for n, or until the window is empty if it can never hold as many.
func (w *window) wait(now time.Time, n int) time.Duration {
	w.forget(now)
	over := w.total - max(w.most-n, 0)
	if over <= 0 {
		return 0
	}
	for _, m := range w.marks[w.first:] {
		if over -= m.n; over <= 0 {
			return m.at.Add(w.span).Sub(now)
		}
	}
	return limit.Never
}

// add notes n that are let go now.
func (w *window) add(now time.Time, n int) {
	w.total += n
	if last := len(w.marks) - 1; last > w.first && now.Sub(w.marks[last-1].at) < w.span/marksMost {
		w.marks[last].at = now
		w.marks[last].n += n
		return
	}
	w.marks = append(w.marks, mark{now, now, n})
}

// give takes back n that were let go at `at`, if that is not forgotten.
func (w *window) give(at time.Time, n int) {
	for i := range w.marks {
		m := &w.marks[i]
		if m.at.Before(at) || at.Before(m.from) {
			continue
		}
		k := min(n, m.n)
		m.n -= k
		n -= k
		if i >= w.first {
			w.total -= k
		}
	}
}
