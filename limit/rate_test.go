package limit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// window is what a rate promises: no more than n in any half-open window of w.
func window(perSecond float64) (n int, w time.Duration) {
	n = max(int(perSecond), 1)
	if perSecond == float64(n) {
		return n, time.Second
	}
	return n, time.Duration(float64(n) / perSecond * float64(time.Second))
}

// drain takes n at a time for as long as `long`, wanted all the while. After each wait it
// comes late by what late says.
func drain(r *Rate, start time.Time, long time.Duration, n int, late func() time.Duration) (grants []grant) {
	for now := start; ; {
		if d := r.Wait(now, n); d > 0 {
			now = now.Add(d + late())
		}
		if now.Sub(start) >= long {
			return grants
		}
		r.Take(now, start, n)
		grants = append(grants, grant{now, n})
	}
}

func punctual() time.Duration { return 0 }

// upTo is late by anything up to most.
func upTo(most time.Duration, seed uint64) func() time.Duration {
	rng := rand.New(rand.NewPCG(seed, 99))
	return func() time.Duration { return time.Duration(rng.Int64N(int64(most) + 1)) }
}

func drawRate(t *rapid.T) float64 {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(1, 12), func(n int) float64 { return float64(n) }),
		rapid.SampledFrom([]float64{0.001, 0.5, 0.3, 1.99, 2.5, 100, 999.9, 1000, 1024, 1025, 5000, 1_000_000}),
		rapid.Float64Range(0.1, 50),
	).Draw(t, "rate")
}

func TestG1_RateNeverExceedsInAnySecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := drawRate(t)
		r, now := must(NewRate(perSecond)), origin
		var grants []grant
		wanted := now
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			most, w := window(perSecond)
			switch rapid.IntRange(0, 12).Draw(t, "op") {
			case 0: // nobody wants any for a while
				now = now.Add(drawGap(t, w))
				wanted = now
			case 1:
				if len(grants) > 0 {
					g := &grants[rapid.IntRange(0, len(grants)-1).Draw(t, "grant")]
					back := rapid.IntRange(0, g.cost).Draw(t, "back")
					r.Give(now, g.at, back)
					g.cost -= back
				}
			case 2:
				if rapid.Bool().Draw(t, "stop") {
					require.NoError(t, r.Set(now, 0))
					require.Equal(t, Never, r.Wait(now, 1))
					now = now.Add(drawGap(t, w))
				}
				perSecond = drawRate(t)
				require.NoError(t, r.Set(now, perSecond))
			case 3: // a clock that was set back
				r.Wait(now.Add(-drawGap(t, w)), 1)
			default:
				n := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, 3), rapid.IntRange(1, most+2)).Draw(t, "n")
				d := r.Wait(now, n)
				if d > 0 {
					now = now.Add(d)
					require.Positive(t, r.Wait(now.Add(-1), n), "a nanosecond too early")
					now = now.Add(rapid.SampledFrom([]time.Duration{0, 1, time.Millisecond, 50 * time.Millisecond, time.Minute}).Draw(t, "late"))
				}
				for range rapid.SampledFrom([]int{1, 1, 10, 100}).Draw(t, "times") {
					if r.Wait(now, n) > 0 {
						break
					}
					r.Take(now, wanted, n)
					grants = append(grants, grant{now, n})
					if sum := within(grants, now, w); sum > max(most, n) {
						t.Fatalf("%d in a window of %v at %v a second", sum, w, perSecond)
					}
				}
			}
		}
	})
}

// Above 1,024 a second neighbours are remembered as one, at the later time.
func TestG1_LargeRateNeverExceedsInAnySecond(t *testing.T) {
	for _, perSecond := range []float64{1025, 5000, 5000.5} {
		most, w := window(perSecond)
		grants := drain(must(NewRate(perSecond)), origin, 4*time.Second, 1, upTo(3*time.Millisecond, 7))
		require.Greater(t, len(grants), 3*most)
		for i := most; i < len(grants); i++ {
			require.GreaterOrEqual(t, grants[i].at.Sub(grants[i-most].at), w, "%d at %v a second", i, perSecond)
		}
	}
	r := must(NewRate(5000))
	r.Take(at(0), at(0), 4999)
	r.Take(at(900*time.Microsecond), at(0), 1)
	assert.Equal(t, 900*time.Microsecond, r.Wait(at(time.Second), 5000))

	r = must(NewRate(5000))
	r.Take(at(0), at(0), 4000)
	r.Take(at(2*time.Millisecond), at(0), 1)
	r.Give(at(2*time.Millisecond), at(2*time.Millisecond), 1)
	r.Take(at(2500*time.Microsecond), at(0), 1)
	assert.Zero(t, r.Wait(at(time.Second), 4999), "what was given back keeps its neighbours apart")
}

