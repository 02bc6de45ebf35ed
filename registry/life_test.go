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

// room is a Value.
type room struct {
	n int
	Life
}

// box is a mailbox that counts.
type box struct{ ended atomic.Bool }

func (b *box) Post(any) bool { return !b.ended.Load() }

func running() (*Life, *Actor) {
	l, a := new(Life), &Actor{PID: actor.NewPID("here", "x"), Mailbox: new(box), Generation: 1}
	l.Publish(a)
	l.Open()
	return l, a
}

func TestLife(t *testing.T) {
	l := new(Life)
	assert.Nil(t, l.PID())
	assert.Nil(t, l.Actor())
	assert.Zero(t, l.Generation())
	assert.False(t, l.Enter(), "there is no actor yet")
	assert.Equal(t, 1, l.InFlight(), "but the sender is counted")

	a := &Actor{PID: actor.NewPID("here", "x"), Generation: 7}
	l.Publish(a)
	assert.Same(t, a.PID, l.PID())
	assert.Same(t, a, l.Actor())
	assert.EqualValues(t, 7, l.Generation())
	assert.False(t, l.Open(), "a message is on its way through the supervisor, and nobody may overtake it")
	assert.False(t, l.Enter())
	l.Leave()
	l.Leave()
	assert.True(t, l.Open())
	assert.True(t, l.Open(), "twice does no harm")
	assert.True(t, l.Enter())
	assert.True(t, l.Open(), "it is open already")
	assert.False(t, l.Retire(), "a sender is in flight")
	l.Leave()

	l.Withdraw()
	assert.Nil(t, l.PID())
	assert.Zero(t, l.Generation(), "there is none")
	assert.False(t, l.Enter())
	l.Leave()
}

func TestRetireAndReopen(t *testing.T) {
	l, _ := running()
	require.True(t, l.Retire())
	assert.True(t, l.Retired())
	assert.False(t, l.Retire(), "once")
	assert.False(t, l.Enter(), "closed")
	assert.False(t, l.Open(), "also to the supervisor")
	l.Reopen()
	assert.False(t, l.Retired())
	assert.False(t, l.Open(), "one came meanwhile")
	l.Leave()
	assert.True(t, l.Open())
	assert.True(t, l.Enter())
	l.Leave()

	never := new(Life)
	assert.True(t, never.Retire(), "an entry without an actor can be retired too")
}

func TestCondemnClosesUnderSenders(t *testing.T) {
	l, _ := running()
	require.True(t, l.Enter())
	l.Condemn()
	assert.True(t, l.Retired())
	assert.Equal(t, 1, l.InFlight())
	assert.False(t, l.Enter())
	l.Leave()
	l.Leave()
	assert.Zero(t, l.InFlight())
	assert.True(t, l.Retired())
	assert.False(t, l.Open())
}

// A sender that may go ahead and a successful Retire exclude each other.
func TestG4_G12_NobodySendsToARetiredEntry(t *testing.T) {
	l, _ := running()
	var closed atomic.Bool // the actor is being stopped
	var wg sync.WaitGroup
	var direct, retired atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 20_000 {
				if l.Enter() {
					direct.Add(1)
					if closed.Load() {
						t.Error("a sender is on its way to an actor that is being stopped")
					}
				}
				l.Leave()
			}
		})
	}
	senders := make(chan struct{})
	go func() { wg.Wait(); close(senders) }()
	for done := false; !done || retired.Load() == 0; {
		if l.Retire() {
			retired.Add(1)
			closed.Store(true)
			closed.Store(false)
			l.Reopen()
		}
		for !l.Open() { // as the supervisor does after each message
		}
		select {
		case <-senders:
			done = true
		default:
		}
	}
	assert.Zero(t, l.InFlight())
	t.Logf("%d sent, retired %d times", direct.Load(), retired.Load())
}

// The word of marks and count against a plain model.
func TestLifeMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := new(Life)
		l.Publish(&Actor{})
		open, retired, senders := false, false, 0
		t.Repeat(map[string]func(*rapid.T){
			"Enter": func(t *rapid.T) { senders++; require.Equal(t, open, l.Enter()) },
			"Leave": func(t *rapid.T) {
				if senders == 0 {
					t.Skip()
				}
				senders--
				l.Leave()
			},
			"Open": func(t *rapid.T) {
				open = open || !retired && senders == 0
				require.Equal(t, open, l.Open())
			},
			"Retire": func(t *rapid.T) {
				can := !retired && senders == 0
				require.Equal(t, can, l.Retire())
				open, retired = open && !can, retired || can
			},
			"Reopen":   func(*rapid.T) { retired = false; l.Reopen() },
			"Condemn":  func(*rapid.T) { open, retired = false, true; l.Condemn() },
			"Withdraw": func(*rapid.T) { open = false; l.Withdraw() },
			"": func(t *rapid.T) {
				require.Equal(t, senders, l.InFlight())
				require.Equal(t, retired, l.Retired())
			},
		})
	})
}

func TestTouchWritesByTheGrain(t *testing.T) {
	l := new(Life)
	l.Touch(time.Second, -1)
	assert.Equal(t, time.Second, l.LastUsed())
	l.Touch(2*time.Second, time.Second)
	assert.Equal(t, time.Second, l.LastUsed(), "not worth a write")
	l.Touch(2*time.Second+1, time.Second)
	assert.Equal(t, 2*time.Second+1, l.LastUsed())
	l.Touch(time.Second, 0)
	assert.Equal(t, 2*time.Second+1, l.LastUsed(), "never back")
}
