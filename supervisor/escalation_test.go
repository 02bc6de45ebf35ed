package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fragile is a family that starts over when two children were given up within a minute, and closes at the third time.
func fragile(name string) spec {
	s := plain(name)
	s.Intensity = Intensity{Failures: 0, Period: time.Minute}
	s.Escalation = Intensity{Failures: 1, Period: time.Minute}
	return s
}

func TestFamilyStartsOverThenCloses(t *testing.T) {
	inBubbles(t, func(h *house) {
		var shut []error
		s := fragile("f")
		s.Shut = func(reason error) { shut = append(shut, reason) }
		f, neighbour := h.family(s), h.family(plain("n"))
		cause := errors.New("broken")
		require.NoError(h, h.ask(f, "bystander", note("kept")))
		require.NoError(h, h.ask(neighbour, "a", note("")))
		h.history()

		require.ErrorIs(h, h.ask(f, "a", crash(cause)), cause)
		require.ErrorIs(h, h.ask(f, "a", crash(cause)), cause)
		assert.Equal(h, []string{"started f/a", "gave up f/a", "started f/a", "gave up f/a", "restarted f/"}, h.history())
		bystander, _ := f.Lookup("bystander")
		assert.Nil(h, bystander.Life().PID(), "everybody was stopped")
		require.NoError(h, h.ask(f, "bystander", note("again")))
		assert.Equal(h, []string{"kept", "again"}, bystander.Value.read())
		assert.Len(h, bystander.Value.ended, 1)
		assert.Empty(h, shut)
		h.history()

		for i := range 2 {
			require.ErrorIs(h, h.ask(f, fmt.Sprint(i), crash(cause)), cause)
		}
		assert.Equal(h, []string{"started f/0", "gave up f/0", "started f/1", "gave up f/1", "gave up f/"}, h.history())
		require.Len(h, shut, 1)
		var gaveUp *GaveUpError
		require.ErrorAs(h, shut[0], &gaveUp)
		assert.Equal(h, GaveUpError{Kind: "desk", Family: "f", Cause: gaveUp.Cause}, *gaveUp)
		require.ErrorIs(h, gaveUp, cause)
		assert.ErrorContains(h, gaveUp, `desk family "f" failed too often and was closed`)

		for _, key := range []string{"new", "bystander"} {
			_, err := f.Get(key)
			require.ErrorAs(h, err, &gaveUp, "it takes nothing in any more")
		}
		late := note("late")
		f.Send(bystander, late)
		require.ErrorAs(h, <-late.reply, &gaveUp, "and starts nobody again")
		assert.Equal(h, gaveUp, f.Info().Err)

		require.NoError(h, h.ask(neighbour, "a", note("")), "a neighbour never notices")
		require.NoError(h, f.Close(context.Background()))
		require.Len(h, shut, 1)
		assert.Zero(h, f.Len())
		assert.Equal(h, gaveUp, f.Info().Err, "the first reason stays")
	})
}

// Who waits in a back-off when the family starts over is answered, not left to a restart of the old kind.
func TestG4_StartingOverAnswersThoseInBackoff(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := fragile("f")
		s.Spawners = 1
		s.Intensity = Intensity{Failures: 2, Period: time.Hour}
		s.Backoff = Backoff{Min: time.Hour, Max: time.Hour}
		f := h.family(s)
		require.Error(h, h.ask(f, "waits", crash("once")))
		require.Error(h, h.ask(f, "waits", crash("twice")))
		parked := note("")
		require.Equal(h, errUnanswered, h.ask(f, "waits", parked))

		f.spawners[0].send(startOver{reason: errors.New("over")})
		require.ErrorContains(h, <-parked.reply, "over")
		require.NoError(h, h.ask(f, "waits", note("")), "the next use starts it at once")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		assert.EqualValues(h, 1, h.tree.Info().Restarted, "the old back-off is void")
	})
}

func TestSparseFailuresNeverEscalate(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(fragile("f"))
		for range 20 {
			require.Error(h, h.ask(f, "a", crash("ouch")))
			time.Sleep(2 * time.Minute)
		}
		require.NoError(h, h.ask(f, "a", note("")))
		assert.False(h, slices.Contains(h.history(), "restarted f/"))
	})
}