// Who always wants more gets 99 % of the rate, less what his own lateness takes from each window.
func TestG1_RateDelivers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := drawRate(t)
		_, w := window(perSecond)
		most := time.Duration(rapid.IntRange(0, 50).Draw(t, "late")) * time.Millisecond
		const windows = 40
		each := max(1, int(perSecond)/2000)
		r := must(NewRate(perSecond))
		warm := drain(r, origin, w, each, punctual)
		got := 0
		for _, g := range drain(r, origin.Add(w), windows*w, each, upTo(most, rapid.Uint64().Draw(t, "seed"))) {
			got += g.cost
		}
		require.NotEmpty(t, warm)
		rate := perSecond * w.Seconds() / (w + most).Seconds()
		if least := 0.99*rate*windows*w.Seconds() - float64(each); float64(got) < least {
			t.Fatalf("%d at %v a second in %v, up to %v late: want %.0f", got, perSecond, windows*w, most, least)
		}
	})
}

// Late by up to 5 ms each time, 2,000 events take no longer than twice that more than
// on time, since no second may hold more than 1,000.
func TestQ4_TwoThousandAtAThousandASecond(t *testing.T) {
	const late, runs = 5 * time.Millisecond, 50
	var sum time.Duration
	for seed := range uint64(runs) {
		grants := drain(must(NewRate(1000)), origin, 2*time.Second+4*late, 1, upTo(late, seed))
		took := grants[1999].at.Sub(grants[0].at)
		assert.GreaterOrEqual(t, took, 1999*time.Millisecond)
		assert.LessOrEqual(t, took, 1999*time.Millisecond+2*late, "seed %d", seed)
		sum += took
	}
	assert.InDelta(t, 1.999, (sum / runs).Seconds(), 0.006)
}

// A machine that is late by one or two milliseconds at each event keeps the rate.
func TestQ4_LatenessIsCaughtUp(t *testing.T) {
	r := must(NewRate(1000))
	grants := drain(r, origin, 20*time.Second, 1, upTo(2*time.Millisecond, 1))
	assert.GreaterOrEqual(t, len(grants), 19_900)
	assert.LessOrEqual(t, len(grants), 20_000)
}

func TestRateIsEven(t *testing.T) {
	r := must(NewRate(3))
	for i, g := range drain(r, origin, 10*time.Second, 1, punctual) {
		assert.Equal(t, time.Duration(i)*(time.Second/3+1), g.at.Sub(origin))
	}
}

func TestRateSavesNothingUp(t *testing.T) {
	r := must(NewRate(1000))
	r.Take(at(0), at(0), 1)
	later := at(time.Hour)
	for range 50 { // they all come at once
		if r.Wait(later, 1) == 0 {
			r.Take(later, later, 1)
		}
	}
	assert.Equal(t, time.Millisecond, r.Wait(later, 1), "one has passed, and the next is a millisecond later")
}

// takeAll takes one at a time as long as there is one, and returns how many.
func takeAll(r *Rate, now, wanted time.Time) (n int) {
	for r.Wait(now, 1) == 0 {
		r.Take(now, wanted, 1)
		n++
	}
	return n
}

func TestRateCatchesUpOnATenthOfASecond(t *testing.T) {
	for _, tc := range []struct {
		perSecond float64
		late      time.Duration
		events    int
	}{
		{1000, 20 * time.Millisecond, 21},
		{1000, 99 * time.Millisecond, 100},
		{1000, 700 * time.Millisecond, 101},
		{20, 700 * time.Millisecond, 3},
		{4, 700 * time.Millisecond, 2}, // one, as an interval is more than a tenth of a second
		{1, 5 * time.Second, 1},        // two would be more than one in a second
	} {
		t.Run(fmt.Sprint(tc.perSecond, " a second, ", tc.late, " late"), func(t *testing.T) {
			r := must(NewRate(tc.perSecond))
			r.Take(at(0), at(0), 1)
			due := at(r.Wait(at(0), 1))
			assert.Equal(t, tc.events, takeAll(r, due.Add(tc.late), at(0)))
		})
	}
}

