package bucket

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func rulesFor(t testing.TB, cfg Config) *rules {
	t.Helper()
	r, err := cfg.withDefaults().compile()
	require.NoError(t, err)
	return r
}

// arrival puts a request in line, or lets it pass.
func arrival(s *state, now time.Time, nice int, cost int) *ticket {
	costs := s.rules.plan.Costs(cost)
	if _, _, ok := s.pass(now, nice, &costs); ok {
		return nil
	}
	t := new(ticket)
	s.admit(now, nice, &costs, t)
	s.join(t)
	return t
}

// turns grants all that is due at now and returns whose turn it was.
func turns(s *state, now time.Time) (went []*ticket) {
	for t := s.head(); t != nil && s.due(now) == 0; t = s.head() {
		went = append(went, t)
		s.grant(now)
	}
	return went
}

func TestB4_ElevenWithinSixSecondsWait(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}}), t0, time.Time{})
	for range 10 {
		require.Nil(t, arrival(&s, t0, 0, 1))
	}
	eleventh := arrival(&s, t0.Add(time.Second), 0, 1)
	require.NotNil(t, eleventh)
	assert.Equal(t, 5*time.Second, s.due(t0.Add(time.Second)))
	assert.Empty(t, turns(&s, t0.Add(6*time.Second-1)))
	assert.Equal(t, []*ticket{eleventh}, turns(&s, t0.Add(6*time.Second)))
}

func TestB8_TheMoreUrgentGoesFirstAndEqualsInOrder(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}}), t0, time.Time{})
	arrival(&s, t0, 0, 1)
	low1, low2 := arrival(&s, t0, 5, 1), arrival(&s, t0, 5, 1)
	high1, high2 := arrival(&s, t0, -5, 1), arrival(&s, t0, -5, 1)
	var order []*ticket
	for i := range 4 {
		order = append(order, turns(&s, t0.Add(time.Duration(i+1)*time.Second))...)
	}
	assert.Equal(t, []*ticket{high1, high2, low1, low2}, order)
}

func TestB8_TornexsClasses(t *testing.T) {
	s := newState(rulesFor(t, Tornex()), t0, time.Time{})
	generic := arrival(&s, t0, 1, 1)
	require.NotNil(t, generic, "a generic request goes only in its turn")
	for i := range 7 {
		require.Nil(t, arrival(&s, t0, 0, 1), "high priority %d", i)
	}
	high := arrival(&s, t0, 0, 1)
	require.NotNil(t, high, "70 %% of the window are used")
	for i := range 3 {
		require.Nil(t, arrival(&s, t0, -10, 1), "user request %d", i)
	}
	user := arrival(&s, t0, -10, 1)
	require.NotNil(t, user, "the window is full")

	assert.Empty(t, turns(&s, t0.Add(6*time.Second-1)))
	assert.Equal(t, []*ticket{user, high, generic}, turns(&s, t0.Add(6*time.Second)))
}

func TestHeadroomOfABurstyBackgroundLeavesRoomForTheUrgent(t *testing.T) {
	cfg := Config{Limits: []limit.Limit{tenIn6s}, Headroom: Headroom{Classes: []Class{{MaxNice: 0, Share: 1}, {MaxNice: MaxNice, Share: 0.5}}}}
	s := newState(rulesFor(t, cfg), t0, time.Time{})
	for range 20 {
		arrival(&s, t0, 10, 1)
	}
	assert.Equal(t, 15, s.waiting())
	for range 5 {
		assert.Nil(t, arrival(&s, t0, 0, 1), "more urgent than everybody who waits")
	}
	assert.NotNil(t, arrival(&s, t0, 0, 1))
}

func TestG7_NobodyPassesThoseWhoWait(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}}), t0, time.Time{})
	for range 8 {
		require.Nil(t, arrival(&s, t0, 0, 1))
	}
	five := arrival(&s, t0, 0, 5)
	require.NotNil(t, five)
	one := arrival(&s, t0, 0, 1)
	require.NotNil(t, one, "there is room for 1, but the one that needs 5 came first")
	assert.Nil(t, arrival(&s, t0, -1, 1), "the more urgent may")
	assert.Equal(t, []*ticket{five, one}, turns(&s, t0.Add(6*time.Second)))
}

func TestG7_AWaiterOnItsWayIsNotPassedEither(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}}), t0, time.Time{})
	require.Nil(t, arrival(&s, t0, 0, 1))
	costs, travelling := s.rules.one, new(ticket)
	s.admit(t0, -5, &costs, travelling) // not in line yet
	now := t0.Add(time.Second)
	_, _, ok := s.pass(now, -5, &costs)
	assert.False(t, ok)
	_, _, ok = s.pass(now, -6, &costs)
	assert.True(t, ok)
}

