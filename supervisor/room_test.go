package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

func TestARoomFindsItsMembersByName(t *testing.T) {
	inBubbles(t, func(h *house) {
		r := h.room(lodgers())
		ann, bob := h.lodge(r, "ann"), h.lodge(r, "bob")
		s, ok := r.Lookup("ann")
		require.True(h, ok)
		assert.Same(h, ann, s.Member())
		assert.Same(h, ann.seat, s)
		_, ok = r.Lookup("carl")
		assert.False(h, ok)
		assert.Equal(h, map[string]*lodger{"ann": ann, "bob": bob}, names(r))
		for range r.All() {
			break
		}
		err := r.Add("ann", func(*Seat[*lodger]) *lodger { h.Error("there is one"); return nil })
		assert.ErrorIs(h, err, ErrExists)
		var panicked *PanicError
		assert.ErrorAs(h, r.Add("carl", func(*Seat[*lodger]) *lodger { panic("no") }), &panicked)
		_, ok = r.Lookup("carl")
		assert.False(h, ok)
	})
}

func TestARoomThatIsNotOpenIsEmpty(t *testing.T) {
	var r lodging
	assert.ErrorIs(t, r.Add("ann", func(*Seat[*lodger]) *lodger { return nil }), ErrClosed)
	_, ok := r.Lookup("ann")
	assert.False(t, ok)
	assert.Empty(t, names(&r))
	assert.NoError(t, r.Close(context.Background()))
}

func TestABadRoomIsOneErrorAndNothingStarts(t *testing.T) {
	inBubbles(t, func(h *house) {
		var r lodging
		err := r.Open(h.tree, RoomSpec[*lodger]{})
		require.ErrorIs(h, err, ErrInvalid)
		for _, field := range []string{"Kind", "Name", "Advance"} {
			assert.ErrorContains(h, err, field+" is")
		}
		spec := lodgers()
		spec.Advance = nil
		assert.ErrorIs(h, r.Open(h.tree, spec), ErrInvalid)
		assert.Empty(h, h.history())
		h.close()
		assert.ErrorIs(h, r.Open(h.tree, lodgers()), ErrClosed)
	})
}

func TestAnActorLooksWhenItStartsIsWokenOrWantsTo(t *testing.T) {
	assert.Equal(t, limit.Never, Never)
	inBubbles(t, func(h *house) {
		l := h.lodge(h.room(lodgers()), "ann")
		require.Equal(h, 1, l.looked(), "at its start")
		time.Sleep(time.Hour)
		require.Zero(h, l.looked(), "it was to be woken")

		l.mu.Lock()
		l.again = time.Minute
		l.mu.Unlock()
		l.seat.Wake()
		require.Equal(h, 1, l.looked())
		time.Sleep(time.Minute - time.Nanosecond)
		require.Zero(h, l.looked())
		time.Sleep(time.Nanosecond)
		require.Equal(h, 1, l.looked(), "when it wanted to")
		time.Sleep(10 * time.Minute)
		require.Equal(h, 10, l.looked())

		time.Sleep(30 * time.Second)
		l.seat.Wake()
		require.Equal(h, 1, l.looked())
		time.Sleep(30 * time.Second)
		require.Zero(h, l.looked(), "there is one timer, and the last look has set it")
		l.mu.Lock()
		l.again = 0
		l.mu.Unlock()
		l.seat.Wake()
		require.Equal(h, 1, l.looked())
		time.Sleep(time.Hour)
		require.Zero(h, l.looked())
	})
}

func TestWakesOnTheirWayAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		l := h.lodge(h.room(lodgers()), "ann")
		l.looked()
		l.hold = make(chan struct{})
		l.seat.Wake()
		synctest.Wait()
		for range 1000 {
			l.seat.Wake()
		}
		close(l.hold)
		assert.Equal(t, 2, l.looked(), "the first look had begun, so one follows")
		h.close()
	})
}

