package sampler

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/supervisor"
)

func TestQ21_SamplesComeAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		start := time.Now()
		d := &dial{t: t, value: 2}
		s := add(t, sys, "load", Config{Source: d})
		after(half)
		assert.Zero(t, d.count(&d.calls), "the first is one interval away")
		assert.Zero(t, s.Level())
		after(3 * time.Second)
		assert.Equal(t, []time.Time{start.Add(time.Second), start.Add(2 * time.Second), start.Add(3 * time.Second)}, d.at)
		assert.Equal(t, 2, s.Level())
		assert.Equal(t, Info{
			Name: "load", Level: 2, Since: start.Add(time.Second), Value: 2, Interval: time.Second, Thresholds: []float64{1, 2, 3},
			History: []Sample{{d.at[0], 2}, {d.at[1], 2}, {d.at[2], 2}}, Remote: map[string]int{},
		}, s.Info())
		d.set(0)
		after(time.Second)
		assert.Zero(t, s.Level())

		slow := &dial{t: t}
		add(t, sys, "as in jobs", Config{Source: slow, Interval: 10 * time.Second})
		after(time.Minute + half)
		assert.Equal(t, 6, slow.count(&slow.calls))
	})
}

func TestQ21_CalcSeesTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t}
		mean := func(history []Sample) (sum float64) {
			for _, s := range history {
				sum += s.Value
			}
			history[0].Value = 1000 // it is its own
			return sum / float64(len(history))
		}
		s := add(t, sys, "load", Config{Source: d, History: 4, Calc: mean})
		after(half)
		for _, step := range []struct{ value, mean float64 }{{0, 0}, {0, 0}, {4, 4. / 3}, {4, 2}, {4, 3}, {0, 3}, {0, 2}} {
			d.set(step.value)
			after(time.Second)
			assert.InDelta(t, step.mean, s.Info().Value, 1e-9)
			assert.Equal(t, int(step.mean), s.Level())
		}
		assert.Len(t, s.Info().History, 4)
	})
}

func TestQ21_ASlowSourceIsNotAskedTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t, value: 1, slow: 1400 * time.Millisecond} // and the dial complains about two at once
		s := add(t, sys, "slow", Config{Source: d})
		quick := &dial{t: t}
		add(t, sys, "quick", Config{Source: quick})
		after(10*time.Second + half)
		assert.Equal(t, 5, d.count(&d.calls), "every other one")
		assert.Equal(t, 1, s.Level())
		assert.EqualValues(t, 5, s.Info().Missed)
		assert.Equal(t, 10, quick.count(&quick.calls), "its neighbours do not notice")
	})
}

func TestQ21_AStuckSourceLosesItsLevelAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t, value: 3}
		s := add(t, sys, "load", Config{Source: d})
		after(time.Second + half)
		d.change(func() { d.slow = time.Minute })
		after(3 * time.Second)
		assert.Equal(t, 3, s.Level(), "two of its samples are missing")
		after(time.Second)
		assert.Zero(t, s.Level())
		assert.ErrorContains(t, s.Info().Err, "at work on one sample for 3s")
		assert.Equal(t, 2, d.count(&d.calls))
		d.change(func() { d.slow = 0 })
		after(time.Minute)
		assert.Equal(t, 3, s.Level(), "it came back")
		assert.NoError(t, s.Info().Err)
	})
}

