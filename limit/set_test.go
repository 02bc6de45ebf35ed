package limit

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// at is d after origin's next full minute, where calendar windows begin.
func at(d time.Duration) time.Time { return origin.Truncate(time.Minute).Add(time.Minute + d) }

// takeN takes one at a time until refused, and returns how many passed.
func takeN(s *Set, now time.Time) (n int) {
	one, full := s.Plan().Costs(1), s.Plan().Capacity()
	for n < 100_000 {
		if _, _, ok := s.Take(now, &one, &full); !ok {
			break
		}
		n++
	}
	return n
}

func TestB4_TenInAnySixSeconds(t *testing.T) {
	p := must(NewPlan([]Limit{{Events: 10, Per: 6 * time.Second}}, 0))
	s := p.NewSet()
	// Five late in one window of six seconds, ten wanted early in the next.
	for range 5 {
		one, full := p.Costs(1), p.Capacity()
		_, _, ok := s.Take(at(5*time.Second), &one, &full)
		require.True(t, ok)
	}
	assert.Equal(t, 5, takeN(&s, at(7*time.Second)))
	assert.Zero(t, takeN(&s, at(11*time.Second-1)))
	assert.Equal(t, 5, takeN(&s, at(11*time.Second)), "the first five have left")
	assert.Equal(t, 5, takeN(&s, at(13*time.Second)))
}

func TestTakeReportsTheTightest(t *testing.T) {
	p := must(NewPlan([]Limit{
		{Name: "wide", Events: 100, Per: time.Second},
		{Name: "narrow", Events: 5, Per: time.Minute},
		{Name: "smooth", Events: 4, Per: time.Hour, Algorithm: Smooth, Burst: 4},
	}, 0))
	s, full := p.NewSet(), p.Capacity()
	take := func(c Costs) [3]any {
		i, n, ok := s.Take(at(0), &c, &full)
		return [3]any{i, n, ok}
	}
	assert.Equal(t, [3]any{2, 4, true}, take(Costs{}), "of all, when none is charged")
	assert.Equal(t, [3]any{0, 10, true}, take(Costs{90}), "of those charged")
	assert.Equal(t, [3]any{1, 2, true}, take(Costs{1, 3}))
	assert.Equal(t, [3]any{0, 0, false}, take(Costs{10, 1, 0}))
	assert.Equal(t, [3]any{1, 0, false}, take(Costs{10, 3, 1}), "held back longest, not first")
	assert.Equal(t, [3]any{2, 0, false}, take(Costs{10, 3, 5}), "can never pass")
	assert.Equal(t, 4, s.Remaining(at(0), 2), "a refusal takes nothing")

	c := Costs{0, 50, -7}
	s.Charge(at(0), &c)
	assert.Equal(t, 53, s.Used(at(0), 1))
	assert.Equal(t, 0, s.Remaining(at(0), 1))
	assert.Equal(t, [3]any{0, 8, true}, take(Costs{1}), "debt of a limit that is not charged holds nothing back")

	c, low := Costs{1}, Costs{math.MaxInt32, 5, 4}
	assert.Equal(t, 7, func() int { _, n, _ := s.Take(at(0), &c, &low); return n }(), "a ceiling above the capacity")
	c = Costs{8}
	_, _, ok := s.Take(at(0), &c, &low)
	assert.False(t, ok, "is the capacity")
}

func TestDebtIsWorkedOff(t *testing.T) {
	for _, tc := range []struct {
		limit string
		debt  int32
		wait  time.Duration
	}{
		{"10/6s", 25, 6 * time.Second},
		{"10/6s", math.MaxInt32, 6 * time.Second},
		{"10/10s:smooth:burst=3", 25, 23 * time.Second},
		{"60/1m:calendar", 100, 50 * time.Second},
	} {
		p := must(NewPlan([]Limit{must(Parse(tc.limit))}, 0))
		s, one, full := p.NewSet(), p.Costs(1), p.Capacity()
		s.Charge(at(10*time.Second), &Costs{tc.debt})
		d, _ := s.Wait(at(10*time.Second), &one, &full)
		assert.Equal(t, tc.wait, d, tc.limit)
	}
}

