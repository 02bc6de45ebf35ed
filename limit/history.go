package limit

import (
	"math"
	"time"
)

// History is what a Set remembers of what was taken, told in ages instead of times, so that it can go on at a machine whose
// clock is another one: see [Set.Inherit]. It may be kept, and sent.
type History struct {
	Limits []Limit       // of the Set's plan, with the names filled in. Not to be changed
	Slack  time.Duration // of that plan
	Past   []Past        // by the limits' places; nil: nothing was ever taken
}

// Past is what is remembered of one limit. Ages are how long ago something was, 0 or more.
type Past struct {
	// Taken is what counts of a Rolling limit, the oldest first
	Taken []Taken
	// Lost is the age of the newest take of a Rolling limit that is not in Taken, and none if Known. While it is Full, nothing passes until
	// that one has left the window
	Lost        time.Duration
	Known, Full bool
	// Ahead is how much later than now a Smooth limit has earned all that was taken; negative: so long ago
	Ahead time.Duration
	// Last is the age of a Smooth limit's last take
	Last time.Duration
	// Window is when the open window of a Calendar limit begins, Latest when something was taken last, and Closed when that was in a window
	// before it; in nanoseconds since the Unix epoch. With Known there was no such window: nothing was ever taken
	Window, Latest, Closed int64
	// Count is what was taken in it, and Tail the part that counts in the next one too
	Count, Tail int64
}

// Taken is what was taken at a time.
type Taken struct {
	Age   time.Duration
	Count int64
}

// History returns what the Set remembers. It allocates nothing if nothing was ever taken. The plan's Calendar limits need now to carry
// the wall clock's time.
func (s *Set) History(now time.Time) History {
	h := History{Limits: s.plan.limits, Slack: s.plan.slack}
	in := s.plan.instant(now)
	for i := range s.plan.specs {
		if s.regulator(i).blank() {
			continue
		}
		if h.Past == nil {
			h.Past = make([]Past, len(s.plan.specs))
			for j := range h.Past {
				h.Past[j].Known = true // until it is told what is not
			}
		}
		h.Past[i] = s.regulator(i).past(&s.plan.specs[i], in)
	}
	return h
}

// Inherit has the Set remember h, which came now, and nothing of its own.
//
// What h calls an age is reckoned from now. That is later than it was by the time that h was under way, so nothing counts too short, and
// nothing more is lost than that time. A Calendar limit's windows are the wall clock's: where two machines' clocks differ, the
// plan's slack has to be as much.
//
// A limit keeps its history when h has one of the same Name and Algorithm, as in [Set.Change]. Any other counts as fully used now, for it is not
// known what was used, and so does everything if h is not one that [Set.History] makes.
//
// Nothing that was taken before now can be given back: see [Set.Refund].
func (s *Set) Inherit(now time.Time, h History) {
	p := s.plan
	in := p.instant(now)
	in.wall = wallNanos(now)
	next := make([]regulator, len(p.specs))
	old, err := newPlan(p.epoch, h.Limits, h.Slack)
	if err == nil && (h.Past == nil || len(h.Past) == old.Len()) {
		for i, j := range p.Origin(old) {
			if j >= 0 && old.specs[j].algorithm == p.specs[i].algorithm {
				next[i] = h.heir(&old.specs[j], j, in)
				next[i].change(&old.specs[j], &p.specs[i], in)
			}
		}
	}
	for i := range next {
		if next[i] == nil {
			next[i] = p.specs[i].spent(in)
		}
	}
	s.several = &next
	if r, is := next[0].(*rolling); is && len(next) == 1 {
		s.single, s.several = *r, nil
	}
}

// spent is a regulator of which nothing is known but that it may all be used.
func (sp *spec) spent(now instant) regulator {
	r := sp.regulator(now.at)
	if r, is := r.(*rolling); is {
		r.forgot, r.gap = now.at, true
		return r
	}
	r.take(sp, now, sp.capacity)
	return r
}