func TestQ21_FailuresAreMissedSamples(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name  string
		fail  func(d *dial)
		check func(t *testing.T, err error)
	}{
		{"an error", func(d *dial) { d.err = broken }, func(t *testing.T, err error) { assert.ErrorIs(t, err, broken) }},
		{"a panic", func(d *dial) { d.panics = broken }, func(t *testing.T, err error) {
			var panicked *penstock.PanicError
			require.ErrorAs(t, err, &panicked)
			assert.ErrorIs(t, err, broken)
			assert.Contains(t, string(panicked.Stack), "Sample")
		}},
		{"not a number", func(d *dial) { d.value = math.NaN() }, func(t *testing.T, err error) { assert.ErrorIs(t, err, errNoNumber) }},
		{"infinity", func(d *dial) { d.value = math.Inf(1) }, func(t *testing.T, err error) { assert.ErrorIs(t, err, errNoNumber) }},
		{"a panic in Calc", func(d *dial) { d.value = 77 }, func(t *testing.T, err error) { assert.ErrorContains(t, err, "Calc does not like 77") }},
		{"Calc gives no number", func(d *dial) { d.value = 78 }, func(t *testing.T, err error) { assert.ErrorContains(t, err, "Calc: the value is not") }},
		{"the goroutine ends", func(d *dial) { d.value = 79 }, func(t *testing.T, err error) { assert.ErrorIs(t, err, errGoexit) }},
	}
	calc := func(history []Sample) float64 {
		switch v := newest(history); v {
		case 77:
			panic("Calc does not like 77")
		case 78:
			return math.NaN()
		case 79:
			runtime.Goexit()
			return 0
		default:
			return v
		}
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			sys := roomtest.System(t)
			d := &dial{t: t, value: 2}
			s := add(t, sys, "load", Config{Source: d, Missing: 2, Calc: calc})
			after(time.Second + half)
			d.change(func() { test.fail(d) })
			after(time.Second)
			assert.Equal(t, 2, s.Level(), test.name)
			test.check(t, s.Info().Err)
			after(time.Second)
			assert.Zero(t, s.Level(), test.name)
			info := s.Info()
			assert.EqualValues(t, 2, info.Missed)
			assert.Len(t, info.History, 1)
			d.change(func() { d.value, d.err, d.panics = 1, nil, nil })
			after(time.Second)
			assert.Equal(t, 1, s.Level(), test.name)
			assert.EqualValues(t, 0, sys.Info().Tree.Restarted, "the actor did not notice")
		})
	}
}

func TestG2_ARestartKeepsLevelAndHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		start := time.Now()
		d := &dial{t: t, value: 2}
		s := add(t, sys, "load", Config{Source: d})
		after(2*time.Second + half)
		before := s.Info()
		crash(s)
		after(0)
		assert.EqualValues(t, 1, sys.Info().Tree.Restarted)
		assert.Equal(t, before, s.Info())
		assert.Equal(t, Load{"load": {Local: 2}}, Current(sys))
		after(time.Second)
		assert.Equal(t, start.Add(3*time.Second), d.at[2], "and its rhythm")
		assert.Equal(t, 3, d.count(&d.calls), "one timer only")

		d.change(func() { d.slow = 700 * time.Millisecond }) // and while a sample is under way
		after(700 * time.Millisecond)
		crash(s)
		after(500 * time.Millisecond)
		assert.Len(t, s.Info().History, 4, "its answer is taken in by the next actor")
	})
}

func TestQ21_AnAnswerThatIsLostFreesTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t, value: 2, slow: time.Minute}
		s := add(t, sys, "load", Config{Source: d, Interval: time.Hour})
		g := &s.entry.Value
		g.begin(time.Now().Add(time.Hour)) // as if it were due
		after(0)
		require.Equal(t, 1, d.count(&d.calls))
		(&measurement{gate: g, run: g.mu.run}).Undelivered(errors.New("the actor failed on it"))
		d.change(func() { d.slow = 0 })
		after(time.Second)
		assert.Zero(t, s.Info().Missed, "what comes after that is nobody's")
		g.begin(time.Now().Add(2 * time.Hour))
		after(0)
		assert.Equal(t, 2, s.Level())
		assert.Zero(t, s.Info().Missed, "the source was free")
	})
}

