package accesslog

import (
	"cmp"
	"container/heap"
	"time"
)

// Sorter puts a reader's entries in order of time. Servers write a line when the answer is done, with the time when the
// request came, and some logs are shuffled worse. It looks a bounded number of entries ahead, so memory does not grow with the
// log; an entry that comes later than that keeps its time and comes out of order.
type Sorter struct {
	// Disordered counts the entries that were older than one before them.
	Disordered int

	src    *Reader
	ahead  int
	held   entryHeap
	read   int       // entries read so far
	newest time.Time // of them
	end    error     // of the source
}

// NewSorter looks ahead entries ahead of the one it returns.
func NewSorter(src *Reader, ahead int) *Sorter { return &Sorter{src: src, ahead: ahead} }

// Next is [Reader.Next] in order of time. Entries of the same time keep the order of their lines. The source's end or error comes
// behind all that was read before it.
func (s *Sorter) Next() (Entry, error) {
	for s.end == nil && len(s.held) <= s.ahead {
		entry, err := s.src.Next()
		if _, malformed := err.(*LineError); malformed {
			return entry, err
		}
		if err != nil {
			s.end = err
			break
		}
		if s.read > 0 && entry.Time.Before(s.newest) {
			s.Disordered++
		} else {
			s.newest = entry.Time
		}
		entry.Request = "" // who replays a log does not ask for it, and many entries are held
		heap.Push(&s.held, numbered{entry, s.read})
		s.read++
	}
	if len(s.held) == 0 {
		return Entry{}, s.end
	}
	return heap.Pop(&s.held).(numbered).Entry, nil
}

// numbered is an entry and how many were read before it.
type numbered struct {
	Entry
	number int
}

// entryHeap is a [heap.Interface], the earliest on top.
type entryHeap []numbered

func (h entryHeap) Len() int      { return len(h) }
func (h entryHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h entryHeap) Less(i, j int) bool {
	return cmp.Or(h[i].Time.Compare(h[j].Time), cmp.Compare(h[i].number, h[j].number)) < 0
}
func (h *entryHeap) Push(x any) { *h = append(*h, x.(numbered)) }
func (h *entryHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = numbered{} // lets the client's name go
	*h = (*h)[:last]
	return x
}
