package batch

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestK1_EveryOptionIsOptional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcessor(t, Config[int, *ledger]{})
		begin := time.Now()
		var given *ledger
		given = new(ledger)
		must(t, p, 7, func(l *ledger) { given = l })
		require.Nil(t, given, "without a Load it is the zero value")
		require.Equal(t, 100*time.Millisecond, since(begin))
		n, err := Do(context.Background(), newProcessor(t, Config[string, int]{}), "a", func(n int) (int, error) { return n + 1, nil })
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, p.Close(context.Background()))
	})
}

func TestK2_RunJoinsABatchOrStartsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i%90) * time.Millisecond)
				must(t, p, "a", note(i))
				require.Equal(t, 100*time.Millisecond, since(begin), "all return when the batch ended")
				require.Contains(t, d.stored("a"), i, "after the save that holds its change")
			})
		}
		wg.Go(func() { must(t, p, "b", note(1)) })
		wg.Wait()
		require.Len(t, d.stored("a"), 100)
		require.ElementsMatch(t, []string{"a", "b"}, d.loads)
		require.ElementsMatch(t, []string{"a", "b"}, d.saves)
		time.Sleep(time.Second)
		begin = time.Now()
		must(t, p, "a", note(100))
		require.Equal(t, 100*time.Millisecond, since(begin), "there was no batch, so one was started")
		loads, saves := d.counts()
		require.Equal(t, [2]int{3, 3}, [2]int{loads, saves})
	})
}

func TestK3_ABatchCollectsForMinDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		cfg := d.config()
		cfg.MinDuration, cfg.MaxDuration = 50*time.Millisecond, time.Hour
		d.beforeSave = func(context.Context, string) error {
			if len(d.saves) == 0 {
				b.block()
			}
			return nil
		}
		p := newProcessor(t, cfg)
		begin := time.Now()
		first := start(p, "a", note(1))
		time.Sleep(49 * time.Millisecond)
		second := start(p, "a", note(2))
		<-b.started
		require.Equal(t, 50*time.Millisecond, since(begin))
		third := start(p, "a", note(3))
		synctest.Wait()
		close(b.release)
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.Equal(t, []int{1, 2}, d.stored("a"), "no operation joins once it is being saved")
		require.Empty(t, third)
		require.NoError(t, <-third)
		require.Equal(t, 100*time.Millisecond, since(begin), "the next batch has its own time, from its first operation")
		require.Equal(t, []int{1, 2, 3}, d.stored("a"))
	})
}

// TestK3_TheTimeOfALateBatchIsNotWaitedForAgain has operations come during a save that takes longer than MinDuration.
func TestK3_TheTimeOfALateBatchIsNotWaitedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxDuration = time.Minute
		d.beforeSave = func(context.Context, string) error { time.Sleep(time.Second); return nil }
		p := newProcessor(t, cfg)
		begin := time.Now()
		first := start(p, "a", note(1))
		time.Sleep(200 * time.Millisecond)
		second := start(p, "a", note(2))
		require.NoError(t, <-first)
		require.Equal(t, 1100*time.Millisecond, since(begin))
		require.NoError(t, <-second)
		require.Equal(t, 2100*time.Millisecond, since(begin))
	})
}

func TestK3_ABatchThatIsFullIsSavedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MinDuration, cfg.MaxOperations = time.Hour, 10
		p := newProcessor(t, cfg)
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() { must(t, p, "a", note(i)) })
		}
		wg.Wait()
		require.Zero(t, time.Since(begin))
		require.Len(t, d.stored("a"), 30)
		_, saves := d.counts()
		require.Equal(t, 3, saves)
		for i := range 9 {
			wg.Go(func() { must(t, p, "a", note(30+i)) })
		}
		synctest.Wait()
		require.Len(t, d.stored("a"), 30, "nine are not ten")
		gone, cancel := context.WithCancel(context.Background())
		cancelled := startIn(gone, p, "b", note(1))
		for i := range 8 {
			wg.Go(func() { must(t, p, "b", note(2+i)) })
		}
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-cancelled, ErrCancelled)
		wg.Go(func() { must(t, p, "b", note(10)) })
		synctest.Wait()
		require.Empty(t, d.stored("b"), "one that was cancelled is not counted")
		wg.Go(func() { must(t, p, "b", note(11)) })
		wg.Go(func() { must(t, p, "a", note(40)) })
		wg.Wait()
		require.Zero(t, time.Since(begin))
		require.Len(t, d.stored("a"), 40)
		require.Len(t, d.stored("b"), 10)
	})
}

