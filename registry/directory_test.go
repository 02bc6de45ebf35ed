package registry

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLookupOrAddOnceForOneKey(t *testing.T) {
	d := NewDirectory[int, room](0)
	const callers, keys = 8, 500
	var inits, adds atomic.Int64
	var seen [callers][keys]*Entry[int, room]
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for k := range keys {
				e, added, err := d.LookupOrAdd(k, func(e *Entry[int, room]) {
					inits.Add(1)
					e.Value.n = e.Key() * 2
				})
				if added {
					adds.Add(1)
				}
				if assert.NoError(t, err) {
					assert.Equal(t, 2*k, e.Value.n, "prepared before anybody sees it")
				}
				seen[c][k] = e
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, keys, inits.Load())
	assert.EqualValues(t, keys, adds.Load())
	assert.Equal(t, keys, d.Len())
	for c := range callers {
		assert.Equal(t, seen[0], seen[c], "everybody has the same entry")
	}
}

func TestG5_BoundIsExactUnderConcurrency(t *testing.T) {
	const bound = 50
	d := NewDirectory[int, room](bound)
	var held, peak atomic.Int64
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 5000 {
				e, added, err := d.LookupOrAdd(c*1000+i%97, func(*Entry[int, room]) {})
				if err != nil {
					assert.ErrorIs(t, err, ErrFull)
					continue
				}
				if !added {
					continue
				}
				if n := held.Add(1); n > peak.Load() {
					peak.Store(n)
				}
				assert.LessOrEqual(t, d.Len(), bound)
				if i%3 > 0 {
					held.Add(-1)
					assert.True(t, d.Remove(e))
				}
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, peak.Load(), int64(bound))
	assert.EqualValues(t, held.Load(), d.Len())
	n := 0
	for range d.All() {
		n++
	}
	assert.Equal(t, d.Len(), n)
	for k := 1 << 20; d.Len() < bound; k++ { // whatever happened, all its places are there
		_, added, err := d.LookupOrAdd(k, func(*Entry[int, room]) {})
		require.NoError(t, err)
		require.True(t, added)
	}
	_, _, err := d.LookupOrAdd(-1, func(*Entry[int, room]) { t.Error("no entry is made for nothing") })
	require.ErrorIs(t, err, ErrFull)
}

func TestRemoveTakesOnlyTheSameEntry(t *testing.T) {
	d := NewDirectory[string, room](0)
	old, _, err := d.LookupOrAdd("k", func(*Entry[string, room]) {})
	require.NoError(t, err)
	require.True(t, d.Remove(old))
	require.False(t, d.Remove(old), "twice")
	next, added, err := d.LookupOrAdd("k", func(*Entry[string, room]) {})
	require.NoError(t, err)
	require.True(t, added)
	require.False(t, d.Remove(old), "its key leads to another")
	found, ok := d.Lookup("k")
	assert.True(t, ok)
	assert.Same(t, next, found)
	assert.Equal(t, 1, d.Len())
	assert.False(t, d.Remove(&Entry[string, room]{key: "never there"}))
	assert.Equal(t, 1, d.Len())
}

// A panic in init is its caller's; it leaves no entry, no place taken and nothing locked.
func TestInitMayPanic(t *testing.T) {
	d := NewDirectory[int, room](1)
	for range 3 {
		require.PanicsWithValue(t, "init", func() { _, _, _ = d.LookupOrAdd(1, func(*Entry[int, room]) { panic("init") }) })
	}
	_, ok := d.Lookup(1)
	assert.False(t, ok)
	_, added, err := d.LookupOrAdd(1, func(*Entry[int, room]) {}) // would hang here
	require.NoError(t, err)
	assert.True(t, added)
}

func TestAllStopsWhenTold(t *testing.T) {
	d := NewDirectory[int, room](0)
	for k := range 10 {
		_, _, err := d.LookupOrAdd(k, func(*Entry[int, room]) {})
		require.NoError(t, err)
	}
	n := 0
	for range d.All() {
		if n++; n == 3 {
			break
		}
	}
	assert.Equal(t, 3, n)
	for e := range d.All() { // taking out while walking
		d.Remove(e)
	}
	assert.Zero(t, d.Len())
}

func TestDirectoryMatchesMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(0, 6).Draw(t, "bound")
		d, model := NewDirectory[string, room](bound), map[string]*Entry[string, room]{}
		var old []*Entry[string, room]
		key := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "g"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k := key.Draw(t, "key")
				e, added, err := d.LookupOrAdd(k, func(e *Entry[string, room]) { e.Value.n = len(old) })
				if have := model[k]; have != nil {
					require.NoError(t, err)
					require.Same(t, have, e)
					require.False(t, added)
				} else if bound > 0 && len(model) >= bound {
					require.ErrorIs(t, err, ErrFull)
					require.Nil(t, e)
					require.False(t, added)
				} else {
					require.NoError(t, err)
					require.True(t, added)
					require.Equal(t, k, e.Key())
					model[k], old = e, append(old, e)
				}
			},
			"remove": func(t *rapid.T) {
				if len(old) == 0 {
					t.Skip()
				}
				e := rapid.SampledFrom(old).Draw(t, "entry")
				here := model[e.Key()] == e
				require.Equal(t, here, d.Remove(e))
				if here {
					delete(model, e.Key())
				}
			},
			"lookup": func(t *rapid.T) {
				k := key.Draw(t, "key")
				e, ok := d.Lookup(k)
				require.Equal(t, model[k] != nil, ok)
				require.Equal(t, model[k], e)
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), d.Len())
				n := 0
				for e := range d.All() {
					require.Same(t, model[e.Key()], e)
					n++
				}
				require.Equal(t, len(model), n)
			},
		})
	})
}

func BenchmarkLookup(b *testing.B) {
	d := NewDirectory[string, room](0)
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = "user-" + strconv.Itoa(i)
		if _, _, err := d.LookupOrAdd(ids[i], func(*Entry[string, room]) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			if _, ok := d.Lookup(ids[i*7919%len(ids)]); !ok {
				b.Fail()
			}
		}
	})
}

func BenchmarkAddRemove(b *testing.B) {
	d := NewDirectory[int, room](1 << 20)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e, _, err := d.LookupOrAdd(i, func(*Entry[int, room]) {})
		if err != nil {
			b.Fatal(err)
		}
		d.Remove(e)
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	l, _ := running()
	b.ReportAllocs()
	for b.Loop() {
		l.Enter()
		l.Leave()
	}
}

func TestWhatCannotBeComparedIsRefused(t *testing.T) {
	d := NewDirectory[any, room](0)
	none := func(*Entry[any, room]) { require.Fail(t, "nothing is made") }
	for _, key := range []any{[]int{1}, [1]any{[]int{1}}, struct{ f any }{func() {}}} {
		_, found := d.Lookup(key)
		require.False(t, found)
		_, _, err := d.LookupOrAdd(key, none)
		require.ErrorIs(t, err, ErrUnhashable)
	}
	for _, key := range []any{nil, 1, "a", [1]any{1}, struct{ f any }{2}} {
		_, added, err := d.LookupOrAdd(key, func(*Entry[any, room]) {})
		require.NoError(t, err)
		require.True(t, added)
		_, found := d.Lookup(key)
		require.True(t, found)
	}
	require.Equal(t, 5, d.Len())
}
