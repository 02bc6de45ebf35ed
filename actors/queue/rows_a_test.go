package queue

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// one is a queue's only regulator: one job at a time.
func one() []Regulator { return []Regulator{Counter{Limit: 1}} }

// used is what is in use of a queue's i-th regulator.
func used(q *Queue, i int) int { return q.Info().Regulators[i].Used }

// waits starts n requests and lets them come to wait. Those that are let go are done at once.
func waits(c *roomtest.Callers, q *Queue, n int) {
	for range n {
		c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
	}
	synctest.Wait()
}

// lasting is a job of this length.
func lasting(d time.Duration) func(context.Context) error {
	return func(context.Context) error { time.Sleep(d); return nil }
}

func TestQ1_QueuesAreAddedByNameAndDeletedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		q := addQueue(t, sys, "api", Config{Regulators: one()})
		_, err := Add(sys, "api", Config{})
		assert.ErrorIs(t, err, penstock.ErrExists)
		assert.ErrorContains(t, err, `"api"`)
		found, ok := Get(sys, "api")
		assert.True(t, ok)
		assert.Same(t, q, found)
		assert.Equal(t, "api", q.Name())
		assert.False(t, Delete(sys, "other"))
		assert.True(t, Delete(sys, "api"))
		assert.False(t, Delete(sys, "api"))
		_, ok = Get(sys, "api")
		assert.False(t, ok)
		_, err = q.Ask(context.Background(), Request{})
		assert.ErrorIs(t, err, penstock.ErrClosed)
		assert.ErrorIs(t, q.SetMaxSize(5), penstock.ErrClosed)
		assert.NotSame(t, q, addQueue(t, sys, "api", Config{}), "the name is free again")
	})
}

func TestQ1_DeleteRejectsWhatWaitsAndLetsJobsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 2}))
		q := addQueue(t, sys, "gone", Config{Regulators: []Regulator{NamedCounter("slots", 1), Counter{Limit: 5}}})
		other := addQueue(t, sys, "other", Config{Regulators: []Regulator{NamedCounter("slots", 1)}})
		jobs := []*Job{ask(t, q, Request{}), ask(t, q, Request{})}
		mine, others := newCallers(), newCallers()
		waits(mine, q, 7)
		waits(others, other, 3)
		assert.Equal(t, 7, q.Info().Waiting)
		require.True(t, Delete(sys, "gone"))
		mine.Wait()
		assert.Equal(t, map[string]int{"closed": 7}, mine.Ended())
		assert.Zero(t, others.Total(), "the jobs that run hold the counter still")
		for _, j := range jobs {
			j.Done()
		}
		others.Wait()
		assert.Equal(t, map[string]int{"granted": 3}, others.Ended())
		synctest.Wait()
		assert.Zero(t, used(other, 0))
		assert.Equal(t, 1, other.Info().Regulators[0].Queues)
	})
}

func TestQ1_MaxSizeAndMaxTimeChangeAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), MaxSize: 3})
		job := ask(t, q, Request{})
		c := newCallers()
		waits(c, q, 4)
		assert.Equal(t, map[string]int{"full": 1}, c.Ended())
		require.NoError(t, q.SetMaxSize(5))
		waits(c, q, 3)
		assert.Equal(t, map[string]int{"full": 2}, c.Ended())
		require.NoError(t, q.SetMaxSize(1))
		synctest.Wait()
		assert.Equal(t, 5, q.Info().Waiting, "who waits already stays")
		require.NoError(t, q.SetMaxSize(NoWaiting))
		waits(c, q, 1)
		assert.Equal(t, map[string]int{"full": 3}, c.Ended())

		time.Sleep(2 * time.Second)
		require.NoError(t, q.SetMaxTime(3*time.Second))
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, 5, q.Info().Waiting)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, map[string]int{"full": 3, "timed_out": 5}, c.Ended(), "those who waited already included")
		require.NoError(t, q.SetMaxSize(10))
		require.NoError(t, q.SetMaxTime(0))
		waits(c, q, 1)
		time.Sleep(time.Hour)
		job.Done()
		c.Wait()
		assert.Equal(t, map[string]int{"full": 3, "timed_out": 5, "granted": 1}, c.Ended())

		for _, bad := range []error{q.SetMaxSize(-2), q.SetMaxTime(-1), q.SetMaxTime(1000 * time.Hour * 24), q.SetAction(7), q.SetWeights(map[string]int{"a": 0})} {
			assert.ErrorIs(t, bad, penstock.ErrInvalid)
		}
		assert.Equal(t, 10, q.Config().MaxSize)
	})
}

