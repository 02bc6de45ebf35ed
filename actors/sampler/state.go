package sampler

import (
	"math"
	"slices"
	"time"
)

// state is what a sampler knows: its samples and its level. It is pure: it takes the time and has no lock.
type state struct {
	thresholds []float64
	hysteresis float64
	keep       int // how many samples
	missing    int // after how many missed ones in a row the level is 0
	interval   time.Duration

	history []Sample // the oldest first
	value   float64  // what was compared last; 0 before the first sample
	level   int
	since   time.Time // when the level was reached
	due     time.Time // when the next sample is to be taken
	missed  uint64    // samples, since the beginning
	inRow   int       // samples missed since the last good one
	err     error     // why the last sample was missed; nil if it was not
}

// change is a change of the level.
type change struct {
	from, to int
	value    float64
	at       time.Time
	err      error // why the samples that led to it were missed; nil if it was measured
}

func newState(c Config, now time.Time) state {
	return state{
		thresholds: c.Thresholds,
		hysteresis: c.Hysteresis,
		keep:       c.History,
		missing:    c.Missing,
		interval:   c.Interval,
		since:      now,
		due:        now.Add(c.Interval),
	}
}

// tick reports whether a sample is due, and moves on to the next: a whole number of intervals later, so that the samples
// of a sampler that was held up do not come in a bunch.
func (s *state) tick(now time.Time) bool {
	if now.Before(s.due) {
		return false
	}
	late := now.Sub(s.due)
	s.due = s.due.Add(late - late%s.interval + s.interval)
	return true
}

// with is the history with one more sample, as Calc sees it: a copy.
func (s *state) with(sample Sample) []Sample {
	first := max(0, len(s.history)+1-s.keep)
	return append(slices.Clone(s.history[first:]), sample)
}

// take takes a sample in, and what was calculated of it and its predecessors.
func (s *state) take(sample Sample, value float64) (change, bool) {
	if len(s.history) == s.keep {
		s.history = slices.Delete(s.history, 0, 1)
	}
	s.history = append(s.history, sample)
	s.value, s.inRow, s.err = value, 0, nil
	return s.move(sample.At, s.judge(value))
}

// miss notes a sample that was missed.
func (s *state) miss(now time.Time, err error) (change, bool) {
	s.missed++
	s.inRow++
	s.err = err
	if s.inRow < s.missing {
		return change{}, false
	}
	return s.move(now, 0)
}

// fail notes that nothing measures any more, for now.
func (s *state) fail(now time.Time, err error) (change, bool) {
	s.err = err
	return s.move(now, 0)
}

func (s *state) move(now time.Time, to int) (change, bool) {
	if to == s.level {
		return change{}, false
	}
	c := change{from: s.level, to: to, value: s.value, at: now, err: s.err}
	s.level, s.since = to, now
	return c, true
}

// judge is the level of a value: that of the highest threshold reached, or the present one, or one between, while the
// value is not far enough below its threshold.
func (s *state) judge(value float64) int {
	level := len(s.thresholds)
	for level > 0 && value < s.floor(level) {
		level--
	}
	return level
}

// floor is the lowest value that gives the level, or keeps it.
func (s *state) floor(level int) float64 {
	threshold := s.thresholds[level-1]
	if level > s.level {
		return threshold
	}
	return threshold - s.hysteresis*math.Abs(threshold)
}
