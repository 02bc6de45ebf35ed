package sampler

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/sampler/internal/machine"
)

func sample(t *testing.T, s Source) float64 {
	t.Helper()
	v, err := s.Sample(context.Background())
	require.NoError(t, err)
	return v
}

func TestQ21_NamedSources(t *testing.T) {
	for _, name := range []string{"cpu", "memory", "heap", "scheduler", "gc"} {
		s, ok := Named(name)
		require.True(t, ok, name)
		list, err := ownThresholds(s)
		require.NoError(t, err)
		assert.Len(t, list, 3, name)
		assert.True(t, rising(list), name)
		other, _ := Named(name)
		assert.NotSame(t, s, other, "each caller has its own")
	}
	_, ok := Named("CPU")
	assert.False(t, ok)
}

func TestHeapNeedsALimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	h := Heap()
	_, err := h.Sample(context.Background())
	assert.ErrorContains(t, err, "GOMEMLIMIT")
	assert.Zero(t, goLimit())

	const limit = 1 << 40
	debug.SetMemoryLimit(limit)
	assert.EqualValues(t, limit, goLimit())
	var stats runtime.MemStats
	block := make([]byte, 32<<20)
	share := sample(t, h)
	runtime.ReadMemStats(&stats)
	runtime.KeepAlive(block)
	assert.GreaterOrEqual(t, share*limit, float64(len(block)))
	assert.LessOrEqual(t, share*limit, float64(stats.Sys))
}

func TestSchedulerLatencyIsADifference(t *testing.T) {
	s := Scheduler().(*scheduler)
	for _, bucket := range []int{len(s.last) / 2, len(s.last) / 3} {
		h := s.read()
		want := h.Buckets[bucket+1]
		s.last = append(s.last[:0], h.Counts...)
		s.last[bucket] -= 1e9 // as if so many had been counted since, compared with whom the real ones are nothing
		assert.Equal(t, want, sample(t, s))
	}
}

func TestQuantiles(t *testing.T) {
	bounds := []float64{math.Inf(-1), 0, 1, 2, math.Inf(1)}
	tests := []struct {
		counts []uint64
		q      float64
		want   float64
	}{
		{[]uint64{0, 0, 0, 0}, 0.99, 0},
		{[]uint64{0, 100, 0, 0}, 0.99, 1},
		{[]uint64{0, 99, 1, 0}, 0.99, 1},
		{[]uint64{0, 98, 2, 0}, 0.99, 2},
		{[]uint64{0, 1, 0, 0}, 0.99, 1},
		{[]uint64{0, 1, 1, 0}, 0.99, 2},
		{[]uint64{0, 0, 0, 5}, 0.99, 2}, // no upper end: what is sure
		{[]uint64{0, 50, 50, 0}, 0.5, 1},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, quantile(test.counts, bounds, test.q), "%v", test)
	}
}

func TestGCTakesAShare(t *testing.T) {
	before := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(before)
	runtime.GC() // ends one that may be under way
	g := GC()
	assert.Zero(t, sample(t, g), "no collection has ended")
	runtime.GC()
	share := sample(t, g)
	assert.Positive(t, share)
	assert.LessOrEqual(t, share, 1.0)
	assert.Zero(t, sample(t, g), "none since")
}

func TestCPUAndMemoryOfThisMachine(t *testing.T) {
	c, m := CPU(), Memory()
	if runtime.GOOS != "linux" {
		_, err := c.Sample(context.Background())
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = m.Sample(context.Background())
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = Limits()
		require.ErrorIs(t, err, errors.ErrUnsupported)
		return
	}
	assert.GreaterOrEqual(t, sample(t, c), 0.0)
	share := sample(t, m)
	assert.Greater(t, share, 0.0)
	assert.Less(t, share, 1.0)
}

func TestUnsupportedMachinesSaySo(t *testing.T) {
	fault := errors.ErrUnsupported
	for _, s := range []Source{newCPU(machine.Machine{}, fault), &memory{fault: fault}} {
		_, err := s.Sample(context.Background())
		assert.ErrorIs(t, err, fault)
	}
}

func TestCPUKeepsItsShareWhileNothingIsCounted(t *testing.T) {
	root := t.TempDir()
	write := func(busy, idle string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "proc"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "proc/stat"), []byte("cpu0 "+busy+" 0 0 "+idle+" 0 0 0 0 0 0\n"), 0o644))
	}
	c := newCPU(machine.At(root), nil)
	_, err := c.Sample(context.Background())
	require.ErrorContains(t, err, "proc/stat")
	write("0", "0")
	assert.Zero(t, sample(t, c))
	write("75", "25")
	assert.Equal(t, 0.75, sample(t, c))
	assert.Equal(t, 0.75, sample(t, c), "the clock ticks in hundredths of a second")
	write("75", "125")
	assert.Zero(t, sample(t, c))
	assert.Equal(t, time.Duration(2e9), c.last.Total)
}
