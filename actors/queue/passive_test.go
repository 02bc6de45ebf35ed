package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// newPassive starts a system with one passive queue.
func newPassive[T any](t testing.TB, cfg PassiveConfig[T]) *Passive[T] {
	t.Helper()
	p, err := AddPassive(roomtest.System(t), "test", cfg)
	require.NoError(t, err)
	return p
}

func mustEnqueue[T any](t testing.TB, p *Passive[T], items ...T) {
	t.Helper()
	for _, x := range items {
		require.NoError(t, p.Enqueue(context.Background(), x))
	}
}

func passiveValues[T any](items []Item[T]) (values []T) {
	for _, x := range items {
		values = append(values, x.Value)
	}
	return values
}

// taken is what a call of Dequeue came to.
type taken struct {
	values []int
	err    error
}

// goDequeue takes in another goroutine.
func goDequeue(ctx context.Context, p *Passive[int], n int) <-chan taken {
	result := make(chan taken, 1)
	go func() {
		items, err := p.Dequeue(ctx, n)
		result <- taken{passiveValues(items), err}
	}()
	return result
}

func TestQ15_ItemsComeOutInTheirOrderUpToN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{})
		start := time.Now()
		mustEnqueue(t, p, 1)
		time.Sleep(time.Second)
		mustEnqueue(t, p, 2, 3, 4, 5)
		assert.Equal(t, 5, p.Len())
		items, err := p.Dequeue(context.Background(), 2)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2}, passiveValues(items))
		assert.Equal(t, []time.Duration{0, time.Second}, []time.Duration{items[0].At.Sub(start), items[1].At.Sub(start)})
		items, err = p.Dequeue(context.Background(), 100)
		require.NoError(t, err)
		assert.Equal(t, []int{3, 4, 5}, passiveValues(items))
	})
}

func TestQ15_DequeueWaitsForTheFirstItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{})
		got := goDequeue(context.Background(), p, 10)
		synctest.Wait()
		assert.Equal(t, 1, p.Info().Takers)
		mustEnqueue(t, p, 7)
		assert.Equal(t, taken{values: []int{7}}, <-got)
		assert.Zero(t, p.Len())
		assert.Zero(t, p.Info().Takers)
	})
}

func TestQ15_WaitingTakersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{})
		var takers []<-chan taken
		for range 5 {
			takers = append(takers, goDequeue(context.Background(), p, 1))
			synctest.Wait()
		}
		mustEnqueue(t, p, 0, 1, 2, 3, 4, 5)
		for i, got := range takers {
			assert.Equal(t, taken{values: []int{i}}, <-got)
		}
		items, err := p.Dequeue(context.Background(), 1)
		require.NoError(t, err)
		assert.Equal(t, []int{5}, passiveValues(items))
	})
}

func TestQ15_NobodyOvertakesATakerThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{})
		first := goDequeue(context.Background(), p, 1)
		synctest.Wait()
		mustEnqueue(t, p, 1) // the actor has not seen it yet: this goroutine does not stop running
		second := goDequeue(context.Background(), p, 1)
		assert.Equal(t, []int{1}, (<-first).values)
		mustEnqueue(t, p, 2)
		assert.Equal(t, []int{2}, (<-second).values)
	})
}

func TestQ15_OrdersWeightsAndNiceness(t *testing.T) {
	take := func(cfg PassiveConfig[string], in ...Request) (out []string) {
		synctest.Test(t, func(t *testing.T) {
			p := newPassive(t, cfg)
			for i, r := range in {
				require.NoError(t, p.EnqueueRequest(context.Background(), fmt.Sprintf("%s%d", r.Flow, i), r))
			}
			items, err := p.Dequeue(context.Background(), len(in))
			require.NoError(t, err)
			out = passiveValues(items)
		})
		return out
	}
	assert.Equal(t, []string{"3", "2", "1", "0"}, take(PassiveConfig[string]{Line: LineConfig{Order: LIFO}}, make([]Request, 4)...))
	assert.Equal(t, []string{"2", "0", "1"}, take(PassiveConfig[string]{}, Request{Nice: 5}, Request{Nice: 5}, Request{Nice: -3}))

	var in []Request
	for range 40 {
		in = append(in, Request{Flow: "a"}, Request{Flow: "b"})
	}
	out := take(PassiveConfig[string]{Weights: map[string]int{"a": 3}}, in...)
	a := 0
	for _, x := range out[:40] {
		if strings.HasPrefix(x, "a") {
			a++
		}
	}
	assert.InDelta(t, 30, a, 3, "three to one")
}

