package bucket

import "github.com/penstock-go/penstock/limit"

// twinLine is the line as it must be: the same comings and goings in a [limit.Fair] of the model's own, which package limit
// proves against the most naive round robin there is. What is judged here is that a bucket tells its line what really
// happened: who came with which niceness, flow, weight and cost, who was served, and who left without.
type twinLine struct {
	fair  limit.Fair[*twin]
	twins map[*ticket]*twin
}

type twin struct {
	limit.Slot
	ticket *ticket
}

func (l *twinLine) head() *ticket {
	if t, ok := l.fair.Peek(); ok {
		return t.ticket
	}
	return nil
}

// push puts w in, unless it was dismissed on its way.
func (l *twinLine) push(w *ticket, weights map[string]int) {
	if !w.inLine {
		return
	}
	if l.twins == nil {
		l.twins = make(map[*ticket]*twin)
	}
	t := &twin{ticket: w}
	l.twins[w] = t
	l.fair.Push(t, limit.Position{Rank: int64(w.nice), Flow: w.flow, Weight: max(weights[w.flow], 1), Cost: w.cost, Seq: w.seq})
}

// take takes w out, if it is in.
func (l *twinLine) take(w *ticket, served bool) {
	t := l.twins[w]
	if t == nil {
		return
	}
	delete(l.twins, w)
	if served {
		l.fair.Pop()
		return
	}
	l.fair.Remove(t)
}
