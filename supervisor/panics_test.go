package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPanicInNewAndStarted(t *testing.T) {
	for _, where := range []string{"new", "started"} {
		t.Run(where, func(t *testing.T) {
			inBubbles(t, func(h *house) {
				s, left := plain("f"), 3
				s.Spawners = 1
				cause := errors.New("broken")
				fail := func(now bool) {
					if left > 0 && now {
						left--
						panic(cause)
					}
				}
				s.New = func(e *entry) actor.Actor {
					fail(where == "new")
					return &worker{e, func(_ actor.Context, _ *entry, moment string) { fail(moment == where) }}
				}
				f := h.family(s)
				r := note("at last")
				f.Send(h.get(f, "a"), r)
				require.NoError(h, <-r.reply, "it is kept until an actor starts")
				assert.EqualValues(h, 3, h.tree.Info().Restarted)

				left = 1 << 30
				require.Equal(h, errUnanswered, h.ask(f, "b", note("")))
				time.Sleep(time.Minute)
				synctest.Wait()
				r = note("")
				f.Send(h.get(f, "c"), r)
				var gaveUp *GaveUpError
				require.ErrorAs(h, <-r.reply, &gaveUp, "if none ever does, it is told")
				require.ErrorIs(h, gaveUp, cause)
			})
		})
	}
}

func TestPanicInRoomFunctions(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Idle = time.Minute
		s.Intensity = Intensity{Failures: 0, Period: time.Hour}
		s.Init = func(e *entry) {
			if e.Key() == "init" {
				panic("init")
			}
		}
		s.MayForget = func(e *entry) bool { panic("MayForget") }
		s.Ended = func(e *entry, _ error) { panic("Ended") }
		s.Shut = func(error) { panic("Shut") }
		s.Drain = func(context.Context) error { panic("Drain") }
		f := h.family(s)
		for range 2 {
			_, err := f.Get("init")
			var failure *PanicError
			require.ErrorAs(h, err, &failure)
			assert.Equal(h, "init", failure.Value)
		}
		assert.Zero(h, f.Len())
		require.NoError(h, h.ask(f, "a", note("")))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(h, 1, f.Len(), "who cannot say that it may be forgotten is kept")
		require.Error(h, h.ask(f, "a", crash("given up at once")))
		require.NoError(h, h.ask(f, "a", note("")))
		var failure *PanicError
		require.ErrorAs(h, f.Close(context.Background()), &failure)
		assert.Equal(h, "Drain", failure.Value)
		assert.Zero(h, f.Len())
	})
}

// touchy panics when it is told that nobody will handle it.
type touchy struct{ do func() }

func (m *touchy) Undelivered(error) { panic("Undelivered") }

func TestPanicInUndelivered(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Restart = Transient
		s.New = func(e *entry) actor.Actor {
			w := &worker{entry: e}
			return actor.ReceiveFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*touchy); ok {
					m.do()
					return
				}
				w.Receive(ctx)
			})
		}
		f := h.family(s)
		e := h.get(f, "a")
		f.Send(e, &touchy{do: func() { panic("in hand") }})
		require.NoError(h, h.ask(f, "a", note("")))
		r := note("")
		f.Send(e, newRequest(func(ctx actor.Context, e *entry) {
			f.Send(e, &touchy{}) // left behind when it stops
			f.Send(e, r)
			ctx.Stop(ctx.Self())
		}))
		require.ErrorIs(h, <-r.reply, ErrClosed, "who waits behind it is told all the same")
		synctest.Wait()
		require.NoError(h, h.ask(f, "a", note("")))
		h.close()
		f.Send(e, &touchy{})
	})
}

func TestGoexitInReceiveIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		f := h.family(plain("f"))
		require.ErrorIs(t, h.ask(f, "a", newRequest(func(actor.Context, *entry) { runtime.Goexit() })), errGoexit)
		require.NoError(t, h.ask(f, "a", note("")))
		assert.EqualValues(t, 1, h.tree.Info().Restarted)
		h.close()
	})
}

// The logger is told of every failure once, with the ID; the values are never lost in silence.
func TestFailuresAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		tree := New(Config{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		s := plain("f")
		s.Intensity = Intensity{Failures: 1, Period: time.Minute}
		s.New = func(e *entry) actor.Actor {
			return &worker{e, func(_ actor.Context, _ *entry, moment string) {
				if moment != "started" {
					panic("in " + moment)
				}
			}}
		}
		f, err := NewFamily(tree, s)
		require.NoError(t, err)
		for range 2 {
			e, err := f.Get("the id")
			require.NoError(t, err)
			f.Send(e, crash("ouch"))
			synctest.Wait()
		}
		require.NoError(t, tree.Close(t.Context()))
		for text, times := range map[string]int{
			"actor failed and will be started again": 1, "was given up until its next use": 1, "panicked while it stopped": 4,
			`id="the id"`: 6, "family=f": 6, "kind=desk": 6,
		} {
			assert.Equal(t, times, bytes.Count(out.Bytes(), []byte(text)), "%s in %s", text, fmt.Sprint(&out))
		}
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}
