package sampler

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestQ21_WatchersAreToldEveryChangeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t}
		add(t, sys, "load", Config{Source: d})
		after(half)
		var all []*seen
		for range 3 {
			s := new(seen)
			stop, err := Watch(sys, s.add)
			require.NoError(t, err)
			defer stop()
			assert.Equal(t, []Load{{"load": {}}}, s.take(), "the load now, before Watch returns")
			all = append(all, s)
		}
		for _, v := range []float64{2, 2, 0, 3} {
			d.set(v)
			after(time.Second)
		}
		add(t, sys, "other", Config{Source: &dial{t: t}})
		Delete(sys, "load")
		after(0)
		for _, s := range all {
			assert.Equal(t, []Load{
				{"load": {Local: 2}}, {"load": {}}, {"load": {Local: 3}}, {"load": {Local: 3}, "other": {}}, {"other": {}},
			}, s.take())
		}
	})
}

func TestQ21_StoppedWatchersHearNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		s := new(seen)
		stop, err := Watch(sys, s.add)
		require.NoError(t, err)
		require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": 1}, time.Hour))
		after(0)
		assert.Len(t, s.take(), 2)
		stop()
		stop()
		ForgetRemote(sys, "a")
		after(0)
		assert.Empty(t, s.take())

		var stopSelf func()
		calls := 0
		stopSelf, err = Watch(sys, func(Load) {
			if calls++; calls == 2 {
				stopSelf()
			}
		})
		require.NoError(t, err)
		for i := range 5 {
			require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": i}, time.Hour))
		}
		after(0)
		assert.Equal(t, 2, calls, "it stopped itself")
		_, err = Watch(sys, nil)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
	})
}

func TestQ21_WatchersThatFailHarmNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sys := roomtest.System(t, penstock.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		panics, exits, good := 0, 0, new(seen)
		_, err := Watch(sys, func(Load) { panics++; panic("a bad watcher") })
		require.NoError(t, err)
		go func() { // the first call ends this goroutine
			_, _ = Watch(sys, func(Load) { exits++; runtime.Goexit() })
			t.Error("Watch returned")
		}()
		after(0)
		_, err = Watch(sys, func(l Load) {
			good.add(l)
			for name, level := range l { // it is its own
				if level.Remote != nil {
					level.Remote["a"] = 99
				}
				delete(l, name)
			}
		})
		require.NoError(t, err)
		last := new(seen)
		_, err = Watch(sys, last.add)
		require.NoError(t, err)
		for i := range 3 {
			require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": i + 1}, time.Hour))
		}
		after(0)
		assert.Equal(t, 4, panics)
		assert.Equal(t, 4, exits)
		assert.Len(t, good.take(), 4)
		assert.Equal(t, Load{"cpu": {Remote: map[string]int{"a": 3}}}, last.take()[3])
		assert.Contains(t, log.String(), "a bad watcher")
	})
}

func TestG5_ASlowWatcherHoldsNobodyUpAndMissesTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		slow, quick := new(seen), new(seen)
		release := make(chan struct{})
		_, err := Watch(sys, func(l Load) {
			if len(l) > 0 {
				<-release
			}
			slow.add(l)
		})
		require.NoError(t, err)
		_, err = Watch(sys, quick.add)
		require.NoError(t, err)
		const changes = 2 * maxPending
		for i := range changes {
			require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": i}, time.Hour))
			after(0)
		}
		assert.Len(t, quick.take(), changes+1)
		close(release)
		after(0)
		list := slow.take()
		assert.Len(t, list, 1+1+maxPending, "that from the start, that in its hand, those that were kept")
		level := func(l Load) int { return l["cpu"].Remote["a"] }
		assert.Equal(t, changes-1, level(list[len(list)-1]), "the newest is never missed")
		assert.True(t, slices.IsSortedFunc(list, func(a, b Load) int { return level(a) - level(b) }))
	})
}

func TestG6_CloseWaitsForWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		done := false
		_, err := Watch(sys, func(l Load) {
			if len(l) > 0 {
				time.Sleep(time.Minute)
				done = true
			}
		})
		require.NoError(t, err)
		require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": 1}, time.Hour))
		after(0)
		require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": 2}, time.Hour))
		begun := time.Now()
		require.NoError(t, sys.Close(context.Background()))
		assert.True(t, done)
		assert.Equal(t, time.Minute, time.Since(begun), "for the one call, and no further one began")
	})
}