// One pause makes for one burst when it is over, and not for one in each second after.
func TestRateIsEvenAgainAfterAPause(t *testing.T) {
	r, calls := must(NewRate(1000)), 0
	grants := drain(r, origin, time.Minute, 1, func() time.Duration {
		if calls++; calls == 1500 {
			return 90 * time.Millisecond
		}
		return 0
	})
	burst := func(from, to int) (most int) {
		in := map[time.Time]int{}
		for _, g := range grants {
			if s := g.at.Sub(origin).Seconds(); s >= float64(from) && s < float64(to) {
				in[g.at]++
				most = max(most, in[g.at])
			}
		}
		return most
	}
	assert.Equal(t, 91, burst(1, 2), "caught up at once")
	assert.Less(t, burst(20, 21), 55)
	assert.Equal(t, 1, burst(40, 60))
	assert.GreaterOrEqual(t, len(grants), 59_905, "what it takes to be even again")
}

func TestRateOfMoreThanASecondHolds(t *testing.T) {
	r := must(NewRate(10))
	r.Take(at(0), at(0), 1)
	assert.Equal(t, time.Second, r.Wait(at(0), 25), "passes when the last second is empty")
	r.Take(at(time.Second), at(time.Second), 25)
	assert.Equal(t, 2500*time.Millisecond, r.Wait(at(time.Second), 1), "and is a debt")
	assert.Zero(t, r.Wait(at(time.Minute), 1))
	r.Take(at(time.Minute), at(0), math.MaxInt)
	assert.Greater(t, r.Wait(at(time.Minute), 1), 6*365*24*time.Hour)
	assert.Less(t, r.Wait(at(time.Minute), 1), 7*365*24*time.Hour, "counts as 2,147,483,647")
	r.Give(at(time.Minute), at(time.Minute), math.MaxInt)
	assert.Zero(t, r.Wait(at(time.Minute), 1))
}

func TestRateCountsWhatIsTakenTooEarly(t *testing.T) {
	r := must(NewRate(10))
	for range 12 {
		r.Take(at(0), at(0), 1)
	}
	assert.Equal(t, 1200*time.Millisecond, r.Wait(at(0), 1))
	r.Take(at(0), at(0), 0)
	r.Take(at(0), at(0), -5)
	assert.Equal(t, 1200*time.Millisecond, r.Wait(at(0), 1))
	assert.Zero(t, r.Wait(at(0), 0))
}

func TestRateGive(t *testing.T) {
	r := must(NewRate(10))
	r.Take(at(0), at(0), 3)
	assert.Equal(t, 300*time.Millisecond, r.Wait(at(0), 1))
	r.Give(at(0), at(0), 2)
	assert.Equal(t, 100*time.Millisecond, r.Wait(at(0), 1))
	r.Give(at(0), at(0), -4)
	assert.Equal(t, 100*time.Millisecond, r.Wait(at(0), 1))
	r.Give(at(0), at(0), 1)
	assert.Zero(t, r.Wait(at(0), 10), "as before")

	r.Take(at(0), at(0), 1)
	r.Take(at(time.Second/2), at(time.Second/2), 1)
	r.Give(at(time.Second/2), at(0), 1)
	assert.Equal(t, 100*time.Millisecond, r.Wait(at(time.Second/2), 1), "has been idle since")
	assert.Equal(t, 100*time.Millisecond, r.Wait(at(time.Second/2), 9), "counts no more in the last second")
	assert.Equal(t, time.Second, r.Wait(at(time.Second/2), 10))

	r.Give(at(time.Hour), at(time.Second/2), 1)
	assert.Equal(t, 10, takeAll(must(NewRate(10)), at(0), at(0))+9, "nothing is saved up by giving back late")
	r.Take(at(time.Hour), at(time.Hour), 1)
	assert.Equal(t, 100*time.Millisecond, r.Wait(at(time.Hour), 1))
}

