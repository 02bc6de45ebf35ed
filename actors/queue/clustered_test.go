package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// counters3 is three nodes with a queue each, that share a counter.
func counters3(t *testing.T, c Counter) (*grid, []*Queue) {
	g := newGrid(t, "a", "b", "c")
	c.Clustered = true
	var queues []*Queue
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, AddCounter(g.sys(name), "db", c))
		queues = append(queues, addQueue(t, g.sys(name), "q", Config{Regulators: []Regulator{NamedCounter("db", 1)}}))
	}
	return g, queues
}

func rates3(t *testing.T, r Rate) (*grid, []*Queue) {
	g := newGrid(t, "a", "b", "c")
	r.Clustered = true
	var queues []*Queue
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, AddGroupRate(g.sys(name), "api", r))
		queues = append(queues, addQueue(t, g.sys(name), "q", Config{Regulators: []Regulator{GroupRate("api")}}))
	}
	time.Sleep(2 * time.Second) // what may have been let go before is waited for
	return g, queues
}

func TestG11_QueuesOfSeveralNodesShareACounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, queues := counters3(t, Counter{Limit: 4})
		var a at
		c := newCallers()
		began := time.Now()
		for i := range 300 {
			c.Call(func() error {
				return queues[i%3].Run(context.Background(), Request{}, a.job(1, 10*time.Millisecond))
			})
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 300}, c.Ended())
		assert.Equal(t, 4, a.most, "all nodes together use all of it and no more")
		took := time.Since(began)
		t.Logf("took %v, %d messages", took, g.told)
		assert.Less(t, took, 300*10*time.Millisecond/4*3/2)
		for i, q := range queues {
			r := q.Info().Regulators[0]
			assert.True(t, r.Clustered, "%d", i)
			assert.Equal(t, 4.0, r.Limit)
			assert.Zero(t, r.Used)
		}
	})
}

func TestG11_QueuesOfSeveralNodesShareARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, queues := rates3(t, Rate{PerSecond: 100})
		var a at
		c := newCallers()
		began := time.Now()
		for i := range 600 {
			c.Call(func() error { return queues[i%3].Run(context.Background(), Request{}, a.job(1, 0)) })
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 600}, c.Ended())
		assert.LessOrEqual(t, roomtest.Worst(a.turns, time.Second), 100)
		assert.Less(t, time.Since(began).Seconds(), 6/0.95+0.1, "at least 95 % is delivered")
	})
}

// Callers that give up while something is on its way to them cost nothing: others have it.
func TestG3_WhoGivesUpCostsTheClusterNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, queues := rates3(t, Rate{PerSecond: 0.1})
		time.Sleep(20 * time.Second)
		_, err := queues[1].Ask(roomtest.Within(t, 300*time.Microsecond), Request{}) // as long as the way there and half the way back
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(100 * time.Millisecond)
		_, err = queues[2].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
		_, err = queues[1].Ask(roomtest.Within(t, 9*time.Second), Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = queues[1].Ask(roomtest.Within(t, 2*time.Second), Request{})
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		_, queues := counters3(t, Counter{Limit: 1})
		time.Sleep(time.Second)
		for range 20 {
			_, err := queues[1].Ask(roomtest.Within(t, 300*time.Microsecond), Request{})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			j, err := queues[2].Ask(roomtest.Within(t, 100*time.Millisecond), Request{})
			require.NoError(t, err)
			j.Done()
		}
	})
}

