package httplimit

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBackoffDoubles(t *testing.T) {
	b := backoffs{first: time.Second, longest: 5 * time.Second}
	now := noon
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		until := b.refused("a", now, now)
		assert.Equal(t, want*time.Second, until.Sub(now))
		now = until.Add(time.Millisecond)
	}
	assert.Equal(t, time.Second, b.refused("b", now, now).Sub(now), "another key stands for itself")

	b.served("a", now)
	assert.Equal(t, time.Second, b.refused("a", now, now).Sub(now), "an answer that is no refusal starts it anew")
}

func TestBackoffCountsRequestsUnderWayOnce(t *testing.T) {
	b := backoffs{first: time.Second, longest: time.Minute}
	first := b.refused("a", noon, noon.Add(10*time.Millisecond))
	for i := range 10 {
		assert.Equal(t, first, b.refused("a", noon, noon.Add(time.Duration(20+i)*time.Millisecond)))
	}
	b.served("a", noon) // sent before the refusal
	again := first.Add(time.Millisecond)
	assert.Equal(t, 2*time.Second, b.refused("a", again, again).Sub(again))
}

func TestBackoffForgetsWhatIsLongAgo(t *testing.T) {
	b := backoffs{first: time.Second, longest: time.Minute}
	b.refused("a", noon, noon)
	later := noon.Add(2 * time.Minute)
	assert.Equal(t, time.Second, b.refused("a", later, later).Sub(later))
}

func TestBackoffIsBounded(t *testing.T) {
	b := backoffs{first: time.Second, longest: time.Minute}
	for i := range maxBackoffs + 100 {
		until := b.refused(strconv.Itoa(i), noon, noon)
		assert.Equal(t, noon.Add(time.Second), until)
	}
	assert.Len(t, b.mu.byKey, maxBackoffs)

	later := noon.Add(time.Hour)
	b.refused("new", later, later)
	assert.Len(t, b.mu.byKey, 1, "room is made by forgetting what is long ago")
}
