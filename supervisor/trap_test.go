package supervisor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The engine's traps, each with a test that would notice if we stepped into it. What we avoid by not using it is
// checked in sources_test.go.

func TestTrap_PanicInReceiveAnswersTheAsker(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		cause := errors.New("broken")
		var failure *PanicError
		require.ErrorAs(h, h.ask(f, "a", crash(cause)), &failure)
		require.ErrorIs(h, failure, cause)
		r := crash(cause) // also when it comes in an envelope, as the engine's own Request sends it
		r.do, r.reply = func(actor.Context, *entry) { panic(cause) }, make(chan error, 8)
		h.tree.engine.Root.Request(h.get(f, "a").Life().PID(), r)
		require.ErrorIs(h, <-r.reply, cause)
	})
}

func TestTrap_StopLosesNothingBehindIt(t *testing.T) {
	for _, restart := range []Restart{Permanent, Transient, Temporary} {
		t.Run(restart.String(), func(t *testing.T) {
			inBubbles(t, func(h *house) {
				s := plain("f")
				s.Restart = restart
				f := h.family(s)
				e := h.get(f, "a")
				var behind [10]*request
				for i := range behind {
					behind[i] = note("")
				}
				f.Send(e, newRequest(func(ctx actor.Context, e *entry) {
					ctx.Stop(ctx.Self())
					for _, r := range behind {
						f.Send(e, r)
					}
				}))
				for _, r := range behind {
					err := <-r.reply
					if restart == Permanent {
						assert.NoError(h, err, "the next generation handles it")
					} else {
						assert.ErrorIs(h, err, ErrClosed, "it is told")
					}
					assert.Empty(h, r.reply)
				}
				assert.Zero(h, e.Life().InFlight())
			})
		})
	}
}

func stopsBadly(moment string) spec {
	s := plain("f")
	s.Idle = time.Minute
	s.New = func(e *entry) actor.Actor {
		return &worker{e, func(_ actor.Context, _ *entry, now string) {
			if now == moment {
				panic("in " + moment)
			}
		}}
	}
	return s
}

func TestTrap_PanicInStoppingStillStops(t *testing.T)       { testBadStop(t, "stopping") }
func TestTrap_PanicInStoppedLetsTheParentStop(t *testing.T) { testBadStop(t, "stopped") }

func testBadStop(t *testing.T, moment string) {
	inBubbles(t, func(h *house) {
		f := h.family(stopsBadly(moment))
		require.NoError(h, h.ask(f, "idle", note("")))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Zero(h, f.Len(), "passivated")
		require.Error(h, h.ask(f, "fails", crash("ouch")))
		require.NoError(h, h.ask(f, "fails", note("")), "restarted")
		require.NoError(h, h.ask(f, "closes", note("")))
		h.close()
		assert.EqualValues(h, 2, h.tree.Info().Stopped)
	})
}

// Passivation needs neither the engine's receive timeout nor its plugin: it is driven by what the directory notes.
func TestTrap_ReceiveTimeoutIsNotUsed(t *testing.T) {
	inBubbles(t, func(h *house) {
		var timeouts atomic.Int32
		s := plain("f")
		s.Idle = time.Second
		s.New = func(*entry) actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.ReceiveTimeout); ok || ctx.ReceiveTimeout() != 0 {
					timeouts.Add(1)
				}
			})
		}
		f := h.family(s)
		f.Send(h.get(f, "a"), "work")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Zero(h, f.Len())
		assert.Zero(h, timeouts.Load())
	})
}

// A sender that is between "found the actor" and "the message is in its mailbox" keeps the actor alive.
func TestTrap_PassivationWithoutLoss(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Idle = time.Second
		f := h.family(s)
		require.NoError(h, h.ask(f, "a", note("")))
		e := h.get(f, "a")
		require.True(h, e.Life().Enter())
		time.Sleep(time.Minute)
		synctest.Wait()
		r := note("")
		require.True(h, e.Life().Actor().Mailbox.Post(r))
		e.Life().Leave()
		require.NoError(h, <-r.reply)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(h, f.Len())
		late := note("") // and one that comes after it was put away reaches the next actor
		f.Send(e, late)
		require.NoError(h, <-late.reply)
	})
}

