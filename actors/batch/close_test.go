package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestCloseAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // before use, and twice
		p := newProcessor(t, new(table).config())
		require.NoError(t, p.Close(context.Background()))
		require.NoError(t, p.Close(roomtest.EndedContext()), "it has been closed")
		require.Zero(t, p.Info())
	})
	synctest.Test(t, func(t *testing.T) { // by its system, and from several sides
		sys := roomtest.System(t)
		d := new(table)
		p, err := NewProcessor(sys, "test", d.config())
		require.NoError(t, err)
		answer := start(p, "a", note(1))
		synctest.Wait()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { require.NoError(t, p.Close(context.Background())) })
			wg.Go(func() { require.NoError(t, sys.Close(context.Background())) })
		}
		wg.Wait()
		require.NoError(t, <-answer)
		require.Equal(t, []int{1}, d.stored("a"))
		_, err = NewProcessor(sys, "late", d.config())
		require.ErrorIs(t, err, penstock.ErrClosed)
	})
}

// TestG4_CloseUnderLoad ends although callers never stop, and what was taken in is saved.
func TestG4_CloseUnderLoad(t *testing.T) {
	for _, wait := range []time.Duration{0, NoWait} {
		synctest.Test(t, func(t *testing.T) {
			d := new(table)
			cfg := d.config()
			cfg.MinDuration = wait
			d.beforeSave = func(context.Context, string) error { time.Sleep(time.Millisecond); return nil }
			p := newProcessor(t, cfg)
			var wg sync.WaitGroup
			var saved [20][]int
			for i := range saved {
				wg.Go(func() {
					for n := 0; ; n++ {
						err := p.Run(context.Background(), fmt.Sprint(i%3), note(i*1_000_000+n))
						if errors.Is(err, penstock.ErrClosed) {
							return
						}
						require.NoError(t, err)
						saved[i] = append(saved[i], i*1_000_000+n)
					}
				})
			}
			time.Sleep(250 * time.Millisecond)
			require.NoError(t, p.Close(roomtest.Within(t, time.Minute)))
			wg.Wait()
			total := 0
			for i, list := range saved {
				require.Subset(t, d.stored(fmt.Sprint(i%3)), list)
				total += len(list)
			}
			require.Equal(t, total, len(d.stored("0"))+len(d.stored("1"))+len(d.stored("2")), "and nothing else")
		})
	}
}

// TestG4_CloseThatIsOutOfTimeAnswersEverybody has a Save that hangs, and others that wait for it.
func TestG4_CloseThatIsOutOfTimeAnswersEverybody(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d, b := new(table), newBlocker()
			cfg := d.config()
			cfg.MinDuration, cfg.MaxDuration, cfg.Shards = NoWait, time.Hour, 2
			d.beforeSave = func(ctx context.Context, key string) error {
				if deaf {
					b.block()
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}
			p := newProcessor(t, cfg)
			var answers []chan error
			for i := range 12 {
				answers = append(answers, start(p, fmt.Sprint(i%4), note(i)))
				synctest.Wait()
			}
			begin := time.Now()
			err := p.Close(roomtest.Within(t, time.Second))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "before 12 operations were saved")
			require.Equal(t, time.Second, since(begin))
			open := 0
			for _, answer := range answers {
				err := <-answer
				require.ErrorIs(t, err, penstock.ErrClosed)
				if errors.Is(err, cluster.ErrUnknown) {
					open++
				}
			}
			require.Equal(t, 2, open, "two shards were saving, and what they save may be stored")
			require.ErrorIs(t, p.Run(context.Background(), "0", note(1)), penstock.ErrClosed)
			require.ErrorIs(t, p.Close(context.Background()), context.DeadlineExceeded, "a second call tells the same")
			close(b.release)
			synctest.Wait()
			for i := range 4 {
				if !deaf || i >= 2 {
					require.Empty(t, d.stored(fmt.Sprint(i)))
				}
			}
		})
	}
}

// TestG4_CloseOutwaitsWhatIsStuck: without a deadline it ends when those who wait have been told.
func TestG4_CloseOutwaitsWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		d.beforeSave = func(context.Context, string) error { b.block(); return nil }
		p := newProcessor(t, d.config())
		answer := start(p, "a", note(1))
		<-b.started
		require.NoError(t, p.Close(context.Background()))
		var stuck *StuckError
		require.ErrorAs(t, <-answer, &stuck)
		close(b.release)
	})
}

// TestG4_CloseWhileABatchWaitsToBeRunAgain does not wait for its pause.
func TestG4_CloseWhileABatchWaitsToBeRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.conflicts(3)
		cfg := d.config()
		cfg.Backoff, cfg.MaxDuration = time.Hour, 100*time.Hour
		p := newProcessor(t, cfg)
		answer := start(p, "a", note(1))
		time.Sleep(time.Second)
		begin := time.Now()
		require.NoError(t, p.Close(context.Background()))
		require.Zero(t, time.Since(begin))
		require.NoError(t, <-answer)
		require.Equal(t, []int{102, 101, 100, 1}, d.stored("a"))
	})
}

// TestG6_NothingIsLeft is in real time: a bubble would end with its test.
func TestG6_NothingIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	sys, err := penstock.New()
	require.NoError(t, err)
	d := new(table)
	cfg := d.config()
	cfg.MinDuration = time.Millisecond
	p, err := NewProcessor(sys, "test", cfg)
	require.NoError(t, err)
	var wg sync.WaitGroup
	var done atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			must(t, p, fmt.Sprint(i%9), note(i))
			_ = p.Run(roomtest.Within(t, time.Microsecond), fmt.Sprint(i%9), note(i))
			done.Add(1)
		})
	}
	wg.Wait()
	require.NoError(t, sys.Close(context.Background()))
	require.EqualValues(t, 50, done.Load())
	require.Zero(t, p.Info().Pending)
	require.Zero(t, p.Info().Keys)
}

// TestG6_NothingIsLeftOfAProcessorThatWasNot started because its name was taken or its system was closed.
func TestG6_NothingIsLeftOfAProcessorThatWasNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, err := NewProcessor(sys, "test", new(table).config())
		require.NoError(t, err)
		for range 3 {
			_, err = NewProcessor(sys, "test", new(table).config())
			require.ErrorIs(t, err, penstock.ErrInvalid)
		}
		require.NoError(t, sys.Close(context.Background()))
		_, err = NewProcessor(sys, "other", new(table).config())
		require.ErrorIs(t, err, penstock.ErrClosed)
		for _, family := range sys.Info().Tree.Families {
			require.ErrorIs(t, family.Err, penstock.ErrClosed)
		}
	})
}
