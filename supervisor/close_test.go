package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFamiliesStopInReverseOrder(t *testing.T) {
	inBubbles(t, func(h *house) {
		var mu sync.Mutex
		var order []string
		record := func(s string) { mu.Lock(); defer mu.Unlock(); order = append(order, s) }
		for _, name := range []string{"first", "second", "third"} {
			s := plain(name)
			s.Shut = func(reason error) {
				assert.Equal(h, ErrClosed, reason)
				record("shut " + name)
			}
			s.Drain = func(context.Context) error { record("drain " + name); return nil }
			s.New = func(e *entry) actor.Actor {
				return &worker{e, func(_ actor.Context, _ *entry, moment string) {
					if moment == "stopped" {
						record("child of " + name)
					}
				}}
			}
			require.NoError(h, h.ask(h.family(s), "a", note("")))
		}
		h.history()
		h.close()
		assert.Equal(h, []string{"shut first", "shut second", "shut third", // nothing new anywhere before anything ends
			"drain third", "child of third", "drain second", "child of second", "drain first", "child of first"}, order)
		assert.Equal(h, []string{"stopped third/a", "stopped third/", "stopped second/a", "stopped second/", "stopped first/a", "stopped first/"}, h.history())
	})
}

func TestG6_CloseLeavesNothing(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		for i := range 100 {
			require.NoError(h, h.ask(f, fmt.Sprint(i), note("")))
		}
		e := h.get(f, "7")
		h.close()
		assert.Zero(h, f.Len())
		for range f.All() {
			h.Error("the directory is not empty")
		}
		require.Len(h, e.Value.ended, 1)
		require.ErrorIs(h, e.Value.ended[0], ErrClosed)
		for _, left := range h.tree.engine.ProcessRegistry.LocalPIDs.LocalPIDs {
			for id := range left.Items() {
				assert.Contains(h, []string{"deadletter", "eventstream"}, id, "an actor is left")
			}
		}
		for _, s := range f.spawners {
			assert.Nil(h, s.sweeper)
			assert.Empty(h, s.children)
		}
	})
}

func TestG4_WhatComesAfterCloseIsAnswered(t *testing.T) {
	inBubbles(t, func(h *house) {
		f, g := h.family(plain("f")), h.family(plain("g"))
		e, unused := h.get(f, "a"), h.get(g, "a")
		synctest.Wait()
		require.NoError(h, f.Close(h.Context()))
		for _, x := range []*entry{e, unused} {
			if x == unused {
				h.close()
			}
			r := note("")
			f.Send(x, r)
			require.ErrorIs(h, <-r.reply, ErrClosed)
			assert.Zero(h, x.Life().InFlight())
		}
		_, err := f.Get("new")
		require.ErrorIs(h, err, ErrClosed)
		_, err = f.Get("a")
		require.ErrorIs(h, err, ErrClosed)
		_, err = NewFamily(h.tree, plain("late"))
		require.ErrorIs(h, err, ErrClosed)
		_, more := <-h.tree.Subscribe(1).Events()
		assert.False(h, more)
	})
}

func TestCloseAtAnyTime(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		require.NoError(h, h.ask(f, "a", note("")))
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { assert.NoError(h, f.Close(context.Background())) })
			wg.Go(func() { assert.NoError(h, h.tree.Close(context.Background())) })
		}
		wg.Wait()
		over, cancel := context.WithCancel(context.Background())
		cancel()
		for range 100 {
			require.NoError(h, f.Close(over), "it has been closed, whatever the context")
			require.NoError(h, h.tree.Close(over))
		}
	})
	inBubbles(t, func(h *house) { h.close() }) // never used
	inBubbles(t, func(h *house) {              // with a context that has ended
		s := plain("f")
		s.Drain = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		f := h.family(s)
		require.NoError(h, h.ask(f, "a", note("")))
		over, cancel := context.WithCancel(context.Background())
		cancel()
		before := time.Now()
		require.ErrorIs(h, f.Close(over), context.Canceled)
		assert.Zero(h, f.Len(), "it was stopped all the same")
		assert.Zero(h, time.Since(before))
	})
}

