package supervisor

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// byHand runs what it is given only when told to.
type byHand struct{ due []func() }

func (d *byHand) Schedule(f func()) { d.due = append(d.due, f) }
func (d *byHand) Throughput() int   { return 1 }
func (d *byHand) run() {
	for len(d.due) > 0 {
		f := d.due[0]
		d.due = d.due[1:]
		f()
	}
}

// invoker notes what it is given, and fails as it is told.
type invoker struct {
	box      *mailbox
	mu       sync.Mutex
	handled  []any
	failures []any
	onUser   func(message any)
}

func (i *invoker) InvokeSystemMessage(m any) { i.note(m) }
func (i *invoker) InvokeUserMessage(m any) {
	i.note(m)
	if i.onUser != nil {
		i.onUser(m)
	}
}
func (i *invoker) EscalateFailure(reason, _ any) {
	i.failures = append(i.failures, reason)
	i.box.PostSystemMessage(&actor.SuspendMailbox{})
}
func (i *invoker) note(m any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handled = append(i.handled, m)
}

func newMailbox() (*mailbox, *invoker, *byHand) {
	m, d := &mailbox{}, &byHand{}
	i := &invoker{box: m}
	m.dispatcher = d
	m.RegisterHandlers(i, nil)
	m.Start()
	return m, i, d
}

func TestMailboxHandlesSystemMessagesFirst(t *testing.T) {
	m, i, d := newMailbox()
	m.Post("user 1")
	m.Post("user 2")
	m.PostSystemMessage("system 1")
	m.PostSystemMessage("system 2")
	assert.Equal(t, 2, m.UserMessageCount())
	assert.False(t, m.idle())
	require.Len(t, d.due, 1, "scheduled once")
	d.run()
	assert.Equal(t, []any{"system 1", "system 2", "user 1", "user 2"}, i.handled)
	assert.True(t, m.idle())
}

func TestMailboxKeepsWhatComesWhileSuspended(t *testing.T) {
	m, i, d := newMailbox()
	i.onUser = func(message any) {
		if message == "bad" {
			panic("bad")
		}
	}
	for _, message := range []any{"a", "bad", "b"} {
		m.Post(message)
	}
	d.run()
	assert.Equal(t, []any{"bad"}, i.failures)
	assert.False(t, m.idle(), "a failed actor is not idle")
	m.Post("c")
	assert.Empty(t, d.due, "nothing runs for a suspended actor")
	m.PostSystemMessage("word")
	d.run()
	assert.Equal(t, []any{"a", "bad", "word"}, i.handled)
	m.PostSystemMessage(&actor.ResumeMailbox{})
	d.run()
	assert.Equal(t, []any{"a", "bad", "word", "b", "c"}, i.handled)
}

func TestMailboxGivesBackWhatItHolds(t *testing.T) {
	m, _, _ := newMailbox()
	m.Post("a")
	m.Post("b")
	assert.Equal(t, []any{"a", "b"}, m.close())
	assert.False(t, m.Post("late"))
	assert.Zero(t, m.UserMessageCount())
	assert.Empty(t, m.close())
}

// An actor that ends its goroutine, as testing's FailNow does, must not leave a mailbox that is never looked at again.
func TestMailboxSurvivesGoexit(t *testing.T) {
	m, done := &mailbox{}, make(chan any, 2)
	i := &invoker{box: m, onUser: func(message any) {
		done <- message
		if message == "exit" {
			runtime.Goexit()
		}
	}}
	m.RegisterHandlers(i, nil)
	m.Post("exit")
	m.Post("next")
	assert.Equal(t, "exit", <-done)
	assert.Equal(t, "next", <-done)
	for !m.idle() { // its goroutine is about to end
		runtime.Gosched()
	}
}

func TestMailboxMatchesNaiveQueues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, i, d := newMailbox()
		var user, system, want []any
		suspended, closed, n := false, false, 0
		t.Repeat(map[string]func(*rapid.T){
			"post": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "n") {
					n++
					require.Equal(t, !closed, m.Post(n))
					if !closed {
						user = append(user, n)
					}
				}
			},
			"system": func(*rapid.T) {
				n++
				m.PostSystemMessage(-n)
				system = append(system, -n)
			},
			"suspend": func(*rapid.T) { m.PostSystemMessage(&actor.SuspendMailbox{}); suspended = true },
			"resume":  func(*rapid.T) { m.PostSystemMessage(&actor.ResumeMailbox{}); suspended = false },
			"run": func(*rapid.T) {
				d.run()
				want, system = append(want, system...), nil
				if !suspended {
					want, user = append(want, user...), nil
				}
			},
			"close": func(*rapid.T) {
				require.Equal(t, user, m.close())
				user, closed = nil, true
			},
			"": func(t *rapid.T) {
				require.Equal(t, want, i.handled)
				require.Equal(t, len(user), m.UserMessageCount())
			},
		})
	})
}

func TestQueueMatchesSliceAndShrinks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var naive []any
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "n") {
					n++
					q.push(n)
					naive = append(naive, n)
					require.LessOrEqual(t, len(q.items), 2*len(naive)+keepRoom+1, "what was taken out is not kept")
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "n") {
					x, ok := q.pop()
					require.Equal(t, len(naive) > 0, ok)
					if ok {
						require.Equal(t, naive[0], x)
						naive = naive[1:]
					}
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(naive), q.len())
				if len(naive) == 0 {
					require.LessOrEqual(t, cap(q.items), keepRoom)
				}
			},
		})
	})
}

// A queue that never gets empty must not grow for ever either.
func TestQueueNeverEmptyStaysSmall(t *testing.T) {
	var q queue
	q.push(0)
	for i := range 100_000 {
		q.push(i + 1)
		x, _ := q.pop()
		require.Equal(t, i, x)
	}
	assert.LessOrEqual(t, cap(q.items), 8*keepRoom)

	for i := range 100_000 { // a flood
		q.push(i)
	}
	for q.len() > 1 {
		q.pop()
	}
	q.push("after it")
	assert.LessOrEqual(t, cap(q.items), 8*keepRoom)
}

func TestG12_MailboxFIFOPerSender(t *testing.T) {
	const senders, each = 8, 2000
	type numbered struct{ sender, n int }
	m := &mailbox{}
	done := make(chan struct{})
	var next [senders]int
	var wrong error
	handled := 0
	m.RegisterHandlers(&invoker{box: m, onUser: func(message any) {
		x := message.(numbered)
		if next[x.sender] != x.n {
			wrong = errors.New("out of order")
		}
		next[x.sender]++
		if handled++; handled == senders*each {
			close(done)
		}
	}}, nil)
	for s := range senders {
		go func() {
			for n := range each {
				m.Post(numbered{s, n})
			}
		}()
	}
	<-done
	require.NoError(t, wrong)
}
