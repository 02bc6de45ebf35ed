package batch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestG5_AKeyHasSoManyThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxWaiting, cfg.MinDuration, cfg.MaxDuration = 10, time.Second, time.Hour
		p := newProcessor(t, cfg)
		begin := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		var answers []chan error
		for i := range 10 {
			if i == 3 || i == 9 {
				startIn(ctx, p, "a", note(100))
			} else {
				answers = append(answers, start(p, "a", note(i)))
			}
		}
		synctest.Wait()
		err := p.Run(context.Background(), "a", note(10))
		require.ErrorIs(t, err, penstock.ErrFull)
		require.ErrorContains(t, err, "10 operations wait at key a")
		_, err = Do(context.Background(), p, "a", noteAnd(10, nil))
		require.ErrorIs(t, err, penstock.ErrFull)
		require.Zero(t, time.Since(begin), "at once")
		require.EqualValues(t, 2, p.Info().Refused)
		answers = append(answers, start(p, "b", note(1))) // another key has its own
		cancel()
		synctest.Wait()
		for i := range 2 {
			answers = append(answers, start(p, "a", note(11+i)))
		}
		synctest.Wait()
		require.ErrorIs(t, p.Run(context.Background(), "a", note(13)), penstock.ErrFull, "those that gave up made room for two")
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		require.Len(t, d.stored("a"), 10)
		require.NotContains(t, d.stored("a"), 100)
		must(t, p, "a", note(14))
	})
}

func TestG5_ThereAreSoManyInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxPending = 10
		p := newProcessor(t, cfg)
		begin := time.Now()
		var answers []chan error
		for i := range 10 {
			answers = append(answers, start(p, fmt.Sprint(i%3), note(i)))
		}
		synctest.Wait()
		for _, key := range []string{"0", "new"} {
			err := p.Run(context.Background(), key, note(10))
			require.ErrorIs(t, err, penstock.ErrFull)
			require.ErrorContains(t, err, "there are 10 operations")
		}
		require.Zero(t, time.Since(begin))
		require.Equal(t, 10, p.Info().Pending)
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		must(t, p, "new", note(1))
		require.EqualValues(t, 2, p.Info().Refused)
		requireNobody(t, p)
	})
}

func TestG5_ThereAreSoManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxKeys = 3
		p := newProcessor(t, cfg)
		begin := time.Now()
		var answers []chan error
		for i := range 6 {
			answers = append(answers, start(p, fmt.Sprint(i%3), note(i)))
		}
		synctest.Wait()
		err := p.Run(context.Background(), "new", note(1))
		require.ErrorIs(t, err, penstock.ErrFull)
		require.ErrorContains(t, err, "3")
		require.Zero(t, time.Since(begin))
		require.Equal(t, Info{Keys: 3, Pending: 6, Refused: 1}, p.Info())
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		time.Sleep(time.Minute)
		require.Zero(t, p.Info().Keys, "idle keys are put away")
		must(t, p, "new", note(1))
		must(t, p, "0", note(1))
	})
}

// TestG5_BoundsAreExact has many come at once.
func TestG5_BoundsAreExact(t *testing.T) {
	b := newBlocker()
	d := new(table)
	cfg := d.config()
	cfg.MaxPending, cfg.MaxWaiting, cfg.MaxDuration, cfg.MinDuration = 100, 60, time.Hour, NoWait
	d.beforeLoad = func(context.Context, string) error { b.block(); return nil }
	p := newProcessor(t, cfg)
	var refused atomic.Int64
	all := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			if err := p.Run(context.Background(), fmt.Sprint(i%4), note(i)); err != nil {
				require.ErrorIs(t, err, penstock.ErrFull)
				if refused.Add(1) == 400 {
					close(all)
				}
			}
		})
	}
	<-all
	require.Equal(t, 100, p.Info().Pending)
	close(b.release)
	wg.Wait()
	require.EqualValues(t, 400, refused.Load())
	require.EqualValues(t, 400, p.Info().Refused)
}

// TestG5_ManyKeysComeAndGo puts keys away while others come back to them.
func TestG5_ManyKeysComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.Idle, cfg.MinDuration = 2*time.Millisecond, NoWait
		sys := roomtest.System(t)
		p, err := NewProcessor(sys, "test", cfg)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for j := range 50 {
					must(t, p, fmt.Sprint(j%7), note(i))
					time.Sleep(time.Duration((i*j)%9) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		total := 0
		for j := range 7 {
			total += len(d.stored(fmt.Sprint(j)))
		}
		require.Equal(t, 1000, total)
		time.Sleep(time.Minute)
		require.Zero(t, p.Info().Keys)
		require.NotZero(t, sys.Info().Tree.Passivated)
	})
}

// TestG9_AKeyAtWorkIsNotPutAway although its actor has had nothing to do for long: two batches of a key would run at once. Where
// there is a Load, what it loaded keeps the key too.
func TestG9_AKeyAtWorkIsNotPutAway(t *testing.T) {
	for _, loads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := Config[string, int]{Idle: 2 * time.Millisecond, MinDuration: NoWait, MaxDuration: time.Hour}
			if loads {
				cfg.Load = func(context.Context, string) (int, error) { return 0, nil }
			}
			saving := 0
			cfg.Save = func(context.Context, string, int) error {
				saving++
				require.Equal(t, 1, saving)
				time.Sleep(time.Second)
				saving--
				return nil
			}
			p := newProcessor(t, cfg)
			var answers []chan error
			for range 10 {
				answers = append(answers, start(p, "a", func(int) {}))
				time.Sleep(300 * time.Millisecond)
				require.Equal(t, 1, p.Info().Keys)
			}
			for _, answer := range answers {
				require.NoError(t, <-answer)
			}
			time.Sleep(time.Second)
			require.Zero(t, p.Info().Keys)
		})
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := new(table)
		p, err := NewProcessor(sys, "a", d.config())
		require.NoError(t, err)
		_, err = NewProcessor(sys, "a", Config[int, int]{})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, `"a"`)
		must(t, p, "x", note(1))
		require.NoError(t, p.Close(context.Background()))
		again, err := NewProcessor(sys, "a", d.config())
		require.NoError(t, err, "the name is free again")
		must(t, again, "x", note(2))
		require.Equal(t, []int{1, 2}, d.stored("x"))
	})
}