func TestRateSet(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new float64
		taken    int // at 0
		wait     time.Duration
		passes   int // as one, then
	}{
		{"up", 10, 100, 5, 50 * time.Millisecond, 95},
		{"up, what is left of the second", 10, 11, 10, time.Second * 10 / 11, 1},
		{"down", 100, 10, 5, 500 * time.Millisecond, 5},
		{"down, more than it may hold", 100, 10, 50, 5 * time.Second, 10},
		{"stopped", 100, 0, 5, Never, 0},
		{"to a longer window", 1000, 0.1, 1, 10 * time.Second, 1},
		{"to a shorter window", 0.1, 1000, 1, time.Millisecond, 999},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := must(NewRate(tc.old))
			r.Take(at(0), at(0), tc.taken)
			require.NoError(t, r.Set(at(0), tc.new))
			assert.Equal(t, tc.new, r.PerSecond())
			wait := r.Wait(at(0), 1)
			assert.InDelta(t, float64(tc.wait), float64(wait), 20, "nanoseconds, as intervals are rounded up")
			if tc.passes > 0 {
				assert.Zero(t, r.Wait(at(wait), tc.passes))
			}
			if tc.passes < int(tc.new) {
				assert.Positive(t, r.Wait(at(wait), tc.passes+1))
			}
		})
	}
}

func TestRateSetToALongerWindowForgetsNothing(t *testing.T) {
	r := must(NewRate(10))
	r.Take(at(0), at(0), 1)
	assert.Zero(t, r.Wait(at(8*time.Second), 1))
	require.NoError(t, r.Set(at(8*time.Second), 0.1))
	assert.Equal(t, 2*time.Second, r.Wait(at(8*time.Second), 1))
	require.NoError(t, r.Set(at(9*time.Second), 10))
	assert.Zero(t, r.Wait(at(9*time.Second), 1))
}

func TestRateStopsAndGoesOn(t *testing.T) {
	r := must(NewRate(0))
	assert.Equal(t, Never, r.Wait(at(0), 1))
	r.Take(at(0), at(0), 2)
	require.NoError(t, r.Set(at(time.Hour), 10))
	assert.Equal(t, 200*time.Millisecond, r.Wait(at(time.Hour), 1), "what was taken meanwhile is owed")

	require.NoError(t, r.Set(at(time.Hour), 0))
	require.NoError(t, r.Set(at(2*time.Hour), 5))
	assert.Equal(t, 400*time.Millisecond, r.Wait(at(2*time.Hour), 1), "and is not worked off while it stands still")

	assert.Equal(t, 1, takeAll(r, at(3*time.Hour), at(3*time.Hour)))
	require.NoError(t, r.Set(at(3*time.Hour+time.Second/5), 0))
	require.NoError(t, r.Set(at(4*time.Hour), 5))
	assert.Equal(t, 1, takeAll(r, at(4*time.Hour), at(4*time.Hour)), "standing still is not lateness")
}

func TestRateRefuses(t *testing.T) {
	r := must(NewRate(10))
	for _, bad := range []float64{-1, 0.0009, 1_000_001, math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := NewRate(bad)
		require.ErrorContains(t, err, fmt.Sprintf("rate: %v a second, want 0 or 0.001 to 1000000", bad))
		require.ErrorContains(t, r.Set(at(0), bad), "want 0 or 0.001 to 1000000")
	}
	assert.InDelta(t, 10, r.PerSecond(), 0)
	for share := 1; share <= 100; share++ { // a rate times a share is the whole number that it should be
		r := must(NewRate(100 * (float64(share) / 100)))
		assert.EqualValues(t, share, r.recent.limit)
		assert.EqualValues(t, time.Second, r.recent.span)
	}
}

func TestRateRemembersLittleAndAllocatesNothing(t *testing.T) {
	for _, perSecond := range []float64{10, 1000, 1_000_000} {
		r := must(NewRate(perSecond))
		now := origin
		step := func() {
			for range 1500 {
				now = now.Add(min(r.Wait(now, 1), time.Microsecond))
				r.Take(now, now, 1) // whether it fits or not
				r.Give(now, now, 1)
				r.Take(now, now, 1)
			}
		}
		step()
		assert.Zero(t, testing.AllocsPerRun(3, step))
		assert.LessOrEqual(t, len(r.recent.marks), maxMarks)
	}
}
