package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// six are pools composed in every way: a chain of three, two that share its middle, and one with a choice.
func six(t testing.TB, sys *penstock.System, waiting int) []*Pool {
	top := addPool(t, sys, "top", Config{MaxWorkers: 40, MaxMemory: 400})
	middle := addPool(t, sys, "middle", Config{MaxWorkers: 30, MaxMemory: 300, DelegateTo: top})
	a := addPool(t, sys, "a", Config{MaxWorkers: 20, MaxMemory: 150, MaxWaiting: waiting, MaxWait: 5 * time.Second, DelegateTo: middle})
	b := addPool(t, sys, "b", Config{MaxWorkers: 20, MaxMemory: 200, MaxWaiting: waiting, DelegateTo: middle})
	spare := addPool(t, sys, "spare", Config{MaxWorkers: 5, MaxMemory: 100})
	choice := addPool(t, sys, "choice", Config{MaxWorkers: 25, MaxMemory: 400, MaxWaiting: waiting, Delegate: func(param any) []*Pool {
		if param == nil {
			return []*Pool{spare, a}
		}
		return []*Pool{top, spare}
	}})
	return []*Pool{top, middle, a, b, spare, choice}
}

// ends are functions that end in every way.
var ends = []func(context.Context) (int, error){
	one,
	func(context.Context) (int, error) { return 0, errOwn },
	func(context.Context) (int, error) { panic("boom") },
	func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
	obedient,
	func(ctx context.Context) (int, error) { // deaf for a while
		<-ctx.Done()
		time.Sleep(150 * time.Millisecond)
		return 0, nil
	},
	func(context.Context) (int, error) {
		time.Sleep(10 * time.Millisecond)
		return 1, nil
	},
}

// 10,000 jobs end in every way that there is, while pools' actors crash, jobs are killed and pools flushed: everybody is
// answered once, no pool ever holds more than it may, and all of it comes back.
func TestG10_AllComesBackWhateverTheEnding(t *testing.T) {
	jobs, each := 10_000, 50
	if testing.Short() {
		jobs = 500
	}
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		pools := six(t, sys, 100)
		callers := roomtest.Callers{Ending: ending}
		var crew sync.WaitGroup
		for i := range jobs / each {
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			crew.Go(func() {
				for range each {
					p := pools[rnd.IntN(len(pools))]
					task := Task{Name: string('a' + rune(rnd.IntN(5))), MaxTime: time.Duration(1+rnd.IntN(900)) * time.Millisecond, MaxMemory: int64(1 + rnd.IntN(30)), Nice: rnd.IntN(5) - 2}
					if rnd.IntN(2) == 0 {
						task.Param = "top"
					}
					callers.Note(oneOf(rnd, p, task))
				}
			})
		}
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			rnd := rand.New(rand.NewPCG(1, 2))
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				for _, p := range pools {
					i := p.Info()
					require.LessOrEqual(t, i.Workers, i.MaxWorkers, p.name)
					require.LessOrEqual(t, i.Memory, i.MaxMemory, p.name)
				}
				switch p := pools[rnd.IntN(len(pools))]; rnd.IntN(20) {
				case 0:
					p.Flush(nil)
				case 1:
					p.Kill("a", errOwn)
				case 2, 3:
					crash(p)
				}
			}
		})
		crew.Wait()
		close(stop)
		others.Wait()
		time.Sleep(time.Second) // the deaf return
		synctest.Wait()
		require.Equal(t, jobs, callers.Total(), "everybody is answered once")
		require.Empty(t, callers.Strange())
		for _, end := range []string{"value", "error", "panic", "goexit", "timed out", "killed", "gave up", "no_workers", "no_memory"} {
			require.NotZero(t, callers.Ended()[end], "nobody ended by: %s", end)
		}
		requireEmpty(t, pools...)
		var counted uint64
		for _, p := range pools {
			i := p.Info()
			counted += i.Succeeded + i.Failed + i.Panicked + i.TimedOut + i.Killed + i.GaveUp
			for _, n := range i.Rejected {
				counted += n
			}
		}
		require.EqualValues(t, jobs, counted, "and counted once")
	})
}

// oneOf makes a call of one kind or another.
func oneOf(rnd *rand.Rand, p *Pool, task Task) error {
	fn := ends[rnd.IntN(len(ends))]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rnd.IntN(5) == 0 {
		time.AfterFunc(time.Duration(rnd.IntN(300))*time.Millisecond, cancel)
	}
	if rnd.IntN(3) > 0 {
		_, err := Run(ctx, p, task, fn)
		return err
	}
	f, err := Async(ctx, p, task, fn)
	if err != nil {
		return err
	}
	if rnd.IntN(4) == 0 {
		f.Kill(nil)
	}
	_, err = await(f)
	return err
}