func TestClosersWaitForTheirOwnContexts(t *testing.T) {
	inBubbles(t, func(h *house) {
		s, drained := plain("f"), make(chan struct{})
		s.Drain = func(context.Context) error { <-drained; return nil }
		f := h.family(s)
		first := make(chan error, 1)
		go func() { first <- f.Close(context.Background()) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(h, f.Close(short), context.DeadlineExceeded)
		require.Empty(h, first)
		close(drained)
		require.NoError(h, <-first)
	})
}

func TestG4_CloseWhileChildrenBackOff(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Backoff = Backoff{Min: time.Hour, Max: time.Hour}
		f := h.family(s)
		require.Error(h, h.ask(f, "a", crash("once")))
		require.Error(h, h.ask(f, "a", crash("twice")))
		e := h.get(f, "a")
		parked := note("")
		require.Equal(h, errUnanswered, h.ask(f, "a", parked))
		h.close()
		require.ErrorIs(h, <-parked.reply, ErrClosed)
		require.Empty(h, parked.reply)
		require.Len(h, e.Value.ended, 1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.EqualValues(h, 1, h.tree.Info().Restarted)
	})
}

func TestSameNameAgainAfterClose(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		require.NoError(h, h.ask(f, "a", note("old")))
		_, err := NewFamily(h.tree, plain("f"))
		require.ErrorIs(h, err, ErrInvalid)
		assert.ErrorContains(h, err, `a desk family "f" already`)
		for range 5 {
			require.NoError(h, f.Close(context.Background()))
			assert.Empty(h, h.tree.Info().Families)
			f = h.family(plain("f"))
			require.NoError(h, h.ask(f, "a", note("new")))
			assert.Equal(h, []string{"new"}, h.get(f, "a").Value.read())
		}
	})
}

// An actor that never returns from Receive cannot be stopped: Close says so in time, and everybody else is stopped.
func TestStuckActorHoldsNobodyElseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		s := plain("stuck")
		s.Spawners = 4
		f, g := h.family(plain("before")), h.family(s)
		after := h.family(plain("after"))
		release := make(chan struct{})
		stuck := newRequest(func(actor.Context, *entry) { <-release })
		g.Send(h.get(g, "stuck"), stuck)
		for i := range 50 {
			require.NoError(t, h.ask(g, fmt.Sprint(i), note("")))
		}
		require.NoError(t, h.ask(f, "a", note("")))
		require.NoError(t, h.ask(after, "a", note("")))
		waits := note("")
		g.Send(h.get(g, "stuck"), waits)
		h.history()

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		err := h.tree.Close(ctx)
		assert.Equal(t, time.Second+stopGrace, time.Since(start))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `desk family "stuck": an actor is still at work`)
		stopped := h.history()
		for i := range 50 {
			assert.Contains(t, stopped, fmt.Sprintf("stopped stuck/%d", i))
		}
		assert.Contains(t, stopped, "stopped before/a")
		assert.Contains(t, stopped, "stopped after/a")
		assert.False(t, slices.Contains(stopped, "stopped stuck/stuck"))
		assert.Zero(t, f.Len()+g.Len()+after.Len())

		close(release)
		require.NoError(t, <-stuck.reply)
		require.ErrorIs(t, <-waits.reply, ErrClosed, "also behind a stuck actor")
		synctest.Wait()
	})
}

func TestStuckFamilyKeepsItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		f := h.family(plain("f"))
		release := make(chan struct{})
		f.Send(h.get(f, "a"), newRequest(func(actor.Context, *entry) { <-release }))
		synctest.Wait()
		over, cancel := context.WithCancel(context.Background())
		cancel()
		require.ErrorIs(t, f.Close(over), errAtWork)
		_, err := NewFamily(h.tree, plain("f"))
		require.ErrorContains(t, err, "still being stopped")
		close(release)
		synctest.Wait()
		h.family(plain("f"))
		h.close()
	})
}

func TestDrainErrorIsReported(t *testing.T) {
	inBubbles(t, func(h *house) {
		s, cause := plain("f"), errors.New("not empty")
		s.Drain = func(context.Context) error { return cause }
		f := h.family(s)
		require.ErrorIs(h, f.Close(context.Background()), cause)
		require.ErrorIs(h, f.Close(context.Background()), cause, "to every closer")
	})
}
