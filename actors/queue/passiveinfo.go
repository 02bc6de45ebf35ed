package queue

import (
	"cmp"
	"slices"
	"time"

	"github.com/penstock-go/penstock"
)

// PassiveInfo is what a passive queue can tell of itself.
type PassiveInfo struct {
	Name       string
	Items      int           // it holds
	Takers     int           // callers that wait in Dequeue
	OldestWait time.Duration // for how long the oldest item has waited; 0 if there is none

	// Since the queue was added: items put in, taken, and dropped because nobody took them in time or the queue ended; and
	// calls refused because there was no room, or nothing was let in any more.
	Entered, Taken, Dropped, Refused uint64
	// Items put in and taken a second, over the last full one or longer.
	RateIn, RateOut float64
	Behavior        any // what the Behavior tells of itself: a [LineInfo], if it is the built-in one
}

// Info tells what the queue holds and has been through.
func (p *Passive[T]) Info() PassiveInfo { return p.info() }

func (p *Passive[T]) info() PassiveInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	now := p.room.clock.Now()
	info := PassiveInfo{
		Name: p.name, Items: s.len(), Takers: s.takers.n,
		Entered: s.entered, Taken: s.taken, Dropped: s.dropped, Refused: s.refused,
		RateIn: s.in.perSecond(now, s.entered), RateOut: s.out.perSecond(now, s.taken),
	}
	if !s.over {
		info.Behavior = s.keep.Info()
		if x, ok := s.keep.Oldest(); ok {
			info.OldestWait = now.Sub(x.At)
		}
	}
	return info
}

// done is closed when nothing comes in any more, nothing is left, and Dropped has been told all.
func (p *Passive[T]) done() <-chan struct{} { return p.drained }

// PassiveInfos tells of the system's passive queues, by name.
func PassiveInfos(sys *penstock.System) []PassiveInfo {
	var infos []PassiveInfo
	for _, q := range passiveRoomIn(sys).All() {
		infos = append(infos, q.info())
	}
	slices.SortFunc(infos, func(a, b PassiveInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos
}