func TestQ21_EventsSayWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		start := time.Now()
		d := &dial{t: t, value: 1}
		one, err := Subscribe(sys, 1)
		require.NoError(t, err)
		all, err := Subscribe(sys, 10)
		require.NoError(t, err)
		gone, err := Subscribe(sys, 0)
		require.NoError(t, err)
		gone.Close()
		gone.Close()
		add(t, sys, "load", Config{Source: d, Missing: 1})
		after(2*time.Second + half)
		d.change(func() { d.err = fmt.Errorf("broken") })
		after(time.Second)
		d.change(func() { d.value, d.err = 3, nil })
		after(time.Second)
		Delete(sys, "load")
		assert.Equal(t, Event{Sampler: "load", From: 0, To: 1, Value: 1, At: start.Add(time.Second)}, <-all.Events())
		e := <-all.Events()
		assert.EqualError(t, e.Err, "broken")
		e.Err = nil
		assert.Equal(t, Event{Sampler: "load", From: 1, To: 0, Value: 1, At: start.Add(3 * time.Second)}, e)
		assert.Equal(t, Event{Sampler: "load", From: 0, To: 3, Value: 3, At: start.Add(4 * time.Second)}, <-all.Events())
		assert.ErrorIs(t, (<-all.Events()).Err, penstock.ErrClosed)
		assert.EqualValues(t, 3, one.Dropped(), "a slow reader loses events and blocks nobody")
		assert.Equal(t, 1, (<-one.Events()).To)
		_, more := <-gone.Events()
		assert.False(t, more)
	})
}

func TestQ23_ADeadNodeIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		s := add(t, sys, "cpu", Config{Source: &dial{t: t, value: 1}})
		watched := new(seen)
		_, err := Watch(sys, watched.add)
		require.NoError(t, err)
		say := func(node string, level int) {
			require.NoError(t, SetRemote(sys, node, map[string]int{"cpu": level}, 3*time.Second))
		}
		for range 5 { // both are alive
			say("a", 1)
			say("b", 3)
			after(time.Second)
		}
		assert.Equal(t, Load{"cpu": {Local: 1, Remote: map[string]int{"a": 1, "b": 3}}}, Current(sys))
		assert.Equal(t, map[string]int{"a": 1, "b": 3}, s.Info().Remote)
		watched.take()
		say("a", 1) // b has died
		after(time.Second)
		assert.Empty(t, watched.take(), "the same again is no change")
		assert.Contains(t, s.Info().Remote, "b")
		say("a", 1)
		after(time.Second)
		assert.Equal(t, []Load{{"cpu": {Local: 1, Remote: map[string]int{"a": 1}}}}, watched.take(), "watchers hear of it without anybody asking")
		assert.Equal(t, map[string]int{"a": 1}, s.Info().Remote)
		after(time.Minute)
		assert.Equal(t, []Load{{"cpu": {Local: 1}}}, watched.take(), "and so has a")

		say("a", 2)
		ForgetRemote(sys, "a")
		ForgetRemote(sys, "unknown")
		after(0)
		assert.Len(t, watched.take(), 2)
		assert.Equal(t, Load{"cpu": {Local: 1}}, Current(sys))
	})
}

func TestQ23_ExpiredLevelsDoNotCountHoweverLateTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		s := add(t, sys, "cpu", Config{Source: &dial{t: t}})
		b := s.entry.Value.room.board
		for _, look := range []func() map[string]int{
			func() map[string]int { return Current(sys)["cpu"].Remote },
			func() map[string]int { return s.Info().Remote },
			func() (m map[string]int) {
				stop, err := Watch(sys, func(l Load) { m = l["cpu"].Remote })
				require.NoError(t, err)
				stop()
				return m
			},
		} {
			require.NoError(t, SetRemote(sys, "a", map[string]int{"cpu": 1}, time.Second))
			assert.Len(t, look(), 1)
			b.mu.expiry.Stop()
			time.Sleep(time.Second)
			assert.Empty(t, look())
		}
	})
}

func TestQ23_BadLevelsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		err := SetRemote(sys, "", map[string]int{"cpu": -1, "": 1}, 0)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, word := range []string{"the name is", "ttl is 0s", `level of "cpu" is -1`, "a sampler's name is"} {
			assert.ErrorContains(t, err, word)
		}
		many := map[string]int{}
		for i := range maxRemoteLevels + 1 {
			many[fmt.Sprint(i)] = 1
		}
		assert.ErrorContains(t, SetRemote(sys, "a", many, time.Second), "takes up to 1000")
		assert.Empty(t, Current(sys))
		levels := map[string]int{"cpu": 1}
		require.NoError(t, SetRemote(sys, "a", levels, time.Second))
		levels["cpu"] = 5
		assert.Equal(t, 1, Current(sys)["cpu"].Remote["a"], "the map stays the caller's")
		assert.ErrorIs(t, SetRemote(nil, "a", levels, time.Second), penstock.ErrInvalid)
	})
}
