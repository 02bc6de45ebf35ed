package supervisor

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Undeliverable is a message whose sender waits for an answer. Undelivered is called, at most once, when no actor will
// ever handle it: the actor panicked on it, was given up, or the system closes. It must not block.
type Undeliverable interface{ Undelivered(reason error) }

// refuse tells a message, if it wants to be told, that nobody will handle it. A message that panics when it is told has
// no one left to tell, and must not keep the others from being told.
func refuse(message any, reason error) {
	if u, ok := actor.UnwrapEnvelopeMessage(message).(Undeliverable); ok {
		defer func() { _ = recover() }()
		u.Undelivered(reason)
	}
}

// mailbox is our own because of what the engine's do when an actor stops: they drop what they hold without a word.
// This one gives it back. It is also small, which counts when there are a million of them, and empty it holds no
// memory beyond itself. It is unbounded: a room decides on admission before it sends.
type mailbox struct {
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher // nil: a goroutine for each burst of messages
	mu         struct {
		sync.Mutex
		user, system queue
		scheduled    bool // process runs or is about to
		suspended    bool // the actor failed: user messages wait for its supervisor's word
		closed       bool // the actor has ended: user messages are refused
	}
}

// burst is how many messages are handled before other goroutines get a turn.
const burst = 300

func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}
func (m *mailbox) Start() {}

func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.user.len()
}

// Post takes a user message in, and reports false if the actor has ended.
func (m *mailbox) Post(message any) bool {
	m.mu.Lock()
	if m.mu.closed {
		m.mu.Unlock()
		return false
	}
	m.mu.user.push(message)
	m.schedule(!m.mu.suspended)
	return true
}

func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.mu.system.push(message)
	m.schedule(true)
}

// schedule unlocks m.mu and sees to it that the message just pushed is handled.
func (m *mailbox) schedule(wanted bool) {
	start := wanted && !m.mu.scheduled
	m.mu.scheduled = m.mu.scheduled || start
	m.mu.Unlock()
	if start {
		m.dispatch()
	}
}

func (m *mailbox) dispatch() {
	if m.dispatcher == nil {
		go m.process()
		return
	}
	m.dispatcher.Schedule(m.process)
}

// process handles messages until none is left.
func (m *mailbox) process() {
	finished := false
	defer func() {
		if !finished { // an actor called runtime.Goexit, as testing's FailNow does: go on in another goroutine
			m.dispatch()
		}
	}()
	for m.run() {
	}
	finished = true
}

// run returns false when nothing is left to handle, and true when an actor panicked and run must be called again.
func (m *mailbox) run() (failed bool) {
	var message any
	defer func() {
		if reason := recover(); reason != nil {
			failed = true
			m.invoker.EscalateFailure(reason, message)
		}
	}()
	lingered := !m.lingers()
	for handled := 1; ; handled++ {
		var system, ok bool
		if message, system, ok = m.next(lingered); !ok {
			if lingered {
				return false
			}
			lingered = true
			runtime.Gosched()
			continue
		}
		lingered = !m.lingers()
		if system {
			m.invoker.InvokeSystemMessage(message)
		} else {
			m.invoker.InvokeUserMessage(message)
		}
		if handled%burst == 0 {
			runtime.Gosched()
		}
	}
}

// lingers reports whether the goroutine, when nothing is left to handle, lets others run and looks once more before it
// ends. Under load there is something then, and a new goroutine with its small stack, which has to grow for each burst,
// is saved. On the sender's goroutine there is nothing to linger for.
func (m *mailbox) lingers() bool { return m.dispatcher == nil }

// next takes the message to be handled now; system messages come first and are all there is for a suspended actor. If
// nothing is left and it is the last look, process has to be started again for the next message.
func (m *mailbox) next(last bool) (message any, system, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		message, ok := m.mu.system.pop()
		if !ok {
			break
		}
		switch message.(type) {
		case *actor.SuspendMailbox:
			m.mu.suspended = true
		case *actor.ResumeMailbox:
			m.mu.suspended = false
		default:
			return message, true, true
		}
	}
	m.mu.system.items = nil // they are rare, and idle actors are many
	if !m.mu.suspended {
		if message, ok := m.mu.user.pop(); ok {
			return message, false, true
		}
	}
	m.mu.scheduled = !last
	return nil, false, false
}

// idle reports whether nothing waits in the mailbox, nothing is being handled, and the actor has not failed.
func (m *mailbox) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.mu.scheduled && !m.mu.suspended && m.mu.user.len() == 0 && m.mu.system.len() == 0
}

// close ends the mailbox and returns the messages that nobody handled.
func (m *mailbox) close() (left []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed = true
	for {
		message, ok := m.mu.user.pop()
		if !ok {
			return left
		}
		left = append(left, message)
	}
}

// queue is a FIFO in a slice. Empty, it keeps room for a handful of messages at most.
type queue struct {
	items []any
	head  int
}

const keepRoom = 8 // messages: 128 bytes

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(x any) {
	if q.head > keepRoom && q.head > len(q.items)/2 {
		if left := q.items[q.head:]; cap(q.items) > 4*(len(left)+keepRoom) { // after a flood, give its room back
			q.items = append(make([]any, 0, 2*len(left)+keepRoom), left...)
		} else {
			n := copy(q.items, left)
			clear(q.items[n:])
			q.items = q.items[:n]
		}
		q.head = 0
	}
	q.items = append(q.items, x)
}

func (q *queue) pop() (any, bool) {
	if q.head == len(q.items) {
		return nil, false
	}
	x := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > keepRoom {
			q.items = nil
		}
	}
	return x, true
}
