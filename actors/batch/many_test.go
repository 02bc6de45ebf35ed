package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// trips is a table that notes how many keys came at once.
type trips struct {
	table
	mu           sync.Mutex
	loads, saves []int
}

func (d *trips) config() Config[string, *ledger] {
	return Config[string, *ledger]{LoadMany: d.loadMany, SaveMany: d.saveMany, Shards: 1, MaxDuration: time.Hour}
}

func (d *trips) loadMany(ctx context.Context, keys []string) ([]*ledger, []error) {
	d.note(&d.loads, len(keys))
	return d.table.loadMany(ctx, keys)
}

func (d *trips) saveMany(ctx context.Context, keys []string, values []*ledger) []error {
	d.note(&d.saves, len(keys))
	return d.table.saveMany(ctx, keys, values)
}

func (d *trips) note(list *[]int, n int) {
	d.mu.Lock()
	*list = append(*list, n)
	d.mu.Unlock()
	time.Sleep(10 * time.Millisecond) // meanwhile others stand in line
}

func sum(list []int) (n int) {
	for _, k := range list {
		n += k
	}
	return n
}

func TestManyKeysThatAreDueTogetherGoInOneTrip(t *testing.T) {
	for _, most := range []int{0, 30} {
		synctest.Test(t, func(t *testing.T) {
			d := new(trips)
			cfg := d.config()
			cfg.MaxMany = most
			p := newProcessor(t, cfg)
			var wg sync.WaitGroup
			for i := range 100 {
				for range 3 {
					wg.Go(func() {
						key := fmt.Sprint(i)
						must(t, p, key, note(i))
						require.Contains(t, d.stored(key), i)
					})
				}
			}
			wg.Wait()
			for i := range 100 {
				require.Equal(t, []int{i, i, i}, d.stored(fmt.Sprint(i)))
			}
			require.Equal(t, 100, sum(d.loads))
			require.Equal(t, 100, sum(d.saves))
			if most == 0 {
				require.LessOrEqual(t, len(d.loads), 3, "the first one goes alone, and then all that stand in line")
				require.LessOrEqual(t, len(d.saves), 3)
				return
			}
			for _, n := range append(d.loads, d.saves...) {
				require.LessOrEqual(t, n, 30)
			}
			require.LessOrEqual(t, len(d.saves), 6)
		})
	}
}

func TestOneKeysErrorIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(trips)
		p := newProcessor(t, d.config())
		conflict := true
		d.beforeLoad = func(_ context.Context, key string) error {
			if key == "noload" {
				return errLoad
			}
			return nil
		}
		d.beforeSave = func(_ context.Context, key string) error {
			if key == "nosave" {
				return errSave
			}
			if key == "conflict" && conflict {
				conflict = false
				d.write(key, 100)
			}
			return nil
		}
		want := map[string]error{"noload": errLoad, "nosave": errSave, "abort": errOwn, "fine": nil, "conflict": nil, "gone": ErrCancelled}
		answers := make(map[string]chan error)
		ctx, cancel := context.WithCancel(context.Background())
		for key := range want {
			switch key {
			case "abort":
				answers[key] = startDo(p, key, noteAnd(1, Abort(errOwn)))
			case "gone":
				answers[key] = startIn(ctx, p, key, note(1))
			default:
				answers[key] = start(p, key, note(1))
			}
		}
		time.Sleep(time.Millisecond)
		cancel()
		for key, err := range want {
			require.ErrorIs(t, <-answers[key], err, key)
		}
		require.Equal(t, []int{1}, d.stored("fine"))
		require.Equal(t, []int{100, 1}, d.stored("conflict"))
		for _, key := range []string{"noload", "nosave", "abort", "gone"} {
			require.Empty(t, d.stored(key), key)
		}
		synctest.Wait()
		requireNobody(t, p)
	})
}

func TestSlicesOfTheWrongLengthAreAClearError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ values, errs int }{{0, 1}, {1, 0}, {2, 2}, {0, 0}} {
			p := newProcessor(t, Config[string, *ledger]{LoadMany: func(context.Context, []string) ([]*ledger, []error) {
				return make([]*ledger, c.values), make([]error, c.errs)
			}})
			err := p.Run(context.Background(), "a", note(1))
			require.ErrorContains(t, err, fmt.Sprintf("LoadMany returned %d values and %d errors for 1 keys", c.values, c.errs))
		}
		for _, n := range []int{0, 2} {
			p := newProcessor(t, Config[string, int]{SaveMany: func(context.Context, []string, []int) []error { return make([]error, n) }})
			err := p.Run(context.Background(), "a", func(int) {})
			require.ErrorContains(t, err, fmt.Sprintf("SaveMany returned %d errors for 1 keys", n))
		}
	})
}

// TestTheContextOfATripEndsWithTheLastOfItsBatches gives each as long as its own MaxDuration at least.
func TestTheContextOfATripEndsWithTheLastOfItsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(trips)
		cfg := d.config()
		cfg.MaxDuration = 300 * time.Millisecond
		begin := time.Now()
		var deadlines []time.Duration
		cfg.LoadMany = nil
		cfg.SaveMany = func(ctx context.Context, keys []string, _ []*ledger) []error {
			deadline, _ := ctx.Deadline()
			deadlines = append(deadlines, deadline.Sub(begin))
			if len(deadlines) == 1 {
				time.Sleep(100 * time.Millisecond)
			}
			return make([]error, len(keys))
		}
		p := newProcessor(t, cfg)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				must(t, p, fmt.Sprint(i), func(*ledger) {})
			})
		}
		wg.Wait()
		require.Equal(t, []time.Duration{300 * time.Millisecond, 340 * time.Millisecond}, deadlines)
	})
}

// TestG5_ALineThatIsNeverEmptyDoesNotGrow: there is always somebody in it.
func TestG5_ALineThatIsNeverEmptyDoesNotGrow(t *testing.T) {
	var l line[string, int]
	var trip trip[string, int]
	resources := make([]*resource[string, int], 10_000)
	for i := range resources {
		resources[i] = new(resource[string, int])
		l.push(resources[i])
		if i >= 5 {
			trip.line = trip.line[:0]
			l.pop(1, &trip)
			require.Same(t, resources[i-5], trip.line[0])
		}
	}
	require.Equal(t, 5, l.len())
	require.Less(t, cap(l.list), 1000)
	trip.line = trip.line[:0]
	l.pop(100, &trip)
	require.Len(t, trip.line, 5)
	require.Zero(t, l.len())
}

// TestSeveralShardsShareManyKeys has each key in one trip, whichever shard's.
func TestSeveralShardsShareManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(trips)
		cfg := d.config()
		cfg.Shards, cfg.MaxMany = 4, 7
		p := newProcessor(t, cfg)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() { must(t, p, fmt.Sprint(i%100), note(i)) })
		}
		wg.Wait()
		total := 0
		for i := range 100 {
			total += len(d.stored(fmt.Sprint(i)))
		}
		require.Equal(t, 500, total)
	})
}

func TestABatchFailsAloneWithinATrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcessor(t, Config[string, *ledger]{Shards: 1, SaveMany: func(_ context.Context, keys []string, _ []*ledger) []error {
			errs := make([]error, len(keys))
			for i, key := range keys {
				errs[i] = errors.New("of " + key)
			}
			return errs
		}})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				err := p.Run(context.Background(), fmt.Sprint(i), func(*ledger) {})
				require.ErrorContains(t, err, fmt.Sprint("save: of ", i))
			})
		}
		wg.Wait()
	})
}
