package supervisor

import (
	"fmt"
	"sync"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// lodger is a test's member. It notes what it is told, and answers who waits at it when its actor looks.
type lodger struct {
	seat *Seat[*lodger]

	mu      sync.Mutex
	waiting []chan error
	again   time.Duration // what the next looks return; 0: Never
	crash   any           // what the next look panics with; nil: it does not
	hold    chan struct{} // how long looks last; nil: no time
	looks   []time.Time
	notes   []string
}

func (l *lodger) advance() time.Duration {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks = append(l.looks, time.Now())
	if reason := l.crash; reason != nil {
		l.crash = nil
		panic(reason)
	}
	l.answer(nil)
	if l.again == 0 {
		return Never
	}
	return l.again
}

func (l *lodger) answer(err error) {
	for _, reply := range l.waiting {
		reply <- err
	}
	l.waiting = nil
}

func (l *lodger) receive(message any) {
	if s, ok := message.(*request); ok {
		s.do(nil, nil)
		s.reply <- nil
		return
	}
	l.note("received", message)
}

func (l *lodger) note(what string, about any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, fmt.Sprint(what, ": ", about))
}

func (l *lodger) shut(reason error) { l.note("shut", reason) }

func (l *lodger) abandoned(reason error) {
	l.note("abandoned", reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer(reason)
}

func (l *lodger) end(reason error) {
	l.note("end", reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer(reason)
}

// wait has the actor answer.
func (l *lodger) wait() chan error {
	reply := make(chan error, 1)
	l.mu.Lock()
	l.waiting = append(l.waiting, reply)
	l.mu.Unlock()
	l.seat.Wake()
	return reply
}

// fail has the actor panic, and lets what follows come to rest.
func (l *lodger) fail(reason any) {
	l.mu.Lock()
	l.crash = reason
	l.mu.Unlock()
	l.seat.Wake()
	time.Sleep(time.Second) // longer than the first back-offs
	synctest.Wait()
}

// told returns what the lodger has noted, and forgets it.
func (l *lodger) told() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	notes := l.notes
	l.notes = nil
	return notes
}

// looked is how often the actor has looked since the last call.
func (l *lodger) looked() int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.looks)
	l.looks = nil
	return n
}

type lodging = Room[*lodger]

func lodgers() RoomSpec[*lodger] {
	return RoomSpec[*lodger]{
		Kind: "lodger", Name: "lodgers",
		Advance: (*lodger).advance, Receive: (*lodger).receive,
		Shut: (*lodger).shut, Abandoned: (*lodger).abandoned, End: (*lodger).end,
	}
}

func (h *house) room(spec RoomSpec[*lodger]) *lodging {
	h.Helper()
	r := new(lodging)
	require.NoError(h, r.Open(h.tree, spec))
	return r
}

func (h *house) lodge(r *lodging, name string) *lodger {
	h.Helper()
	l := new(lodger)
	require.NoError(h, r.Add(name, func(s *Seat[*lodger]) *lodger { l.seat = s; return l }))
	synctest.Wait()
	return l
}

func names(r *lodging) map[string]*lodger {
	all := make(map[string]*lodger)
	for name, l := range r.All() {
		all[name] = l
	}
	return all
}
