package pool

import "iter"

// jobs is a list of jobs in the order of their coming. The zero list is empty.
type jobs struct {
	first, last *job
	n           int
}

func (l *jobs) add(j *job) {
	j.prev = l.last
	if l.last == nil {
		l.first = j
	} else {
		l.last.next = j
	}
	l.last = j
	l.n++
}

func (l *jobs) remove(j *job) {
	if j.prev == nil {
		l.first = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		l.last = j.prev
	} else {
		j.next.prev = j.prev
	}
	j.next, j.prev = nil, nil
	l.n--
}

func (l *jobs) all() iter.Seq[*job] {
	return func(yield func(*job) bool) {
		for j := l.first; j != nil; {
			next := j.next
			if !yield(j) {
				return
			}
			j = next
		}
	}
}
