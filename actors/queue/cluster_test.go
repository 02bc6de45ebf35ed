package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/internal/roomtest"
)

// havoc draws what may happen to a cluster, and in the end nothing more does.
func havoc(t *rapid.T, s *sim, size int) {
	s.lose = rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "lose")
	s.delay = time.Duration(rapid.SampledFrom([]int{0, 1, 10, 500, 3000}).Draw(t, "delay")) * time.Millisecond
	for range rapid.IntRange(1, 25).Draw(t, "events") {
		n := s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(t, "node")]
		switch rapid.IntRange(0, 7).Draw(t, "event") {
		case 0:
			if n.dead.IsZero() {
				n.crash(time.Duration(rapid.IntRange(3000, 6000).Draw(t, "back")) * time.Millisecond)
			}
		case 1:
			s.own(nil)
		case 2:
			if n.dead.IsZero() {
				s.own(n)
			}
		case 3:
			n.cut = !n.cut
		default:
			for range rapid.IntRange(1, 10).Draw(t, "jobs") {
				n.waiting = append(n.waiting, rapid.IntRange(1, size).Draw(t, "size"))
			}
			n.run = time.Duration(rapid.IntRange(1, 900).Draw(t, "run")) * time.Millisecond
		}
		s.pass(time.Duration(rapid.SampledFrom([]int{1, 20, 200, 1000, 4000}).Draw(t, "pass")) * time.Millisecond)
	}
	s.lose, s.delay = 0, time.Millisecond
	for _, n := range s.nodes {
		n.cut = false
	}
	s.pass(7 * time.Second)
	if s.owner == nil {
		s.own(s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(t, "last owner")])
	}
}

// Whatever is lost, doubled and late, whoever crashes and whoever owns it: jobs of all nodes together never hold more of a counter than its
// limit, and when all is well again all of them are served.
func TestG11_ClusteredCountersHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "limit")
		s := newSim(rapid.Uint64().Draw(t, "seed"), Counter{Limit: most, Clustered: true}, rapid.IntRange(1, 4).Draw(t, "nodes"), t.Fatalf)
		havoc(t, s, most)
		for _, n := range s.nodes {
			n.run = 10 * time.Millisecond
		}
		s.pass(30 * time.Second)
		for _, n := range s.nodes {
			if len(n.waiting) > 0 {
				t.Fatalf("%d jobs of %s were never served", len(n.waiting), n.name)
			}
			if used := n.shared.acct.counter.Used(); used > 0 {
				t.Fatalf("%d are in use at %s, and no job is there", used, n.name)
			}
		}
	})
}

// Likewise of a rate: no second holds more, on all nodes together.
func TestG11_ClusteredRatesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.5, 1, 2.5, 20, 150}).Draw(t, "rate")
		s := newSim(rapid.Uint64().Draw(t, "seed"), Rate{PerSecond: rate, Clustered: true}, rapid.IntRange(1, 4).Draw(t, "nodes"), t.Fatalf)
		size := min(3, max(int(rate), 1))
		havoc(t, s, size)
		jobs := 0
		for _, n := range s.nodes {
			for _, cost := range n.waiting {
				jobs += cost
			}
		}
		s.pass(10*time.Second + time.Duration(2*float64(jobs)/rate*float64(time.Second)))
		for _, n := range s.nodes {
			if len(n.waiting) > 0 {
				t.Fatalf("%d jobs of %s were never served", len(n.waiting), n.name)
			}
		}
		most := max(int(rate), 1)
		span := time.Duration(float64(most) / rate * float64(time.Second))
		if worst := roomtest.Worst(s.turns, span); worst > most {
			t.Fatalf("%v hold %d, and %d may be", span, worst, most)
		}
	})
}

// saturated runs a cluster whose nodes all want more than there is.
func saturated(t *testing.T, r Regulator, sizes []int, d time.Duration) *sim {
	s := newSim(1, r, len(sizes), t.Fatalf)
	s.delay = time.Millisecond
	for end := s.now.Add(d); s.now.Before(end); s.pass(time.Millisecond) {
		for i, n := range s.nodes {
			n.saturate(sizes[i])
		}
	}
	return s
}

func TestG11_ClusteredRatesAreDelivered(t *testing.T) {
	for _, rate := range []float64{2, 10, 100, 3000} {
		s := saturated(t, Rate{PerSecond: rate, Clustered: true}, []int{1, 1, 1}, 30*time.Second)
		var served []int
		all := 0
		for _, n := range s.nodes {
			served = append(served, n.served)
			all += n.served
		}
		first := 1040 * time.Millisecond // what may have been let go before is waited for
		want := rate * (30*time.Second - first).Seconds()
		t.Logf("rate %v: %v served, %.1f %%; %d messages a second", rate, served, 100*float64(all)/want, s.told/30)
		assert.GreaterOrEqual(t, float64(all), 0.95*want-1, "%v", rate)
		for _, n := range served {
			assert.InDelta(t, float64(all)/3, n, 0.15*float64(all)/3+1, "they take turns: %v", served)
		}
		assert.LessOrEqual(t, roomtest.Worst(s.turns, time.Second), int(rate))
	}
}

// Permits that are some time under way, one longer than the next, do not come too close to each other.
func TestG11_PermitsUnderWayCount(t *testing.T) {
	s := newSim(1, Rate{PerSecond: 20, Clustered: true}, 3, t.Fatalf)
	s.delay = 18 * time.Millisecond
	for end := s.now.Add(time.Minute); s.now.Before(end); s.pass(time.Millisecond) {
		for _, n := range s.nodes {
			n.saturate(1)
		}
	}
	assert.LessOrEqual(t, roomtest.Worst(s.turns, time.Second), 20)
	assert.Greater(t, len(s.turns), 20*60*9/10)
}

