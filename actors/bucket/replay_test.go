package bucket

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// TestReplayDoesWhatRealBucketsDo gives the same arrivals to real buckets in virtual time and to a replay.
func TestReplayDoesWhatRealBucketsDo(t *testing.T) {
	cfg := Config{Limits: []limit.Limit{tenIn6s, {Events: 30, Per: 40 * time.Second}}, MaxWaiting: 15}
	type arrival struct {
		id    string
		after time.Duration
		r     Request
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var arrivals []arrival
	at := time.Duration(0)
	for range 400 {
		at += time.Duration(rng.IntN(400)+1) * time.Millisecond
		arrivals = append(arrivals, arrival{ids(2)[rng.IntN(2)], at, Request{Nice: rng.IntN(5), Cost: 1 + rng.IntN(3)}})
	}
	type result struct {
		at, wait time.Duration
		refused  bool
	}
	var real, replayed []result
	var mu sync.Mutex // guards real while callers run
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, cfg)
		var c roomtest.Callers
		start := time.Now()
		for _, a := range arrivals {
			time.Sleep(a.after - time.Since(start))
			c.Call(func() error {
				_, err := f.Bucket(a.id).Acquire(context.Background(), a.r)
				r := result{at: a.after, refused: err != nil}
				if err == nil {
					r.wait = time.Since(start) - a.after
				}
				mu.Lock()
				real = append(real, r)
				mu.Unlock()
				return nil
			})
		}
		c.Wait()
	})
	start := time.Date(2015, 5, 17, 0, 0, 0, 0, time.UTC)
	replay, err := NewReplay(cfg, func(o Outcome) {
		replayed = append(replayed, result{at: o.At.Sub(start), wait: o.Wait, refused: o.Err != nil})
	})
	require.NoError(t, err)
	for _, a := range arrivals {
		require.NoError(t, replay.Arrive(a.id, start.Add(a.after), a.r))
	}
	replay.Finish()
	byArrival := func(a, b result) int { return int(a.at - b.at) }
	slices.SortFunc(real, byArrival)
	slices.SortFunc(replayed, byArrival)
	require.Len(t, replayed, len(arrivals))
	assert.Equal(t, real, replayed)
	assert.True(t, slices.ContainsFunc(real, func(r result) bool { return r.refused }))
	assert.True(t, slices.ContainsFunc(real, func(r result) bool { return r.wait > 0 }))
}

func TestReplayOfBadInputAndTimesThatGoBack(t *testing.T) {
	_, err := NewReplay(Config{}, nil)
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	var outcomes []Outcome
	r, err := NewReplay(Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}}, func(o Outcome) { outcomes = append(outcomes, o) })
	require.NoError(t, err)
	assert.ErrorIs(t, r.Arrive("", t0, Request{}), penstock.ErrInvalid)
	assert.ErrorIs(t, r.Arrive("u", t0, Request{Cost: 2}), penstock.ErrInvalid)
	assert.ErrorIs(t, r.Arrive("u", t0, Request{Nice: 30}), penstock.ErrInvalid)
	require.NoError(t, r.Arrive("u", t0, Request{}))
	require.NoError(t, r.Arrive("u", t0.Add(-time.Hour), Request{}))
	r.Finish()
	assert.Equal(t, []Outcome{{ID: "u", At: t0}, {ID: "u", At: t0, Wait: time.Second}}, outcomes)
}

func TestReplayRefusesTimesThatStandStill(t *testing.T) {
	r, err := NewReplay(Config{Limits: []limit.Limit{tenIn6s}}, func(Outcome) {})
	require.NoError(t, err)
	for _, at := range []time.Time{{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		for range 11 {
			assert.ErrorIs(t, r.Arrive("a", at, Request{}), penstock.ErrInvalid)
		}
	}
	r.Finish() // would not end
}
