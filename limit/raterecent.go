package limit

import "sort"

const (
	// maxMarks bounds what a Rate remembers to 16 KiB. Up to as many events,
	// each has a mark of its own.
	maxMarks = 1024
	// fineSlots of the window, in each of which a larger rate's events share a
	// mark: those begun in a window and one begun before stay below maxMarks.
	fineSlots = 1000
)

// recent is what a Rate let pass lately: a rolling window that is four times
// as fine as a Limit's. There are few rates, and each is to be exact.
type recent struct {
	limit, span int64  // at most limit events in any window of span nanoseconds
	slot        int64  // events this near to each other share a mark; 0: only those of one moment
	marks       []mark // a ring, a power of two long
	head, n     int    // place of the oldest mark, and how many
	total       int64  // sum of the marks' events
	first       int64  // first event of the newest mark
	forgot      int64  // the newest event that has left the window, or past
	left        int64  // how many left with it
}

// mark is a number of events, the latest of them at `at`.
type mark struct {
	at, events int64
}

// bound changes what the window may hold.
func (w *recent) bound(limit, span int64) {
	w.limit, w.span, w.slot = limit, span, 0
	if limit > maxMarks {
		w.slot = (span + fineSlots - 1) / fineSlots
	}
}

// mark returns the i-th oldest.
func (w *recent) mark(i int) *mark { return &w.marks[(w.head+i)&(len(w.marks)-1)] }

// forget drops what has left the window by now.
func (w *recent) forget(now int64) {
	for w.n > 0 {
		m := w.mark(0)
		if m.at+w.span > now {
			return
		}
		w.total -= m.events
		w.forgot, w.left = m.at, m.events
		w.head++
		w.n--
	}
}

// ready is when the window has room for n, or is empty if it can never hold as
// many.
func (w *recent) ready(n int64) int64 {
	// Only after a change to a longer window is this still to come.
	ready := w.forgot + w.span
	stay := max(w.limit-n, 0)
	leave := w.total - stay
	if leave <= 0 {
		return ready
	}
	last := 0 // mark to leave; looked for from the nearer end
	if leave <= stay {
		for leave -= w.mark(0).events; leave > 0; leave -= w.mark(last).events {
			last++
		}
	} else {
		last = w.n - 1
		for stay -= w.mark(last).events; stay >= 0; stay -= w.mark(last).events {
			last--
		}
	}
	return max(ready, w.mark(last).at+w.span)
}

// opened is since when there has been room for n, if there was none before;
// else past.
func (w *recent) opened(n int64) int64 {
	if w.total+w.left+n <= w.limit || w.forgot == past {
		return past
	}
	return w.forgot + w.span
}

// add remembers n events at now, which is not before any other.
func (w *recent) add(now, n int64) {
	w.total += n
	if w.n > 0 {
		// At the later time: what counts too long exceeds nothing.
		newest := w.mark(w.n - 1)
		if now == newest.at || now-w.first < w.slot || w.n == maxMarks {
			newest.at = now
			newest.events += n
			return
		}
	}
	if w.n == len(w.marks) {
		w.grow()
	}
	w.n++
	*w.mark(w.n - 1) = mark{at: now, events: n}
	w.first = now
}

// grow doubles the ring.
func (w *recent) grow() {
	marks := make([]mark, max(8, 2*len(w.marks)))
	for i := range w.n {
		marks[i] = *w.mark(i)
	}
	w.marks, w.head = marks, 0
}

// give takes n events of `at` back, as far as they are still in the window.
func (w *recent) give(at, n int64) {
	if at <= w.forgot {
		return
	}
	i := sort.Search(w.n, func(i int) bool { return w.mark(i).at >= at })
	for ; i < w.n && n > 0; i++ {
		m := w.mark(i)
		back := min(n, m.events)
		m.events -= back
		w.total -= back
		n -= back
	}
	for w.n > 0 && w.mark(w.n-1).events == 0 {
		w.n--
		// When its events began is no longer known: let nothing join the newest.
		w.first = past
	}
}