func TestG7_NodesShareCounters(t *testing.T) {
	for _, most := range []int{1, 2, 3, 12, 100} {
		s := saturated(t, Counter{Limit: most, Clustered: true}, []int{1, 1, 1}, 10*time.Second)
		var served []int
		all := 0
		for _, n := range s.nodes {
			served = append(served, n.served)
			all += n.served
		}
		ideal := most * int(10*time.Second/(10*time.Millisecond))
		t.Logf("limit %d: %v served, %.0f %%; %d messages a second", most, served, 100*float64(all)/float64(ideal), s.told/10)
		assert.Greater(t, all, ideal/2)
		for _, n := range served {
			assert.InDelta(t, float64(all)/3, n, 0.1*float64(all)/3+10, "limit %d: %v", most, served)
		}
	}
}

// A node whose jobs take all of a counter gets its turn, although others could always use what is free.
func TestG7_LargeJobsOfANodeAreNotStarved(t *testing.T) {
	s := saturated(t, Counter{Limit: 4, Clustered: true}, []int{4, 1, 1}, 10*time.Second)
	t.Logf("served: %d %d %d", s.nodes[0].served, s.nodes[1].served, s.nodes[2].served)
	for _, n := range s.nodes {
		assert.Greater(t, n.served, 50)
	}
}

// What a node that died had of a counter is lent to others soon, and what jobs of a living one hold stays with it when the owner dies.
func TestG11_PermitsOutliveTheirOwnerButNotTheirHolder(t *testing.T) {
	s := newSim(1, Counter{Limit: 4, Clustered: true}, 3, t.Fatalf)
	s.delay = time.Millisecond
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	b.run = time.Hour
	b.waiting = []int{1, 1, 1}
	s.pass(time.Second)
	require.Len(t, b.running, 3)

	a.crash(time.Hour)
	s.pass(goneAfter)
	s.own(c)
	c.run = time.Hour
	c.waiting = []int{1, 1}
	s.pass(time.Second)
	require.Len(t, c.running, 1, "b still holds three")

	b.crash(time.Hour)
	died := s.now
	for len(c.running) < 2 {
		s.pass(time.Millisecond)
		require.Less(t, s.now.Sub(died), goneAfter+time.Second)
	}
	require.Greater(t, s.now.Sub(died), fenceAfter, "it might have been alive")
}

// A new owner lends nothing before it knows what the others hold, or that they are not there.
func TestG11_ANewOwnerAsksFirst(t *testing.T) {
	s := newSim(1, Counter{Limit: 2, Clustered: true}, 3, t.Fatalf)
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	b.run = 900 * time.Millisecond
	s.pass(100 * time.Millisecond)
	b.waiting = []int{1, 1}
	s.pass(10 * time.Millisecond)
	require.Len(t, b.running, 2)
	b.cut = true
	s.own(c)
	c.waiting = []int{1}
	moved := s.now
	for c.served == 0 {
		s.pass(time.Millisecond)
		require.Less(t, s.now.Sub(moved), goneAfter+100*time.Millisecond)
	}
	assert.GreaterOrEqual(t, s.now.Sub(moved), goneAfter, "b may be letting jobs go all the time")
	b.cut = false
	a.waiting, b.waiting, c.waiting = []int{1}, []int{1}, []int{1}
	s.pass(2 * time.Second)
	assert.Equal(t, []int{1, 3, 2}, []int{a.served, b.served, c.served})
}

// What is taken back from a node is lent to others when the node knows, and not before: it may be using it by then.
func TestG11_ARecallCountsWhenItHasArrived(t *testing.T) {
	s := newSim(1, Counter{Limit: 4, Clustered: true}, 3, t.Fatalf)
	b, c := s.nodes[1], s.nodes[2]
	b.waiting = []int{1, 1, 1, 1}
	s.pass(time.Second)
	require.Equal(t, 4, b.served)
	s.delay = 500 * time.Millisecond
	for range 20 {
		c.run, c.waiting = 900*time.Millisecond, []int{1, 1, 1, 1}
		s.pass(100 * time.Millisecond)
		b.run, b.waiting = 900*time.Millisecond, []int{1, 1, 1, 1}
		s.pass(3 * time.Second)
	}
	assert.Greater(t, b.served, 20)
	assert.Greater(t, c.served, 20)
}

// A permit that comes when its job has given up is let go anew, however slow the rate is.
func TestG3_PermitsThatNobodyUsesAreGivenBack(t *testing.T) {
	s := newSim(1, Rate{PerSecond: 0.02, Clustered: true}, 2, t.Fatalf)
	s.delay = time.Millisecond
	a, b := s.nodes[0], s.nodes[1]
	s.pass(55 * time.Second)
	b.waiting = []int{1}
	s.pass(time.Millisecond)
	b.waiting = nil // and its permit is on its way
	s.pass(200 * time.Millisecond)
	a.waiting = []int{1}
	s.pass(time.Second)
	assert.Equal(t, 1, a.served)
	b.waiting = []int{1}
	s.pass(45 * time.Second)
	assert.Zero(t, b.served)
	s.pass(6 * time.Second)
	assert.Equal(t, 1, b.served)
}
