package limit

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type diner struct {
	Slot
	p Position
}

// slowFair is deficit round robin over slices, said as plainly as can be.
type slowFair struct {
	ranks  []*slowRank
	newest bool
}

// slowRank is a round: the first of coming is at its turn.
type slowRank struct {
	number       int64
	coming, done []*slowFlow
	credit       int64
	among        int
}

type slowFlow struct {
	name           string
	weight, credit int64
	owed           int64
	served         bool // in its turn
	items          []*diner
}

func (m *slowFair) head(f *slowFlow) *diner {
	if m.newest {
		return f.items[len(f.items)-1]
	}
	return f.items[0]
}

// due is the harmonic mean of cost per weight, rounded down, but 1 at least.
func (m *slowFair) due(r *slowRank) int64 {
	var pace float64
	flows := slices.Concat(r.coming, r.done)
	for _, f := range flows {
		pace += float64(f.weight) / float64(m.head(f).p.Cost)
	}
	return max(int64(float64(len(flows))/pace*(1+1e-9)), 1)
}

// turn gives the turn to the first of coming, and as much again of what it is owed.
func (m *slowFair) turn(r *slowRank) {
	if len(r.coming) == 0 {
		r.coming, r.done = r.done, nil
		r.credit, r.among = m.due(r), len(r.coming)
	}
	f := r.coming[0]
	gift := r.credit * f.weight
	back := min(gift, f.owed)
	f.credit += gift + back
	f.owed -= back
	f.served = false
}

// settle passes the turn on. With what it is owed a flow may pay for one, the first in its turn.
func (m *slowFair) settle(r *slowRank) {
	for {
		f := r.coming[0]
		lack := int64(m.head(f).p.Cost) - f.credit
		if lack <= 0 {
			return
		}
		if !f.served && lack <= f.owed {
			f.credit += lack
			f.owed -= lack
			return
		}
		r.coming, r.done = r.coming[1:], append(r.done, f)
		m.turn(r)
	}
}

// putBy is for a flow of which x gave up.
func (m *slowFair) putBy(r *slowRank, f *slowFlow, x *diner) {
	extra := f.credit - int64(m.head(f).p.Cost) - m.due(r)*f.weight
	extra = max(min(extra, 2*int64(x.p.Cost)), 0)
	f.credit -= extra
	if r.among > 1 {
		f.owed += extra
	}
}

func (m *slowFair) push(x *diner, back int) {
	i, found := slices.BinarySearchFunc(m.ranks, x.p.Rank, func(r *slowRank, n int64) int { return cmp.Compare(r.number, n) })
	if !found {
		m.ranks = slices.Insert(m.ranks, i, &slowRank{number: x.p.Rank})
	}
	r := m.ranks[i]
	var f *slowFlow
	for _, g := range slices.Concat(r.coming, r.done) {
		if g.name == x.p.Flow {
			f = g
		}
	}
	if f == nil {
		f = &slowFlow{name: x.p.Flow}
		r.done = append(r.done, f)
	}
	f.weight = int64(x.p.Weight)
	f.credit += int64(back)
	f.items = append(f.items, x)
	slices.SortStableFunc(f.items, func(a, b *diner) int { return cmp.Compare(a.p.Seq, b.p.Seq) })
	if len(r.coming) == 0 {
		r.coming, r.done = r.done, nil
	}
	m.settle(r)
}

func (m *slowFair) peek() *diner {
	if len(m.ranks) == 0 {
		return nil
	}
	return m.head(m.ranks[0].coming[0])
}

func (m *slowFair) take(x *diner, served bool) {
	for ri, r := range m.ranks {
		for _, f := range slices.Concat(r.coming, r.done) {
			i := slices.Index(f.items, x)
			if i < 0 {
				continue
			}
			atTurn := f == r.coming[0]
			f.items = slices.Delete(f.items, i, i+1)
			switch {
			case served:
				f.credit -= int64(x.p.Cost)
				f.served = true
			case len(f.items) > 0:
				m.putBy(r, f, x)
			}
			if len(f.items) == 0 {
				gone := func(g *slowFlow) bool { return g == f }
				r.coming, r.done = slices.DeleteFunc(r.coming, gone), slices.DeleteFunc(r.done, gone)
				if len(r.coming)+len(r.done) == 0 {
					m.ranks = slices.Delete(m.ranks, ri, ri+1)
					return
				}
				if atTurn {
					m.turn(r)
				}
			}
			m.settle(r)
			return
		}
	}
}

