package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// arrivals has requests of one ID arrive, each sent when it arrives.
func arrivals(r *record, id string, at ...time.Duration) (outcomes []outcome) {
	for _, t := range at {
		outcomes = append(outcomes, r.arrive(id, t, func() time.Duration { return t }))
	}
	return outcomes
}

func TestJudgeSeesALimitExceeded(t *testing.T) {
	r := newRecord(law{events: 2, per: 10, slack: 3}, "a", "b")
	require.Equal(t, []outcome{served, served, refused, refused, served, refused, served}, arrivals(r, "a", 0, 5, 5, 9, 10, 14, 15))
	require.Equal(t, []outcome{served}, arrivals(r, "b", 12))
	served, refused, late := r.count(5, 15)
	require.Equal(t, [3]int{3, 3, 0}, [3]int{served, refused, late})
}

// TestJudgeLetsLateOnesBe: what a caller brings long after it had its permit says nothing about the limit.
func TestJudgeLetsLateOnesBe(t *testing.T) {
	r := newRecord(law{events: 1, per: 10, slack: 3}, "a")
	now := func() time.Duration { return 20 }
	require.Equal(t, late, r.arrive("a", 16, now))
	require.Equal(t, served, r.arrive("a", 17, now))
	require.Equal(t, refused, r.arrive("a", 17, now))
}

func TestJudgeSeesWhoIsNotServed(t *testing.T) {
	r := newRecord(law{events: 9, per: 1, slack: 1}, "a", "b")
	arrivals(r, "a", 1, 4, 9)
	arrivals(r, "b", 2, 4)
	for _, c := range []struct {
		from, to time.Duration
		id       string
		gap      time.Duration
	}{{0, 10, "b", 6}, {0, 9, "a", 5}, {3, 5, "a", 1}, {5, 8, "a", 3}} {
		id, gap := r.gap(c.from, c.to)
		require.Equal(t, c.gap, gap, c)
		require.Equal(t, c.id, id, c)
	}
	require.True(t, r.servedSince(3))
	require.False(t, r.servedSince(4))
	require.False(t, newRecord(law{}, "a").servedSince(0))
}