func TestQ15_ABoundIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{MaxSize: 3, MaxTakers: 2})
		mustEnqueue(t, p, 1, 2, 3)
		err := p.Enqueue(context.Background(), 4)
		require.ErrorIs(t, err, penstock.ErrFull)
		var full *PassiveFullError
		require.ErrorAs(t, err, &full)
		assert.Equal(t, PassiveFullError{Queue: "test", What: "items", Bound: 3}, *full)
		_, err = p.Dequeue(context.Background(), 1)
		require.NoError(t, err)
		mustEnqueue(t, p, 4)
		_, err = p.Dequeue(context.Background(), 3)
		require.NoError(t, err)

		for range 2 {
			goDequeue(roomtest.Within(t, time.Second), p, 1)
		}
		synctest.Wait()
		_, err = p.Dequeue(context.Background(), 1)
		require.ErrorAs(t, err, &full)
		assert.Equal(t, PassiveFullError{Queue: "test", What: "takers", Bound: 2}, *full)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.EqualValues(t, 2, p.Info().Refused)
	})
}

// TestG3_ATakerThatGivesUpTakesNothing has contexts end before, at and after the moment an item comes.
func TestG3_ATakerThatGivesUpTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{})
		for round := range 200 {
			ctx, cancel := context.WithCancel(context.Background())
			impatient := goDequeue(ctx, p, 2)
			patient := goDequeue(context.Background(), p, 2)
			synctest.Wait()
			go cancel()
			mustEnqueue(t, p, round)
			if r := <-impatient; r.err == nil {
				require.Equal(t, []int{round}, r.values)
				mustEnqueue(t, p, -1)
				require.Equal(t, []int{-1}, (<-patient).values)
			} else {
				require.ErrorIs(t, r.err, context.Canceled)
				require.Equal(t, []int{round}, (<-patient).values)
			}
			synctest.Wait()
			require.Zero(t, p.Len())
		}
	})
}

func TestG3_WhatALateTakerGivesBackGoesWhereItWas(t *testing.T) {
	for order, want := range map[Order][]int{FIFO: {1, 2, 3, 4}, LIFO: {4, 3, 2, 1}} {
		synctest.Test(t, func(t *testing.T) {
			p := newPassive(t, PassiveConfig[int]{Line: LineConfig{Order: order}})
			mustEnqueue(t, p, 1, 2, 3)
			items, err := p.Dequeue(context.Background(), 2)
			require.NoError(t, err)
			p.mu.Lock()
			p.state.handed += 2 // as if they had been handed to one who waited
			p.mu.Unlock()
			mustEnqueue(t, p, 4)
			assert.Equal(t, 4, p.Len(), "they count while they are on their way")
			p.giveBack(items)
			again, err := p.Dequeue(context.Background(), 10)
			require.NoError(t, err)
			assert.Equal(t, want, passiveValues(again))
		})
	}
}

func TestQ10_AnItemNobodyTookIsDroppedExactlyAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type drop struct {
			value int
			at    time.Duration
			err   error
		}
		var drops []drop
		start := time.Now()
		p := newPassive(t, PassiveConfig[int]{MaxTime: 10 * time.Second, MaxSize: 2, Dropped: func(x Item[int], err error) {
			drops = append(drops, drop{x.Value, time.Since(start), err})
		}})
		mustEnqueue(t, p, 1)
		time.Sleep(3 * time.Second)
		mustEnqueue(t, p, 2)
		time.Sleep(7*time.Second - 1)
		synctest.Wait()
		require.Equal(t, 2, p.Len())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 1, p.Len())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, drops, 2)
		for i, d := range drops {
			assert.Equal(t, i+1, d.value)
			assert.Equal(t, []time.Duration{10 * time.Second, 13 * time.Second}[i], d.at)
			assert.ErrorIs(t, d.err, ErrTimedOut)
			var timeout *PassiveTimeoutError
			require.ErrorAs(t, d.err, &timeout)
			assert.Equal(t, 10*time.Second, timeout.Waited)
		}
		assert.EqualValues(t, 2, p.Info().Dropped)
		mustEnqueue(t, p, 3) // and again, after the timer had nothing to do
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Len(t, drops, 3)
	})
}

func TestG5_ItemsThatDroppedIsNotToldOfCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p := newPassive(t, PassiveConfig[int]{MaxTime: time.Second, MaxSize: 2, Dropped: func(Item[int], error) { <-hold }})
		mustEnqueue(t, p, 1, 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, p.Len())
		assert.ErrorIs(t, p.Enqueue(context.Background(), 3), penstock.ErrFull)
		close(hold)
		synctest.Wait()
		assert.NoError(t, p.Enqueue(context.Background(), 3))
	})
}

func TestADroppedThatPanicsIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		p := newPassive(t, PassiveConfig[int]{MaxTime: time.Second, Dropped: func(Item[int], error) { told++; panic("no") }})
		mustEnqueue(t, p, 1, 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, told)
		assert.NoError(t, p.Enqueue(context.Background(), 3))
	})
}

