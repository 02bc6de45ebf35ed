package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartsOncePerKeyOnDemand(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		require.Zero(h, f.Len())
		_, ok := f.Lookup("a")
		require.False(h, ok, "looking up starts nothing")
		var wg sync.WaitGroup
		requests := make(chan *request, 300)
		for i := range 100 {
			wg.Go(func() {
				for _, key := range []string{"a", "b", "c"} {
					r := note(fmt.Sprint(i))
					e, err := f.Get(key)
					if assert.NoError(h, err) {
						f.Send(e, r)
					}
					requests <- r
				}
			})
		}
		wg.Wait()
		close(requests)
		for r := range requests {
			require.NoError(h, <-r.reply)
		}
		assert.EqualValues(h, 3, h.tree.Info().Started)
		assert.Equal(h, 3, f.Len())
		for e := range f.All() {
			assert.Len(h, e.Value.read(), 100)
		}
		assert.ElementsMatch(h, []string{"started f/", "started f/a", "started f/b", "started f/c"}, h.history())
	})
}

func TestRestartTypes(t *testing.T) {
	for _, c := range []struct {
		restart         Restart
		afterCrash, end string // what the events say after a panic, and after the actor stopped itself
		keeps           bool   // its value, over a panic
	}{
		{Permanent, "restarted f/a", "restarted f/a", true},
		{Transient, "restarted f/a", "stopped f/a", true},
		{Temporary, "stopped f/a", "stopped f/a", false},
	} {
		t.Run(c.restart.String(), func(t *testing.T) {
			inBubbles(t, func(h *house) {
				s := plain("f")
				s.Restart = c.restart
				f := h.family(s)
				require.NoError(h, h.ask(f, "a", note("before")))
				h.history()

				var failure *PanicError
				require.ErrorAs(h, h.ask(f, "a", crash("ouch")), &failure, "the message in hand is told")
				assert.Equal(h, "ouch", failure.Value)
				assert.Contains(h, string(failure.Stack), "main_test.go", "the stack says where")
				assert.Equal(h, []string{c.afterCrash}, h.history())
				require.NoError(h, h.ask(f, "a", note("after")))
				want := []string{"after"}
				if c.keeps {
					want = []string{"before", "after"}
				}
				assert.Equal(h, want, h.get(f, "a").Value.read())
				h.history()
				time.Sleep(time.Minute) // the failure is forgotten, so that the next restart is immediate
				synctest.Wait()

				require.NoError(h, h.ask(f, "a", leave()))
				assert.Equal(h, []string{c.end}, h.history())
				_, lives := f.Lookup("a")
				assert.Equal(h, c.restart == Permanent, lives)
				require.NoError(h, h.ask(f, "a", note("again")), "the next use starts it")
			})
		})
	}
}

// Messages that wait when an actor fails are the next generation's, in their order.
func TestG4_MessagesSurviveACrashInOrder(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		e := h.get(f, "a")
		var want []string
		gate := make(chan struct{})
		if h.tree.dispatcher == nil {
			f.Send(e, newRequest(func(actor.Context, *entry) { <-gate }))
		}
		for i := range 40 {
			if i == 10 || i == 20 || i == 30 {
				f.Send(e, crash(i))
			}
			f.Send(e, fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
		}
		close(gate)
		time.Sleep(time.Minute) // of the bubble's time: all back-offs
		synctest.Wait()
		assert.Equal(h, want, e.Value.read())
		assert.EqualValues(h, 3, h.tree.Info().Restarted)
		assert.Zero(h, e.Life().InFlight())
	})
}

func TestRestartsBackOffInVirtualTime(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Intensity = Intensity{Failures: 6, Period: time.Hour}
		s.Backoff = Backoff{Min: time.Second, Max: 4 * time.Second}
		f := h.family(s)
		require.NoError(h, h.ask(f, "a", note("")))
		for failure := 1; failure <= 6; failure++ {
			most := []time.Duration{0, 0, 1, 2, 4, 4, 4}[failure] * time.Second
			require.Error(h, h.ask(f, "a", crash("ouch")))
			before := time.Now()
			r := note("")
			f.Send(h.get(f, "a"), r)
			require.NoError(h, <-r.reply)
			waited := time.Since(before)
			assert.LessOrEqual(h, waited, most, "failure %d", failure)
			assert.GreaterOrEqual(h, waited, most/2, "failure %d", failure)
		}
		assert.EqualValues(h, 6, h.tree.Info().Restarted)
	})
}

