package limit

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// server has some cores that all jobs share evenly: with k jobs on c cores, each
// takes max(1, k/c) times as long as alone. Time is virtual, and all of it whole numbers.
type server struct {
	cores int64
	slow  int64 // how many times as long jobs take, in percent
	now   time.Duration
	jobs  []job
	rng   *rand.Rand
}

type job struct {
	began    time.Duration
	left     int64 // nanoseconds of one core's work
	inFlight int
}

// spread is how long jobs take in percent of their mean: as exponential times are spread.
var spread = [...]int64{3, 10, 17, 25, 33, 42, 52, 63, 75, 88, 104, 122, 144, 173, 214, 435}

const alone = 10 * time.Millisecond // a job takes by itself, on average

func (s *server) start() {
	took := int64(alone) * spread[s.rng.IntN(len(spread))] / 100
	s.jobs = append(s.jobs, job{began: s.now, left: took, inFlight: len(s.jobs) + 1})
}

// finish lets time pass until a job is done, and returns it.
func (s *server) finish() job {
	first := 0
	for i, j := range s.jobs {
		if j.left < s.jobs[first].left {
			first = i
		}
	}
	done := s.jobs[first]
	share := max(int64(len(s.jobs)), s.cores) * s.slow / s.cores
	s.now += time.Duration(done.left * share / 100)
	for i := range s.jobs {
		s.jobs[i].left -= done.left
	}
	s.jobs[first] = s.jobs[len(s.jobs)-1]
	s.jobs = s.jobs[:len(s.jobs)-1]
	return done
}

// second is what happened in one of them.
type second struct {
	limit float64 // mean over its jobs
	done  int
	speed float64 // of what the server can do
}

// load keeps as many jobs running as a's limit and wanted allow, until then.
func load(a *Adaptive, s *server, until time.Duration, wanted int) (seconds []second) {
	var sum, n int
	from := s.now
	for s.now < until {
		for len(s.jobs) < min(a.Limit(), wanted) {
			s.start()
		}
		j := s.finish()
		a.Sample(at(s.now), s.now-j.began, j.inFlight, false)
		sum += a.Limit()
		n++
		if s.now >= from+time.Second {
			capacity := float64(s.cores) * float64(s.now-from) / float64(alone) / float64(s.slow) * 100
			seconds = append(seconds, second{limit: float64(sum) / float64(n), done: n, speed: float64(n) / capacity})
			from, sum, n = s.now, 0, 0
		}
	}
	return seconds
}

const unbounded = math.MaxInt

// mean is over the last half of a phase, when it has settled.
func mean(phase []second) (limit, speed float64) {
	half := phase[len(phase)/2:]
	for _, s := range half {
		limit += s.limit / float64(len(half))
		speed += s.speed / float64(len(half))
	}
	return limit, speed
}

var phases = []struct {
	name  string
	slow  int64
	until time.Duration
}{
	{"as usual", 100, 30 * time.Second},
	{"5 times slower", 500, 90 * time.Second},
	{"as usual", 100, 120 * time.Second},
	{"3 times slower for good", 300, 240 * time.Second},
}

// The knee is at as many jobs as there are cores: fewer leave cores idle, more only wait for each other.
func TestAdaptiveSettlesAroundTheKnee(t *testing.T) {
	for _, cores := range []int64{2, 8, 20, 100} {
		for _, initial := range []int{1, 10, 200} {
			if testing.Short() && (cores > 8 || initial == 10) {
				continue
			}
			t.Run(fmt.Sprint(cores, " cores from ", initial), func(t *testing.T) {
				a := must(NewAdaptive(AdaptiveConfig{Initial: initial}))
				s := &server{cores: cores, rng: rand.New(rand.NewPCG(1, uint64(cores)))}
				for _, p := range phases {
					s.slow = p.slow
					limit, speed := mean(load(a, s, p.until, unbounded))
					assert.GreaterOrEqual(t, speed, 0.9, p.name)
					assert.GreaterOrEqual(t, limit, 0.95*float64(cores), p.name)
					assert.LessOrEqual(t, limit, 2*float64(cores), p.name)
					assert.InDelta(t, float64(alone)*float64(p.slow)/100, float64(a.Unloaded()), 0.35*float64(alone)*float64(p.slow)/100, p.name)
				}
			})
		}
	}
}

