package batch

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// conflicts makes the first n saves conflicts, by somebody else's write.
func (d *table) conflicts(n int) {
	d.beforeSave = func(_ context.Context, key string) error {
		if n--; n >= 0 {
			d.write(key, 100+n)
		}
		return nil
	}
}

func TestG9_AfterAConflictTheBatchIsRunAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.conflicts(3)
		cfg := d.config()
		cfg.Backoff = 2 * time.Millisecond
		p := newProcessor(t, cfg)
		begin := time.Now()
		var answers []chan error
		var results [5][]int
		for i := range 5 {
			answers = append(answers, startDo(p, "a", func(l *ledger) (int, error) {
				results[i] = append(results[i], len(l.done))
				l.done = append(l.done, i)
				if i == 3 && len(l.done) > 5 {
					return 0, errOwn // only when it runs again
				}
				return 0, nil
			}))
			synctest.Wait()
		}
		for i, answer := range answers {
			if i == 3 {
				require.ErrorIs(t, <-answer, errOwn, "the error of the run that was saved")
				continue
			}
			require.NoError(t, <-answer)
		}
		require.Equal(t, []int{102, 101, 100, 0, 1, 2, 3, 4}, d.stored("a"))
		require.Equal(t, []int{0, 1, 2, 3}, results[0])
		loads, saves := d.counts()
		require.Equal(t, [2]int{4, 1}, [2]int{loads, saves})
		require.EqualValues(t, 3, p.Info().Conflicts)
		took := time.Since(begin) - 100*time.Millisecond
		require.GreaterOrEqual(t, took, (1+2+4)*time.Millisecond, "half of each pause at least")
		require.LessOrEqual(t, took, (2+4+8+3)*time.Millisecond)
		n, err := Do(context.Background(), p, "a", func(l *ledger) (int, error) { return len(l.done), nil })
		require.NoError(t, err)
		require.Equal(t, 8, n)
	})
}

func TestG9_TheResultIsThatOfTheRunThatWasSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.conflicts(1)
		n, err := Do(context.Background(), newProcessor(t, d.config()), "a", func(l *ledger) (int, error) {
			if len(l.done) == 0 {
				return -1, errOwn
			}
			return l.done[0], nil
		})
		require.NoError(t, err)
		require.Equal(t, 100, n)
	})
}

func TestConflictsAreBounded(t *testing.T) {
	for _, most := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			d := new(table)
			cfg := d.config()
			cfg.MaxConflicts, cfg.MaxDuration = most, time.Hour
			saves := 0
			d.beforeSave = func(context.Context, string) error { saves++; return fmt.Errorf("row 1: %w", ErrConflict) }
			p := newProcessor(t, cfg)
			ran := 0
			err := p.Run(context.Background(), "a", func(*ledger) { ran++ })
			require.ErrorIs(t, err, ErrConflict)
			if most == 0 {
				most = 10
			}
			require.Equal(t, most+1, ran)
			require.Equal(t, most+1, saves)
			require.EqualValues(t, most, p.Info().Conflicts)
		})
	}
}

func TestConflictsAreNotRepeatedAfterMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		d.beforeSave = func(context.Context, string) error { time.Sleep(60 * time.Millisecond); return ErrConflict }
		begin := time.Now()
		require.ErrorIs(t, newProcessor(t, cfg).Run(context.Background(), "a", note(1)), ErrConflict)
		require.Less(t, time.Since(begin), 300*time.Millisecond)
		loads, _ := d.counts()
		require.Equal(t, 2, loads)
	})
}

func TestWithoutALoadAConflictIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		p := newProcessor(t, Config[string, *ledger]{Save: func(context.Context, string, *ledger) error { return ErrConflict }})
		require.ErrorIs(t, p.Run(context.Background(), "a", func(*ledger) { ran++ }), ErrConflict)
		require.Equal(t, 1, ran)
	})
}

// TestG9_AnAbortAfterAConflictLosesNobody: those after it ran before the conflict, and have to run again in the next batch.
func TestG9_AnAbortAfterAConflictLosesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.conflicts(1)
		p := newProcessor(t, d.config())
		first := startDo(p, "a", func(l *ledger) (int, error) {
			if len(l.done) > 0 {
				return 0, Abort(errOwn)
			}
			return noteAnd(1, nil)(l)
		})
		synctest.Wait()
		second := startDo(p, "a", func(l *ledger) (int, error) {
			if len(l.done) == 1 && l.done[0] == 1 {
				return 0, errSave // of the run that was not saved
			}
			return noteAnd(2, nil)(l)
		})
		require.ErrorIs(t, <-first, errOwn)
		require.NoError(t, <-second)
		require.Equal(t, []int{100, 2}, d.stored("a"))
	})
}