func TestGivesUpOverTheIntensity(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Intensity = Intensity{Failures: 2, Period: 10 * time.Second}
		f := h.family(s)
		cause := errors.New("broken")
		require.NoError(h, h.ask(f, "a", note("kept")))
		e := h.get(f, "a")
		for range 2 {
			require.ErrorIs(h, h.ask(f, "a", crash(cause)), cause)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		h.history()
		generation := e.Life().Generation()
		waits := note("never handled") // behind the one that breaks it
		if h.tree.dispatcher == nil {
			f.Send(e, newRequest(func(actor.Context, *entry) { time.Sleep(time.Millisecond); panic(cause) }))
			f.Send(e, waits)
		} else {
			f.Send(e, newRequest(func(_ actor.Context, e *entry) { f.Send(e, waits); panic(cause) }))
		}
		time.Sleep(time.Second)
		synctest.Wait()

		var gaveUp *GaveUpError
		require.ErrorAs(h, <-waits.reply, &gaveUp)
		assert.Equal(h, "desk", gaveUp.Kind)
		assert.Equal(h, "f", gaveUp.Family)
		assert.Equal(h, "a", gaveUp.ID)
		require.ErrorIs(h, gaveUp, cause)
		require.Len(h, e.Value.ended, 1, "whoever waits at the value is told")
		require.ErrorIs(h, e.Value.ended[0], cause)
		assert.Nil(h, e.Life().PID())
		assert.EqualValues(h, 1, h.tree.Info().GaveUp)
		assert.Equal(h, []string{"gave up f/a"}, h.history())

		time.Sleep(time.Hour)
		synctest.Wait()
		require.NoError(h, h.ask(f, "a", note("back")))
		assert.Equal(h, []string{"kept", "back"}, e.Value.read(), "its value stays")
		assert.Same(h, e, h.get(f, "a"))
		assert.Greater(h, e.Life().Generation(), generation)
		assert.Equal(h, []string{"started f/a"}, h.history())
		require.Error(h, h.ask(f, "a", crash(cause)))
		assert.Equal(h, []string{"restarted f/a"}, h.history(), "with a clean record: the first restart is immediate")
	})
}

func TestOldFailuresAreForgotten(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Intensity = Intensity{Failures: 1, Period: 10 * time.Second}
		f := h.family(s)
		for range 10 {
			require.Error(h, h.ask(f, "a", crash("ouch")))
			time.Sleep(11 * time.Second)
		}
		synctest.Wait()
		assert.EqualValues(h, 10, h.tree.Info().Restarted)
		assert.Zero(h, h.tree.Info().GaveUp)
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, s := range f.spawners {
			assert.Empty(h, s.records)
			assert.Nil(h, s.sweeper, "nothing is left to sweep")
		}
	})
}

func TestMaxChildren(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.MaxChildren, s.Restart = 2, Transient
		f := h.family(s)
		require.NoError(h, h.ask(f, "a", note("")))
		require.NoError(h, h.ask(f, "b", note("")))
		_, err := f.Get("c")
		require.ErrorIs(h, err, ErrFull)
		assert.ErrorContains(h, err, `desk family "f" holds 2 IDs`)
		require.NoError(h, h.ask(f, "a", leave()))
		require.NoError(h, h.ask(f, "c", note("")), "there is room again")
	})
}

// A message to an entry whose actor ended for good reaches the next one: nobody needs to look the entry up again.
func TestStaleEntryLeadsToTheNextActor(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Restart = Transient
		f := h.family(s)
		old := h.get(f, "a")
		require.NoError(h, h.ask(f, "a", leave()))
		r := note("found")
		f.Send(old, r)
		require.NoError(h, <-r.reply)
		assert.Equal(h, []string{"found"}, h.get(f, "a").Value.read())
		assert.NotSame(h, old, h.get(f, "a"))
		assert.Zero(h, old.Life().InFlight())
	})
}

func TestEventsAndInfo(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Restart, s.Idle = Transient, time.Minute
		s.Intensity = Intensity{Failures: 1, Period: time.Second}
		f := h.family(s)
		cause := errors.New("broken")
		start := time.Now()
		require.NoError(h, h.ask(f, "a", note("")))
		require.Error(h, h.ask(f, "a", crash(cause)))
		require.Error(h, h.ask(f, "a", crash(cause)))
		require.NoError(h, h.ask(f, "b", note("")))
		require.NoError(h, h.ask(f, "c", leave()))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		info := h.tree.Info()
		assert.Equal(h, Info{Name: "house", Started: 3, Restarted: 1, GaveUp: 1, Passivated: 1, Stopped: 1,
			Families: []FamilyInfo{{Kind: "desk", Name: "f"}}}, info)
		h.close()

		type line struct {
			what       EventKind
			id         string
			generation uint64
			failed     bool
		}
		var lines []line
		for e := range h.events.Events() {
			lines = append(lines, line{e.What, e.ID, e.Generation, errors.Is(e.Err, cause)})
			assert.Equal(h, "desk", e.Kind)
			assert.Equal(h, "f", e.Family)
			assert.False(h, e.At.Before(start))
		}
		assert.Equal(h, []line{
			{Started, "", 0, false}, {Started, "a", 1, false}, {Restarted, "a", 2, true}, {GaveUp, "a", 2, true},
			{Started, "b", 3, false}, {Started, "c", 4, false}, {Stopped, "c", 4, false}, {Passivated, "b", 3, false},
			{Stopped, "", 0, false},
		}, lines)
	})
}

// IDs and names may hold any byte; that two addresses read alike must not cost a child its life.
func TestAlikeAddressesDoNotCollide(t *testing.T) {
	inBubbles(t, func(h *house) {
		f, g, i := h.family(plain("b")), h.family(plain("b/c")), h.family(plain("b/0"))
		require.NoError(h, h.ask(f, "c/d", note("1")))
		require.NoError(h, h.ask(g, "d", note("2")))
		require.NoError(h, h.ask(i, "", note("3")))
		assert.Equal(h, []string{"2"}, h.get(g, "d").Value.read())
	})
}
