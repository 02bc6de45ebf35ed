package limit

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// newSet is a Set of one limit.
func newSet(limit string, slack time.Duration) Set {
	return must(NewPlan([]Limit{must(Parse(limit))}, slack)).NewSet()
}

func TestCeilingIsAtMostTheCapacity(t *testing.T) {
	for _, limit := range []string{"10/6s", "300/6s", "10/10s:smooth:burst=10", "10/1m:calendar"} {
		s := newSet(limit, 0)
		most := int(s.Plan().Capacity()[0])
		above := Costs{math.MaxInt32}
		_, _, ok := s.Take(at(0), &Costs{int32(most + 1)}, &above)
		assert.False(t, ok, limit)
		d, _ := s.Wait(at(0), &Costs{int32(most + 1)}, &above)
		assert.Equal(t, Never, d, limit)
		_, left, ok := s.Take(at(0), &Costs{int32(most)}, &above)
		assert.True(t, ok && left == 0, limit)
	}
}

// After a refund, takes of different times are not remembered as one.
func TestRollingRefundOfTheNewestKeepsSlotsApart(t *testing.T) {
	s := newSet("1000/1m", 0)
	s.Charge(at(0), &Costs{1})
	s.Charge(at(time.Second), &Costs{1})
	s.Refund(at(time.Second), at(time.Second), &Costs{1})
	s.Charge(at(30*time.Second), &Costs{1})
	assert.Equal(t, 1, s.Used(at(time.Minute), 0))
}

// A limit that became large brings a full ring into slots and goes on exact enough.
func TestRollingRingOfALimitThatBecameLarge(t *testing.T) {
	p := must(NewPlan([]Limit{{Name: "x", Events: 256, Per: time.Minute}}, 0))
	s := p.NewSet()
	for i := range 256 {
		s.Charge(at(time.Duration(i)), &Costs{1})
	}
	s.Change(at(256), must(p.Change([]Limit{{Name: "x", Events: 90_000, Per: time.Minute}}, 0)))
	for i := range 60 {
		s.Charge(at(time.Duration(i+1)*time.Second), &Costs{100})
	}
	assert.Equal(t, 6000, s.Used(at(time.Minute+256), 0))
	assert.Equal(t, 3000, s.Used(at(90*time.Second+256), 0))
}

// A window that grew while clocks disagree still waits out what it forgot.
func TestG1_LongerWindowAndClockSetBack(t *testing.T) {
	s := newSet("1/10s", 0)
	s.Charge(at(10*time.Second), &Costs{1})
	s.Used(at(20*time.Second), 0)
	s.Change(at(0), must(s.Plan().Change(s.Plan().Limits(), time.Second)))
	s.Charge(at(0), &Costs{1})
	s.Used(at(15*time.Second), 0)
	assert.Zero(t, takeN(&s, at(21*time.Second-1)))
	assert.Equal(t, 1, takeN(&s, at(21*time.Second)))
}

func TestSmoothClockSetBackCostsNothing(t *testing.T) {
	s := newSet("10/10s:smooth:burst=2", 0)
	one, full := s.Plan().Costs(1), s.Plan().Capacity()
	s.Charge(at(10*time.Second), &one)
	assert.Equal(t, 1, takeN(&s, at(5*time.Second)), "as at 10 s")
	assert.Equal(t, 2, s.Used(at(5*time.Second), 0))
	d, _ := s.Wait(at(5*time.Second), &one, &full)
	assert.Equal(t, 6*time.Second, d)
}

func TestRefundKnowsNothingOfBeforeALimitsStart(t *testing.T) {
	for _, algorithm := range []Algorithm{Rolling, Smooth, Calendar} {
		l := Limit{Name: "x", Events: 10, Per: time.Minute, Algorithm: algorithm}
		if algorithm == Smooth {
			l.Burst = 10
		}
		p := must(NewPlan([]Limit{l}, 0))
		s := p.NewSet()
		s.Charge(at(0), &Costs{5})
		s.Change(at(1), must(p.Change([]Limit{{Name: "y", Events: 1, Per: time.Minute}}, 0)))
		s.Change(at(2), p)
		s.Charge(at(3), &Costs{5})
		s.Refund(at(3), at(0), &Costs{5})
		assert.Equal(t, 5, s.Used(at(3), 0), algorithm)
	}
}

func TestCalendarRefund(t *testing.T) {
	const tail, later = 59500 * time.Millisecond, 61500 * time.Millisecond
	newSet := func() Set {
		s := newSet("10/1m:calendar", time.Second)
		s.Charge(at(2*time.Second), &Costs{1})
		s.Charge(at(tail), &Costs{4})
		return s
	}
	s := newSet()
	assert.Equal(t, 5, s.Used(at(tail), 0))
	assert.Equal(t, 4, s.Used(at(later), 0), "near the boundary counts on both sides")
	s.Refund(at(later), at(2*time.Second), &Costs{1})
	assert.Equal(t, 4, s.Used(at(later), 0), "left with its window")
	s.Refund(at(later), at(tail), &Costs{3})
	assert.Equal(t, 1, s.Used(at(later), 0))

	s = newSet()
	s.Refund(at(tail), at(tail), &Costs{3})
	assert.Equal(t, 2, s.Used(at(tail), 0))
	assert.Equal(t, 1, s.Used(at(later), 0), "given back on both sides")

	s = newSet()
	s.Charge(at(tail-time.Second), &Costs{2})
	assert.Equal(t, 6, s.Used(at(later), 0), "a clock set back across the line is still near")
}

func TestCalendarChangeToALongerWindow(t *testing.T) {
	s := newSet("10/1m:calendar", 0)
	s.Charge(at(0), &Costs{4})
	s.Charge(at(61*time.Second), &Costs{2})
	l := s.Plan().Limits()[0]
	l.Per = 24 * time.Hour
	s.Change(at(62*time.Second), must(s.Plan().Change([]Limit{l}, 0)))
	assert.Equal(t, 12, s.Used(at(62*time.Second), 0), "the day holds a window that has closed: it counts as full")
	s.Refund(at(62*time.Second), at(0), &Costs{4})
	assert.Equal(t, 12, s.Used(at(62*time.Second), 0), "what was forgotten is not given back")
	s.Refund(at(62*time.Second), at(61*time.Second), &Costs{1})
	assert.Equal(t, 11, s.Used(at(62*time.Second), 0))
}