// TestG9_AResourceThatIsLargerAfterAConflict closes the batch earlier than before.
func TestG9_AResourceThatIsLargerAfterAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.conflicts(1)
		cfg := d.config()
		cfg.MaxBytes, cfg.Size = 3, func(l *ledger) int64 { return int64(len(l.done)) }
		p := newProcessor(t, cfg)
		var answers []chan error
		for i := range 3 {
			answers = append(answers, start(p, "a", note(i)))
			synctest.Wait()
		}
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		require.Equal(t, []int{100, 0, 1, 2}, d.stored("a"))
	})
}

// TestG9_ALoadThatFailsAfterAConflictIsTheBatchsError and not that of those who came meanwhile.
func TestG9_ALoadThatFailsAfterAConflictIsTheBatchsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxDuration = time.Hour
		p := newProcessor(t, cfg)
		d.conflicts(1)
		loads := 0
		var came chan error
		d.beforeLoad = func(context.Context, string) error {
			if loads++; loads == 2 {
				came = start(p, "a", note(2))
				time.Sleep(time.Millisecond)
				return errLoad
			}
			return nil
		}
		require.ErrorIs(t, p.Run(context.Background(), "a", note(1)), errLoad)
		require.NoError(t, <-came)
		require.Equal(t, []int{100, 2}, d.stored("a"))
	})
}

func TestKeepLoadedSavesLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.KeepLoaded = time.Minute
		p := newProcessor(t, cfg)
		for i := range 10 {
			must(t, p, "a", note(i))
			time.Sleep(59 * time.Second)
		}
		loads, saves := d.counts()
		require.Equal(t, [2]int{1, 10}, [2]int{loads, saves}, "each save keeps it for another minute")
		time.Sleep(2 * time.Second)
		must(t, p, "a", note(10))
		loads, _ = d.counts()
		require.Equal(t, 2, loads)
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, d.stored("a"))
		time.Sleep(2 * time.Minute)
		require.Zero(t, p.Info().Keys, "after its time the key is put away")
	})
}

// TestKeepLoadedIsDroppedByAnyFailure: what is kept then may not be what is stored.
func TestKeepLoadedIsDroppedByAnyFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.KeepLoaded = time.Hour
		p := newProcessor(t, cfg)
		must(t, p, "a", note(0))
		want := 1
		requireLoads := func(why string) {
			t.Helper()
			loads, _ := d.counts()
			require.Equal(t, want, loads, why)
		}
		must(t, p, "a", note(1))
		requireLoads("it is kept")

		d.beforeSave = func(context.Context, string) error { return errSave }
		require.ErrorIs(t, p.Run(context.Background(), "a", note(99)), errSave)
		d.beforeSave = nil
		must(t, p, "a", note(2))
		want++
		requireLoads("after a failed save")

		_, err := Do(context.Background(), p, "a", noteAnd(99, Abort(errOwn)))
		require.ErrorIs(t, err, errOwn)
		must(t, p, "a", note(3))
		want++
		requireLoads("after an abort")

		d.write("a", 100)
		must(t, p, "a", note(4))
		want++
		requireLoads("after a conflict")

		d.afterSave = func(string) error { return errSave }
		require.ErrorIs(t, p.Run(context.Background(), "a", note(5)), errSave)
		d.afterSave = nil
		must(t, p, "a", note(6))
		want++
		requireLoads("when nobody knows")
		require.Equal(t, []int{0, 1, 2, 3, 100, 4, 5, 6}, d.stored("a"))
	})
}

// TestKeepLoadedIsNotProlongedByThoseWhoGiveUp: its time counts from the save.
func TestKeepLoadedIsNotProlongedByThoseWhoGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.blind = true
		cfg := d.config()
		cfg.KeepLoaded = time.Second
		p := newProcessor(t, cfg)
		must(t, p, "a", note(0))
		time.Sleep(500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, p.Run(ctx, "a", note(1)), ErrCancelled)
		time.Sleep(600 * time.Millisecond)
		must(t, p, "a", note(2))
		loads, _ := d.counts()
		require.Equal(t, 2, loads)
	})
}
