package strict

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// countIn is the oracle: how many of the times lie in [from, from+per).
func countIn(times []time.Time, from time.Time, per time.Duration) int {
	n := 0
	for _, t := range times {
		if !t.Before(from) && t.Before(from.Add(per)) {
			n++
		}
	}
	return n
}

// TestJudgeAgainstBruteForce: a request is admitted if and only if no window that holds it would be overfull, for every
// window, counted naively; and a refused key that stays away as long as it was told, and not a moment less, is admitted.
func TestJudgeAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Events: rapid.IntRange(1, 5).Draw(t, "events"), Per: time.Duration(rapid.IntRange(1, 20).Draw(t, "per"))}
		gaps := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 60).Draw(t, "gaps")
		record := NewRecord(rule)
		var arrived, admitted []time.Time
		now := epoch
		for _, gap := range gaps {
			now = now.Add(time.Duration(gap))
			arrived = append(arrived, now)
			wait, ok := record.judge("k", now)
			fits := func(at time.Time) bool { // nothing was admitted after now, so the window that ends with at is the fullest
				return countIn(admitted, at.Add(1-rule.Per), rule.Per) < rule.Events
			}
			require.Equal(t, fits(now), ok)
			if ok {
				admitted = append(admitted, now)
				continue
			}
			require.True(t, fits(now.Add(wait)))
			require.False(t, fits(now.Add(wait-1)))
		}
		most := 0
		for from := epoch.Add(-rule.Per); from.Before(now.Add(rule.Per)); from = from.Add(1) {
			most = max(most, countIn(arrived, from, rule.Per))
			require.LessOrEqual(t, countIn(admitted, from, rule.Per), rule.Events)
		}
		require.Equal(t, Totals{Served: len(admitted), Refused: len(arrived) - len(admitted), Busiest: most}, record.Totals())
	})
}

// TestMostIsReached: a client that always tries gets exactly Most, so the bound is neither generous nor unfair.
func TestMostIsReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Events: rapid.IntRange(1, 5).Draw(t, "events"), Per: time.Duration(rapid.IntRange(1, 20).Draw(t, "per"))}
		d := time.Duration(rapid.IntRange(0, 200).Draw(t, "d"))
		record := NewRecord(rule)
		for at := time.Duration(0); at <= d; at++ {
			for range rule.Events {
				record.judge("k", epoch.Add(at))
			}
		}
		require.Equal(t, rule.Most(d), record.Totals().Served)
	})
	assert.Zero(t, Rule{Events: 10, Per: time.Second}.Most(-1))
}

func TestKeysAreJudgedApart(t *testing.T) {
	record := NewRecord(Rule{Events: 1, Per: time.Hour})
	for key, want := range map[string]bool{"a": true, "b": true} {
		_, ok := record.Arrive(key)
		assert.Equal(t, want, ok)
	}
	wait, ok := record.Arrive("a")
	assert.False(t, ok)
	assert.True(t, 0 < wait && wait <= time.Hour, "wait %v", wait)
	assert.Equal(t, Totals{Served: 2, Refused: 1, Busiest: 2}, record.Totals())
}

func TestServedAfter(t *testing.T) {
	record := NewRecord(Rule{Events: 1, Per: 2})
	for i := range 4 {
		record.judge("k", epoch.Add(time.Duration(i))) // the first and the third are served
	}
	assert.Equal(t, epoch, record.ServedAfter("k", time.Time{}))
	assert.Equal(t, epoch.Add(2), record.ServedAfter("k", epoch))
	assert.Zero(t, record.ServedAfter("k", epoch.Add(2)))
	assert.Zero(t, record.ServedAfter("somebody else", time.Time{}))
}