func TestG4_NoWakeIsLost(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		inBubbles(t, func(h *house) {
			rng := rand.New(rand.NewPCG(seed, 4))
			l := h.lodge(h.room(lodgers()), "ann")
			var wg sync.WaitGroup
			for range 50 {
				pause, crash := time.Duration(rng.IntN(300))*time.Millisecond, rng.IntN(25) == 0
				wg.Go(func() {
					time.Sleep(pause)
					if crash {
						l.mu.Lock()
						l.crash = "crashed"
						l.mu.Unlock()
					}
					for range 10 {
						if err := <-l.wait(); err != nil {
							assert.ErrorContains(h, err, "given up")
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestG4_WhoIsGivenUpIsToldAndWokenAgain(t *testing.T) {
	inBubbles(t, func(h *house) {
		l := h.lodge(h.room(lodgers()), "ann")
		for range 5 {
			l.fail("broken")
		}
		require.Empty(h, l.told(), "it was started again each time")
		l.mu.Lock()
		l.crash = "broken"
		l.mu.Unlock()
		var gaveUp *GaveUpError
		require.ErrorAs(h, <-l.wait(), &gaveUp, "who waits is told")
		assert.Len(h, l.told(), 1)
		l.looked()
		time.Sleep(time.Hour)
		require.Zero(h, l.looked())
		require.NoError(h, <-l.wait(), "its next use starts it again")
	})
}

func TestG4_AWakeThatNobodyTookIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		l := h.lodge(h.room(lodgers()), "ann")
		for range 5 {
			l.fail("broken")
		}
		l.mu.Lock()
		l.crash = "broken"
		l.mu.Unlock()
		l.hold = make(chan struct{})
		l.seat.Wake()
		synctest.Wait()
		behind := l.wait() // in the mailbox of an actor that is about to be given up
		close(l.hold)
		var gaveUp *GaveUpError
		require.ErrorAs(t, <-behind, &gaveUp)
		require.NoError(t, <-l.wait())
		h.close()
	})
}

// TestG4_APanicThatSaysClosedDoesNotEndAMember: who was given up is told by the kind of the reason, not by what it wraps.
func TestG4_APanicThatSaysClosedDoesNotEndAMember(t *testing.T) {
	inBubbles(t, func(h *house) {
		l := h.lodge(h.room(lodgers()), "ann")
		for range 6 {
			l.fail(fmt.Errorf("a file of the member's: %w", ErrClosed))
		}
		told := l.told()
		require.Len(h, told, 1)
		assert.Contains(h, told[0], "abandoned")
	})
}

func TestG4_ARoomThatFailsIsShut(t *testing.T) {
	inBubbles(t, func(h *house) {
		r := h.room(lodgers())
		well := h.lodge(r, "well")
		var ill []*lodger
		for i := range 6 {
			ill = append(ill, h.lodge(r, fmt.Sprint("ill-", i)))
		}
		for range 6 * 6 { // that many times each is given up, and so often the room starts over
			for _, l := range ill {
				l.mu.Lock()
				l.crash = "broken"
				l.mu.Unlock()
				l.seat.Wake()
			}
			time.Sleep(100 * time.Millisecond) // longer than each back-off
		}
		var gaveUp *GaveUpError
		require.ErrorAs(h, r.Add("new", func(*Seat[*lodger]) *lodger { return nil }), &gaveUp)
		assert.Contains(h, well.told(), fmt.Sprint("shut: ", gaveUp))
		require.ErrorAs(h, <-well.wait(), &gaveUp, "who came too late to be answered by an actor's end")
		assert.Len(h, names(r), 7, "what they hold is still there")
		h.close()
		assert.Contains(h, well.told(), fmt.Sprint("end: ", ErrClosed))
	})
}

func TestG4_RemoveEndsAMemberWithItsReason(t *testing.T) {
	inBubbles(t, func(h *house) {
		r := h.room(lodgers())
		l := h.lodge(r, "ann")
		l.mu.Lock()
		l.again = time.Minute
		l.mu.Unlock()
		l.seat.Wake()
		moved := errors.New("moved out")
		require.True(h, l.seat.Remove(moved))
		require.False(h, l.seat.Remove(errors.New("again")))
		next := h.lodge(r, "ann") // its name is free at once
		told := l.told()
		assert.Equal(h, "end: moved out", told[0])
		assert.Contains(h, told, fmt.Sprint("end: ", ErrClosed))
		message := newRequest(func(actor.Context, *entry) { h.Error("sent to one that is gone, handled by another") })
		l.seat.Send(message)
		assert.ErrorIs(h, <-message.reply, ErrClosed)
		l.seat.Wake()
		l.looked()
		used := l.seat.entry.Life().LastUsed()
		time.Sleep(time.Hour)
		assert.Equal(h, used, l.seat.entry.Life().LastUsed(), "its timer has outlived its actor")
		assert.Zero(h, l.looked())
		assert.Empty(h, next.told())
	})
}

func TestMessagesAreReceivedAndThenTheActorLooks(t *testing.T) {
	inBubbles(t, func(h *house) {
		l := h.lodge(h.room(lodgers()), "ann")
		l.looked()
		l.seat.Send("hello")
		assert.Equal(h, 1, l.looked())
		broken := newRequest(func(actor.Context, *entry) { panic("on that message") })
		l.seat.Send(broken)
		var panicked *PanicError
		require.ErrorAs(h, <-broken.reply, &panicked)
		done := newRequest(func(actor.Context, *entry) {})
		l.seat.Send(done)
		require.NoError(h, <-done.reply)
		assert.Equal(h, []string{"received: hello"}, l.told(), "and none of the engine's messages")

		spec := lodgers()
		spec.Name, spec.Receive = "deaf", nil
		deaf := h.lodge(h.room(spec), "ann")
		deaf.looked()
		deaf.seat.Send("hello")
		assert.Zero(h, deaf.looked())
	})
}

func TestG6_CloseShutsDrainsAndEnds(t *testing.T) {
	inBubbles(t, func(h *house) {
		var r lodging
		spec := lodgers()
		spec.Drain = func(ctx context.Context) error {
			for _, l := range r.All() {
				l.note("drain", ctx.Err())
			}
			return errors.New("not all was done")
		}
		require.NoError(h, r.Open(h.tree, spec))
		l := h.lodge(&r, "ann")
		l.mu.Lock()
		l.again = time.Minute
		l.mu.Unlock()
		l.seat.Wake()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { assert.ErrorContains(h, r.Close(context.Background()), "not all was done") })
		}
		wg.Wait()
		assert.Equal(h, []string{fmt.Sprint("shut: ", ErrClosed), "drain: <nil>", fmt.Sprint("end: ", ErrClosed)}, l.told())
		assert.ErrorIs(h, r.Add("bob", func(*Seat[*lodger]) *lodger { return nil }), ErrClosed)
		assert.Empty(h, names(&r))
		l.looked()
		used := l.seat.entry.Life().LastUsed()
		time.Sleep(time.Hour)
		assert.Equal(h, used, l.seat.entry.Life().LastUsed(), "its timer has outlived its actor")
		l.seat.Wake()
		assert.Zero(h, l.looked())
	})
}

// TestARoomNeedsNoMoreThanAdvance: what a room leaves out does nothing.
func TestARoomNeedsNoMoreThanAdvance(t *testing.T) {
	inBubbles(t, func(h *house) {
		r := h.room(RoomSpec[*lodger]{Kind: "lodger", Name: "plain", Advance: (*lodger).advance})
		ann, bob := h.lodge(r, "ann"), h.lodge(r, "bob")
		for range 6 {
			ann.fail("broken")
		}
		require.NoError(h, <-ann.wait())
		require.True(h, bob.seat.Remove(ErrClosed))
		require.NoError(h, r.Close(context.Background()))
		assert.Empty(h, append(ann.told(), bob.told()...))
	})
}
