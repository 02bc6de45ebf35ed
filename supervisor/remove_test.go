package supervisor

import (
	"context"
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

func TestAddIsOnceForAKey(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		var wg sync.WaitGroup
		var mu sync.Mutex
		added := 0
		for range 20 {
			wg.Go(func() {
				_, err := f.Add("a", func(e *entry) { e.Value.note("set up") })
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					added++
					return
				}
				assert.ErrorIs(h, err, ErrExists)
				assert.ErrorContains(h, err, `desk a`)
			})
		}
		wg.Wait()
		assert.Equal(h, 1, added)
		e, ok := f.Lookup("a")
		require.True(h, ok)
		r := note("used")
		f.Send(e, r)
		require.NoError(h, <-r.reply)
		assert.Equal(h, []string{"set up", "used"}, e.Value.read())
	})
}

func TestG4_RemoveAnswersWhatIsLeft(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		e, err := f.Add("a", nil)
		require.NoError(h, err)
		hold, held := make(chan struct{}), make(chan struct{})
		busy := newRequest(func(actor.Context, *entry) { close(held); <-hold })
		go f.Send(e, busy) // with a synchronized dispatcher, sending is the work itself
		<-held
		behind := note("behind it")
		f.Send(e, behind)
		require.True(h, f.Remove(e))
		require.False(h, f.Remove(e), "once")

		next, err := f.Add("a", func(e *entry) { e.Value.note("another one") })
		require.NoError(h, err, "the key is free at once")
		require.NotSame(h, e, next)
		late := note("late")
		f.Send(e, late)
		synctest.Wait()
		close(hold)
		require.NoError(h, <-busy.reply, "the message in its hand is done")
		require.ErrorIs(h, <-behind.reply, ErrClosed)
		require.ErrorIs(h, <-late.reply, ErrClosed, "and not passed on to the successor")
		synctest.Wait()
		assert.Equal(h, []error{ErrClosed}, e.Value.ended)
		r := note("used")
		f.Send(next, r)
		require.NoError(h, <-r.reply)
		assert.Equal(h, []string{"another one", "used"}, next.Value.read())
		assert.Equal(h, 1, f.Len())
	})
}

func TestG4_RemoveWhileTheActorBacksOff(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Backoff = Backoff{Min: time.Hour, Max: time.Hour}
		f := h.family(s)
		e, err := f.Add("a", nil)
		require.NoError(h, err)
		for range 2 { // the first restart is immediate
			r := crash(errors.New("bad"))
			f.Send(e, r)
			require.Error(h, <-r.reply)
			synctest.Wait()
		}
		parked := note("parked")
		f.Send(e, parked)
		synctest.Wait()
		require.True(h, f.Remove(e))
		require.ErrorIs(h, <-parked.reply, ErrClosed)
		synctest.Wait()
		assert.Equal(h, []error{ErrClosed}, e.Value.ended)
		time.Sleep(3 * time.Hour)
		late := note("late")
		f.Send(e, late)
		require.ErrorIs(h, <-late.reply, ErrClosed, "it does not come back")
		assert.Zero(h, f.Len())
	})
}

// Whatever happens at the same time, each message is answered once and nothing is left.
func TestG4_G6_RemoveInAStorm(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		var senders, all sync.WaitGroup
		for i := range 8 {
			senders.Go(func() {
				for n := range 50 {
					key := fmt.Sprint(n % 5)
					e, err := f.Add(key, nil)
					if e == nil {
						assert.ErrorIs(h, err, ErrClosed)
						return
					}
					r := note("x")
					if n%7 == 3 {
						r = crash("storm")
					}
					f.Send(e, r)
					all.Go(func() { <-r.reply })
					if n%11 == i {
						f.Remove(e)
					}
					if n%3 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		time.Sleep(10 * time.Millisecond)
		require.NoError(h, f.Close(context.Background()))
		senders.Wait()
		all.Wait() // a message without an answer would hang here
		assert.Zero(h, f.Len())
	})
}
