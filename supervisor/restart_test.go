package supervisor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBackoffStaysBetweenHalfAndWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{Min: time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "min"))}
		b.Max = time.Duration(rapid.Int64Range(int64(b.Min), math.MaxInt64).Draw(t, "max"))
		require.NoError(t, b.validate())
		require.Zero(t, b.delay(1), "the first restart is immediate")
		whole := b.Min
		for failure := 2; failure < 80; failure++ {
			d := b.delay(failure)
			require.LessOrEqual(t, d, whole, "failure %d", failure)
			require.GreaterOrEqual(t, d, whole-whole/2-1, "failure %d", failure)
			if whole > b.Max/2 {
				whole = b.Max
			} else {
				whole *= 2
			}
		}
		require.LessOrEqual(t, b.delay(math.MaxInt), b.Max)
	})
}

// A shift that overflows to a small positive number once made a long back-off short.
func TestBackoffDoesNotOverflow(t *testing.T) {
	b := Backoff{Min: 1<<40 + 1, Max: math.MaxInt64}
	for failure := 26; failure < 100; failure++ {
		assert.GreaterOrEqual(t, b.delay(failure), b.Max/2, "failure %d", failure)
	}
}

func TestBackoffJitters(t *testing.T) {
	b := Backoff{Min: time.Second, Max: time.Hour}
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[b.delay(5)] = true
	}
	assert.Greater(t, len(seen), 10, "children that fail together must not return together")
}

func TestRecordCountsWithinThePeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := Intensity{Failures: rapid.IntRange(0, 5).Draw(t, "failures"), Period: 10 * time.Second}
		var r record
		var all []time.Time
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 6000).Draw(t, "gap")) * time.Millisecond)
			all = append(all, now)
			want := 0
			for _, at := range all {
				if now.Sub(at) < i.Period {
					want++
				}
			}
			count, allowed := r.fail(now, i)
			require.Equal(t, want, count)
			require.Equal(t, want <= i.Failures, allowed)
		}
		require.False(t, r.forget(now.Add(i.Period-1), i))
		require.True(t, r.forget(now.Add(i.Period), i))
	})
}

func TestEscalation(t *testing.T) {
	e := escalation{intensity: Intensity{Failures: 2, Period: time.Minute}}
	now := time.Unix(0, 0)
	verdicts := func(n int) (v []verdict) {
		for range n {
			v = append(v, e.judge(now))
		}
		return v
	}
	assert.Equal(t, []verdict{carryOn, carryOn, beginAgain, carryOn, carryOn, beginAgain, carryOn, carryOn, closeDown}, verdicts(9))

	e = escalation{intensity: e.intensity}
	for range 20 { // the same number, spread out, is forgiven
		assert.Equal(t, carryOn, e.judge(now))
		now = now.Add(31 * time.Second)
	}
}

func TestDefaults(t *testing.T) {
	assert.Equal(t, Intensity{5, 10 * time.Second}, Intensity{}.withDefaults())
	assert.Equal(t, Intensity{3, 10 * time.Second}, Intensity{Failures: 3}.withDefaults())
	assert.Equal(t, Intensity{0, time.Minute}, Intensity{Period: time.Minute}.withDefaults())
	assert.Equal(t, Backoff{10 * time.Millisecond, 5 * time.Second}, Backoff{}.withDefaults())
	assert.Equal(t, Backoff{time.Minute, time.Minute}, Backoff{Min: time.Minute}.withDefaults())
	assert.Equal(t, Backoff{time.Millisecond, time.Millisecond}, Backoff{Max: time.Millisecond}.withDefaults())
}

func TestBadSpecNamesEveryField(t *testing.T) {
	tree := New(Config{})
	defer func() { require.NoError(t, tree.Close(t.Context())) }()
	_, err := NewFamily(tree, Spec[int, tally]{
		Restart: 7, MaxChildren: -1, Idle: -1, Spawners: 2000,
		Intensity: Intensity{Failures: -1, Period: -1}, Escalation: Intensity{Failures: -2, Period: 1}, Backoff: Backoff{Min: 2, Max: 1},
	})
	require.ErrorIs(t, err, ErrInvalid)
	for _, field := range []string{"Kind", "Name", "New", "Restart", "MaxChildren", "Idle", "Spawners", "Intensity.Failures", "Intensity.Period", "Escalation.Failures", "Backoff"} {
		assert.ErrorContains(t, err, field)
	}
	assert.Empty(t, tree.Info().Families, "nothing has been started")
}

func TestWords(t *testing.T) {
	assert.Equal(t, "permanent transient temporary Restart(9)", Permanent.String()+" "+Transient.String()+" "+Temporary.String()+" "+Restart(9).String())
	assert.Equal(t, "started restarted gave up passivated stopped EventKind(9)",
		Started.String()+" "+Restarted.String()+" "+GaveUp.String()+" "+Passivated.String()+" "+Stopped.String()+" "+EventKind(9).String())
}