// TestK3_OperationsCancelledWhileTheyRunAreNotCountedWithThoseThatWait cancels some of a batch that is in line for its shard.
func TestK3_OperationsCancelledWhileTheyRunAreNotCountedWithThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		cfg := d.config()
		cfg.MinDuration, cfg.MaxDuration, cfg.MaxOperations, cfg.Shards, cfg.MaxWaiting = time.Minute, time.Hour, 4, 1, 4
		p := newProcessor(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		begin := time.Now()
		var answers []chan error
		answers = append(answers, start(p, "a", func(*ledger) { b.block() }))
		synctest.Wait()
		for i := range 3 {
			answers = append(answers, startIn(ctx, p, "a", note(i)))
		}
		<-b.started // the batch is full, and its first operation runs
		var next []chan error
		for i := range 3 {
			next = append(next, start(p, "a", note(10+i)))
		}
		synctest.Wait()
		cancel() // three that the batch has
		synctest.Wait()
		for _, answer := range answers[1:] {
			require.ErrorIs(t, <-answer, ErrCancelled)
		}
		next = append(next, start(p, "a", note(13)))
		synctest.Wait()
		require.ErrorIs(t, p.Run(context.Background(), "a", note(14)), penstock.ErrFull, "four wait, as many as may")
		close(b.release)
		require.NoError(t, <-answers[0])
		for _, answer := range next {
			require.NoError(t, <-answer)
		}
		require.Zero(t, time.Since(begin), "four were there, so nothing was waited for")
		require.ElementsMatch(t, []int{10, 11, 12, 13}, d.stored("a"))
	})
}

func TestK3_ABatchThatIsLargeIsSavedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		sizes := 0
		cfg.MaxBytes, cfg.Size = 10, func(l *ledger) int64 { sizes++; return int64(len(l.done)) * 3 }
		var batches [][]int
		d.beforeLoad = func(context.Context, string) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.rows = nil // each batch begins with an empty resource
			return nil
		}
		d.blind = true
		d.afterSave = func(string) error { batches = append(batches, d.stored("a")); return nil }
		p := newProcessor(t, cfg)
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { must(t, p, "a", note(i)) })
			synctest.Wait()
		}
		wg.Wait()
		require.Equal(t, [][]int{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}, batches, "12 bytes are 10 or more")
		require.Equal(t, 10, sizes)
		require.GreaterOrEqual(t, since(begin), 100*time.Millisecond)
	})
}

func TestK3_WithNoWaitAnIdleKeyIsSavedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MinDuration = NoWait
		d.beforeSave = func(context.Context, string) error { time.Sleep(time.Second); return nil }
		p := newProcessor(t, cfg)
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { must(t, p, "a", note(0)); require.Equal(t, time.Second, since(begin)) })
		for i := range 50 { // group commit: what comes during a save is in the next
			wg.Go(func() {
				time.Sleep(time.Duration(1+i) * 10 * time.Millisecond)
				must(t, p, "a", note(1+i))
				require.Equal(t, 2*time.Second, since(begin))
			})
		}
		wg.Wait()
		require.Len(t, d.saves, 2)
		require.Len(t, d.stored("a"), 51)
		require.True(t, slices.IsSorted(d.stored("a")))
	})
}

func TestK4_LoadAndSaveHaveUntilMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ min, max, want time.Duration }{{0, 0, 200}, {300, 0, 600}, {300, 300, 300}, {100, 900, 900}, {NoWait, 0, 5000}, {NoWait, 50, 50}} {
			d := new(table)
			cfg := d.config()
			cfg.MinDuration, cfg.MaxDuration = c.min, c.max*time.Millisecond
			if c.min != NoWait {
				cfg.MinDuration *= time.Millisecond
			}
			begin := time.Now()
			check := func(ctx context.Context, _ string) error {
				deadline, ok := ctx.Deadline()
				require.True(t, ok)
				require.Equal(t, c.want*time.Millisecond, deadline.Sub(begin))
				return nil
			}
			d.beforeLoad, d.beforeSave = check, check
			must(t, newProcessor(t, cfg), "a", note(1))
		}
	})
}

func TestK4_ThenTheirContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		hang := func(ctx context.Context, _ string) error {
			require.NoError(t, ctx.Err())
			<-ctx.Done()
			require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
			return ctx.Err()
		}
		d.beforeLoad = hang
		p := newProcessor(t, cfg)
		begin := time.Now()
		err := p.Run(context.Background(), "a", note(1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 200*time.Millisecond, since(begin))
		begin = time.Now()
		d.beforeLoad, d.beforeSave = nil, hang
		err = p.Run(context.Background(), "a", note(1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 200*time.Millisecond, since(begin))
		d.beforeSave = func(parent context.Context, _ string) error {
			ctx, cancel := context.WithTimeout(parent, time.Hour)
			defer cancel()
			return hang(ctx, "")
		}
		require.ErrorIs(t, p.Run(context.Background(), "a", note(1)), context.DeadlineExceeded, "contexts that are made of it end, too")
		require.Empty(t, d.stored("a"))
	})
}

// TestK4_TheContextEndsWithItsFunction looks at one that was kept.
func TestK4_TheContextEndsWithItsFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxDuration = time.Hour
		var kept []context.Context
		d.beforeLoad = func(ctx context.Context, _ string) error { kept = append(kept, ctx); return nil }
		d.beforeSave = func(ctx context.Context, _ string) error { kept = append(kept, ctx); return ctx.Err() }
		p := newProcessor(t, cfg)
		must(t, p, "a", note(1))
		require.Len(t, kept, 2)
		for _, ctx := range kept {
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			<-ctx.Done()
			require.Nil(t, ctx.Value("key"))
		}
	})
}

// TestK4_TimeInLineIsTheProcessorsOwn: a batch whose key was busy has its time from when the key was free.
func TestK4_TimeInLineIsTheProcessorsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		begin := time.Now()
		var last time.Duration
		d.beforeSave = func(ctx context.Context, _ string) error {
			deadline, _ := ctx.Deadline()
			last = deadline.Sub(begin)
			time.Sleep(900 * time.Millisecond) // until 1s, and ignores its context
			return nil
		}
		first := start(p, "a", note(1))
		time.Sleep(110 * time.Millisecond)
		second := start(p, "a", note(2))
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.Equal(t, 1200*time.Millisecond, last)
	})
}

// TestK4_WhoComesWhenAllOthersHaveGoneHasTheWholeTime: the operations that a batch collected were cancelled.
func TestK4_WhoComesWhenAllOthersHaveGoneHasTheWholeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxDuration = 150 * time.Millisecond
		p := newProcessor(t, cfg)
		d.beforeSave = func(ctx context.Context, _ string) error { return ctx.Err() }
		ctx, cancel := context.WithCancel(context.Background())
		first := startIn(ctx, p, "a", note(1))
		time.Sleep(90 * time.Millisecond)
		cancel()
		require.ErrorIs(t, <-first, ErrCancelled)
		begin := time.Now()
		must(t, p, "a", note(2))
		require.InDelta(t, 100*time.Millisecond, time.Since(begin), float64(2*time.Millisecond))
		require.Equal(t, []int{2}, d.stored("a"))
	})
}
