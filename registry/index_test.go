package registry

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// length is how many places the directory's tables have.
func (d *Directory[K, V]) length() (n int) {
	for i := range d.parts {
		if table := d.parts[i].table.Load(); table != nil {
			n += len(*table) * places
		}
	}
	return n
}

func TestTablesFollowWhatIsLive(t *testing.T) {
	d := NewDirectory[int, room](0)
	add := func(key int) *Entry[int, room] {
		e, added, err := d.LookupOrAdd(key, func(*Entry[int, room]) {})
		require.NoError(t, err)
		require.True(t, added)
		return e
	}
	for i := range 200_000 { // what comes and goes leaves no trace
		require.True(t, d.Remove(add(i)))
	}
	assert.LessOrEqual(t, d.length(), parts*2*places)

	var entries []*Entry[int, room]
	for i := range 50_000 {
		entries = append(entries, add(i))
	}
	assert.LessOrEqual(t, d.length(), 4*len(entries))
	for i, e := range entries {
		found, ok := d.Lookup(i)
		require.True(t, ok)
		require.Same(t, e, found)
	}
	for _, e := range entries[10:] {
		require.True(t, d.Remove(e))
	}
	assert.LessOrEqual(t, d.length(), parts*2*places)
	for i := range 10 {
		_, ok := d.Lookup(i)
		require.True(t, ok)
	}
}

// TestReadersFindWhatStays looks up keys that stay while others come and go and the tables are built anew.
func TestReadersFindWhatStays(t *testing.T) {
	d := NewDirectory[string, room](0)
	stay := make([]string, 100)
	for i := range stay {
		stay[i] = "stays " + strconv.Itoa(i)
		_, _, err := d.LookupOrAdd(stay[i], func(*Entry[string, room]) {})
		require.NoError(t, err)
	}
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if _, ok := d.Lookup(stay[i%len(stay)]); !ok {
					t.Errorf("%q was not found", stay[i%len(stay)])
					return
				}
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for round := range 20 {
				var mine []*Entry[string, room]
				for i := range 500 {
					e, _, err := d.LookupOrAdd(strconv.Itoa(w*1000+i*round), func(*Entry[string, room]) {})
					if err != nil {
						t.Error(err)
						return
					}
					mine = append(mine, e)
				}
				for _, e := range mine {
					d.Remove(e)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	assert.Equal(t, len(stay), d.Len())
}
