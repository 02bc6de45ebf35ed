package limit

// How many unused ranks and flows a Fair keeps, so that it need not allocate
// while they come and go, nor hold on to the memory of a flood.
const (
	spareRanks = 40
	spareFlows = 64
)

// spares are ranks and flows that can be used again.
type spares struct {
	ranks []*rank
	flows *flow // linked by next
	n     int   // of flows
}

func (p *spares) rank() *rank {
	if n := len(p.ranks); n > 0 {
		r := p.ranks[n-1]
		p.ranks = p.ranks[:n-1]
		return r
	}
	return new(rank)
}

func (p *spares) keepRank(r *rank) {
	if len(p.ranks) < spareRanks {
		*r = rank{byName: r.byName, peak: r.peak}
		p.ranks = append(p.ranks, r)
	}
}

func (p *spares) flow() *flow {
	f := p.flows
	if f == nil {
		return new(flow)
	}
	p.flows = f.next
	p.n--
	f.next = nil
	return f
}

func (p *spares) keepFlow(f *flow) {
	*f = flow{}
	if p.n < spareFlows {
		f.next = p.flows
		p.flows = f
		p.n++
	}
}