func TestG11_AnAbsentOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // wait
		g, queues := counters3(t, Counter{Limit: 2})
		g.own("")
		_, err := queues[1].Ask(roomtest.Within(t, 10*time.Second), Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.AfterFunc(time.Second, func() { g.own("c") })
		j, err := queues[1].Ask(roomtest.Within(t, 10*time.Second), Request{})
		require.NoError(t, err)
		g.own("")
		j.Done()
		j, err = queues[1].Ask(context.Background(), Request{})
		require.NoError(t, err, "what was lent is good for a while")
		j.Done()
		time.Sleep(fenceAfter)
		_, err = queues[1].Ask(roomtest.Within(t, time.Second), Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded, "and then it is not")
	})
	synctest.Test(t, func(t *testing.T) { // refuse
		g, queues := counters3(t, Counter{Limit: 2, Away: cluster.Refuse})
		g.own("")
		began := time.Now()
		_, err := queues[1].Ask(roomtest.Within(t, 10*time.Second), Request{})
		require.ErrorIs(t, err, cluster.ErrAway)
		refused := new(RefusedError)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, Away, refused.Reason)
		require.Equal(t, "named counter db", refused.Regulator)
		require.LessOrEqual(t, time.Since(began), awayAfter+reportAgain)
		began = time.Now()
		_, err = queues[1].Ask(context.Background(), Request{})
		require.ErrorIs(t, err, cluster.ErrAway)
		require.Zero(t, time.Since(began), "now that it is known")
		require.True(t, queues[1].Info().Regulators[0].Away)
		g.own("a")
		time.Sleep(time.Second)
		_, err = queues[1].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) { // a local share
		g, queues := rates3(t, Rate{PerSecond: 90, LocalShare: 1. / 3})
		g.own("")
		var a at
		c := newCallers()
		for i := range 900 {
			c.Call(func() error {
				return queues[i%3].Run(roomtest.Within(t, 6*time.Second), Request{}, a.job(1, 0))
			})
		}
		c.Wait()
		assert.InDelta(t, 90*4, c.Ended()["granted"], 30, "after a second to find out, and one to begin")
		assert.LessOrEqual(t, roomtest.Worst(a.turns, time.Second), 90)
		g.own("b")
		time.Sleep(2 * time.Second)
		a = at{}
		for i := range 300 {
			c.Call(func() error { return queues[i%3].Run(context.Background(), Request{}, a.job(1, 0)) })
		}
		c.Wait()
		assert.LessOrEqual(t, roomtest.Worst(a.turns, time.Second), 90)
		assert.False(t, queues[0].Info().Regulators[0].Away)
	})
}

// What a node has is free for the others as soon as it deletes the counter, or ends.
func TestG11_GoodbyeGivesEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, queues := counters3(t, Counter{Limit: 1})
		for range 3 {
			_, err := queues[1].Ask(roomtest.Within(t, time.Second), Request{}) // and never done
			require.NoError(t, err)
			require.True(t, DeleteCounter(g.sys("b"), "db"))
			j, err := queues[2].Ask(roomtest.Within(t, 100*time.Millisecond), Request{})
			require.NoError(t, err)
			j.Done()
			require.NoError(t, AddCounter(g.sys("b"), "db", Counter{Limit: 1, Clustered: true}))
			require.True(t, Delete(g.sys("b"), "q"))
			queues[1] = addQueue(t, g.sys("b"), "q", Config{Regulators: []Regulator{NamedCounter("db", 1)}})
		}
		_, err := queues[1].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
		require.NoError(t, g.sys("b").Close(context.Background()))
		j, err := queues[2].Ask(roomtest.Within(t, 100*time.Millisecond), Request{})
		require.NoError(t, err)
		j.Done()
	})
	synctest.Test(t, func(t *testing.T) { // the owner deletes it, and adds it anew
		g, queues := counters3(t, Counter{Limit: 2})
		held, err := queues[1].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
		require.True(t, DeleteCounter(g.sys("a"), "db"))
		require.NoError(t, AddCounter(g.sys("a"), "db", Counter{Limit: 2, Clustered: true}))
		_, err = queues[2].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
		_, err = queues[2].Ask(roomtest.Within(t, time.Second), Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded, "the new owner has been told what is held")
		held.Done()
		_, err = queues[2].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
	})
}

func TestG2_ARestartOfARegulatorsActorLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, queues := counters3(t, Counter{Limit: 2})
		held, err := queues[1].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
		_, err = queues[0].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
		for _, name := range []string{"a", "b", "c"} { // "a" owns it
			m, err := roomOf(g.sys(name))
			require.NoError(t, err)
			e, _ := m.counters.Lookup("db")
			m.counters.Send(e, word{from: "x"})
			m.counters.Send(e, word{from: "x", loan: nil, report: nil})
		}
		_, err = queues[2].Ask(roomtest.Within(t, time.Second), Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		held.Done()
		_, err = queues[2].Ask(roomtest.Within(t, time.Second), Request{})
		require.NoError(t, err)
	})
}

