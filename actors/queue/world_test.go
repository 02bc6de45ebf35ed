package queue

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/limit"
)

// t0 is when pure tests begin.
var t0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// world is several states that share regulators, in virtual time and without actors: what gates and actors do for them it
// does in the plainest way. It judges every step.
type world struct {
	t       testing.TB
	now     time.Time
	shared  map[string]*shared
	gates   []*gate
	jobs    map[*waiter]*worldJob // waiting and running
	running map[*worldJob]struct{}
	timers  map[*gate]time.Time
	served  int
	fatal   func(format string, args ...any)
	room    *room
}

type worldJob struct {
	g       *gate
	w       *waiter
	run     time.Duration // how long it runs
	began   bool
	ends    time.Time
	refused Reason
}

func newWorld(t testing.TB, fatal func(string, ...any)) *world {
	return &world{t: t, now: t0, shared: make(map[string]*shared), fatal: fatal,
		jobs: make(map[*waiter]*worldJob), running: make(map[*worldJob]struct{}), timers: make(map[*gate]time.Time),
		room: &room{clock: clock.From(t0), tickets: atomic.Uint64{}}}
}

func (w *world) add(name string, r Regulator) {
	w.shared[name] = &shared{acct: newAccount(r), users: make(map[*gate]struct{}), order: uint64(len(w.shared) + 1), name: name}
}

func (w *world) queue(cfg Config) *gate {
	g := &gate{}
	regs := make([]reg, len(cfg.Regulators))
	for i, r := range cfg.Regulators {
		switch r := r.(type) {
		case groupRate:
			regs[i].shared = w.shared[r.name]
		case namedCounter:
			regs[i].shared = w.shared[r.name]
		default:
			regs[i].acct, regs[i].own = newAccount(r), true
			continue
		}
		regs[i].acct = regs[i].shared.acct
	}
	rules := newRules(cfg)
	g.open(&Queue{room: w.room, name: fmt.Sprint("q", len(w.gates)+1)}, rules, rules.newLine(), regs, nil)
	g.attach()
	w.gates = append(w.gates, g)
	return g
}

// arrive brings a job to a queue, as a caller does.
func (w *world) arrive(g *gate, r Request, run time.Duration) *worldJob {
	j := &worldJob{g: g, w: newWaiter(), run: run}
	w.jobs[j.w] = j
	cost := max(r.Cost, 1)
	if g.state.pass(w.now, cost, &j.w.grant) {
		j.w.grant.at = w.now
		w.begin(j)
		w.wake(g)
		return j
	}
	j.w.item.Nice, j.w.item.Flow, j.w.item.Cost = r.Nice, r.Flow, cost
	require.NoError(w.t, g.state.admit(w.now, &j.w.item))
	w.advance(g)
	return j
}

func (w *world) begin(j *worldJob) {
	j.began, j.ends = true, w.now.Add(j.run)
	w.running[j] = struct{}{}
}

// advance is what a queue's actor does.
func (w *world) advance(g *gate) {
	for _, t := range g.state.timedOut(w.now) {
		w.of(t).refused = g.state.reasonFor(w.now, t)
		delete(w.jobs, t.Value.w)
	}
	delete(w.timers, g)
	for {
		head, why, wait := g.state.next(w.now)
		if head == nil {
			if wait != limit.Never {
				w.timers[g] = w.now.Add(wait)
			}
			break
		}
		if why != granted {
			g.state.leave(w.now, head)
			w.of(head).refused = why
			delete(w.jobs, head.Value.w)
			continue
		}
		j := w.of(head)
		g.state.let(w.now, head)
		w.begin(j)
	}
	w.wake(g)
}

func (w *world) of(t *ticket) *worldJob { return w.jobs[t.Value.w] }

// wake has those look again who are to hear of what a queue just did.
func (w *world) wake(g *gate) {
	w.judge()
	for _, other := range g.state.callers(g, nil) {
		w.advance(other)
	}
}