// Neither a queue inside the service that lasts, nor chance, moves the limit away in the long run.
func TestAdaptiveDoesNotDrift(t *testing.T) {
	a := must(NewAdaptive(AdaptiveConfig{}))
	s := &server{cores: 8, slow: 100, rng: rand.New(rand.NewPCG(5, 6))}
	load(a, s, 30*time.Second, unbounded)
	for minute := range 5 {
		limit, speed := mean(load(a, s, s.now+time.Minute, unbounded))
		assert.InDelta(t, 12, limit, 2, "Tolerance times the cores, in minute %d", minute)
		assert.GreaterOrEqual(t, speed, 0.93)
	}
}

func TestAdaptiveFollowsLostCores(t *testing.T) {
	a := must(NewAdaptive(AdaptiveConfig{}))
	s := &server{cores: 20, slow: 100, rng: rand.New(rand.NewPCG(8, 6))}
	load(a, s, 30*time.Second, unbounded)
	s.cores = 8
	limit, speed := mean(load(a, s, 50*time.Second, unbounded))
	assert.InDelta(t, 12, limit, 2)
	assert.GreaterOrEqual(t, speed, 0.9)
	s.cores = 20
	limit, speed = mean(load(a, s, 80*time.Second, unbounded))
	assert.InDelta(t, 30, limit, 4)
	assert.GreaterOrEqual(t, speed, 0.9)
}

func TestAdaptiveDoesNotGrowUnused(t *testing.T) {
	a := must(NewAdaptive(AdaptiveConfig{Initial: 12}))
	s := &server{cores: 100, slow: 100, rng: rand.New(rand.NewPCG(1, 1))}
	for range 60 {
		load(a, s, s.now+time.Second, 8)
		require.LessOrEqual(t, a.Limit(), 12)
	}
	load(a, s, s.now+2*time.Second, 5)
	before := a.Limit()
	for range 10 {
		load(a, s, s.now+time.Second, 5)
		require.Equal(t, before, a.Limit(), "so few tell as much as a probe: there is none")
	}
	s.slow = 500 // for everybody: with so few running it is not their doing
	limit, _ := mean(load(a, s, s.now+time.Minute, 5))
	assert.GreaterOrEqual(t, limit, 4.5, "and is not held back but in probes")
	load(a, s, s.now+20*time.Second, unbounded)
	assert.Greater(t, a.Limit(), 100)
}

// feed lets jobs finish, one each millisecond.
func feed(a *Adaptive, now *time.Time, n int, took func(i int) (time.Duration, bool)) {
	for i := range n {
		*now = now.Add(time.Millisecond)
		d, failed := took(i)
		a.Sample(*now, d, a.Limit(), failed)
	}
}

func TestAdaptiveTakesFailuresAsOverload(t *testing.T) {
	a, now := must(NewAdaptive(AdaptiveConfig{Min: 3, Max: 100})), at(0)
	even := func(int) (time.Duration, bool) { return 20 * time.Millisecond, false }
	feed(a, &now, 20_000, even)
	before := a.Limit()
	require.Greater(t, before, 45)
	feed(a, &now, 20_000, func(i int) (time.Duration, bool) { return 20 * time.Millisecond, i%50 == 0 })
	assert.Greater(t, a.Limit(), 45, "a few always fail")
	feed(a, &now, 20_000, func(i int) (time.Duration, bool) { return time.Millisecond, i%5 == 0 })
	assert.Less(t, a.Limit(), 25, "every fifth failed; the others were served as fast as can be")
	feed(a, &now, 20_000, func(int) (time.Duration, bool) { return time.Millisecond, true })
	assert.Equal(t, 3, a.Limit(), "all failed: the least")
	feed(a, &now, 30_000, even)
	assert.Greater(t, a.Limit(), 45, "and up again")

	a = must(NewAdaptive(AdaptiveConfig{}))
	feed(a, &now, 10_000, func(int) (time.Duration, bool) { return time.Hour, true })
	assert.Equal(t, 1, a.Limit(), "nothing ever worked")
	assert.Zero(t, a.Unloaded())
}