func (m *slowFair) newestFirst(yes bool) {
	if m.newest == yes {
		return
	}
	m.newest = yes
	for _, r := range m.ranks {
		m.settle(r)
	}
}

func (m *slowFair) flows() (n int) {
	for _, r := range m.ranks {
		n += len(r.coming) + len(r.done)
	}
	return n
}

func TestG7_FairAsSlowRoundRobin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Fair[*diner]
		var m slowFair
		var all, gone []*diner
		seq := uint64(100)
		weight := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, 4), rapid.IntRange(1, 3000))
		cost := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, 7), rapid.IntRange(1, 5000))
		forget := func(x *diner) {
			all = slices.DeleteFunc(all, func(y *diner) bool { return x == y })
			gone = append(gone, x)
			if x.Slot != (Slot{}) {
				t.Fatal("a reference is left behind")
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 1, 5, 30}).Draw(t, "times") {
					seq++
					x := &diner{p: Position{
						Rank: rapid.SampledFrom([]int64{0, 0, 0, -1, 5}).Draw(t, "rank"), Flow: rapid.StringMatching(`[a-e]?`).Draw(t, "flow"),
						Weight: weight.Draw(t, "weight"), Cost: cost.Draw(t, "cost"), Seq: seq,
					}}
					x.p.Seq -= rapid.SampledFrom([]uint64{0, 0, 0, 0, 1, 3, 50}).Draw(t, "late")
					q.Push(x, x.p)
					m.push(x, 0)
					all = append(all, x)
				}
			},
			"pop and restore": func(t *rapid.T) {
				var out []*diner
				for range rapid.SampledFrom([]int{1, 1, 3, 20}).Draw(t, "times") {
					if x, ok := q.Pop(); ok {
						m.take(x, true)
						out = append(out, x)
					}
				}
				for _, x := range out {
					q.Restore(x, x.p)
					m.push(x, x.p.Cost)
					all = append(slices.DeleteFunc(all, func(y *diner) bool { return x == y }), x) // behind its equals
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 5, 40}).Draw(t, "times") {
					want := m.peek()
					got, ok := q.Pop()
					if got != want || ok != (want != nil) {
						t.Fatalf("popped %v, want %v", got, want)
					}
					if ok {
						m.take(got, true)
						forget(got)
					}
				}
			},
			"remove": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("empty")
				}
				x := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
				if rapid.Bool().Draw(t, "the next") {
					x = m.peek()
				}
				whole := rapid.Bool().Draw(t, "its whole flow")
				for _, y := range slices.Clone(all) {
					if y != x && !(whole && y.p.Rank == x.p.Rank && y.p.Flow == x.p.Flow) {
						continue
					}
					if !q.Remove(y) || q.Remove(y) {
						t.Fatal("want removed once")
					}
					m.take(y, false)
					forget(y)
				}
			},
			"remove what is gone": func(t *rapid.T) {
				if len(gone) > 0 && q.Remove(gone[rapid.IntRange(0, len(gone)-1).Draw(t, "which")]) {
					t.Fatal("removed twice")
				}
			},
			"turn around": func(t *rapid.T) {
				yes := rapid.Bool().Draw(t, "newest first")
				q.NewestFirst(yes)
				m.newestFirst(yes)
			},
			"": func(t *rapid.T) {
				want := m.peek()
				if got, ok := q.Peek(); got != want || ok != (want != nil) {
					t.Fatalf("next is %v, want %v", got, want)
				}
				slices.SortStableFunc(all, func(a, b *diner) int { return cmp.Compare(a.p.Seq, b.p.Seq) })
				if got := slices.Collect(q.All()); !slices.Equal(got, all) {
					t.Fatalf("waiting: %v, want %v", got, all)
				}
				if x, ok := q.Oldest(); ok != (len(all) > 0) || ok && x != all[0] {
					t.Fatalf("oldest is %v of %v", x, all)
				}
				if q.Len() != len(all) || q.Flows() != m.flows() {
					t.Fatalf("%d in %d flows, want %d in %d", q.Len(), q.Flows(), len(all), m.flows())
				}
			},
		})
	})
}