// judge compares what is in use with what runs: never more than a limit, and no job holds a part of what it needs.
func (w *world) judge() {
	for name, s := range w.shared {
		if s.acct.rate != nil {
			continue
		}
		used := 0
		for j := range w.running {
			for i := range j.g.state.regs {
				if j.g.state.regs[i].shared == s {
					used += s.acct.need(j.w.grant.rules.increments[i], j.w.grant.cost)
				}
			}
		}
		if used != s.acct.counter.Used() {
			w.fatal("%s: %d are in use, and what runs takes %d", name, s.acct.counter.Used(), used)
		}
		if used > int(s.acct.preset) {
			w.fatal("%s: %d are in use of %v", name, used, s.acct.preset)
		}
	}
}

// pass lets time pass, up to `until`: jobs end, and timers ring.
func (w *world) pass(until time.Time) {
	for range 100_000 {
		next, what := until, func() {}
		for j := range w.running {
			if j.ends.Before(next) {
				next, what = j.ends, func() { w.finish(j) }
			}
		}
		for g, at := range w.timers {
			if at.Before(next) {
				next, what = at, func() { w.advance(g) }
			}
		}
		w.now = next
		what()
		w.checkNobodyForgotten()
		if !next.Before(until) {
			return
		}
	}
	w.fatal("time does not pass")
}

// checkNobodyForgotten looks for a head that may go although nothing happens any more.
func (w *world) checkNobodyForgotten() {
	for _, g := range w.gates {
		if at, armed := w.timers[g]; armed && !at.After(w.now) {
			continue
		}
		if head, ok := g.state.line.Peek(w.now); ok && g.state.fits(w.now, head.Cost) {
			w.fatal("%s has a head that may go, and nobody told it", g.queue.name)
		}
	}
}

func (w *world) finish(j *worldJob) {
	delete(w.running, j)
	delete(w.jobs, j.w)
	w.served++
	j.g.state.give(w.now, &j.w.grant, false)
	if j.g.state.waiting > 0 {
		w.advance(j.g)
		return
	}
	w.wake(j.g)
}

// TestG4_SharedRegulatorsNeverDeadlock lets queues share regulators in every way: whatever comes when, each job gets all it
// needs or nothing, none of the limits is exceeded, and in the end all have been served.
func TestG4_SharedRegulatorsNeverDeadlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(nil, func(f string, args ...any) { t.Fatalf(f, args...) })
		n := rapid.IntRange(1, 3).Draw(t, "counters")
		limits := make([]int, n)
		for i := range n {
			limits[i] = rapid.IntRange(1, 4).Draw(t, "limit")
			w.add(fmt.Sprint("c", i), Counter{Limit: limits[i]})
		}
		w.add("r", Rate{PerSecond: float64(rapid.SampledFrom([]int{2, 20, 200}).Draw(t, "rate"))})
		for range rapid.IntRange(1, 4).Draw(t, "queues") {
			var cfg Config
			for i := range n {
				if rapid.Bool().Draw(t, "shares") {
					cfg.Regulators = append(cfg.Regulators, NamedCounter(fmt.Sprint("c", i), rapid.IntRange(1, limits[i]).Draw(t, "increment")))
				}
			}
			if rapid.IntRange(0, 2).Draw(t, "rated") == 0 {
				cfg.Regulators = append(cfg.Regulators, GroupRate("r"))
			}
			if rapid.IntRange(0, 3).Draw(t, "own") == 0 {
				cfg.Regulators = append(cfg.Regulators, Counter{Limit: rapid.IntRange(1, 2).Draw(t, "own limit")})
			}
			w.queue(cfg)
		}
		for range rapid.IntRange(1, 40).Draw(t, "jobs") {
			w.pass(w.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "gap")) * time.Millisecond))
			g := w.gates[rapid.IntRange(0, len(w.gates)-1).Draw(t, "queue")]
			w.arrive(g, Request{}, time.Duration(rapid.IntRange(1, 400).Draw(t, "run"))*time.Millisecond)
		}
		w.pass(w.now.Add(10 * time.Minute))
		if left := len(w.jobs); left > 0 {
			t.Fatalf("%d jobs were never served", left)
		}
		for name, s := range w.shared {
			if s.acct.counter.Used() != 0 || s.acct.line.Len() != 0 {
				t.Fatalf("%s: %d in use, %d claims, and nobody is there", name, s.acct.counter.Used(), s.acct.line.Len())
			}
		}
	})
}

