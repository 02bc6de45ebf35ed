package queue

import (
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/registry"
)

// entry is how the directory knows a queue. Its Value is the gate.
type entry = registry.Entry[string, gate]

// gate is what callers may touch without a message: may I go now, may I wait, I am done. It guards the queue's state for
// them and for the queue's actor. It lives in the directory's entry and so outlives the actor.
//
// Regulators that several queues share have locks of their own, which are taken after the gate's and in the order of
// their making. Two gates are never locked at once.
type gate struct {
	mu     sync.Mutex
	state  state     // guarded by mu and the locks of shared
	shared []*shared // the regulators that the queue shares, in the order of locking; guarded by mu
	woken  bool      // the actor has a wake under way; guarded by mu
	queue  *Queue
	line   atomic.Bool // somebody waits, as of the last unlocking: a hint that saves the fast way's lock
	registry.Life
}

func (g *gate) lock() {
	g.mu.Lock()
	for _, s := range g.shared {
		s.mu.Lock()
	}
}

// unlock unlocks the gate. If the queue may have got room and somebody waits its actor is woken, and so are those of other
// queues whose turn it has become at a shared regulator.
func (g *gate) unlock(room bool) {
	var own bool
	if waits := g.state.waiting > 0; waits != g.line.Load() {
		g.line.Store(waits)
	}
	if room && g.state.waiting > 0 && !g.woken {
		g.woken, own = true, true
	}
	if len(g.shared) == 0 {
		g.mu.Unlock()
	} else {
		g.unlockShared()
	}
	if own {
		g.queue.send(wake{g})
	}
}

func (g *gate) unlockShared() {
	var few [4]*gate
	others := g.state.callers(g, few[:0])
	var stirred []*shared
	if g.state.lent {
		stirred = g.stirred()
	}
	for _, s := range slices.Backward(g.shared) {
		s.mu.Unlock()
	}
	g.mu.Unlock()
	for _, other := range others {
		other.queue.send(wake{other})
	}
	for _, s := range stirred {
		s.desk.stir()
	}
}

// stirred are the clustered regulators whose owners are to hear of what has changed.
func (g *gate) stirred() (list []*shared) {
	for _, s := range g.shared {
		if b := s.acct.loan; b != nil && b.stirred && !b.woken {
			b.woken = true
			list = append(list, s)
		}
	}
	return list
}

// fence takes away what other nodes have lent and is no longer good.
func (g *gate) fence() {
	if p := g.queue.room.peers.Load(); p != nil {
		g.state.fence(p.now())
	}
}

// pass is the fast way through the gate: nobody waits, and there is room. If it fails nothing has happened, and the caller
// goes the whole way, which finds out why.
func (g *gate) pass(cost int, take *grant) (ok bool) {
	if g.line.Load() {
		return false
	}
	var now time.Time
	g.lock()
	s := &g.state
	measured := s.rules.timed || s.rules.measured || s.counts.granted%measureEvery == 0
	if measured {
		now = g.queue.room.clock.Now()
	}
	if s.lent {
		g.fence()
	}
	if ok = s.pass(now, cost, take); ok {
		s.counts.asked++
		if measured {
			take.at = now
			s.in.look(now, s.counts.asked)
			s.out.look(now, s.counts.granted)
		}
	}
	if len(g.shared) > 0 {
		g.unlockShared()
	} else {
		g.mu.Unlock()
	}
	return ok
}

// measureEvery: the time of one job in so many is measured anyway, to know what jobs take and how many come. Reading the
// clock for each would cost as much as the pass.
const measureEvery = 32