// Sums stay in range whatever is charged, given back, and whenever.
func TestExtremesDoNotOverflow(t *testing.T) {
	times := []time.Time{{}, time.Unix(0, 0), at(0), time.Unix(1<<40, 0), time.Unix(1<<62, 0)}
	year := 366 * 24 * time.Hour
	p := must(NewPlan([]Limit{
		{Name: "r", Events: math.MaxInt32, Per: year},
		{Name: "s", Events: 1, Per: year, Algorithm: Smooth},
		{Name: "c", Events: math.MaxInt32, Per: year, Algorithm: Calendar},
	}, year/3))
	most, one, full := p.Costs(math.MaxInt32), p.Costs(1), p.Capacity()
	for _, from := range times {
		for _, to := range times {
			s := p.NewSet()
			for range 3 {
				s.Charge(from, &most)
				s.Refund(to, from, &most)
				s.Refund(from, to, &most)
			}
			s.Charge(from, &most)
			for i := range 3 {
				assert.GreaterOrEqual(t, s.Used(to, i), 0)
				assert.GreaterOrEqual(t, s.Remaining(to, i), 0)
			}
			d, _ := s.Wait(from, &one, &full)
			assert.Positive(t, d, "%v %v", from, to)
		}
	}
}

func TestRefund(t *testing.T) {
	for _, limit := range []string{"10/6s", "300/6s", "10/10s:smooth:burst=10", "10/1m:calendar"} {
		p := must(NewPlan([]Limit{must(Parse(limit))}, 0))
		s, full := p.NewSet(), int(p.Capacity()[0])
		s.Charge(at(0), &Costs{3})
		s.Charge(at(0), &Costs{2})
		s.Refund(at(0), at(0), &Costs{4})
		assert.Equal(t, 1, s.Used(at(0), 0), limit)
		s.Refund(at(0), at(0), &Costs{4})
		assert.Equal(t, 0, s.Used(at(0), 0), limit)
		s.Refund(at(0), at(0), &Costs{4})
		assert.Equal(t, full, takeN(&s, at(0)), "%s: not emptier than unused", limit)
		later := at(2 * time.Minute)
		assert.Equal(t, full, takeN(&s, later), limit)
		s.Refund(later, at(0), &Costs{4})
		assert.Zero(t, takeN(&s, later), "%s: what has left is not given back twice", limit)
	}
}

// A take and its refund, over and over, leave no more entries than the bound.
func TestRollingEntriesAreBounded(t *testing.T) {
	for _, events := range []int{5, 256, 257, 90_000, math.MaxInt32} {
		p := must(NewPlan([]Limit{{Events: events, Per: time.Minute}}, 29*time.Second))
		s, one := p.NewSet(), p.Costs(1)
		r := &s.single
		for i := range 20_000 {
			now := at(time.Duration(i) * 7 * time.Millisecond)
			s.Charge(now, &one)
			if i%3 == 0 {
				s.Refund(now, now, &one)
			}
			require.LessOrEqual(t, r.len(), maxEntries)
		}
		assert.LessOrEqual(t, len(r.older.ring), maxEntries)
		assert.LessOrEqual(t, s.Used(at(140*time.Second), 0), 2*89_000/21*101/100, events)
		assert.True(t, s.Fresh(at(4*time.Minute)))
	}
}

func TestClockSetBackNeverRefills(t *testing.T) {
	for _, limit := range []string{"10/6s", "300/6s", "10/10s:smooth:burst=10", "10/1m:calendar"} {
		p := must(NewPlan([]Limit{must(Parse(limit))}, 0))
		s := p.NewSet()
		for _, d := range []time.Duration{0, 2 * time.Minute} {
			now := at(d)
			require.Equal(t, int(p.Capacity()[0]), takeN(&s, now), limit)
			for _, back := range []time.Duration{1, time.Second, time.Minute, 90 * time.Second, time.Hour, 100 * 24 * time.Hour} {
				assert.Zero(t, takeN(&s, now.Add(-back)), "%s: back by %v", limit, back)
				assert.False(t, s.Fresh(now.Add(-back)))
			}
		}
	}
}

