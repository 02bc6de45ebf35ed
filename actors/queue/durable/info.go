package durable

import (
	"cmp"
	"slices"
	"time"

	"github.com/penstock-go/penstock"
)

// Info is what a durable queue can tell of itself.
type Info struct {
	Name       string
	Waiting    int           // items in line
	Delayed    int           // given back, to be handed out later
	Out        int           // handed out and not acknowledged yet
	Writing    int           // being written for the first time
	Dead       int           // dead letters
	Takers     int           // callers that wait in Dequeue
	OldestWait time.Duration // since the oldest item in line was put in; 0 if there is none

	// Since the queue was opened: items put in, handed out, acknowledged (or purged), back in line because they were given
	// back or not acknowledged in time, and dead; calls refused because there was no room; commits, and those that failed.
	Enqueued, Delivered, Acked, Returned, Died, Refused, Commits, Failed uint64
	Line                                                                 any // what the line tells of itself: a [queue.LineInfo]
}

// Info tells what the queue holds and has been through.
func (q *Queue[T]) Info() Info { return q.vault.info() }

// Len is how many items there are, dead ones and those that are being written included: what MaxSize bounds.
func (q *Queue[T]) Len() int {
	q.vault.mu.Lock()
	defer q.vault.mu.Unlock()
	return q.vault.state.size()
}

func (v *vault) info() Info {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := &v.state
	c := &s.counts
	info := Info{
		Name: v.name, Waiting: s.line.Len(), Delayed: len(s.away) - s.out, Out: s.out, Writing: s.entering, Dead: s.dead, Takers: s.takers.n,
		Enqueued: c.enqueued, Delivered: c.delivered, Acked: c.acked, Returned: c.returned, Died: c.died, Refused: c.refused, Commits: c.commits, Failed: c.failed,
		Line: s.line.Info(),
	}
	if x, ok := s.line.Oldest(); ok {
		info.OldestWait = max(v.room.clock.Now().Sub(x.At), 0)
	}
	return info
}

// Infos tells of the system's durable queues, by name.
func Infos(sys *penstock.System) []Info {
	var infos []Info
	for _, v := range roomIn(sys).All() {
		infos = append(infos, v.info())
	}
	slices.SortFunc(infos, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return infos
}
