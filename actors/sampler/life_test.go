package sampler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestQ21_AddGetDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, ok := Get(sys, "load")
		assert.False(t, ok)
		assert.False(t, Delete(sys, "load"))

		d := &dial{t: t, value: 2}
		s := add(t, sys, "load", Config{Source: d})
		assert.Equal(t, "load", s.Name())
		got, ok := Get(sys, "load")
		assert.True(t, ok)
		assert.Same(t, s, got)
		_, err := Add(sys, "load", Config{Source: d, Thresholds: []float64{1}})
		assert.ErrorIs(t, err, penstock.ErrExists)
		assert.ErrorContains(t, err, `"load"`)
		after(time.Second + half)
		assert.Equal(t, Load{"load": {Local: 2}}, Current(sys))

		assert.True(t, Delete(sys, "load"))
		assert.False(t, Delete(sys, "load"))
		assert.Zero(t, s.Level())
		assert.ErrorIs(t, s.Info().Err, penstock.ErrClosed)
		_, more := s.entry.Value.next(time.Now())
		assert.False(t, more, "or its actor would look for a sample all the time until it has stopped")
		assert.Empty(t, Current(sys))
		_, ok = Get(sys, "load")
		assert.False(t, ok)
		after(time.Minute)
		assert.Equal(t, 1, d.count(&d.calls), "it is not asked any more")
		assert.Equal(t, 1, d.count(&d.closed), "but closed")

		again := add(t, sys, "load", Config{Source: &dial{t: t, value: 1}})
		after(time.Second)
		assert.Equal(t, 1, again.Level())
		assert.Zero(t, s.Level())
		assert.Equal(t, Load{"load": {Local: 1}}, Current(sys))
	})
}

func TestQ21_DeleteEndsASampleUnderWay(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sys := roomtest.System(t)
			d := &dial{t: t, value: 3, slow: time.Minute, deaf: deaf}
			s := add(t, sys, "load", Config{Source: d})
			after(time.Second + half)
			require.True(t, Delete(sys, "load"))
			other := add(t, sys, "load", Config{Source: &dial{t: t}})
			after(0)
			closed := 1
			if deaf {
				closed = 0
			}
			assert.Equal(t, closed, d.count(&d.closed))
			after(2 * time.Minute)
			assert.Equal(t, 1, d.count(&d.closed), "closed when it was at rest")
			assert.Zero(t, s.Level())
			assert.Zero(t, other.Level())
			assert.Equal(t, Load{"load": {}}, Current(sys), "what it measured in the end is nobody's")
		})
	}
}

func TestQ21_BadConfigurationIsOneErrorAndNothingStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		source := SourceFunc(func(context.Context) (float64, error) { return 0, nil })
		_, err := Add(sys, "", Config{Source: source, Interval: time.Millisecond, Thresholds: []float64{2, 1}, Hysteresis: 1, History: -1, Missing: -1})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, word := range []string{"the name", "Interval is 1ms", "10ms or more", "Thresholds is [2 1]", "Hysteresis is 1", "History is -1", "Missing is -1"} {
			assert.ErrorContains(t, err, word)
		}
		_, err = Add(sys, "x", Config{})
		assert.ErrorContains(t, err, "Source is nil")
		assert.NotContains(t, err.Error(), "Thresholds", "its source would say")
		_, err = Add(sys, "x", Config{Source: source})
		assert.ErrorContains(t, err, "Thresholds is empty")
		_, err = Add(sys, strings.Repeat("x", 65), Config{Source: source, Thresholds: []float64{1}})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		_, err = Add(nil, "x", Config{Source: source, Thresholds: []float64{1}})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.Zero(t, sys.Info().Tree.Started)
	})
}

func TestG5_SamplersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		for i := range maxSamplers {
			add(t, sys, fmt.Sprint(i), Config{Source: SourceFunc(func(context.Context) (float64, error) { return 0, nil })})
		}
		_, err := Add(sys, "one too many", Config{Source: CPU()})
		assert.ErrorIs(t, err, penstock.ErrFull)
		require.True(t, Delete(sys, "0"))
		_, err = Add(sys, "one in its place", Config{Source: CPU()})
		assert.NoError(t, err)
	})
}