// ask lets a request go, puts it in line and returns its waiter, or says why not.
func (g *gate) ask(r *Request, deadline time.Time, take *grant) (w *waiter, err error) {
	g.lock()
	defer func() {
		if reason := recover(); reason != nil { // in the line, which may be the user's
			w, err = nil, &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
		g.unlock(w != nil && !g.state.direct)
	}()
	now := g.queue.room.clock.Now()
	s := &g.state
	if s.refusal != nil {
		return nil, s.refusal
	}
	if s.lent {
		g.fence()
	}
	s.counts.asked++
	s.in.look(now, s.counts.asked)
	s.out.look(now, s.counts.granted)
	if i := s.impossible(r.Cost); i >= 0 {
		s.counts.refused[impossible]++
		return nil, s.tooMuch(i, r.Cost)
	}
	if s.pass(now, r.Cost, take) {
		take.at = now
		return nil, nil
	}
	switch {
	case s.rules.cfg.Action == Reject:
		return nil, g.refusal(now, Rejected, 0)
	case s.crowded():
		return nil, g.refusal(now, Full, 0)
	}
	w = g.queue.room.waiterFor(r, deadline)
	if err := s.admit(now, &w.item); err != nil {
		s.counts.refused[impossible]++
		g.queue.room.waiters.Put(w)
		return nil, err
	}
	if s.held.by < 0 {
		s.holdBack(now, s.lacking(now, r.Cost))
	}
	g.queue.room.crowd.Enter()
	return w, nil
}

// leave takes a waiter whose caller gave up out of the line.
func (g *gate) leave(w *waiter) {
	g.lock()
	g.state.counts.gaveUp++
	dismissed := g.state.dismiss(&w.item)
	g.unlock(true) // it may have been the head, and the next one cheaper
	if dismissed {
		g.queue.room.crowd.Leave(1)
	}
}

// refusal counts a refusal and makes its error. The gate is locked.
func (g *gate) refusal(now time.Time, why Reason, waited time.Duration) error {
	s := &g.state
	s.counts.refused[why]++
	e := &RefusedError{Queue: g.queue.name, Reason: why, Waiting: s.waiting, Waited: waited}
	if s.held.by >= 0 {
		e.Regulator = s.rules.names[s.held.by]
	}
	if rate := s.out.perSecond(now, s.counts.granted); rate > 0 {
		e.RetryAfter = time.Duration(float64(s.waiting) / rate * float64(time.Second))
	}
	return e
}

// release takes a job out that is done.
func (g *gate) release(granted *grant, failed bool) {
	var now time.Time
	if !granted.at.IsZero() {
		now = g.queue.room.clock.Now()
	}
	g.lock()
	s := &g.state
	s.give(now, granted, failed)
	if s.waiting == 0 || !s.direct {
		g.unlock(true)
		return
	}
	var few [4]*waiter
	ready, again := g.handOver(few[:0])
	g.unlock(again)
	for _, w := range ready {
		w.reply <- nil
	}
	g.queue.room.crowd.Leave(len(ready))
}

// handOver lets go who may, now that something was given back, and reports whether the actor is to look as well. It saves
// the way through the actor, which would do the same, for queues of which nothing but a giving back decides; and stops at
// whatever is not as plain as that. The gate is locked.
func (g *gate) handOver(ready []*waiter) (_ []*waiter, again bool) {
	s, now := &g.state, g.queue.room.clock.Now()
	for len(ready) < cap(ready) {
		head, ok := s.line.Peek(now)
		if !ok || !s.fits(now, head.Cost) {
			return ready, !ok
		}
		w := head.Value.w
		if !head.Deadline.IsZero() || !w.decide(answered) {
			return ready, true
		}
		s.let(now, head)
		ready = append(ready, w)
	}
	return ready, true
}

// undo takes a job out whose caller had given up before it heard of its turn.
func (g *gate) undo(granted *grant) {
	g.lock()
	g.state.undo(g.queue.room.clock.Now(), granted)
	g.unlock(true)
}

// why is the reason that a caller is to be told, when the tree says that nobody serves the queue any more.
func (g *gate) why(reason error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.refusal != nil {
		return g.state.refusal
	}
	return reason
}