func TestAdaptiveBearsOutliers(t *testing.T) {
	a, now := must(NewAdaptive(AdaptiveConfig{Initial: 50})), at(0)
	feed(a, &now, 40_000, func(i int) (time.Duration, bool) {
		if i > 1000 && i%100 == 0 {
			return math.MaxInt64, false // hung
		}
		return 20*time.Millisecond + time.Duration(i%7)*time.Millisecond, false
	})
	assert.Greater(t, a.Limit(), 500)
	assert.Less(t, a.Unloaded(), 30*time.Millisecond)
	feed(a, &now, 1000, func(int) (time.Duration, bool) { return -5, false })
	assert.Positive(t, a.Unloaded())
}

func TestAdaptiveRestrict(t *testing.T) {
	a := must(NewAdaptive(AdaptiveConfig{Min: 4, Max: 40}))
	assert.Equal(t, 10, a.Limit())
	require.NoError(t, a.Restrict(20, 30))
	assert.Equal(t, 20, a.Limit())
	require.NoError(t, a.Restrict(1, 5))
	assert.Equal(t, 5, a.Limit())
	require.ErrorContains(t, a.Restrict(0, 5), "Min: 0, want 1 to 1000000")
	require.ErrorContains(t, a.Restrict(6, 5), "Max: 5, want Min to 1000000")
	assert.Equal(t, 5, a.Limit())
	now := at(0)
	for range 5 { // in probes as well
		feed(a, &now, 10_000, func(i int) (time.Duration, bool) {
			require.True(t, a.Limit() >= 1 && a.Limit() <= 5)
			return time.Duration(1+i%9) * time.Millisecond, false
		})
	}
}

func TestAdaptiveConfig(t *testing.T) {
	for _, tc := range []struct {
		cfg  AdaptiveConfig
		want int // the limit to begin with
	}{
		{AdaptiveConfig{}, 10},
		{AdaptiveConfig{Min: 2000}, 2000},
		{AdaptiveConfig{Max: 3}, 3},
		{AdaptiveConfig{Min: 5, Max: 5, Initial: 5, Tolerance: 10, Smoothing: 1, Window: time.Minute}, 5},
	} {
		assert.Equal(t, tc.want, must(NewAdaptive(tc.cfg)).Limit())
	}
	_, err := NewAdaptive(AdaptiveConfig{Min: -1, Max: -2, Initial: 7, Tolerance: math.NaN(), Smoothing: 1.5, Window: time.Hour})
	for _, says := range []string{
		"adaptive limit: Min: -1, want 1 to 1000000", "Max: -2, want Min to 1000000", "Initial: 7, want Min to Max, -1 to -2",
		"Tolerance: NaN, want 1.1 to 10", "Smoothing: 1.5, want above 0 to 1", "Window: 1h0m0s, want 1ms to 1m",
	} {
		require.ErrorContains(t, err, says)
	}
}

func TestAdaptiveAllocatesNothing(t *testing.T) {
	a, now := must(NewAdaptive(AdaptiveConfig{})), at(0)
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		feed(a, &now, 2000, func(i int) (time.Duration, bool) { return time.Duration(i), i%5 == 0 })
	}))
}

func TestAdaptiveGolden(t *testing.T) {
	a := must(NewAdaptive(AdaptiveConfig{}))
	s := &server{cores: 20, rng: rand.New(rand.NewPCG(1, 2))}
	var b strings.Builder
	fmt.Fprintln(&b, "A server of 20 cores (|) that is always asked for more: the limit (L) and what is used of the capacity (#).")
	for _, p := range phases {
		s.slow = p.slow
		fmt.Fprintf(&b, "\n%s\n", p.name)
		fmt.Fprintln(&b, "   s limit 0         10        20        30        40        50    used")
		from := s.now
		for i, second := range load(a, s, p.until, unbounded) {
			if i%2 == 1 && i > 20 {
				continue
			}
			line := []byte(strings.Repeat(" ", 51))
			line[20] = '|'
			line[min(int(second.limit+0.5), 50)] = 'L'
			used := int(second.speed*20 + 0.5)
			fmt.Fprintf(&b, "%4d %5.0f %s %4.0f%% %s\n", int(from.Seconds()+0.5)+i, second.limit, line, second.speed*100, strings.Repeat("#", used))
		}
	}
	const file = "testdata/adaptive.golden"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String(), "go test -run TestAdaptiveGolden -update writes it anew")
}
