package httplimit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/limit"
)

func per(windows ...time.Duration) []limit.Limit {
	var limits []limit.Limit
	for _, w := range windows {
		limits = append(limits, limit.Limit{Events: 10, Per: w})
	}
	return limits
}

func TestDefaultSlack(t *testing.T) {
	for _, c := range []struct {
		limits      []limit.Limit
		start, most time.Duration
	}{
		{per(time.Second), 20 * time.Millisecond, 100 * time.Millisecond},
		{per(6 * time.Second), 60 * time.Millisecond, 600 * time.Millisecond},
		{per(time.Minute), 600 * time.Millisecond, 6 * time.Second},
		{per(time.Hour, time.Second), 20 * time.Millisecond, 100 * time.Millisecond},
		{per(40 * time.Millisecond), 10 * time.Millisecond, 10 * time.Millisecond},
		{per(100 * time.Millisecond), 20 * time.Millisecond, 20 * time.Millisecond},
	} {
		assert.Equal(t, c.start, defaultSlack(c.limits))
		assert.Equal(t, c.most, maxSlack(c.limits, 0))
	}
	assert.Equal(t, time.Second, maxSlack(per(time.Second), time.Second), "never below where it started")
}

func TestOtherLimit(t *testing.T) {
	limits := per(time.Second, 6*time.Second)
	assert.False(t, otherLimit(0, limits))
	assert.False(t, otherLimit(7*time.Second, limits))
	assert.True(t, otherLimit(8*time.Second, limits))
}

func TestWideningOncePerRound(t *testing.T) {
	var w widening
	assert.True(t, w.due(noon, noon.Add(1)))
	assert.False(t, w.due(noon, noon.Add(2)), "under way with the first")
	assert.True(t, w.due(noon.Add(2), noon.Add(3)))
}