func TestQ21_ASamplerThatWasGivenUpComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		events, err := Subscribe(sys, 10)
		require.NoError(t, err)
		d := &dial{t: t, value: 2}
		s := add(t, sys, "load", Config{Source: d})
		after(time.Second + half)
		for sys.Info().Tree.GaveUp == 0 {
			crash(s)
			after(20 * time.Millisecond)
		}
		assert.Zero(t, s.Level())
		var gaveUp *supervisor.GaveUpError
		assert.ErrorAs(t, s.Info().Err, &gaveUp)
		assert.Equal(t, Load{"load": {}}, Current(sys))
		after(3 * time.Second)
		assert.Equal(t, 2, s.Level(), "it measures again")
		assert.NoError(t, s.Info().Err)
		assert.Equal(t, 2, (<-events.Events()).To)
		e := <-events.Events()
		assert.Zero(t, e.To)
		assert.ErrorAs(t, e.Err, &gaveUp)
		assert.Equal(t, 2, (<-events.Events()).To)
	})
}

func TestQ21_TellReachesTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		d := &dial{t: t, slow: 300 * time.Millisecond}
		s := add(t, sys, "load", Config{Source: d})
		ctx := context.Background()
		require.NoError(t, s.Tell(ctx, "now"))
		time.Sleep(time.Second + 100*time.Millisecond)
		begun := time.Now()
		require.NoError(t, s.Tell(ctx, "later"))
		assert.Equal(t, 200*time.Millisecond, time.Since(begun), "once the sample is done")
		assert.Equal(t, []any{"now", "later"}, d.told)

		broken := errors.New("broken")
		assert.ErrorIs(t, s.Tell(ctx, broken), broken)
		var panicked *penstock.PanicError
		assert.ErrorAs(t, s.Tell(ctx, func() { panic("told to") }), &panicked)
		require.NoError(t, s.Tell(ctx, "it goes on"))

		d.change(func() { d.slow = time.Hour })
		after(time.Second)
		impatient, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		assert.ErrorIs(t, s.Tell(impatient, "nobody listens"), context.DeadlineExceeded)
		waits := make(chan error, 1)
		go func() { waits <- s.Tell(ctx, "nobody will") }()
		after(0)
		require.True(t, Delete(sys, "load"))
		assert.ErrorIs(t, <-waits, penstock.ErrClosed)
		assert.ErrorIs(t, s.Tell(ctx, "too late"), penstock.ErrClosed)
		assert.Len(t, d.told, 3)

		mute := add(t, sys, "mute", Config{Source: SourceFunc(func(context.Context) (float64, error) { return 0, nil })})
		err := mute.Tell(ctx, "hello")
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, "sampler.SourceFunc")
	})
}

func TestQ21_TellAfterTheEndIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		s := add(t, sys, "load", Config{Source: &listener{t}})
		require.True(t, Delete(sys, "load"))
		for range 100 { // the source is free, and it would be a matter of chance
			require.ErrorIs(t, s.Tell(context.Background(), "hello"), penstock.ErrClosed)
		}
	})
}

// listener is a source that is told things and has nothing to close.
type listener struct{ t *testing.T }

func (*listener) Sample(context.Context) (float64, error) { return 0, nil }

func (l *listener) Tell(message any) error {
	l.t.Error("told after the end", message)
	return nil
}

func TestQ21_SourcesMayBringTheirThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		s, err := Add(sys, "cpu", Config{Source: &ranged{list: []float64{0.8, 0.9, 1}}})
		require.NoError(t, err)
		assert.Equal(t, []float64{0.8, 0.9, 1}, s.Info().Thresholds)
		s, err = Add(sys, "mine", Config{Source: &ranged{list: []float64{0.8}}, Thresholds: []float64{7}})
		require.NoError(t, err)
		assert.Equal(t, []float64{7}, s.Info().Thresholds)
		_, err = Add(sys, "wrong", Config{Source: &ranged{list: []float64{2, 1}}})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		_, err = Add(sys, "panics", Config{Source: &ranged{}})
		var panicked *penstock.PanicError
		assert.ErrorAs(t, err, &panicked)
	})
}

type ranged struct{ list []float64 }

func (r *ranged) Sample(context.Context) (float64, error) { return 0, nil }

func (r *ranged) Thresholds() []float64 {
	if r.list == nil {
		panic("no list")
	}
	return r.list
}