func TestSlackKeepsDistance(t *testing.T) {
	const slack = 20 * time.Millisecond
	for _, tc := range []struct {
		limit string
		from  time.Duration
		want  time.Duration
	}{
		{"10/6s", 0, 6*time.Second + slack},
		{"1/1s:smooth", 0, time.Second + slack},
		{"100/1s:smooth:burst=4", 0, 10*time.Millisecond + slack - 20*time.Millisecond}, // two of four passed
		{"10/1m:calendar", 30 * time.Second, 30*time.Second + slack},
		{"10/1m:calendar", time.Minute - slack, time.Minute + 2*slack}, // counts in both
		{"10/1m:calendar", time.Minute + slack - 1, time.Minute + 1},   // counts in both
		{"10/1m:calendar", time.Minute - slack - 1, 2*slack + 1},
	} {
		p := must(NewPlan([]Limit{must(Parse(tc.limit))}, slack))
		s, one, full := p.NewSet(), p.Costs(1), p.Capacity()
		takeN(&s, at(tc.from))
		d, _ := s.Wait(at(tc.from), &one, &full)
		assert.Equal(t, tc.want, d, tc.limit)
	}
}

func TestChangeKeepsHistory(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new Limit
		used     int // of 4 taken 10 s before the change
		passes   int
	}{
		{"raised", Limit{Events: 5, Per: time.Minute, Name: "x"}, Limit{Events: 9, Per: time.Minute, Name: "x"}, 4, 5},
		{"lowered", Limit{Events: 5, Per: time.Minute, Name: "x"}, Limit{Events: 3, Per: time.Minute, Name: "x"}, 4, 0},
		{"raised, without a name", Limit{Events: 5, Per: time.Minute}, Limit{Events: 9, Per: time.Minute}, 4, 5},
		{"renamed", Limit{Events: 5, Per: time.Minute, Name: "x"}, Limit{Events: 9, Per: time.Minute, Name: "y"}, 0, 9},
		{"shortened", Limit{Events: 5, Per: time.Minute, Name: "x"}, Limit{Events: 5, Per: 9 * time.Second, Name: "x"}, 0, 5},
		{"longer, nothing forgotten", Limit{Events: 5, Per: time.Minute}, Limit{Events: 5, Per: time.Hour}, 4, 1},
		{"longer, something forgotten", Limit{Events: 5, Per: 5 * time.Second}, Limit{Events: 9, Per: time.Minute}, 9, 0},
		{"other algorithm", Limit{Events: 5, Per: time.Minute}, Limit{Events: 5, Per: time.Minute, Algorithm: Smooth, Burst: 3}, 3, 0},
		{
			"smooth, slower", Limit{Events: 6, Per: time.Minute, Algorithm: Smooth, Burst: 5},
			Limit{Events: 1, Per: time.Minute, Algorithm: Smooth, Burst: 5}, 4, 1,
		},
		{
			"smooth, faster", Limit{Events: 6, Per: time.Minute, Algorithm: Smooth, Burst: 5},
			Limit{Events: 12, Per: time.Minute, Algorithm: Smooth, Burst: 5}, 2, 3,
		},
		{
			"calendar, same", Limit{Events: 5, Per: time.Minute, Algorithm: Calendar},
			Limit{Events: 7, Per: time.Minute, Algorithm: Calendar}, 4, 3,
		},
		{
			"calendar, shorter", Limit{Events: 5, Per: time.Minute, Algorithm: Calendar},
			Limit{Events: 7, Per: 5 * time.Second, Algorithm: Calendar}, 4, 3,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := must(NewPlan([]Limit{tc.old}, 0))
			s := p.NewSet()
			s.Charge(at(0), &Costs{4})
			s.Used(at(10*time.Second), 0) // forgets what it may
			next := must(p.Change([]Limit{tc.new}, 0))
			s.Change(at(10*time.Second), next)
			assert.Same(t, next, s.Plan())
			assert.Equal(t, tc.used, s.Used(at(10*time.Second), 0))
			assert.Equal(t, tc.passes, takeN(&s, at(10*time.Second)))
		})
	}
}