func TestG6_CloseLeavesNothing(t *testing.T) { // a goroutine or timer left behind fails the bubble
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		var list []*dial
		for i := range 20 {
			d := &dial{t: t, value: 1, slow: time.Duration(i) * 100 * time.Millisecond}
			list = append(list, d)
			add(t, sys, fmt.Sprint(i), Config{Source: d})
		}
		require.NoError(t, SetRemote(sys, "other", map[string]int{"0": 1}, time.Hour))
		told := 0
		_, err := Watch(sys, func(Load) { told++ })
		require.NoError(t, err)
		events, err := Subscribe(sys, 1)
		require.NoError(t, err)
		s, _ := Get(sys, "19")
		crash(s)
		after(3*time.Second + half)
		before := told
		require.NoError(t, sys.Close(context.Background()), "their contexts end")
		for range events.Events() {
			continue // and this channel
		}
		events.Close()
		calls := 0
		for _, d := range list {
			assert.Equal(t, 1, d.count(&d.closed))
			calls += d.count(&d.calls)
		}
		time.Sleep(2 * time.Hour)
		for _, d := range list {
			calls -= d.count(&d.calls)
		}
		assert.Zero(t, calls, "nobody is asked after Close")
		assert.Equal(t, before, told, "nobody is told either")

		assert.Empty(t, Current(sys))
		assert.Zero(t, s.Level())
		assert.ErrorIs(t, s.Info().Err, penstock.ErrClosed)
		assert.ErrorIs(t, s.Tell(context.Background(), 1), penstock.ErrClosed)
		assert.False(t, Delete(sys, "1"))
		_, err = Add(sys, "late", Config{Source: CPU()})
		assert.ErrorIs(t, err, penstock.ErrClosed)
		_, err = Watch(sys, func(Load) { t.Error("called after the end") })
		assert.ErrorIs(t, err, penstock.ErrClosed)
		_, err = Subscribe(sys, 1)
		assert.ErrorIs(t, err, penstock.ErrClosed)
		assert.ErrorIs(t, SetRemote(sys, "other", nil, time.Second), penstock.ErrClosed)
		ForgetRemote(sys, "other")
	})
}

func TestG6_NoTimerOutlivesItsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		deleted := add(t, sys, "deleted", Config{Source: &dial{t: t}})
		closed := add(t, sys, "closed", Config{Source: &dial{t: t}})
		dormant := add(t, sys, "given up", Config{Source: &dial{t: t}})
		require.NoError(t, SetRemote(sys, "other", map[string]int{"cpu": 1}, time.Hour))
		for sys.Info().Tree.GaveUp == 0 {
			crash(dormant)
			after(20 * time.Millisecond)
		}
		require.True(t, Delete(sys, "deleted"))
		after(0)
		used := deleted.entry.Value.LastUsed()
		after(half)
		assert.Equal(t, used, deleted.entry.Value.LastUsed(), "something was sent to it after it was deleted")

		require.NoError(t, sys.Close(context.Background()))
		r := closed.entry.Value.room
		assert.False(t, r.board.mu.expiry.Stop(), "it was to ring")
		assert.False(t, dormant.entry.Value.mu.comeback.Stop(), "it was to ring")
		used = closed.entry.Value.LastUsed()
		time.Sleep(2 * time.Hour)
		assert.Equal(t, used, closed.entry.Value.LastUsed(), "something was sent to it after it was closed")
	})
}

func TestG6_CloseBeforeAnyUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, sys.Close(context.Background()))
		_, ok := Get(sys, "x")
		assert.False(t, ok)
		assert.False(t, Delete(sys, "x"))
		assert.Empty(t, Current(sys))
		_, err := Add(sys, "x", Config{Source: CPU()})
		assert.ErrorIs(t, err, penstock.ErrClosed)
		_, err = Watch(sys, func(Load) {})
		assert.ErrorIs(t, err, penstock.ErrClosed)
		_, err = Subscribe(sys, 1)
		assert.ErrorIs(t, err, penstock.ErrClosed)
		ForgetRemote(sys, "x")
	})
}

func TestG6_CloseSaysWhoIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t, slow: time.Hour, deaf: true}
		add(t, sys, "deaf", Config{Source: d})
		after(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := sys.Close(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "2 sources or watchers are still at work", "the sample, and who waits to close its source")
		after(2 * time.Hour)
		assert.Equal(t, 1, d.count(&d.calls))
		assert.Equal(t, 1, d.count(&d.closed))
	})
}

func TestG6_AddAndDeleteInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		var busy sync.WaitGroup
		for i := range 8 {
			busy.Go(func() {
				for n := range 40 {
					name := fmt.Sprint(n % 3)
					s, err := Add(sys, name, Config{Source: &dial{t: t, value: 1}, Thresholds: []float64{1}, Interval: minInterval})
					switch {
					case errors.Is(err, penstock.ErrClosed):
						return
					case err != nil:
						assert.ErrorIs(t, err, penstock.ErrExists)
					case n%5 == 0:
						crash(s)
					}
					if n%4 == i%4 {
						time.Sleep(time.Duration(i+1) * time.Millisecond)
					}
					Delete(sys, name)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, sys.Close(context.Background()))
		busy.Wait()
		assert.Empty(t, Current(sys))
	})
}

func TestChangesOfLevelsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sys := roomtest.System(t, penstock.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		d := &dial{t: t, value: 2}
		add(t, sys, "load", Config{Source: d, Missing: 1})
		after(3*time.Second + half)
		assert.Equal(t, 1, strings.Count(log.String(), "level of load has changed"), "only changes are")
		assert.Contains(t, log.String(), "level=INFO")
		assert.Contains(t, log.String(), "sampler=load from=0 to=2 value=2")
		d.change(func() { d.err = errors.New("the wire is cut") })
		after(time.Second)
		assert.Contains(t, log.String(), `from=2 to=0 value=2 err="the wire is cut"`)
		Delete(sys, "load")
		after(0)
		assert.Contains(t, log.String(), "the dial does not close well")
	})
}