// heir is a regulator of sp that remembers limit j of h.
func (h *History) heir(sp *spec, j int, now instant) regulator {
	r := sp.regulator(now.at)
	if h.Past == nil {
		return r
	}
	switch r := r.(type) {
	case *rolling:
		r.inherit(sp, now, &h.Past[j])
	case *smooth:
		r.inherit(now, &h.Past[j])
	case *calendar:
		r.inherit(sp, now, &h.Past[j])
	}
	return r
}

// age is how long ago something was. What was taken by somebody whose clock was read later was taken just now.
func age(now, at int64) time.Duration { return time.Duration(max(now-at, 0)) }

// when is the time of an age, none being later than now.
func when(now int64, age time.Duration) int64 { return now - min(max(int64(age), 0), horizon) }

// They keep sums of what others say from overflowing.
const (
	mostTaken = 1 << 50
	farWall   = 9_000_000_000_000_000_000
)

func (r *rolling) blank() bool { return r.newest.cost == 0 && r.forgot == past }

func (r *rolling) past(sp *spec, now instant) Past {
	clock := r.advance(sp, now.at)
	p := Past{Known: r.forgot == past, Full: r.gap}
	if !p.Known {
		p.Lost = age(clock, r.forgot)
	}
	if n := r.len(); n > 0 {
		p.Taken = make([]Taken, n)
		for i := range p.Taken {
			e := r.entry(i)
			p.Taken[i] = Taken{age(now.at, e.at), e.cost}
		}
	}
	return p
}

func (r *rolling) inherit(sp *spec, now instant, p *Past) {
	if !p.Known {
		r.forgot = when(now.at, p.Lost)
		r.gap = p.Full || r.forgot+sp.span > now.at
	}
	at := r.forgot
	for _, t := range p.Taken {
		if t.Count <= 0 {
			continue
		}
		at = max(at, when(now.at, t.Age))
		count := min(t.Count, mostTaken)
		r.total += count
		if r.newest.cost > 0 && (at == r.newest.at || r.n == maxEntries-1) {
			r.newest.at = at // to the later time, which is never too early
			r.newest.cost = min(r.newest.cost+count, mostTaken*maxEntries)
			continue
		}
		if r.newest.cost > 0 {
			r.push(r.newest)
		}
		r.newest = entry{at: at, cost: count}
	}
	r.first = at - sp.slot // when the newest one's takes began is not known: let nothing join it
}

func (s *smooth) blank() bool { return s.tat == past }

func (s *smooth) past(_ *spec, now instant) Past {
	return Past{Ahead: time.Duration(s.tat - now.at), Last: age(now.at, s.latest)}
}

func (s *smooth) inherit(now instant, p *Past) {
	if p.Known {
		return
	}
	s.tat = now.at + min(max(int64(p.Ahead), -horizon), horizon)
	s.latest = when(now.at, p.Last)
}

func (c *calendar) blank() bool { return c.latest == math.MinInt64 }

func (c *calendar) past(sp *spec, now instant) Past {
	c.advance(sp, now.wall)
	return Past{Window: c.window * sp.per, Latest: c.latest, Closed: c.closed, Count: c.count, Tail: c.tail}
}

func (c *calendar) inherit(sp *spec, now instant, p *Past) {
	if p.Known {
		return
	}
	open := sp.windowOf(now.wall)
	window := min(max(p.Window, -farWall), farWall) / sp.per
	if window > open+1 { // whose clock is that far ahead does not know what was taken in the window of now
		c.take(sp, now, sp.capacity)
		return
	}
	c.window = window
	c.latest = min(p.Latest, (window+1)*sp.per+sp.slack-1)
	c.closed = min(p.Closed, c.latest)
	c.count = min(max(p.Count, 0), mostTaken)
	c.tail = min(max(p.Tail, 0), mostTaken)
}
