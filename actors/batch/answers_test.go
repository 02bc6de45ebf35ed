package batch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestEachOperationHasItsOwnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				switch i % 4 {
				case 0:
					n, err := Do(context.Background(), p, "a", noteAnd(i, nil))
					require.NoError(t, err)
					require.Equal(t, i, n)
				case 1:
					n, err := Do(context.Background(), p, "a", noteAnd(i, fmt.Errorf("number %d: %w", i, errOwn)))
					require.ErrorIs(t, err, errOwn)
					require.EqualError(t, err, fmt.Sprintf("number %d: %v", i, errOwn))
					require.Zero(t, n)
				case 2:
					err := p.Run(context.Background(), "a", func(l *ledger) { note(i)(l); panic(errOwn) })
					var panicked *penstock.PanicError
					require.ErrorAs(t, err, &panicked)
					require.Equal(t, errOwn, panicked.Value)
					require.Contains(t, string(panicked.Stack), "answers_test.go")
				case 3:
					err := p.Run(context.Background(), "a", func(l *ledger) { note(i)(l); runtime.Goexit() })
					require.ErrorContains(t, err, "runtime.Goexit")
				}
			})
		}
		wg.Wait()
		require.Len(t, d.stored("a"), 20, "what a failing operation did to the resource stays")
		loads, saves := d.counts()
		require.Equal(t, [2]int{1, 1}, [2]int{loads, saves}, "the batch goes on")
		requireNobody(t, p)
	})
}

// TestAFunctionThatEndsItsGoroutine has a shard go on although Load, an operation or Save called runtime.Goexit.
func TestAFunctionThatEndsItsGoroutine(t *testing.T) {
	for _, many := range []bool{false, true} {
		for _, panics := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				d := new(table)
				cfg := d.config()
				if many {
					cfg.Load, cfg.Save, cfg.LoadMany, cfg.SaveMany = nil, nil, d.loadMany, d.saveMany
				}
				cfg.Shards = 1
				exit := func(context.Context, string) error {
					if panics {
						panic(errOwn)
					}
					runtime.Goexit()
					return nil
				}
				check := func(err error) {
					t.Helper()
					if panics {
						require.ErrorIs(t, err, errOwn)
					} else {
						require.ErrorContains(t, err, "runtime.Goexit")
					}
				}
				p := newProcessor(t, cfg)
				for range 3 {
					d.beforeLoad = exit
					first, second := start(p, "a", note(1)), start(p, "b", note(1))
					check(<-first)
					check(<-second)
					d.beforeLoad, d.beforeSave = nil, exit
					first, second = start(p, "a", note(1)), start(p, "b", note(1))
					check(<-first)
					check(<-second)
					d.beforeSave = nil
				}
				must(t, p, "a", note(2))
				require.Equal(t, []int{2}, d.stored("a"))
				requireNobody(t, p)
			})
		}
	}
}

func TestAbortEndsTheBatchUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		begin := time.Now()
		var answers []chan error
		line := func(answer chan error) {
			answers = append(answers, answer)
			synctest.Wait()
		}
		line(start(p, "a", note(0)))
		line(startDo(p, "a", noteAnd(1, errOwn)))
		line(startDo(p, "a", noteAnd(2, fmt.Errorf("stop: %w", Abort(errSave)))))
		line(start(p, "a", note(3)))
		line(start(p, "a", note(4)))
		var aborted *AbortError
		err := <-answers[0]
		require.ErrorAs(t, err, &aborted)
		require.ErrorIs(t, err, errSave)
		require.ErrorIs(t, <-answers[1], errOwn, "its own error comes first")
		err = <-answers[2]
		require.ErrorAs(t, err, &aborted)
		require.ErrorContains(t, err, "stop:")
		require.Equal(t, 100*time.Millisecond, since(begin), "it ends at once")
		require.NoError(t, <-answers[3])
		require.NoError(t, <-answers[4])
		require.Equal(t, []int{3, 4}, d.stored("a"))
		loads, saves := d.counts()
		require.Equal(t, [2]int{2, 1}, [2]int{loads, saves}, "what was changed is thrown away")
		require.ErrorContains(t, Abort(nil), "no reason")
		require.ErrorIs(t, p.Run(context.Background(), "a", func(*ledger) { panic(Abort(errSave)) }), errSave)
		require.Equal(t, []int{3, 4}, d.stored("a"))
	})
}

// TestThoseAfterAnAbortComeBeforeThoseThatWait puts them back at the head of the line.
func TestThoseAfterAnAbortComeBeforeThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		cfg := d.config()
		cfg.MaxDuration = time.Hour
		p := newProcessor(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		first := startDo(p, "a", func(*ledger) (int, error) { b.block(); return 0, Abort(errOwn) })
		synctest.Wait()
		second := start(p, "a", note(2))
		synctest.Wait()
		gone := startIn(ctx, p, "a", note(3))
		synctest.Wait()
		fourth := startIn(ctx, p, "a", note(4))
		<-b.started
		synctest.Wait()
		fifth := start(p, "a", note(5))
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gone, ErrCancelled)
		require.ErrorIs(t, <-fourth, ErrCancelled)
		close(b.release)
		require.ErrorIs(t, <-first, errOwn)
		require.NoError(t, <-second)
		require.NoError(t, <-fifth)
		require.Equal(t, []int{2, 5}, d.stored("a"))
		require.Len(t, d.saves, 1)
		requireNobody(t, p)
	})
}

func TestAnOperationMustNotCallItsOwnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		cfg := d.config()
		cfg.MaxDuration = time.Hour
		p := newProcessor(t, cfg)
		var inside, other error
		answer := start(p, "a", func(l *ledger) {
			inside = p.Run(context.Background(), "a", note(1))
			other = p.Run(context.Background(), "b", note(1))
			b.block()
			note(2)(l)
		})
		<-b.started
		meanwhile := start(p, "a", note(3))
		synctest.Wait()
		require.Empty(t, meanwhile, "others are not refused")
		close(b.release)
		require.NoError(t, <-answer)
		require.NoError(t, <-meanwhile)
		require.ErrorIs(t, inside, ErrRecursive)
		require.ErrorContains(t, inside, "a")
		require.NoError(t, other)
		require.Equal(t, []int{2, 3}, d.stored("a"))
		require.Equal(t, []int{1}, d.stored("b"))

		// After a Goexit, and in Load and Save, no operation runs.
		require.Error(t, p.Run(context.Background(), "a", func(*ledger) { runtime.Goexit() }))
		must(t, p, "a", note(4))
	})
}

func TestBadCallsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		err := p.Run(context.Background(), "a", nil)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, `"test"`)
		_, err = Do[string, *ledger, int](context.Background(), p, "a", nil)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, key := range []string{"", strings.Repeat("x", 513), "\xff"} {
			err := p.Run(context.Background(), key, note(1))
			require.ErrorIs(t, err, penstock.ErrInvalid)
			require.ErrorContains(t, err, "1 to 512 bytes of UTF-8")
		}
		must(t, p, strings.Repeat("x", 512), note(1))
		floats := newProcessor(t, Config[float64, int]{})
		require.ErrorIs(t, floats.Run(context.Background(), math.NaN(), func(int) {}), penstock.ErrInvalid)
		must(t, floats, math.Inf(1), func(int) {})
		anything := newProcessor(t, Config[any, int]{})
		require.ErrorIs(t, anything.Run(context.Background(), []int{1}, func(int) {}), penstock.ErrInvalid)
		must(t, anything, any([1]int{1}), func(int) {})
		require.Zero(t, p.Info().Refused, "no bound was reached")
	})
}

func TestKeysOfAnyType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type point struct{ x, y int }
		saved := make(map[any]int)
		p := newProcessor(t, Config[any, *int]{
			Load:   func(context.Context, any) (*int, error) { return new(int), nil },
			Save:   func(_ context.Context, key any, n *int) error { saved[key] += *n; return nil },
			Shards: 1,
		})
		var wg sync.WaitGroup
		keys := []any{"1", 1, int64(1), 1.0, point{1, 2}, point{2, 1}, nil, [1]int{1}}
		for i, key := range keys {
			wg.Go(func() { must(t, p, key, func(n *int) { *n += i + 1 }) })
		}
		wg.Wait()
		for i, key := range keys {
			require.Equal(t, i+1, saved[key], "%T %v", key, key)
		}
	})
}

func TestAUserFunctionThatPanicsTakesNothingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxBytes, cfg.Size = 10, func(l *ledger) int64 {
			if l.done[0] == 13 {
				panic(errOwn)
			}
			return 0
		}
		cfg.ShardForKey = func(key string, _ int) int {
			if key == "bad" {
				panic(errOwn)
			}
			return 0
		}
		p := newProcessor(t, cfg)
		err := p.Run(context.Background(), "a", note(13))
		var aborted *AbortError
		require.ErrorAs(t, err, &aborted)
		require.ErrorIs(t, err, errOwn)
		require.ErrorContains(t, err, "Size")
		err = p.Run(context.Background(), "bad", note(1))
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		require.ErrorIs(t, err, errOwn)
		must(t, p, "a", note(1))
		require.Equal(t, []int{1}, d.stored("a"))
		requireNobody(t, p)
	})
}

// TestG4_ACrashOfTheActorIsNoticedByNobody has it happen at every point of a batch.
func TestG4_ACrashOfTheActorIsNoticedByNobody(t *testing.T) {
	for _, opts := range [][]penstock.Option{nil, {roomtest.Deterministic()}} {
		synctest.Test(t, func(t *testing.T) {
			d := new(table)
			cfg := d.config()
			p := newProcessor(t, cfg, opts...)
			d.beforeLoad = func(context.Context, string) error { crash(p, "a"); return nil }
			conflicts := 0
			d.beforeSave = func(context.Context, string) error {
				crash(p, "a")
				if conflicts++; conflicts%2 == 1 {
					return ErrConflict
				}
				return nil
			}
			var answers []chan error
			for i := range 20 {
				answers = append(answers, start(p, "a", func(l *ledger) { crash(p, "a"); note(i)(l) }))
				time.Sleep(13 * time.Millisecond)
				crash(p, "a")
			}
			for _, answer := range answers {
				require.NoError(t, <-answer)
			}
			require.Len(t, d.stored("a"), 20)
			requireNobody(t, p)
			require.NoError(t, p.Close(context.Background()))
		})
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	err := error(&StuckError{What: "save", After: 3 * time.Second})
	require.EqualError(t, err, "batch: stuck for 3s in: save")
	require.EqualError(t, Abort(errOwn), "batch: aborted and not saved: "+errOwn.Error())
	require.ErrorIs(t, Abort(errOwn), errOwn)
	var aborted *AbortError
	require.True(t, errors.As(fmt.Errorf("in here: %w", Abort(errOwn)), &aborted))
}
