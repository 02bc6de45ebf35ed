package registry

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type entry = Entry[string, int]

// box is a mailbox that counts.
type box struct{ ended atomic.Bool }

func (b *box) Post(any) bool { return !b.ended.Load() }

func running() (*entry, *Actor) {
	e, a := new(entry), &Actor{PID: actor.NewPID("here", "x"), Mailbox: new(box), Generation: 1}
	e.Publish(a)
	e.Open()
	return e, a
}

func TestEntryLife(t *testing.T) {
	e := &entry{key: "k"}
	assert.Equal(t, "k", e.Key())
	assert.Nil(t, e.PID())
	assert.Nil(t, e.Actor())
	assert.Zero(t, e.Generation())
	assert.False(t, e.Enter(), "there is no actor yet")
	assert.Equal(t, 1, e.InFlight(), "but the sender is counted")

	a := &Actor{PID: actor.NewPID("here", "x"), Generation: 7}
	e.Publish(a)
	assert.Same(t, a.PID, e.PID())
	assert.Same(t, a, e.Actor())
	assert.EqualValues(t, 7, e.Generation())
	assert.False(t, e.Open(), "a message is on its way through the supervisor, and nobody may overtake it")
	assert.False(t, e.Enter())
	e.Leave()
	e.Leave()
	assert.True(t, e.Open())
	assert.True(t, e.Open(), "twice does no harm")
	assert.True(t, e.Enter())
	assert.True(t, e.Open(), "it is open already")
	assert.False(t, e.Retire(), "a sender is in flight")
	e.Leave()

	e.Withdraw()
	assert.Nil(t, e.PID())
	assert.Zero(t, e.Generation(), "there is none")
	assert.False(t, e.Enter())
	e.Leave()
}

func TestRetireAndReopen(t *testing.T) {
	e, _ := running()
	require.True(t, e.Retire())
	assert.True(t, e.Retired())
	assert.False(t, e.Retire(), "once")
	assert.False(t, e.Enter(), "closed")
	assert.False(t, e.Open(), "also to the supervisor")
	e.Reopen()
	assert.False(t, e.Retired())
	assert.False(t, e.Open(), "one came meanwhile")
	e.Leave()
	assert.True(t, e.Open())
	assert.True(t, e.Enter())
	e.Leave()

	never := new(entry)
	assert.True(t, never.Retire(), "an entry without an actor can be retired too")
}

func TestCondemnClosesUnderSenders(t *testing.T) {
	e, _ := running()
	require.True(t, e.Enter())
	e.Condemn()
	assert.True(t, e.Retired())
	assert.Equal(t, 1, e.InFlight())
	assert.False(t, e.Enter())
	e.Leave()
	e.Leave()
	assert.Zero(t, e.InFlight())
	assert.True(t, e.Retired())
	assert.False(t, e.Open())
}

// A sender that may go ahead and a successful Retire exclude each other.
func TestG4_G12_NobodySendsToARetiredEntry(t *testing.T) {
	e, _ := running()
	var closed atomic.Bool // the actor is being stopped
	var wg sync.WaitGroup
	var direct, retired atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 20_000 {
				if e.Enter() {
					direct.Add(1)
					if closed.Load() {
						t.Error("a sender is on its way to an actor that is being stopped")
					}
				}
				e.Leave()
			}
		})
	}
	senders := make(chan struct{})
	go func() { wg.Wait(); close(senders) }()
	for done := false; !done || retired.Load() == 0; {
		if e.Retire() {
			retired.Add(1)
			closed.Store(true)
			closed.Store(false)
			e.Reopen()
		}
		for !e.Open() { // as the supervisor does after each message
		}
		select {
		case <-senders:
			done = true
		default:
		}
	}
	assert.Zero(t, e.InFlight())
	t.Logf("%d sent, retired %d times", direct.Load(), retired.Load())
}

// The word of marks and count against a plain model.
func TestEntryMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := new(entry)
		e.Publish(&Actor{})
		open, retired, senders := false, false, 0
		t.Repeat(map[string]func(*rapid.T){
			"Enter": func(t *rapid.T) { senders++; require.Equal(t, open, e.Enter()) },
			"Leave": func(t *rapid.T) {
				if senders == 0 {
					t.Skip()
				}
				senders--
				e.Leave()
			},
			"Open": func(t *rapid.T) {
				open = open || !retired && senders == 0
				require.Equal(t, open, e.Open())
			},
			"Retire": func(t *rapid.T) {
				can := !retired && senders == 0
				require.Equal(t, can, e.Retire())
				open, retired = open && !can, retired || can
			},
			"Reopen":   func(*rapid.T) { retired = false; e.Reopen() },
			"Condemn":  func(*rapid.T) { open, retired = false, true; e.Condemn() },
			"Withdraw": func(*rapid.T) { open = false; e.Withdraw() },
			"": func(t *rapid.T) {
				require.Equal(t, senders, e.InFlight())
				require.Equal(t, retired, e.Retired())
			},
		})
	})
}

func TestTouchWritesByTheGrain(t *testing.T) {
	e := new(entry)
	e.Touch(time.Second, -1)
	assert.Equal(t, time.Second, e.LastUsed())
	e.Touch(2*time.Second, time.Second)
	assert.Equal(t, time.Second, e.LastUsed(), "not worth a write")
	e.Touch(2*time.Second+1, time.Second)
	assert.Equal(t, 2*time.Second+1, e.LastUsed())
	e.Touch(time.Second, 0)
	assert.Equal(t, 2*time.Second+1, e.LastUsed(), "never back")
}