func TestChangePairsLimits(t *testing.T) {
	x := Limit{Name: "x", Events: 10, Per: time.Minute}
	y := Limit{Name: "y", Events: 10, Per: time.Minute}
	tens, twenties := Limit{Events: 10, Per: time.Minute}, Limit{Events: 20, Per: time.Minute}
	p := must(NewPlan([]Limit{x, tens, y}, 0))
	s := p.NewSet()
	s.Charge(at(0), &Costs{1, 2, 3})
	used := func(limits ...Limit) (n []int) {
		c := clone(s)
		c.Change(at(1), must(p.Change(limits, 0)))
		for i := range limits {
			n = append(n, c.Used(at(1), i))
		}
		return n
	}
	assert.Equal(t, []int{3, 1}, used(y, x))
	assert.Equal(t, []int{2, 3}, used(twenties, y))
	assert.Equal(t, []int{0, 2}, used(twenties, tens), "a name that stays is paired first")
	assert.Equal(t, []int{1}, used(Limit{Name: "x", Events: 1, Per: time.Hour}))

	s.Change(at(1), p)
	assert.Equal(t, 1, s.Used(at(1), 0), "to the same plan")
	// A change back and forth starts anew; what was taken before is not given back from what others took since.
	s.Change(at(2), must(p.Change([]Limit{y}, 0)))
	s.Change(at(3), p)
	s.Charge(at(4), &Costs{5})
	s.Refund(at(4), at(0), &Costs{1})
	assert.Equal(t, 5, s.Used(at(4), 0))
	assert.Panics(t, func() { s.Change(at(4), must(newPlan(at(0), []Limit{x}, 0))) })
}

// Until what a shorter window forgot has left the longer one, nothing passes.
func TestG1_LongerWindowIsNoRefill(t *testing.T) {
	p := must(NewPlan([]Limit{{Name: "x", Events: 10, Per: time.Second}}, 0))
	s := p.NewSet()
	for i := range 30 {
		require.Equal(t, 10, takeN(&s, at(time.Duration(i)*time.Second)))
	}
	now := at(29*time.Second + time.Millisecond)
	p = must(p.Change([]Limit{{Name: "x", Events: 100, Per: time.Minute}}, 0))
	s.Change(now, p)
	one, full := p.Costs(1), p.Capacity()
	d, _ := s.Wait(now, &one, &full)
	assert.Equal(t, at(88*time.Second), now.Add(d), "the take at 28 s was the last one forgotten")
	assert.False(t, s.Fresh(now))
	assert.Zero(t, takeN(&s, at(88*time.Second-1)))
	assert.Equal(t, 90, takeN(&s, at(88*time.Second)), "ten are left of the take at 29 s")
}

func TestTranslateFollowsNames(t *testing.T) {
	a, b := Limit{Name: "a", Events: 1, Per: time.Second}, Limit{Name: "b", Events: 2, Per: time.Second}
	from := must(NewPlan([]Limit{a, b, {Events: 7, Per: time.Minute}}, 0))
	to := must(from.Change([]Limit{b, {Name: "new", Events: 3, Per: time.Second}, {Events: 9, Per: time.Minute}, a}, 0))
	assert.Equal(t, Costs{2, 5, 3, 1}, to.Translate(from, &Costs{1, 2, 3}, 5), "unnamed limits are paired in order")
	assert.Equal(t, Costs{4}, from.Translate(from, &Costs{4}, 5))
}
