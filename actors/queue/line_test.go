package queue

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// row puts items in, one each millisecond.
func row(l *Line[int], n int) (now time.Time) {
	now = noon
	for i := range n {
		_ = l.In(now, &Item[int]{Value: i, At: now, Seq: uint64(i + 1)})
		now = now.Add(time.Millisecond)
	}
	return now
}

func drained(l *Line[int], now time.Time) (values []int) {
	for x, ok := l.Out(now); ok; x, ok = l.Out(now) {
		values = append(values, x.Value)
	}
	return values
}

func TestQ9_FIFOAndLIFO(t *testing.T) {
	l := NewLine[int](LineConfig{})
	assert.Equal(t, []int{0, 1, 2, 3}, drained(l, row(l, 4)))
	l = NewLine[int](LineConfig{Order: LIFO})
	assert.Equal(t, []int{3, 2, 1, 0}, drained(l, row(l, 4)))
	assert.Equal(t, LineInfo{Order: LIFO}, l.Info())
}

func TestQ9_AdaptiveTurnsWhenItIsOverloadedAndBack(t *testing.T) {
	l := NewLine[int](LineConfig{Order: Adaptive, Target: 5 * time.Millisecond, TargetInterval: 50 * time.Millisecond})
	in := func(seq int, now time.Time) { _ = l.In(now, &Item[int]{Value: seq, At: now, Seq: uint64(seq)}) }
	overloaded := func() bool { return l.Info().(LineInfo).Overloaded }
	in(1, noon)
	in(2, noon.Add(20*time.Millisecond))
	assert.Equal(t, 35*time.Millisecond, l.Due(noon.Add(20*time.Millisecond), 0), "above target from 5 ms on, for 50 ms")

	almost := noon.Add(55*time.Millisecond - 1)
	assert.Empty(t, l.TimedOut(almost, 0))
	x, _ := l.Peek(almost)
	assert.Equal(t, 1, x.Value, "FIFO while it is healthy")
	assert.False(t, overloaded())

	turned := noon.Add(55 * time.Millisecond)
	assert.Zero(t, l.Due(turned, 0))
	in(3, turned)
	x, _ = l.Peek(turned)
	assert.Equal(t, 3, x.Value, "the newest first when it is overloaded")
	assert.True(t, overloaded())
	gone := l.TimedOut(turned, 0)
	require.Len(t, gone, 1, "who has waited for longer than an interval is refused")
	assert.Equal(t, 1, gone[0].Value)
	assert.Equal(t, 15*time.Millisecond, l.Due(turned, 0), "the next one's interval")

	x, _ = l.Out(turned)
	assert.Equal(t, 3, x.Value)
	x, _ = l.Out(turned)
	assert.Equal(t, 2, x.Value)
	in(4, turned)
	in(5, turned)
	x, _ = l.Out(turned)
	assert.Equal(t, 4, x.Value, "it was empty, so it is healthy")
	assert.False(t, overloaded())
}

func TestQ9_MaxTimeAndTheIntervalBoundTogether(t *testing.T) {
	l := NewLine[int](LineConfig{Order: Adaptive, Target: 5 * time.Millisecond, TargetInterval: 50 * time.Millisecond})
	_ = l.In(noon, &Item[int]{At: noon, Seq: 1})
	assert.Equal(t, 10*time.Millisecond, l.Due(noon, 10*time.Millisecond))
	assert.Empty(t, l.TimedOut(noon.Add(10*time.Millisecond-1), 10*time.Millisecond))
	assert.Len(t, l.TimedOut(noon.Add(10*time.Millisecond), 10*time.Millisecond), 1)
}

// TestG7_FlowsOfALineShareByWeight has four flows always waiting, in a FIFO with items of every size, and measures what they
// get.
func TestG7_FlowsOfALineShareByWeight(t *testing.T) {
	for _, order := range []Order{FIFO, LIFO, Adaptive} {
		l := NewLine[int](LineConfig{Order: order})
		rng := rand.New(rand.NewPCG(1, 2))
		sizes := 1
		if order == FIFO {
			sizes = 20
		}
		weights := map[string]int{"a": 1, "b": 2, "c": 3, "d": 10}
		seq := uint64(0)
		now := noon
		add := func(flow string) {
			seq++
			require.NoError(t, l.In(now, &Item[int]{At: now, Seq: seq, Flow: flow, Weight: weights[flow], Cost: 1 + rng.IntN(sizes)}))
		}
		for flow := range weights {
			for range 50 {
				add(flow)
			}
		}
		got, total := make(map[string]int), 0
		for range 20_000 {
			x, ok := l.Out(now)
			require.True(t, ok)
			got[x.Flow] += x.Cost
			total += x.Cost
			add(x.Flow)
			now = now.Add(time.Microsecond)
		}
		for flow, weight := range weights {
			assert.InEpsilon(t, float64(weight)/16, float64(got[flow])/float64(total), 0.05, "%v, flow %s", order, flow)
		}
	}
}

func TestTheMoreUrgentGoFirstInEveryOrder(t *testing.T) {
	for _, order := range []Order{FIFO, LIFO, Adaptive} {
		l := NewLine[int](LineConfig{Order: order})
		for i, nice := range []int{3, -20, 19, 0, -20} {
			require.NoError(t, l.In(noon, &Item[int]{At: noon, Seq: uint64(i), Nice: nice}))
		}
		last := -20
		for x, ok := l.Out(noon); ok; x, ok = l.Out(noon) {
			assert.GreaterOrEqual(t, x.Nice, last)
			last = x.Nice
		}
		assert.Equal(t, 19, last)
	}
}

func TestALineAllocatesNothingOnceItRuns(t *testing.T) {
	for _, order := range []Order{FIFO, LIFO, Adaptive} {
		l := NewLine[int](LineConfig{Order: order})
		x, now := &Item[int]{At: noon}, noon
		step := func() {
			x.Seq++
			_ = l.In(now, x)
			l.TimedOut(now, time.Hour)
			x, _ = l.Out(now)
		}
		step()
		assert.Zero(t, testing.AllocsPerRun(100, step), order.String())
	}
}

func TestLineConfigurationNamesEveryBadField(t *testing.T) {
	for _, good := range []LineConfig{
		{}, {Order: LIFO}, {Order: Adaptive}, {Order: Adaptive, Target: time.Millisecond}, {Order: Adaptive, TargetInterval: time.Hour},
	} {
		assert.NoError(t, good.Validate())
	}
	for field, bad := range map[string]LineConfig{
		"Order is 3":                    {Order: 3},
		"Target and TargetInterval are": {Target: 1},
		"Target is -1ns":                {Order: Adaptive, Target: -1},
		"TargetInterval is 1ms":         {Order: Adaptive, Target: time.Second, TargetInterval: time.Millisecond},
		"TargetInterval is 2h":          {Order: Adaptive, TargetInterval: 2 * time.Hour},
	} {
		assert.ErrorContains(t, bad.Validate(), field)
	}
	assert.Equal(t, limit.Never, NewLine[int](LineConfig{Order: 77, Target: -1}).Due(noon, time.Second), "it is an empty FIFO")
}

func BenchmarkLine(b *testing.B) {
	for _, order := range []Order{FIFO, LIFO, Adaptive} {
		b.Run(order.String(), func(b *testing.B) {
			l := NewLine[int](LineConfig{Order: order})
			x := &Item[int]{At: noon}
			b.ReportAllocs()
			for b.Loop() {
				x.Seq++
				_ = l.In(noon, x)
				l.TimedOut(noon, time.Hour)
				x, _ = l.Out(noon)
			}
		})
	}
}
