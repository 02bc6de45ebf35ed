package storetest_test

import (
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

func TestMain(m *testing.M) {
	// The broken ones are meant to fail, and nobody wants to know why.
	_ = flag.Set("rapid.nofailfile", "true")
	_ = flag.Set("rapid.shrinktime", "0s")
	os.Exit(m.Run())
}

// memory is the most naive sink there is. Broken ones are made of it, by the bugs in it.
type memory struct {
	merge  store.Merge
	bugs   string
	mu     chan struct{} // holds something while the tables are used
	counts map[string]int64
	ids    map[string]time.Time
	now    time.Time
	n      int
}

func (m *memory) has(bug string) bool { return strings.Contains(m.bugs, bug) }

func (m *memory) Flush(ctx context.Context, f stat.Flush[string]) error {
	if err := store.CheckID(f.ID); err != nil && !m.has("any ID") {
		return err
	}
	if err := ctx.Err(); err != nil && m.has("certain too early") {
		return errors.Join(stat.ErrNotStored, err)
	} else if err != nil {
		return err
	}
	if m.has("deaf") {
		m.mu <- struct{}{}
	} else {
		select {
		case m.mu <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-m.mu }()
	if _, ok := m.ids[f.ID]; ok && !m.has("no IDs") {
		return nil
	}
	if m.has("no lock") {
		<-m.mu
		runtime.Gosched()
		m.mu <- struct{}{}
	}
	if !m.has("forgets nothing") {
		for id, at := range m.ids {
			if m.now.Sub(at) > time.Hour || m.has("forgets all") && m.now != at {
				delete(m.ids, id)
			}
		}
	}
	counts := maps.Clone(m.counts)
	if m.has("halves") {
		counts = m.counts
	}
	if m.has("IDs first") {
		m.ids[f.ID] = m.now
	}
	for i, d := range f.Deltas {
		switch {
		case m.has("bounded") && i > 4_000:
			return errors.New("too many arguments")
		case m.has("cuts") && i > 4_000:
			continue
		case d.Key == storetest.Refused && m.has("unsure"):
			return errors.New("refused")
		case d.Key == storetest.Refused:
			return errors.Join(stat.ErrNotStored, errors.New("refused"))
		case m.has("trims"):
			d.Key = strings.TrimRight(d.Key, " ")
		case m.has("C strings"):
			d.Key, _, _ = strings.Cut(d.Key, "\x00")
		}
		if m.has("writes") {
			f.Deltas[i].N++
		}
		stored, ok := counts[d.Key]
		switch {
		case !ok:
			counts[d.Key] = d.N
		case m.has("wraps"):
			counts[d.Key] = stored + d.N
		case m.has("floats"):
			counts[d.Key] = m.merge.Of(stored, int64(float64(d.N)))
		case m.has("sums only"):
			counts[d.Key] = store.Sum.Of(stored, d.N)
		default:
			counts[d.Key] = m.merge.Of(stored, d.N)
		}
	}
	if m.n++; m.has("loses") && m.n%40 == 0 {
		return nil
	}
	m.counts, m.ids[f.ID] = counts, m.now
	if m.has("says not stored") && m.n%5 == 0 {
		return stat.ErrNotStored
	}
	return nil
}

func open(bugs string) func(t testing.TB, merge store.Merge) storetest.Backend {
	return func(_ testing.TB, merge store.Merge) storetest.Backend {
		m := &memory{
			merge: merge, bugs: bugs, mu: make(chan struct{}, 1), counts: make(map[string]int64), ids: make(map[string]time.Time), now: time.Unix(0, 0),
		}
		var once sync.Mutex
		return storetest.Backend{
			Sink: m, Other: m, Retain: time.Hour,
			Counts: func(context.Context) (map[string]int64, error) {
				m.mu <- struct{}{}
				defer func() { <-m.mu }()
				return maps.Clone(m.counts), nil
			},
			Block: func(context.Context) (func() error, error) {
				m.mu <- struct{}{}
				if m.has("deaf") {
					time.AfterFunc(100*time.Millisecond, func() { // who is deaf would wait for ever
						if once.TryLock() {
							<-m.mu
						}
					})
				}
				return func() error {
					if once.TryLock() {
						<-m.mu
					}
					return nil
				}, nil
			},
			IDs: func(context.Context) (int, error) { return len(m.ids), nil },
			Age: func(_ context.Context, d time.Duration) error { m.now = m.now.Add(d); return nil },
		}
	}
}

func TestTheNaiveOnePasses(t *testing.T) { storetest.TestCounts(t, open("")) }

// TestBrokenOnesFail proves the suite itself.
func TestBrokenOnesFail(t *testing.T) {
	for _, bug := range []string{
		"any ID", "certain too early", "deaf", "no IDs", "no lock", "forgets nothing", "forgets all", "halves", "IDs first", "bounded", "cuts", "unsure", "trims",
		"C strings", "writes", "wraps", "floats", "sums only", "loses", "says not stored",
	} {
		assert.True(t, roomtest.Fails(t, storetest.Cases(), open(bug)), "a sink that has the bug %q passed", bug)
	}
}
