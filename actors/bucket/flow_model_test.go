package bucket

import (
	"cmp"
	"slices"
)

// slowLine is a line in which flows share, said as plainly as can be: a deficit round robin over slices for each niceness.
type slowLine map[int]*slowRound

// slowRound is a round of turns. The first of flows has its turn, and it and the next ones, coming of them, belong to this
// round; those behind have had their turn or came later.
type slowRound struct {
	flows  []*slowFlow
	coming int
	credit int // what a turn of this round gives for each unit of weight
}

type slowFlow struct {
	name           string
	weight, credit int
	line           []*ticket // in order of arrival
}

func (l *slowLine) head() *ticket {
	var first *ticket
	for nice, r := range *l {
		if first == nil || nice < first.nice {
			first = r.flows[0].line[0]
		}
	}
	return first
}

// push puts w in, unless it was dismissed on its way.
func (l *slowLine) push(w *ticket, weights map[string]int) {
	if !w.inLine {
		return
	}
	if *l == nil {
		*l = make(slowLine)
	}
	r := (*l)[w.nice]
	if r == nil {
		r = new(slowRound)
		(*l)[w.nice] = r
	}
	i := slices.IndexFunc(r.flows, func(f *slowFlow) bool { return f.name == w.flow })
	if i < 0 {
		i = len(r.flows)
		r.flows = append(r.flows, &slowFlow{name: w.flow, weight: max(weights[w.flow], 1)})
	}
	f := r.flows[i]
	f.line = append(f.line, w)
	slices.SortFunc(f.line, func(a, b *ticket) int { return cmp.Compare(a.seq, b.seq) })
	if f.line[0] == w {
		r.forgo(f)
	}
	if len(r.flows) == 1 && len(f.line) == 1 {
		r.give()
	}
	r.settle()
}

// take takes w out, if it is in.
func (l *slowLine) take(w *ticket, served bool) {
	for nice, r := range *l {
		for i, f := range r.flows {
			k := slices.Index(f.line, w)
			if k < 0 {
				continue
			}
			f.line = slices.Delete(f.line, k, k+1)
			if served {
				f.credit -= w.cost
			}
			switch {
			case len(f.line) == 0:
				r.drop(i)
			case k == 0 && !served:
				r.forgo(f)
			}
			if len(r.flows) == 0 {
				delete(*l, nice)
				return
			}
			r.settle()
			return
		}
	}
}

// drop ends a flow, and with it its turn.
func (r *slowRound) drop(i int) {
	r.flows = slices.Delete(r.flows, i, i+1)
	if i < r.coming {
		r.coming--
	}
	if i == 0 && len(r.flows) > 0 {
		r.give()
	}
}

// give gives the first flow its turn.
func (r *slowRound) give() {
	if r.coming == 0 {
		r.coming, r.credit = len(r.flows), r.due()
	}
	r.flows[0].credit += r.credit * r.flows[0].weight
}

// settle passes the turn on until it is with a flow that can pay for its first.
func (r *slowRound) settle() {
	for r.flows[0].credit < r.flows[0].line[0].cost {
		r.flows = append(r.flows[1:], r.flows[0])
		r.coming--
		r.give()
	}
}

// forgo takes from a flow what was saved up for a first that is gone or has to wait.
func (r *slowRound) forgo(f *slowFlow) {
	f.credit = min(f.credit, f.line[0].cost+r.due()*f.weight)
}

// due is the harmonic mean of what the first of each flow costs by weight, rounded down, but 1 at least.
func (r *slowRound) due() int {
	pace := 0.0
	for _, f := range r.flows {
		pace += float64(f.weight) / float64(f.line[0].cost)
	}
	return max(int(float64(len(r.flows))/pace*(1+1e-9)), 1)
}
