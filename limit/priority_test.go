package limit

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

type guest struct {
	Turn
	rank int64
	seq  uint64
}

func TestPriorityAsSortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Priority[*guest]
		var sorted, gone []*guest
		var seq uint64
		check := func(got *guest, ok bool) {
			if ok != (len(sorted) > 0) || ok && got != sorted[0] {
				t.Fatalf("got %v %v, want %v", got, ok, sorted)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 5, 60}).Draw(t, "times") {
					seq++
					g := &guest{rank: rapid.Int64Range(-3, 3).Draw(t, "rank"), seq: seq}
					q.Push(g, g.rank, g.seq)
					sorted = append(sorted, g)
				}
				slices.SortFunc(sorted, func(a, b *guest) int {
					return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.seq, b.seq))
				})
			},
			"pop": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 5, 80}).Draw(t, "times") {
					g, ok := q.Pop()
					check(g, ok)
					if ok {
						sorted, gone = sorted[1:], append(gone, g)
					}
				}
			},
			"remove": func(t *rapid.T) {
				if len(sorted) == 0 {
					t.Skip("empty")
				}
				i := rapid.IntRange(0, len(sorted)-1).Draw(t, "which")
				g := sorted[i]
				if !q.Remove(g) || q.Remove(g) {
					t.Fatal("want removed once")
				}
				sorted, gone = slices.Delete(slices.Clone(sorted), i, i+1), append(gone, g)
			},
			"remove what is gone": func(t *rapid.T) {
				if len(gone) > 0 && q.Remove(gone[rapid.IntRange(0, len(gone)-1).Draw(t, "which")]) {
					t.Fatal("removed twice")
				}
			},
			"": func(t *rapid.T) {
				g, ok := q.Peek()
				check(g, ok)
				if q.Len() != len(sorted) || len(slices.Collect(q.All())) != len(sorted) {
					t.Fatalf("%d wait, want %d", q.Len(), len(sorted))
				}
				for g := range q.All() {
					if !slices.Contains(sorted, g) {
						t.Fatal("a stranger waits")
					}
				}
				if c := cap(q.heap); c > 2*minHeap && q.Len() < c/8 {
					t.Fatalf("capacity %d for %d", c, q.Len())
				}
				for _, p := range q.heap[q.Len():cap(q.heap)] {
					if p.x != nil {
						t.Fatal("a reference is left behind")
					}
				}
			},
		})
	})
}

func TestPriorityKnowsItsOwn(t *testing.T) {
	var a, b Priority[*guest]
	g, h := new(guest), new(guest)
	a.Push(g, 0, 0)
	b.Push(h, 0, 0)
	assert.False(t, b.Remove(g), "waits elsewhere")
	assert.Panics(t, func() { b.Push(g, 0, 1) }, "waits already")
	assert.True(t, a.Remove(g))
	b.Push(g, -1, 1)
	got, ok := b.Pop()
	assert.True(t, ok && got == g)
	for range a.All() {
		t.Fatal("a is empty")
	}
	_, ok = a.Pop()
	assert.False(t, ok)
}