// saturate keeps so many jobs waiting in a queue, each running for so long, until the end, and returns how many it served.
func (w *world) saturate(d time.Duration, load ...*worldLoad) {
	for end := w.now.Add(d); w.now.Before(end); w.pass(w.now.Add(time.Millisecond)) {
		for _, l := range load {
			for l.g.state.waiting < 3 {
				l.jobs = append(l.jobs, w.arrive(l.g, Request{}, l.run))
			}
		}
	}
}

type worldLoad struct {
	g    *gate
	run  time.Duration
	jobs []*worldJob
}

func (l *worldLoad) served() (n int) {
	for _, j := range l.jobs {
		if j.began {
			n++
		}
	}
	return n
}

// A queue of large jobs is not starved by one of small ones that share its counter, nor by those that take it in turns.
func TestG7_SmallJobsDoNotStarveLargeOnes(t *testing.T) {
	w := newWorld(t, t.Fatalf)
	w.add("c", Counter{Limit: 4})
	large := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("c", 4)}}), run: 10 * time.Millisecond}
	small := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("c", 1)}}), run: 10 * time.Millisecond}
	other := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("c", 1)}}), run: 7 * time.Millisecond}
	w.saturate(3*time.Second, large, small, other)
	assert.Greater(t, large.served(), 60, "they take turns")
	assert.Greater(t, small.served(), 60)
	assert.Greater(t, other.served(), 60)
}

// Two counters that are never free at the same moment, because others use each of them alone, starve nobody who needs both.
func TestG7_NeedingTwoIsNotStarvedByThoseWhoNeedOne(t *testing.T) {
	w := newWorld(t, t.Fatalf)
	w.add("a", Counter{Limit: 1})
	w.add("b", Counter{Limit: 1})
	both := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("a", 1), NamedCounter("b", 1)}}), run: 5 * time.Millisecond}
	onlyA := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("a", 1)}}), run: 11 * time.Millisecond}
	onlyB := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("b", 1)}}), run: 13 * time.Millisecond}
	w.saturate(3*time.Second, both, onlyA, onlyB)
	assert.Greater(t, both.served(), 50)
	assert.Greater(t, onlyA.served(), 50)
	assert.Greater(t, onlyB.served(), 50)
}

// Who waits for a counter that is held for long does not stop those who need only the other one.
func TestG7_OneSlowRegulatorDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t, t.Fatalf)
	w.add("slow", Counter{Limit: 1})
	w.add("quick", Counter{Limit: 1})
	both := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("slow", 1), NamedCounter("quick", 1)}}), run: 5 * time.Millisecond}
	slow := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("slow", 1)}}), run: 10 * time.Second}
	quick := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("quick", 1)}}), run: 5 * time.Millisecond}
	w.saturate(60*time.Second, slow, both, quick)
	assert.GreaterOrEqual(t, both.served(), 4, "it gets its turn all the same")
	assert.GreaterOrEqual(t, slow.served(), 4)
	assert.Greater(t, quick.served(), 5000, "12,000 would have been served without anybody else")
}

// A limit that was lowered below what a head needs holds up nobody but its own queue.
func TestG7_AHeadThatCannotGoStandsInNobodysWay(t *testing.T) {
	w := newWorld(t, t.Fatalf)
	w.add("c", Counter{Limit: 4})
	large := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("c", 4)}}), run: 5 * time.Millisecond}
	small := &worldLoad{g: w.queue(Config{Regulators: []Regulator{NamedCounter("c", 1)}}), run: 5 * time.Millisecond}
	w.saturate(100*time.Millisecond, large, small)
	before := small.served()
	acct := w.shared["c"].acct
	acct.corrected = 50 // as modifiers do under load
	acct.apply(w.now)
	w.saturate(time.Second, large, small)
	assert.Greater(t, small.served(), before+300)
	held := large.served()
	acct.corrected = 0
	acct.apply(w.now)
	w.advance(large.g)
	w.saturate(time.Second, large, small)
	assert.Greater(t, large.served(), held+50)
}