// The same in real time, with goroutines that really meet.
func TestG12_EverythingAtOnce(t *testing.T) {
	sys := roomtest.System(t)
	pools := six(t, sys, 100)
	callers := roomtest.Callers{Ending: ending}
	var crew sync.WaitGroup
	for i := range 16 {
		rnd := rand.New(rand.NewPCG(uint64(i), 3))
		crew.Go(func() {
			for range 100 {
				p := pools[rnd.IntN(len(pools))]
				task := Task{MaxTime: time.Duration(1+rnd.IntN(10)) * time.Millisecond, MaxMemory: int64(1 + rnd.IntN(30))}
				fn := ends[rnd.IntN(5)]
				_, err := Run(context.Background(), p, task, fn)
				callers.Note(err)
				switch rnd.IntN(20) {
				case 0:
					p.Info()
				case 1:
					p.Flush(nil)
				case 2:
					crash(p)
				case 3:
					_ = p.SetMaxWorkers(10 + rnd.IntN(10))
				}
			}
		})
	}
	crew.Wait()
	require.Equal(t, 1600, callers.Total())
	require.Empty(t, callers.Strange())
	for _, p := range pools {
		require.NoError(t, p.Drain(context.Background()))
	}
	requireEmpty(t, pools...)
}

func TestG4_WhoWaitsIsServedThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 50}, roomtest.Deterministic())
		b := newBlocker()
		async(t, p, Task{}, b.run)
		var futures []*Future[int]
		for range 50 {
			futures = append(futures, async(t, p, Task{}, one))
		}
		crash(p)
		close(b.release)
		for _, f := range futures {
			_, err := await(f)
			require.NoError(t, err)
		}
		requireEmpty(t, p)
	})
}

func TestG4_CloseLetsThoseWhoWaitHaveTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		pools := six(t, sys, 100)
		b := newBlocker()
		var futures []*Future[int]
		for range 60 {
			futures = append(futures, async(t, pools[2], Task{MaxMemory: 1}, func(ctx context.Context) (int, error) {
				select {
				case <-b.release:
				case <-time.After(time.Second):
				}
				return 1, nil
			}))
		}
		require.NoError(t, sys.Close(context.Background()))
		for _, f := range futures {
			_, err := await(f)
			require.NoError(t, err)
		}
		requireEmpty(t, pools...)
		_, err := Run(context.Background(), pools[0], Task{}, one)
		require.Equal(t, Closed, reason(t, err))
		require.ErrorIs(t, err, penstock.ErrClosed)
		require.ErrorIs(t, pools[0].SetMaxWorkers(1), penstock.ErrClosed)
	})
}

// A shared pool that is closed serves those who wait below it, and have not come up to it yet.
func TestG4_AClosingPoolAwaitsThoseBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		shared := addPool(t, sys, "shared", Config{})
		mine := addPool(t, sys, "mine", Config{MaxWorkers: 1, MaxWaiting: 5, DelegateTo: shared})
		b := newBlocker()
		async(t, mine, Task{}, b.run)
		waits := async(t, mine, Task{}, one)
		drained := make(chan error, 1)
		go func() { drained <- mine.Drain(context.Background()) }()
		synctest.Wait()
		close(b.release)
		require.NoError(t, <-drained)
		closed := make(chan error, 1)
		go func() { closed <- shared.Close(context.Background()) }()
		synctest.Wait()
		require.Empty(t, closed, "somebody will need it")
		mine.Resume()
		n, err := await(waits)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, <-closed)
		requireEmpty(t, mine, shared)
	})
}

func TestG4_CloseCutsShortWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 5})
		runs, waits := async(t, p, Task{}, obedient), async(t, p, Task{}, one)
		err := p.Close(roomtest.Within(t, time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "2 tasks were cut short")
		_, err = await(runs)
		require.Equal(t, "killed", ending(err))
		require.ErrorIs(t, err, penstock.ErrClosed)
		_, err = await(waits)
		require.Equal(t, Closed, reason(t, err))
		requireEmpty(t, p)
		require.Error(t, p.Close(context.Background()), "a second call tells the same")
		require.Zero(t, p.Flush(nil), "and a kill finds nothing")
	})
}