// The engine calls the producer even when the name is taken, and lets others send to an address while it starts.
func TestTrap_SpawnByNameIsTheSpawnersAlone(t *testing.T) {
	inBubbles(t, func(h *house) {
		var made, early atomic.Int32
		s := plain("f")
		s.New = func(e *entry) actor.Actor {
			made.Add(1)
			if e.Life().Enter() { // nobody may send to it directly yet
				early.Add(1)
			}
			e.Life().Leave()
			return &worker{entry: e}
		}
		f := h.family(s)
		taken := f.address("a", 1)
		_, err := h.tree.engine.Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), taken)
		require.NoError(h, err)
		require.NoError(h, h.ask(f, "a", note("")))
		assert.EqualValues(h, 1, made.Load())
		if h.tree.dispatcher != nil { // with goroutines, it may be published while New runs
			assert.Zero(h, early.Load())
		}
		e := h.get(f, "a")
		assert.NotEqual(h, taken, e.Life().PID().Id)
		h.tree.engine.Root.Stop(actor.NewPID("nonhost", taken))
	})
}

// Our mailbox is unbounded, never spins, and treats what the engine's own requests send like everything else.
func TestTrap_MailboxesTakeAFloodAndGiveItsRoomBack(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		e := h.get(f, "a")
		gate := make(chan struct{})
		if h.tree.dispatcher == nil {
			f.Send(e, newRequest(func(actor.Context, *entry) { <-gate }))
		}
		for i := range 10_000 {
			f.Send(e, fmt.Sprint(i))
		}
		close(gate)
		synctest.Wait()
		assert.Len(h, e.Value.read(), 10_000)
		assert.LessOrEqual(h, cap(e.Life().Actor().Mailbox.(*child[string, desk]).mu.user.items), keepRoom)
	})
}

func TestTrap_BlockingInReceiveDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		s := plain("f")
		s.Spawners = 1
		f := h.family(s)
		release := make(chan struct{})
		blocked := newRequest(func(actor.Context, *entry) { <-release })
		require.Equal(t, errUnanswered, h.ask(f, "blocked", blocked))
		require.NoError(t, h.ask(f, "neighbour", note("")))
		require.Error(t, h.ask(f, "neighbour", crash("ouch")))
		require.NoError(t, h.ask(f, "neighbour", note("")), "nor its restart")
		require.NoError(t, h.ask(f, "new", note("")), "nor a start")
		close(release)
		require.NoError(t, <-blocked.reply)
		h.close()
	})
}

// What an old incarnation has set going and sends to its own address never reaches the next one.
func TestTrap_ReenterAfterReachesNoLaterIncarnation(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		answer := note("of the old one")
		require.NoError(h, h.ask(f, "a", newRequest(func(ctx actor.Context, _ *entry) {
			self, engine := ctx.Self(), h.tree.engine
			time.AfterFunc(time.Minute, func() { engine.Root.Send(self, answer) })
		})))
		e := h.get(f, "a")
		old := e.Life().Generation()
		require.Error(h, h.ask(f, "a", crash("ouch")))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.ErrorIs(h, <-answer.reply, ErrClosed)
		assert.Empty(h, e.Value.read())
		assert.Greater(h, e.Life().Generation(), old)
	})
}

func TestTrap_TimersOutliveActorsOfTheTreeInVain(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Idle = time.Minute
		s.Backoff = Backoff{Min: time.Hour, Max: time.Hour}
		f := h.family(s)
		for range 2 {
			require.Error(h, h.ask(f, "a", crash("ouch")))
		}
		h.close()
		before := h.tree.Info()
		time.Sleep(24 * time.Hour) // sweeps and restarts that were due
		synctest.Wait()
		assert.Equal(h, before, h.tree.Info())
	})
}
