package batch

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestK5_AFailedLoadIsEveryCallersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		d.beforeLoad = func(context.Context, string) error { time.Sleep(50 * time.Millisecond); return errLoad }
		begin := time.Now()
		var answers []chan error
		for i := range 10 {
			answers = append(answers, start(p, "a", func(*ledger) { t.Error("it ran") }))
			if i == 4 {
				time.Sleep(49 * time.Millisecond)
			}
		}
		for _, answer := range answers {
			err := <-answer
			require.ErrorIs(t, err, errLoad)
			require.ErrorContains(t, err, `"test": load:`)
		}
		require.Equal(t, 50*time.Millisecond, since(begin), "nothing is waited for after that")
		_, saves := d.counts()
		require.Zero(t, saves)
		d.beforeLoad = nil
		must(t, p, "a", note(1))
		require.Equal(t, []int{1}, d.stored("a"))
	})
}

func TestK6_AFailedSaveIsEveryCallersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		d.beforeSave = func(context.Context, string) error { return errSave }
		var answers []chan error
		for i := range 10 {
			answers = append(answers, start(p, "a", note(i)))
		}
		for _, answer := range answers {
			err := <-answer
			require.ErrorIs(t, err, errSave)
			require.ErrorContains(t, err, `"test": save:`)
		}
		n, err := Do(context.Background(), p, "a", noteAnd(11, nil))
		require.ErrorIs(t, err, errSave)
		require.Zero(t, n, "what is not saved has no result")
		_, err = Do(context.Background(), p, "a", noteAnd(11, errOwn))
		require.ErrorIs(t, err, errOwn, "its own error comes first")
		d.beforeSave = nil
		must(t, p, "a", note(12))
		require.Equal(t, []int{12}, d.stored("a"), "nothing is left of the batches that failed")
	})
}

// TestK7_OperationsRunOneAfterAnotherInOrder has no lock around what they change: -race would tell.
func TestK7_OperationsRunOneAfterAnotherInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxOperations = 7
		p := newProcessor(t, cfg)
		var wg sync.WaitGroup
		var unlocked, want []int
		for i := range 100 {
			wg.Go(func() {
				must(t, p, "a", func(l *ledger) {
					unlocked = append(unlocked, i)
					runtime.Gosched()
					l.done = append(l.done, i)
				})
			})
			synctest.Wait() // it stands in line before the next one comes
			want = append(want, i)
		}
		wg.Wait()
		require.Equal(t, want, d.stored("a"))
		require.Equal(t, want, unlocked)
	})
}

func TestK8_NoOperationAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		must(t, p, "a", note(1))
		require.NoError(t, p.Close(context.Background()))
		for _, key := range []string{"a", "b"} {
			require.ErrorIs(t, p.Run(context.Background(), key, note(2)), penstock.ErrClosed)
			_, err := Do(context.Background(), p, key, noteAnd(3, nil))
			require.ErrorIs(t, err, penstock.ErrClosed)
		}
		require.Equal(t, []int{1}, d.stored("a"))
		synctest.Wait()
		require.Equal(t, Info{}, p.Info())
	})
}

func TestK9_WhoGivesUpBeforeItsTurnChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		p := newProcessor(t, d.config())
		err := p.Run(roomtest.EndedContext(), "a", note(1))
		require.ErrorIs(t, err, ErrCancelled)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, p.Info().Keys)

		begin := time.Now()
		stays := start(p, "a", note(2))
		err = p.Run(roomtest.Within(t, 30*time.Millisecond), "a", note(3))
		require.ErrorIs(t, err, ErrCancelled)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 30*time.Millisecond, since(begin), "it waits for nothing")
		require.Equal(t, 1, p.Info().Pending)
		require.NoError(t, <-stays)
		require.Equal(t, []int{2}, d.stored("a"))
	})
}

func TestK9_AfterItsTurnItHearsTheTruth(t *testing.T) {
	for _, want := range []error{nil, errSave} {
		synctest.Test(t, func(t *testing.T) {
			d := new(table)
			d.beforeSave = func(context.Context, string) error { time.Sleep(50 * time.Millisecond); return want }
			p := newProcessor(t, d.config())
			begin := time.Now()
			err := p.Run(roomtest.Within(t, 120*time.Millisecond), "a", note(1))
			require.ErrorIs(t, err, want)
			require.Equal(t, 150*time.Millisecond, since(begin))
			require.NotErrorIs(t, err, ErrCancelled)
		})
	}
}