func TestClusteredRegulatorsAreValidated(t *testing.T) {
	sys := roomtest.System(t)
	for what, err := range map[string]error{
		"cluster.Join":               AddCounter(sys, "c", Counter{Limit: 1, Clustered: true}),
		"call cluster.Join":          AddGroupRate(sys, "r", Rate{PerSecond: 1, Clustered: true}),
		"Away is 2":                  AddCounter(sys, "c", Counter{Limit: 1, Clustered: true, Away: 2}),
		"Away is set":                AddCounter(sys, "c", Counter{Limit: 1, Away: cluster.Refuse}),
		"LocalShare is 2":            AddGroupRate(sys, "r", Rate{PerSecond: 1, Clustered: true, LocalShare: 2}),
		"LocalShare is 0.5 and C":    AddGroupRate(sys, "r", Rate{PerSecond: 1, LocalShare: 0.5}),
		"LocalShare is 0.5 and Away": AddGroupRate(sys, "r", Rate{PerSecond: 1, Clustered: true, Away: cluster.Refuse, LocalShare: 0.5}),
		"what makes 0.001":           AddGroupRate(sys, "r", Rate{PerSecond: 0.001, Clustered: true, LocalShare: 0.5}),
	} {
		assert.ErrorIs(t, err, penstock.ErrInvalid, what)
		assert.ErrorContains(t, err, what)
	}
	_, err := Add(sys, "q", Config{Regulators: []Regulator{Counter{Limit: 1, Clustered: true}, Rate{PerSecond: 1, Clustered: true}}})
	assert.ErrorContains(t, err, "Regulators[0] (counter): Clustered is true")
	assert.ErrorContains(t, err, "Regulators[1] (rate): Clustered is true")
	require.NoError(t, AddCounter(sys, "c", Counter{Limit: 1}))
	assert.ErrorContains(t, SetCounter(sys, "c", Counter{Limit: 1, Clustered: true}), "delete it and add it anew")
}

// Three nodes, random load, and whatever may happen to nodes: each call is answered, and no limit is exceeded.
func TestG11_EveryoneIsAnsweredOnAllNodes(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) { clusterStorm(t, seed) })
	}
}

func clusterStorm(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	g := newGrid(t, "a", "b", "c")
	names := []string{"a", "b", "c"}
	var queues []*Queue
	for _, name := range names {
		require.NoError(t, AddCounter(g.sys(name), "db", Counter{Limit: 5, Clustered: true}))
		require.NoError(t, AddCounter(g.sys(name), "other", Counter{Limit: 3, Clustered: true}))
		require.NoError(t, AddGroupRate(g.sys(name), "api", Rate{PerSecond: 200, Clustered: true}))
		queues = append(queues,
			addQueue(t, g.sys(name), "both", Config{Regulators: []Regulator{NamedCounter("db", 2), NamedCounter("other", 1)}}),
			addQueue(t, g.sys(name), "rated", Config{Regulators: []Regulator{NamedCounter("db", 1), GroupRate("api")}, Order: LIFO}),
			addQueue(t, g.sys(name), "own", Config{Regulators: []Regulator{NamedCounter("other", 1), Counter{Limit: 2}}, Order: Adaptive}),
		)
	}
	var db, other, api at
	c := newCallers()
	for range 400 {
		i := rng.IntN(len(queues))
		ctx := context.Background()
		if rng.IntN(3) == 0 {
			ctx = roomtest.Within(t, time.Duration(rng.IntN(300))*time.Millisecond)
		}
		run := time.Duration(rng.IntN(20)) * time.Millisecond
		c.Call(func() error {
			return queues[i].Run(ctx, Request{Flow: fmt.Sprint(i % 2)}, func(ctx context.Context) error {
				switch i % 3 {
				case 0:
					_ = other.job(1, 0)(ctx)
					return db.job(2, run)(ctx)
				case 1:
					_ = api.job(1, 0)(ctx)
					return db.job(1, run)(ctx)
				}
				return other.job(1, run)(ctx)
			})
		})
		time.Sleep(time.Duration(rng.IntN(6)) * time.Millisecond)
		switch rng.IntN(40) {
		case 0:
			g.own(names[rng.IntN(3)])
		case 1:
			g.own("")
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
			g.own(names[rng.IntN(3)])
		case 2:
			name := names[rng.IntN(3)]
			g.cut(name, true)
			time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
			g.cut(name, false)
		case 3:
			crash(queues[rng.IntN(len(queues))])
		}
	}
	ends := make(chan struct{})
	go func() { c.Wait(); close(ends) }()
	select {
	case <-ends:
	case <-time.After(time.Hour):
		t.Fatalf("%d of 400 calls were never answered: %v", 400-c.Total(), c.Ended())
	}
	assert.Empty(t, c.Strange())
	assert.LessOrEqual(t, db.most, 5)
	assert.LessOrEqual(t, roomtest.Worst(api.turns, time.Second), 200)
	time.Sleep(5 * time.Second)
	for _, q := range queues {
		for _, r := range q.Info().Regulators {
			assert.Zero(t, r.Used, "%s %s", q.Name(), r.Name)
		}
	}
}
