package sampler

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestQ21_LevelsFollowTheValue(t *testing.T) {
	tests := []struct {
		name       string
		thresholds []float64
		hysteresis float64
		values     []float64
		levels     []int
	}{
		{"each threshold is a level, and belongs to it", []float64{0.8, 0.9, 1}, 0,
			[]float64{0, 0.79, 0.8, 0.85, 0.9, 1, 7, 0.95, 0.1}, []int{0, 0, 1, 1, 2, 3, 3, 2, 0}},
		{"with hysteresis a level is left further down", []float64{10, 20}, 0.1,
			[]float64{20, 19, 18, 17.9, 10, 9, 8.9, 9.5, 10}, []int{2, 2, 2, 1, 1, 1, 0, 0, 1}},
		{"several levels at once", []float64{10, 20, 30}, 0.1,
			[]float64{30, 0, 30, 18.5, 17, 30, 9.5}, []int{3, 0, 3, 2, 1, 3, 1}},
		{"a fall to between stops where the hysteresis says", []float64{10, 11, 12}, 0.5,
			[]float64{12, 6, 5.9, 5.4, 5, 4.9}, []int{3, 3, 2, 1, 1, 0}},
		{"a share of a negative threshold leads down too", []float64{-10, 10}, 0.1,
			[]float64{-10, -11, -11.1, 10, 9, 8.9, -10.5}, []int{1, 1, 0, 2, 2, 1, 1}},
		{"one threshold at zero has no room for hysteresis", []float64{0}, 0.5,
			[]float64{-1, 0, -0.001}, []int{0, 1, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newState(Config{Thresholds: test.thresholds, Hysteresis: test.hysteresis, History: 1, Missing: 1, Interval: time.Second}, noon)
			var levels []int
			for i, v := range test.values {
				before := s.level
				c, changed := s.take(Sample{At: noon.Add(time.Duration(i)), Value: v}, v)
				assert.Equal(t, before != s.level, changed)
				if changed {
					assert.Equal(t, change{from: before, to: s.level, value: v, at: noon.Add(time.Duration(i))}, c)
					assert.Equal(t, c.at, s.since)
				}
				levels = append(levels, s.level)
			}
			assert.Equal(t, test.levels, levels)
		})
	}
}

// A naive model: a level is reached at its threshold, and once reached held down to the floor below it.
func TestQ21_LevelsMatchAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		thresholds := rapid.SliceOfNDistinct(rapid.Float64Range(-100, 100), 1, 6, rapid.ID).Draw(t, "thresholds")
		slices.Sort(thresholds)
		h := rapid.Float64Range(0, 0.99).Draw(t, "hysteresis")
		s := newState(Config{Thresholds: thresholds, Hysteresis: h, History: 3, Missing: 2, Interval: time.Second}, noon)
		level, misses := 0, 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "missed?") == 0 {
				s.miss(noon, errors.New("missed"))
				if misses++; misses >= 2 {
					level = 0
				}
				require.Equal(t, level, s.level)
				continue
			}
			misses = 0
			v := rapid.OneOf(rapid.Float64Range(-150, 150), rapid.SampledFrom(thresholds)).Draw(t, "value")
			held := 0
			for l, threshold := range thresholds {
				reached := v >= threshold
				kept := l+1 <= level && v >= threshold-h*math.Abs(threshold)
				if reached || kept {
					held = max(held, l+1)
				}
			}
			level = held
			s.take(Sample{Value: v}, v)
			require.Equal(t, level, s.level)
		}
	})
}

func TestQ21_MissedSamplesEndALevel(t *testing.T) {
	s := newState(Config{Thresholds: []float64{1}, History: 5, Missing: 3, Interval: time.Second}, noon)
	broken, worse := errors.New("broken"), errors.New("worse")
	s.take(Sample{At: noon, Value: 2}, 2)
	for i := range 2 {
		_, changed := s.miss(noon.Add(time.Duration(i)), broken)
		assert.False(t, changed)
		assert.Equal(t, 1, s.level, "it may be back in a moment")
		assert.Equal(t, broken, s.err)
	}
	s.take(Sample{At: noon, Value: 3}, 3)
	assert.NoError(t, s.err)
	for range 2 {
		s.miss(noon, broken)
	}
	assert.Equal(t, 1, s.level, "counted in a row only")
	c, changed := s.miss(noon.Add(time.Minute), worse)
	assert.True(t, changed)
	assert.Equal(t, change{from: 1, to: 0, value: 3, at: noon.Add(time.Minute), err: worse}, c)
	_, changed = s.miss(noon, worse)
	assert.False(t, changed, "told once")
	assert.EqualValues(t, 6, s.missed)
	assert.Len(t, s.history, 2, "missed samples are no part of it")
	_, changed = s.take(Sample{At: noon, Value: 3}, 3)
	assert.True(t, changed)
	assert.Equal(t, 1, s.level)
}

func TestHistoryIsBounded(t *testing.T) {
	s := newState(Config{Thresholds: []float64{1}, History: 3, Missing: 1, Interval: time.Second}, noon)
	var calc [][]Sample
	for i := range 5 {
		sample := Sample{At: noon.Add(time.Duration(i)), Value: float64(i)}
		calc = append(calc, s.with(sample))
		s.take(sample, sample.Value)
	}
	values := func(list []Sample) (v []float64) {
		for _, sample := range list {
			v = append(v, sample.Value)
		}
		return v
	}
	assert.Equal(t, []float64{0}, values(calc[0]))
	assert.Equal(t, []float64{0, 1, 2}, values(calc[2]))
	assert.Equal(t, []float64{2, 3, 4}, values(calc[4]), "what Calc sees is what is kept")
	assert.Equal(t, []float64{2, 3, 4}, values(s.history))
	calc[4][2].Value = 100
	assert.Equal(t, 4.0, s.history[2].Value, "Calc has a copy")
}

func TestSamplesKeepTheirRhythm(t *testing.T) {
	s := newState(Config{Thresholds: []float64{1}, History: 3, Missing: 1, Interval: time.Second}, noon)
	assert.False(t, s.tick(noon), "the first is one interval away")
	assert.False(t, s.tick(noon.Add(time.Second-1)))
	assert.True(t, s.tick(noon.Add(time.Second)))
	assert.False(t, s.tick(noon.Add(time.Second)), "once")
	assert.True(t, s.tick(noon.Add(2300*time.Millisecond)), "late")
	assert.Equal(t, noon.Add(3*time.Second), s.due, "the rhythm stays")
	assert.True(t, s.tick(noon.Add(7900*time.Millisecond)), "much too late")
	assert.Equal(t, noon.Add(8*time.Second), s.due, "and those in between are not made up for")
}
