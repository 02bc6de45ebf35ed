package batch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cluster"
)

// TestG4_AStuckFunctionsCallersAreAnswered has Load, an operation or Save not return, and ignore its context.
func TestG4_AStuckFunctionsCallersAreAnswered(t *testing.T) {
	for _, where := range []string{"load", "operation", "save"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, b := new(table), newBlocker()
				cfg := d.config()
				cfg.MaxDuration, cfg.Grace, cfg.KeepLoaded = 300*time.Millisecond, 2*time.Second, time.Second
				p := newProcessor(t, cfg)
				reports := p.Subscribe(10)
				block := func(_ context.Context, key string) error {
					if key == "a" {
						b.block()
					}
					return nil
				}
				op := note(1)
				switch where {
				case "load":
					d.beforeLoad = block
				case "operation":
					op = func(l *ledger) { b.block(); note(1)(l) }
				case "save":
					d.beforeSave = block
				}
				begin := time.Now()
				ctx, cancel := context.WithCancel(context.Background())
				first := startIn(ctx, p, "a", op)
				synctest.Wait()
				second := start(p, "a", note(2))
				<-b.started
				synctest.Wait()
				third := start(p, "a", note(3))
				time.Sleep(time.Second)
				must(t, p, "b", func(*ledger) {})
				for i, answer := range []chan error{first, second, third} {
					err := <-answer
					var stuck *StuckError
					require.ErrorAs(t, err, &stuck)
					inSave := where == "save" && i < 2 // the third one is not of the batch that is saved
					require.Equal(t, inSave, errors.Is(err, cluster.ErrUnknown), "only what is being saved may be stored")
					what := where
					if where == "save" && !inSave {
						what = "the save before"
					}
					require.Equal(t, what, stuck.What)
					require.Equal(t, 2300*time.Millisecond, stuck.After.Truncate(time.Millisecond))
					require.ErrorContains(t, err, "key a")
				}
				require.Equal(t, 2300*time.Millisecond, since(begin))
				requireStuck := func() {
					t.Helper()
					var stuck *StuckError
					require.ErrorAs(t, p.Run(context.Background(), "a", note(4)), &stuck)
				}
				requireStuck()
				time.Sleep(time.Hour)
				requireStuck()
				require.Zero(t, p.Info().Pending)
				require.Equal(t, 1, p.Info().Running, "the function has its shard")
				require.Equal(t, 1, p.Info().Keys, "the key is remembered")
				cancel()
				d.beforeLoad, d.beforeSave = nil, nil
				close(b.release)
				synctest.Wait()
				must(t, p, "a", note(5))
				want := []int{5}
				if where == "save" {
					want = []int{1, 2, 5} // nobody knew
				}
				require.Equal(t, want, d.stored("a"))
				if where != "load" {
					loads, _ := d.counts()
					require.Equal(t, 3, loads, "what the stuck batch had is not used again")
				}
				requireNobody(t, p)
				require.NoError(t, p.Close(context.Background()))
				var stuck *StuckError
				n := 0
				for r := range reports.Events() {
					if r.Key == "a" && n == 0 {
						require.ErrorAs(t, r.Err, &stuck)
						require.Equal(t, 3, r.Operations)
						n++
					}
				}
				require.Equal(t, 1, n)
			})
		})
	}
}

// TestG4_WhoStandsInLineBehindAStuckShardIsAnswered, and works again when it is free.
func TestG4_WhoStandsInLineBehindAStuckShardIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		cfg := d.config()
		cfg.Shards, cfg.Grace = 1, time.Second
		d.beforeLoad = func(_ context.Context, key string) error {
			if key == "bad" {
				b.block()
			}
			return nil
		}
		p := newProcessor(t, cfg)
		bad := start(p, "bad", note(1))
		<-b.started
		begin := time.Now()
		good := start(p, "good", note(1))
		var stuck *StuckError
		require.ErrorAs(t, <-good, &stuck)
		require.Equal(t, "waiting for a shard", stuck.What)
		require.Equal(t, 1200*time.Millisecond, since(begin))
		require.ErrorAs(t, <-bad, &stuck)
		require.ErrorAs(t, p.Run(context.Background(), "good", note(2)), &stuck)
		close(b.release)
		synctest.Wait()
		d.beforeLoad = nil
		must(t, p, "good", note(3))
		must(t, p, "bad", note(3))
		require.Equal(t, []int{3}, d.stored("good"))
		require.Equal(t, []int{3}, d.stored("bad"))
		requireNobody(t, p)
	})
}

// TestAnOperationMayNotWaitForItselfThroughSave: Save calls the processor for its own key, and both are told.
func TestASaveThatCallsItsOwnKeyIsStuckForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		var inside error
		d.beforeSave = func(context.Context, string) error {
			if inside == nil {
				inside = p.Run(context.Background(), "a", note(2))
			}
			return nil
		}
		var stuck *StuckError
		require.ErrorAs(t, p.Run(context.Background(), "a", note(1)), &stuck)
		synctest.Wait()
		require.ErrorAs(t, inside, &stuck)
		must(t, p, "a", note(3))
	})
}

// TestALoadThatReturnsJustInTime is late and not stuck.
func TestALoadThatReturnsJustInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxDuration, cfg.Grace = 200*time.Millisecond, time.Second
		d.beforeLoad = func(context.Context, string) error { time.Sleep(1150 * time.Millisecond); return nil }
		p := newProcessor(t, cfg)
		must(t, p, "a", note(1))
		require.Equal(t, []int{1}, d.stored("a"))
		for i := range 5 {
			must(t, p, fmt.Sprint(i), note(1))
		}
	})
}

// TestG4_WhatAStuckBatchHasIsNotUsedAgain: its callers are gone, and it goes on with what it has when its function returns.
func TestG4_WhatAStuckBatchHasIsNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		p := newProcessor(t, d.config())
		var stuck *StuckError
		answers := []chan error{start(p, "a", func(*ledger) { b.block() })}
		synctest.Wait()
		for i := range 50 {
			answers = append(answers, start(p, "a", note(i)))
		}
		for _, answer := range answers {
			require.ErrorAs(t, <-answer, &stuck)
		}
		answers = nil
		for i := range 50 {
			answers = append(answers, start(p, "b", note(i)))
		}
		synctest.Wait()
		close(b.release)
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		require.Len(t, d.stored("b"), 50)
		require.Empty(t, d.stored("a"))
		requireNobody(t, p)
	})
}