func TestQ1_PassiveQueuesAreAddedFoundAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, ok := GetPassive[int](sys, "a")
		assert.False(t, ok, "before there is any")
		assert.False(t, DeletePassive(sys, "a"))
		assert.Empty(t, PassiveInfos(sys))
		var left []string
		p, err := AddPassive(sys, "a", PassiveConfig[int]{Dropped: func(x Item[int], err error) {
			left = append(left, fmt.Sprint(x.Value, errors.Is(err, penstock.ErrClosed), strings.Contains(err.Error(), "deleted")))
		}})
		require.NoError(t, err)
		_, err = AddPassive(sys, "a", PassiveConfig[string]{})
		assert.ErrorIs(t, err, penstock.ErrExists)
		same, ok := GetPassive[int](sys, "a")
		assert.True(t, ok)
		assert.Same(t, p, same)
		_, ok = GetPassive[string](sys, "a")
		assert.False(t, ok, "its items are of another type")

		waiting := goDequeue(context.Background(), p, 1)
		synctest.Wait()
		mustEnqueue(t, p, 0)
		<-waiting
		waiting = goDequeue(context.Background(), p, 1)
		synctest.Wait()
		require.True(t, DeletePassive(sys, "a"))
		assert.False(t, DeletePassive(sys, "a"))
		r := <-waiting
		assert.ErrorIs(t, r.err, penstock.ErrClosed)
		assert.ErrorContains(t, r.err, "deleted")
		assert.ErrorIs(t, p.Enqueue(context.Background(), 1), penstock.ErrClosed)
		_, err = p.Dequeue(context.Background(), 1)
		assert.ErrorContains(t, err, "deleted")

		p, err = AddPassive(sys, "a", p.cfg)
		require.NoError(t, err, "its name is free at once")
		mustEnqueue(t, p, 1, 2)
		require.True(t, DeletePassive(sys, "a"))
		synctest.Wait()
		assert.Equal(t, []string{"1 true true", "2 true true"}, left)
		assert.Empty(t, PassiveInfos(sys))
	})
}

func TestPassiveConfigurationNamesEveryBadField(t *testing.T) {
	sys := roomtest.System(t)
	_, err := AddPassive(sys, "", PassiveConfig[int]{
		MaxSize: -1, MaxTime: -1, MaxTakers: -2, Weights: map[string]int{"x": 0}, Line: LineConfig{Order: 9, Target: time.Second},
	})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, field := range []string{"name", "MaxSize", "MaxTime", "MaxTakers", `Weights["x"]`, "Line: Order", "Target"} {
		assert.ErrorContains(t, err, field)
	}
	_, err = AddPassive(sys, "a", PassiveConfig[int]{Weights: map[string]int{}, Behavior: func() (Behavior[int], error) { return nil, nil }})
	assert.ErrorContains(t, err, "Behavior is set")
	for _, name := range []string{strings.Repeat("x", 513), "\xff"} {
		_, err = AddPassive(sys, name, PassiveConfig[int]{})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
	}
	_, err = AddPassive[int](nil, "a", PassiveConfig[int]{})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.Empty(t, PassiveInfos(sys), "nothing was started")

	p, err := AddPassive(sys, "a", PassiveConfig[int]{})
	require.NoError(t, err)
	_, err = p.Dequeue(context.Background(), 0)
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorIs(t, p.EnqueueRequest(context.Background(), 1, Request{Nice: 20}), penstock.ErrInvalid)
	assert.ErrorIs(t, p.Enqueue(roomtest.EndedContext(), 1), context.Canceled)
	_, err = p.Dequeue(roomtest.EndedContext(), 1)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, p.Len())
}

func TestQ19_InfoTellsWhatAPassiveQueueHasBeenThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[int]{})
		for i := range 20 {
			mustEnqueue(t, p, i)
			time.Sleep(100 * time.Millisecond)
		}
		_, err := p.Dequeue(context.Background(), 5)
		require.NoError(t, err)
		info := p.Info()
		assert.InDelta(t, 10, info.RateIn, 1)
		info.RateIn, info.RateOut = 0, 0
		assert.Equal(t, PassiveInfo{
			Name: "test", Items: 15, OldestWait: 1500 * time.Millisecond, Entered: 20, Taken: 5,
			Behavior: LineInfo{Order: FIFO, Flows: 1},
		}, info)
		sys := roomtest.System(t)
		for _, name := range []string{"b", "a"} {
			_, err := AddPassive(sys, name, PassiveConfig[string]{})
			require.NoError(t, err)
		}
		names := slices.Collect(func(yield func(string) bool) {
			for _, info := range PassiveInfos(sys) {
				yield(info.Name)
			}
		})
		assert.Equal(t, []string{"a", "b"}, names)
	})
}
