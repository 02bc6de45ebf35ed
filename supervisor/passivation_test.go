package supervisor

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIdleChildrenArePassivated(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Idle = time.Minute
		f := h.family(s)
		require.NoError(h, h.ask(f, "a", note("")))
		e := h.get(f, "a")
		for range 10 { // in use, so it stays
			time.Sleep(50 * time.Second)
			f.Touch(e, time.Now())
		}
		synctest.Wait()
		require.Same(h, e, h.get(f, "a"))
		time.Sleep(time.Minute + s.Idle/4)
		synctest.Wait()
		require.Zero(h, f.Len())
		assert.EqualValues(h, 1, h.tree.Info().Passivated)
		assert.Empty(h, e.Value.ended, "nobody waited")
		time.Sleep(s.Idle)
		synctest.Wait()
		for _, s := range f.spawners {
			assert.Nil(h, s.sweeper, "a timer for nothing")
		}
		require.NoError(h, h.ask(f, "a", note("")))
		assert.NotSame(h, e, h.get(f, "a"))
		assert.EqualValues(h, 2, h.get(f, "a").Life().Generation())
	})
}

func TestRoomDecidesWhetherToForget(t *testing.T) {
	inBubbles(t, func(h *house) {
		var asked, agree atomic.Int32
		s := plain("f")
		s.Idle = time.Minute
		s.MayForget = func(*entry) bool { asked.Add(1); return agree.Load() == 1 }
		f := h.family(s)
		require.NoError(h, h.ask(f, "a", note("1")))
		e := h.get(f, "a")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Greater(h, asked.Load(), int32(5))
		require.NoError(h, h.ask(f, "a", note("2")), "refused, it is open again")
		require.True(h, e.Life().Enter(), "for senders too")
		agree.Store(1)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(h, 1, f.Len(), "not while a sender is in flight")
		e.Life().Leave()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Zero(h, f.Len())
		assert.Equal(h, []string{"1", "2"}, e.Value.read())
	})
}

func TestGivenUpEntriesAreForgottenWhenIdle(t *testing.T) {
	inBubbles(t, func(h *house) {
		for idle, left := range map[time.Duration]int{0: 2, time.Minute: 0} { // 0: never
			s := plain(idle.String())
			s.Idle = idle
			s.Spawners = 1
			s.Intensity = Intensity{Failures: 1, Period: time.Second}
			f := h.family(s)
			for range 2 {
				require.Error(h, h.ask(f, "a", crash("ouch")))
			}
			require.Error(h, h.ask(f, "b", crash("once"))) // whose record has the spawner sweep
			require.Equal(h, 2, f.Len())
			time.Sleep(time.Hour)
			synctest.Wait()
			assert.Equal(h, left, f.Len(), "idle %v", idle)
			assert.Nil(h, f.spawners[0].sweeper)
			assert.Len(h, f.spawners[0].dormant, left/2)
		}
	})
}

// A failed child is not idle: putting it away would hide its failure.
func TestFailedChildIsNotPassivated(t *testing.T) {
	m, i, d := newMailbox()
	i.onUser = func(any) { panic("ouch") }
	m.Post("")
	d.run()
	require.NotEmpty(t, i.failures)
	assert.False(t, m.idle())
}

func TestTwentyThousandChildren(t *testing.T) {
	const n, rounds = 20_000, 3
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.events.Close() // it would hold more than they do
		s := plain("f")
		s.Idle = time.Minute
		f := h.family(s)
		var empty, full int64
		for round := range rounds { // the engine's own tables, of a fixed number of shards, keep a little of the first
			for i := range n {
				f.Send(h.get(f, fmt.Sprint(round, i)), "")
			}
			synctest.Wait()
			require.Equal(t, n, f.Len())
			full = heap()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			require.Zero(t, f.Len())
			if round == rounds-2 {
				empty = heap()
			}
		}
		for _, s := range f.spawners {
			assert.Zero(t, len(s.children)+len(s.records)+len(s.dormant)+len(s.waiting)+len(s.late)+s.alive)
			assert.LessOrEqual(t, cap(s.children), 128, "the list shrinks")
		}
		assert.EqualValues(t, rounds*n, h.tree.Info().Passivated)
		kept := heap() - empty
		t.Logf("%d bytes a child, of which %d are kept", (full-empty)/n, kept/n)
		assert.Less(t, kept, (full-empty)/2, "the directory is empty, so its memory comes back")
		h.close()
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools and finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
