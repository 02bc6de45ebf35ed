package bucket

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// load is what some nodes' callers get.
type load struct {
	mu    sync.Mutex
	turns []roomtest.Turn
	had   map[string]int
}

// try has a node's callers ask so often a second, for d.
func (l *load) try(name string, b *Bucket, perSecond int, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / time.Duration(perSecond)) {
		if b.TryAcquire(Request{}).Allowed {
			l.turn(name)
		}
	}
}

func (l *load) turn(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.had == nil {
		l.had = make(map[string]int)
	}
	l.had[name]++
	l.turns = append(l.turns, roomtest.Turn{At: time.Now(), Cost: 1})
}

func (l *load) total() (n int) {
	for _, had := range l.had {
		n += had
	}
	return n
}

var thousand = limit.Limit{Name: "api", Events: 1000, Per: time.Second}

func TestG11_SlicesAreSharedMaxMin(t *testing.T) {
	for name, wanted := range map[string]map[string]int{
		"alike":                {"a": 2000, "b": 2000, "c": 2000},
		"one wants little":     {"a": 3000, "b": 50, "c": 2000},
		"the owner does":       {"a": 50, "b": 3000, "c": 2000},
		"the owner only looks": {"b": 3000, "c": 2000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGrid(t, "a", "b", "c")
				g.delay = func() time.Duration { return time.Millisecond }
				families := g.family(Config{Limits: []limit.Limit{thousand}}, "a", "b", "c")
				time.Sleep(1100 * time.Millisecond)
				const seconds = 5
				var l load
				var all sync.WaitGroup
				greedy := 0
				for i, name := range []string{"a", "b", "c"} {
					if wanted[name] > 100 {
						greedy++
					}
					if wanted[name] > 0 {
						all.Go(func() { l.try(name, families[i].Bucket("user"), wanted[name], seconds*time.Second) })
					}
				}
				all.Wait()
				require.LessOrEqual(t, roomtest.Worst(l.turns, time.Second), 1000)
				assert.GreaterOrEqual(t, l.total(), seconds*900, "%v", l.had)
				left := seconds * 1000 // the rest is for the others, in equal parts
				for name, n := range wanted {
					if n <= 100 {
						assert.GreaterOrEqual(t, l.had[name], seconds*n*90/100, "%v", l.had)
						left -= l.had[name]
					}
				}
				for name, n := range wanted {
					if n > 100 {
						assert.GreaterOrEqual(t, l.had[name], left/greedy*75/100, "%v", l.had)
					}
				}
				t.Log(l.had)
			})
		})
	}
}