func TestQ1_BadConfigurationsNameEachField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, err := Add(sys, "x", Config{Order: 9, Action: 9, MaxSize: -5, MaxTime: -1, CheckInterval: 1, Target: 1, Weights: map[string]int{"w": -1},
			Regulators: []Regulator{nil, Rate{PerSecond: -1}, Counter{Limit: -1, Increment: -1}, NamedCounter("", -1)}})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, field := range []string{"Order", "Action", "MaxSize", "MaxTime", "CheckInterval", "Target", `Weights["w"]`, "Regulators[0]", "Regulators[1]", "PerSecond", "Regulators[2]", "Limit", "Increment", "Regulators[3]"} {
			assert.ErrorContains(t, err, field)
		}
		for _, name := range []string{"", string(make([]byte, 513)), "\xff"} {
			_, err := Add(sys, name, Config{})
			assert.ErrorIs(t, err, penstock.ErrInvalid)
		}
		info, err := SystemInfoOf(sys)
		require.NoError(t, err)
		assert.Empty(t, info.Queues)
	})
}

// TestQ1_ChangesWhileEverythingMoves adds, changes and deletes queues whose regulators are shared while callers come, wait,
// give up and run: all are answered, and nothing stays in use.
func TestQ1_ChangesWhileEverythingMoves(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			sys := roomtest.System(t)
			require.NoError(t, AddCounter(sys, "shared", Counter{Limit: 3}))
			require.NoError(t, AddGroupRate(sys, "rate", Rate{PerSecond: 500}))
			cfg := Config{Regulators: []Regulator{NamedCounter("shared", 1), GroupRate("rate"), Counter{Limit: 2}}, MaxSize: 20}
			names := []string{"a", "b", "c"}
			for _, name := range names {
				addQueue(t, sys, name, cfg)
			}
			c := newCallers()
			var over atomic.Bool
			for i := range 30 {
				name := names[i%3]
				c.Call(func() error {
					for k := 0; !over.Load(); k++ {
						q, ok := Get(sys, name)
						if !ok {
							time.Sleep(time.Millisecond)
							continue
						}
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+(i*7+k*3)%40)*time.Millisecond)
						err := q.Run(ctx, Request{Cost: 1 + k%2, Nice: k % 3}, lasting(time.Duration((i+k)%9)*time.Millisecond))
						cancel()
						if end := ending(err); end == roomtest.Other || end == "invalid" {
							return err
						}
						if err != nil {
							time.Sleep(time.Millisecond)
						}
					}
					return nil
				})
			}
			for step := range 60 {
				time.Sleep(time.Duration(3+(step+int(seed))%5) * time.Millisecond)
				name := names[(step+int(seed))%3]
				q, there := Get(sys, name)
				switch (step*5 + int(seed)) % 6 {
				case 0:
					Delete(sys, name)
				case 1:
					require.NoError(t, SetCounter(sys, "shared", Counter{Limit: 2 + step%4}))
				case 2:
					require.NoError(t, SetGroupRate(sys, "rate", Rate{PerSecond: float64(200 + 100*(step%5))}))
				case 3:
					if there {
						require.NoError(t, q.SetRegulator("counter", Counter{Limit: 2 + step%3}))
					}
				case 4:
					if there {
						require.NoError(t, q.SetMaxSize(1+step%20))
						require.NoError(t, q.SetMaxTime(time.Duration(step)*time.Millisecond))
					}
				}
				if !there {
					addQueue(t, sys, name, cfg)
				}
			}
			over.Store(true)
			c.Wait()
			synctest.Wait()
			assert.Equal(t, map[string]int{"granted": 30}, c.Ended(), "%v", c.Strange())
			info, err := SystemInfoOf(sys)
			require.NoError(t, err)
			require.Len(t, info.Counters, 1)
			assert.Zero(t, info.Counters[0].Used)
			for _, q := range info.Queues {
				assert.Zero(t, q.Waiting, q.Name)
				assert.Zero(t, q.Running, q.Name)
				assert.Zero(t, q.Regulators[2].Used, q.Name)
			}
		})
	}
}

func TestQ2_AskWaitsAndDoneGivesBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 2}}})
		first, second := ask(t, q, Request{}), ask(t, q, Request{})
		assert.Same(t, q, first.Queue())
		assert.Nil(t, first.Info())
		third := make(chan *Job)
		go func() { third <- ask(t, q, Request{}) }()
		synctest.Wait()
		assert.Equal(t, 1, q.Info().Waiting)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(first.Done)
		}
		wg.Wait()
		first.Failed()
		j := <-third
		assert.Equal(t, 2, used(q, 0), "done many times counts once")
		j.Done()
		second.Failed()
		info := q.Info()
		assert.Zero(t, info.Regulators[0].Used)
		assert.Equal(t, []uint64{3, 3, 3, 1}, []uint64{info.Asked, info.Granted, info.Done, info.Failed})
	})
}

func TestQ2_WhoGivesUpHasTakenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}, Rate{PerSecond: 1}}})
		job := ask(t, q, Request{})
		start := time.Now()
		_, err := q.Ask(roomtest.Within(t, 10*time.Second), Request{})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `queue "test": gave up after waiting 10s`)
		assert.Equal(t, 10*time.Second, time.Since(start))
		_, err = q.Ask(roomtest.EndedContext(), Request{})
		assert.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		assert.Zero(t, q.Info().Waiting)
		job.Done()
		ask(t, q, Request{}).Done()
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestQ2_BadRequestsAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 5, Increment: 2}}})
		for _, r := range []Request{{Nice: -21}, {Nice: 20}, {Cost: -1}, {Cost: 1_000_001}, {Flow: string(make([]byte, 513))}, {Flow: "\xff"}, {Cost: 3}} {
			_, err := q.Ask(context.Background(), r)
			assert.ErrorIs(t, err, penstock.ErrInvalid, "%+v", r)
		}
		ask(t, q, Request{Cost: 2}).Done()
		assert.ErrorIs(t, q.Run(context.Background(), Request{}, nil), penstock.ErrInvalid)
		assert.Zero(t, used(q, 0))
	})
}

// TestQ2_AJobThatIsDroppedComesBack waits for the garbage collector, so not in a bubble.
func TestQ2_AJobThatIsDroppedComesBack(t *testing.T) {
	q := newQueue(t, Config{Regulators: one()})
	drop := func() { ask(t, q, Request{}) }
	drop()
	require.Equal(t, 1, used(q, 0))
	granted := make(chan *Job)
	go func() { // it is served as soon as the job is back
		j, err := q.Ask(context.Background(), Request{})
		assert.NoError(t, err)
		granted <- j
	}()
	for {
		runtime.GC()
		select {
		case j := <-granted:
			j.Done()
			assert.Zero(t, used(q, 0))
			assert.EqualValues(t, 2, q.Info().Done)
			return
		default:
			runtime.Gosched()
		}
	}
}

// TestQ2_AJobThatIsHeldOrDoneIsNotGivenBackByTheCollector is the other side.
func TestQ2_AJobThatIsHeldOrDoneIsNotGivenBackByTheCollector(t *testing.T) {
	q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1000}}})
	held := ask(t, q, Request{})
	func() {
		for range 100 {
			ask(t, q, Request{}).Done()
		}
	}()
	collected := make(chan struct{})
	dropped := new([64]byte)
	runtime.AddCleanup(dropped, func(struct{}) { close(collected) }, struct{}{})
	dropped = nil
	for over := false; !over; {
		runtime.GC()
		select {
		case <-collected:
			over = true
		default:
			runtime.Gosched()
		}
	}
	assert.Equal(t, 1, used(q, 0))
	assert.EqualValues(t, 100, q.Info().Done)
	held.Done()
	assert.Zero(t, used(q, 0))
}

func TestQ3_RunGivesBackWhateverBecomesOfTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one()})
		ctx := context.Background()
		boom := errors.New("boom")
		running := func(err error) func(context.Context) error {
			return func(context.Context) error { assert.Equal(t, 1, used(q, 0)); return err }
		}
		assert.NoError(t, q.Run(ctx, Request{}, running(nil)))
		assert.Same(t, boom, q.Run(ctx, Request{}, running(boom)))
		err := q.Run(ctx, Request{}, func(context.Context) error { panic(boom) })
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.Equal(t, boom, panicked.Value)
		assert.Contains(t, string(panicked.Stack), "TestQ3")
		var wg sync.WaitGroup
		wg.Go(func() { _ = q.Run(ctx, Request{}, func(context.Context) error { runtime.Goexit(); return nil }) })
		wg.Wait()
		assert.Zero(t, used(q, 0))
		n, err := Do(ctx, q, Request{}, func(context.Context) (int, error) { return 7, boom })
		assert.Equal(t, 7, n)
		assert.Same(t, boom, err)
		_, err = Do(ctx, q, Request{}, func(context.Context) (int, error) { panic(1) })
		assert.ErrorAs(t, err, &panicked)
		info := q.Info()
		assert.Zero(t, info.Running)
		assert.Zero(t, info.Regulators[0].Used)
		assert.EqualValues(t, 6, info.Done)
	})
}

func TestQ3_TheFunctionMayTakeTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), Stateful: NewStateful(0, func(n int, _ Request) (int, any) { return n + 1, n }, nil)})
		for i := range 3 {
			err := q.RunJob(context.Background(), Request{}, func(_ context.Context, j *Job) error {
				assert.Equal(t, i, j.Info())
				assert.Same(t, q, j.Queue())
				j.Done() // it is not the function's to give back: that is Run's
				assert.Equal(t, 1, used(q, 0))
				return nil
			})
			require.NoError(t, err)
			assert.Zero(t, used(q, 0))
		}
		err := q.RunJob(context.Background(), Request{}, func(context.Context, *Job) error { panic("no") })
		var panicked *penstock.PanicError
		assert.ErrorAs(t, err, &panicked)
		assert.Zero(t, used(q, 0))
		assert.ErrorIs(t, q.RunJob(context.Background(), Request{}, nil), penstock.ErrInvalid)
	})
}
