package limit

// A slot stands in two chains at once: one of all that waits, one of its flow.
const (
	byArrival = iota
	byFlow
	chains
)

// link is a slot's neighbours in one chain; nil at its ends.
type link struct {
	prev, next *Slot
}

// chain is a list of slots in order of Seq.
type chain struct {
	first, last *Slot
}

// insert puts s behind all that have no higher Seq. It searches from the end,
// where it nearly always belongs.
func (c *chain) insert(k int, s *Slot) {
	prev := c.last
	for prev != nil && prev.seq > s.seq {
		prev = prev.links[k].prev
	}
	next := c.first
	if prev != nil {
		next = prev.links[k].next
		prev.links[k].next = s
	} else {
		c.first = s
	}
	if next != nil {
		next.links[k].prev = s
	} else {
		c.last = s
	}
	s.links[k] = link{prev: prev, next: next}
}

// delete takes s out.
func (c *chain) delete(k int, s *Slot) {
	l := s.links[k]
	if l.prev != nil {
		l.prev.links[k].next = l.next
	} else {
		c.first = l.next
	}
	if l.next != nil {
		l.next.links[k].prev = l.prev
	} else {
		c.last = l.prev
	}
}