func TestG7_WithAgeingNobodyStarves(t *testing.T) {
	starved := func(aging time.Duration) bool {
		s := newState(rulesFor(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}, Aging: aging}), t0, time.Time{})
		arrival(&s, t0, 0, 1)
		old := arrival(&s, t0, 19, 1)
		for i := range 600 {
			now := t0.Add(time.Duration(i) * time.Second)
			arrival(&s, now, -20, 1) // as many as the limit lets through
			for _, went := range turns(&s, now) {
				if went == old {
					return false
				}
			}
		}
		return true
	}
	assert.True(t, starved(0), "the control: without ageing it does starve")
	assert.False(t, starved(10*time.Second))
}

func TestG7_AgeingLiftsIntoMoreUrgentClasses(t *testing.T) {
	cfg := Config{
		Limits:   []limit.Limit{{Events: 10, Per: time.Hour}},
		Headroom: Headroom{Classes: []Class{{MaxNice: 0, Share: 1}, {MaxNice: MaxNice, Share: 0.1}}},
		Aging:    time.Minute,
	}
	s := newState(rulesFor(t, cfg), t0, time.Time{})
	require.Nil(t, arrival(&s, t0, 10, 1))
	waits := arrival(&s, t0, 10, 1)
	require.NotNil(t, waits)
	now := t0
	for range 100 {
		d := s.due(now)
		if d == 0 {
			break
		}
		now = now.Add(d)
	}
	assert.Equal(t, 10*time.Minute, now.Sub(t0), "ten steps from niceness 10 to 0")
}

func TestThrottleHoldsEverybodyAndIsNeverShortened(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}}), t0, time.Time{})
	s.hold(t0, t0.Add(time.Minute))
	s.hold(t0, t0.Add(time.Second))
	waits := arrival(&s, t0, -20, 1)
	require.NotNil(t, waits)
	assert.Equal(t, time.Minute, s.due(t0))
	assert.False(t, s.fresh(t0))
	assert.Equal(t, []*ticket{waits}, turns(&s, t0.Add(time.Minute)))
}

func TestPromotedRequestsKeepTheirPlaceAmongEquals(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}}), t0, time.Time{})
	arrival(&s, t0, 0, 1)
	first, second, third := arrival(&s, t0, 5, 1), arrival(&s, t0, 0, 1), arrival(&s, t0, 0, 1)
	s.promote(first, 0)
	s.promote(third, 10) // no request becomes less urgent
	var order []*ticket
	for i := range 3 {
		order = append(order, turns(&s, t0.Add(time.Duration(i+1)*time.Second))...)
	}
	assert.Equal(t, []*ticket{first, second, third}, order)
}

func TestFreshMeansThatNothingIsRemembered(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}}), t0, time.Time{})
	assert.True(t, s.fresh(t0))
	arrival(&s, t0, 0, 1)
	assert.False(t, s.fresh(t0.Add(6*time.Second-1)))
	assert.True(t, s.fresh(t0.Add(6*time.Second)))
}

func TestG3_WhoGaveUpHoldsUpNoUrgentTry(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}}), t0, time.Time{})
	costs := s.rules.plan.Costs(10)
	_, _, ok := s.pass(t0, 0, &costs)
	require.True(t, ok)
	urgent, other := new(ticket), new(ticket)
	s.admit(t0, -20, &costs, urgent)
	s.join(urgent)
	s.admit(t0, 0, &costs, other) // on its way
	s.dismiss(urgent)
	s.join(other)
	one := s.rules.plan.Costs(1)
	_, _, ok = s.pass(t0.Add(6*time.Second), -10, &one)
	assert.True(t, ok, "more urgent than all who wait")
}

func TestAnOldThrottleCostsANewBucketNothing(t *testing.T) {
	r := rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}})
	r.throttle = t0
	s := newState(r, t0, time.Time{})
	assert.True(t, s.calm())
	assert.Nil(t, s.backlog)
}

func TestAgeingThatLeadsNoFurtherWakesNobody(t *testing.T) {
	cfg := Config{Limits: []limit.Limit{tenIn6s}, Headroom: Headroom{Classes: []Class{{MaxNice: 0, Share: 0.5}, {MaxNice: 10, Share: 0.3}}}, Aging: time.Second}
	s := newState(rulesFor(t, cfg), t0, time.Time{})
	for range 5 {
		require.Nil(t, arrival(&s, t0, 0, 1))
	}
	require.NotNil(t, arrival(&s, t0, 0, 1))
	assert.Equal(t, 6*time.Second, s.due(t0))
}