func TestG6_CloseNamesWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{})
		b := newBlocker()
		f := async(t, p, Task{MaxTime: time.Hour}, b.run)
		err := p.Close(roomtest.Within(t, time.Second))
		require.ErrorIs(t, err, ErrStuck)
		require.ErrorContains(t, err, "1 functions ignore")
		_, err = await(f)
		require.Equal(t, "killed", ending(err))
		close(b.release)
		synctest.Wait()
		requireEmpty(t, p)
	})
}

// A pool that is closed below or above another leaves the rest of them as they were.
func TestG10_PoolsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		shared := addPool(t, sys, "shared", Config{MaxWorkers: 4})
		for range 20 {
			customer := addPool(t, sys, "customer", Config{DelegateTo: shared, MaxWaiting: 5})
			b := newBlocker()
			stuck := async(t, customer, Task{}, b.run)
			fine := async(t, customer, Task{}, one)
			_, err := await(fine)
			require.NoError(t, err)
			require.ErrorIs(t, customer.Close(roomtest.Within(t, time.Second)), ErrStuck)
			_, err = await(stuck)
			require.Equal(t, "killed", ending(err))
			require.Equal(t, 1, shared.Info().Workers, "the stuck function still holds what it took")
			close(b.release)
			synctest.Wait()
			requireEmpty(t, customer, shared)
		}
		require.Len(t, shared.gate().group.Load().members, 1, "nothing is remembered of those that went")
		customer := addPool(t, sys, "customer", Config{DelegateTo: shared, MaxWaiting: 5})
		holds := async(t, customer, Task{}, obedient)
		require.ErrorIs(t, shared.Close(roomtest.Within(t, time.Second)), context.DeadlineExceeded)
		_, err := await(holds)
		require.ErrorIs(t, err, penstock.ErrClosed)
		_, err = Run(context.Background(), customer, Task{}, one)
		require.Equal(t, Closed, reason(t, err))
		requireEmpty(t, customer, shared)
	})
}

func TestP12_ACircleOfDelegatesIsAnError(t *testing.T) {
	sys := roomtest.System(t)
	var a, b *Pool
	a = addPool(t, sys, "a", Config{Delegate: func(any) []*Pool { return []*Pool{b} }})
	b = addPool(t, sys, "b", Config{DelegateTo: a})
	for _, p := range []*Pool{a, b} {
		_, err := Run(context.Background(), p, Task{}, one)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, "→")
	}
	many := addPool(t, sys, "many", Config{Delegate: func(any) []*Pool { panic("lost") }})
	_, err := Run(context.Background(), many, Task{}, one)
	require.Equal(t, "panic", ending(err))
	own := addPool(t, roomtest.System(t), "elsewhere", Config{})
	foreign := addPool(t, sys, "foreign", Config{Delegate: func(any) []*Pool { return []*Pool{own} }})
	_, err = Run(context.Background(), foreign, Task{}, one)
	require.ErrorContains(t, err, "another system")
	wide := addPool(t, sys, "wide", Config{Delegate: func(any) []*Pool {
		pools := make([]*Pool, maxRoutes+1)
		for i := range pools {
			pools[i] = addPoolNamed(t, sys, i)
		}
		return pools
	}})
	_, err = Run(context.Background(), wide, Task{}, one)
	require.ErrorContains(t, err, "ways up")
	requireEmpty(t, a, b, many, foreign, wide)
}

// addPoolNamed finds or makes a pool by a number.
func addPoolNamed(t testing.TB, sys *penstock.System, n int) *Pool {
	name := "n" + string('0'+rune(n%8))
	if p, ok := Get(sys, name); ok {
		return p
	}
	return addPool(t, sys, name, Config{})
}

func TestG6_NothingIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	sys, err := penstock.New()
	require.NoError(t, err)
	pools := six(t, sys, 10)
	for range 100 {
		for _, p := range pools {
			_, _ = Run(context.Background(), p, Task{MaxMemory: 1}, one)
		}
	}
	require.NoError(t, sys.Close(context.Background()))
	_, err = New(sys, "late", Config{})
	require.ErrorIs(t, err, penstock.ErrClosed)
}

func TestG6_CloseInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		pools := six(t, sys, 10)
		var wg sync.WaitGroup
		for _, p := range pools {
			wg.Go(func() { require.NoError(t, p.Close(context.Background())) })
			wg.Go(func() {
				for range 20 {
					_, err := Run(context.Background(), p, Task{MaxMemory: 1}, one)
					if err != nil && !errors.Is(err, penstock.ErrClosed) && !errors.Is(err, penstock.ErrFull) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, sys.Close(context.Background()))
		requireEmpty(t, pools...)
	})
}