// TestK9_WhoGivesUpWhileOthersRun is in a batch already, and has not had its turn.
func TestK9_WhoGivesUpWhileOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := new(table), newBlocker()
		cfg := d.config()
		cfg.MaxDuration = time.Hour
		p := newProcessor(t, cfg)
		first := start(p, "a", func(*ledger) { b.block() })
		synctest.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		second := startIn(ctx, p, "a", note(2))
		third := start(p, "a", note(3))
		<-b.started
		cancel()
		require.ErrorIs(t, <-second, ErrCancelled)
		close(b.release)
		require.NoError(t, <-first)
		require.NoError(t, <-third)
		require.Equal(t, []int{3}, d.stored("a"))
		requireNobody(t, p)
	})
}

// TestK9_ABatchOfNobodyIsNotSaved: and nothing that was loaded for it is used later, when it may be old.
func TestK9_ABatchOfNobodyIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		d.blind = true
		p := newProcessor(t, d.config())
		require.ErrorIs(t, p.Run(roomtest.Within(t, time.Millisecond), "a", note(1)), ErrCancelled)
		time.Sleep(time.Second)
		loads, saves := d.counts()
		require.Equal(t, [2]int{1, 0}, [2]int{loads, saves})
		d.write("a", 100)
		must(t, p, "a", note(2))
		require.Equal(t, []int{100, 2}, d.stored("a"))
		require.ErrorIs(t, p.Run(roomtest.Within(t, time.Millisecond), "a", note(1)), ErrCancelled)
		time.Sleep(time.Minute)
		require.Zero(t, p.Info().Keys, "it is put away")
	})
}

func TestK10_CloseEndsWhatCollectsAndSavesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MinDuration = time.Hour
		d.beforeSave = func(context.Context, string) error { time.Sleep(time.Second); return nil }
		p := newProcessor(t, cfg)
		reports := p.Subscribe(10)
		var answers []chan error
		for i := range 10 {
			answers = append(answers, start(p, string(rune('a'+i%5)), note(i)))
		}
		time.Sleep(time.Minute)
		begin := time.Now()
		closed := make(chan error, 1)
		go func() { closed <- p.Close(context.Background()) }()
		synctest.Wait()
		require.ErrorIs(t, p.Run(context.Background(), "a", note(11)), penstock.ErrClosed, "nothing is taken in meanwhile")
		require.Empty(t, closed)
		require.NoError(t, <-closed)
		require.Equal(t, time.Second, since(begin))
		told := 0
		for r := range reports.Events() {
			told += r.Operations
		}
		require.Equal(t, 10, told, "every batch is reported before the feed ends")
		for i, answer := range answers {
			require.NoError(t, <-answer)
			require.Contains(t, d.stored(string(rune('a'+i%5))), i)
		}
	})
}

func TestK11_NeverMoreShardsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.Shards, cfg.MaxDuration = 3, time.Hour
		var mu sync.Mutex
		now, most := 0, 0
		busy := func(context.Context, string) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}
		d.beforeLoad, d.beforeSave = busy, busy
		p := newProcessor(t, cfg)
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() { must(t, p, string(rune('a'+i)), note(i)) })
		}
		time.Sleep(5 * time.Millisecond)
		require.Equal(t, 3, p.Info().Running)
		wg.Wait()
		require.Equal(t, 3, most)
		require.Equal(t, 200*time.Millisecond, since(begin), "10 rounds of loads, and 10 of saves")
	})
}

// TestK11_KeysThatAreDueTogetherDoNotShareAnIdleShard when there are others.
func TestK11_KeysThatAreDueTogetherDoNotShareAnIdleShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.Shards, cfg.MaxDuration = 100, time.Hour
		p := newProcessor(t, cfg)
		for range 3 {
			must(t, p, "a", note(0)) // so that a shard is idle
		}
		d.beforeSave = func(context.Context, string) error { time.Sleep(time.Second); return nil }
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				must(t, p, string(rune('a'+i)), note(i))
				require.Equal(t, 1100*time.Millisecond, since(begin))
			})
		}
		wg.Wait()
	})
}

func TestK11_AKeyIsDoneByItsShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.Shards = 4
		numbers := map[string]int{"slow": 1, "beside": 1, "else": 2, "far": -2, "over": 4*1000 + 3}
		cfg.ShardForKey = func(key string, shards int) int {
			require.Equal(t, 4, shards)
			return numbers[key]
		}
		d.beforeSave = func(_ context.Context, key string) error {
			if key == "slow" {
				time.Sleep(time.Second)
			}
			return nil
		}
		cfg.MaxDuration = time.Hour
		p := newProcessor(t, cfg)
		begin := time.Now()
		var wg sync.WaitGroup
		for key := range numbers {
			wg.Go(func() {
				if key == "beside" {
					time.Sleep(time.Millisecond)
				}
				must(t, p, key, note(1))
				want := 100 * time.Millisecond
				if key == "slow" || key == "beside" {
					want += time.Second
				}
				require.Equal(t, want, since(begin), key)
			})
		}
		wg.Wait()
	})
}
