package queue

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// sim is several nodes that share one clustered regulator, in virtual time and without actors or queues. What they say to each other may be
// lost, doubled, and late; nodes crash and come back, and the ownership moves. It judges every step.
type sim struct {
	now   time.Time
	rng   *rand.Rand
	r     Regulator
	nodes []*simNode
	owner *simNode // nil: nobody
	epoch int64
	mail  []simMail
	lose  float64 // share of what is lost, and of what comes twice
	delay time.Duration
	turns []roomtest.Turn // of a rate
	told  int             // messages
	fatal func(format string, args ...any)
}

// simNode is a node; its queue is a list of jobs that go one after the other.
type simNode struct {
	sim     *sim
	name    string
	dead    time.Time // since when; zero: it lives
	cut     bool      // nothing comes or goes
	shared  *shared
	desk    *desk
	claim   claim
	due     time.Time // when its desk is to be advanced
	waiting []int     // what jobs take
	run     time.Duration
	running []simJob
	served  int
}

type simJob struct {
	n    int
	ends time.Time
}

type simMail struct {
	at       time.Time
	from, to *simNode
	life     *desk // of the receiver for which it is meant
	body     []byte
}

func newSim(seed uint64, r Regulator, nodes int, fatal func(string, ...any)) *sim {
	s := &sim{now: t0, rng: rand.New(rand.NewPCG(seed, 7)), r: r, fatal: fatal}
	for i := range nodes {
		n := &simNode{sim: s, name: fmt.Sprint("n", i), run: 10 * time.Millisecond}
		s.nodes = append(s.nodes, n)
		n.start()
	}
	s.own(s.nodes[0])
	return s
}

// start is the node's process.
func (n *simNode) start() {
	m := &room{logger: slog.New(slog.DiscardHandler)}
	p := &peers{room: m, node: n, port: n, life: n.sim.rng.Uint64(), start: n.sim.now}
	a := newAccount(n.sim.r)
	a.lend(n.sim.now, n.sim.rng.Uint64())
	a.loan.policy(n.sim.r)
	n.shared = &shared{acct: a, name: "x", users: make(map[*gate]struct{})}
	n.desk = p.desk(n.shared, a.paced(), "x")
	n.dead, n.claim, n.running, n.due = time.Time{}, claim{}, nil, n.sim.now
}

// crash ends the process, and with it what ran there. It comes back after so long.
func (n *simNode) crash(back time.Duration) {
	n.dead, n.running = n.sim.now, nil
	if n.sim.owner == n {
		n.sim.own(nil)
	}
	at := n.sim.now.Add(max(back, goneAfter))
	n.sim.mail = append(n.sim.mail, simMail{at: at, to: n})
}

// own gives the regulator to a node.
func (s *sim) own(n *simNode) {
	s.owner = n
	s.epoch++
	for _, other := range s.nodes {
		other.due = s.now
	}
}

// What the desk uses of its node.

func (n *simNode) Name() string             { return n.name }
func (n *simNode) Shard(string) int         { return 0 }
func (n *simNode) Epoch(int) (int64, bool)  { return n.sim.epoch, n.sim.owner == n }
func (n *simNode) Left() time.Duration      { return 10 * time.Second }
func (n *simNode) Close()                   {}
func (n *simNode) member(at time.Time) bool { return n.dead.IsZero() || at.Sub(n.dead) < goneAfter }

func (n *simNode) Owner(int) (cluster.Owner, bool) {
	if n.sim.owner == nil {
		return cluster.Owner{}, false
	}
	return cluster.Owner{Name: n.sim.owner.name, Epoch: n.sim.epoch}, true
}

func (n *simNode) Members() (names []string) {
	for _, other := range n.sim.nodes {
		if other != n && other.member(n.sim.now) {
			names = append(names, other.name)
		}
	}
	return names
}

func (n *simNode) Tell(member string, body []byte) error {
	s := n.sim
	i := slices.IndexFunc(s.nodes, func(other *simNode) bool { return other.name == member })
	to := s.nodes[i]
	s.told++
	for copies := 1; copies > 0; copies-- {
		if s.rng.Float64() < s.lose {
			copies += 2 * s.rng.IntN(2)
			continue
		}
		late := time.Duration(s.rng.Int64N(int64(s.delay) + 1))
		s.mail = append(s.mail, simMail{s.now.Add(late), n, to, to.desk, body})
	}
	return nil
}

// deliver brings what has arrived, and starts processes anew.
func (s *sim) deliver() {
	for i := 0; i < len(s.mail); i++ {
		m := s.mail[i]
		if m.at.After(s.now) {
			continue
		}
		s.mail = slices.Delete(s.mail, i, i+1)
		i--
		switch {
		case m.from == nil:
			m.to.start()
		case m.to.dead.IsZero() && m.to.desk == m.life && !m.to.cut && !m.from.cut:
			w, err := readWord(m.from.name, m.body)
			if err != nil {
				s.fatal("%v", err)
				continue
			}
			m.to.desk.hear(s.now, w)
			m.to.due = s.now
		}
	}
}

// step is the node's moment: jobs end, jobs go, and the desk has its say.
func (n *simNode) step() {
	s, a := n.sim, n.shared.acct
	n.running = slices.DeleteFunc(n.running, func(j simJob) bool {
		over := !j.ends.After(s.now)
		if over {
			a.give(j.n)
		}
		return over
	})
	a.fence(s.now)
	for len(n.waiting) > 0 && a.wait(s.now, n.waiting[0]) == 0 {
		cost := n.waiting[0]
		n.waiting = n.waiting[1:]
		a.take(s.now, s.now, cost)
		n.served++
		if a.paced() {
			s.turns = append(s.turns, roomtest.Turn{At: s.now, Cost: cost})
		} else {
			n.running = append(n.running, simJob{cost, s.now.Add(n.run)})
		}
	}
	least, all := 0, 0
	for i, cost := range n.waiting {
		if i == 0 {
			least = cost
		}
		all += cost
	}
	a.want(&n.claim, least, all)
	if a.loan.stirred || !n.due.After(s.now) {
		if next := n.desk.advance(s.now); next < limit.Never {
			n.due = s.now.Add(next)
		} else {
			n.due = s.now.Add(time.Hour)
		}
	}
}

// pass lets time pass, in small steps.
func (s *sim) pass(d time.Duration) {
	const tick = time.Millisecond
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(tick) {
		s.deliver()
		used := 0
		for _, n := range s.nodes {
			if n.dead.IsZero() {
				n.step()
				for _, j := range n.running {
					used += j.n
				}
			}
		}
		if c, ok := s.r.(Counter); ok && used > c.Limit {
			s.fatal("after %v: %d are in use, and %d may be", s.now.Sub(t0), used, c.Limit)
		}
	}
}

// saturate keeps jobs of this size waiting at a node.
func (n *simNode) saturate(size int) {
	for len(n.waiting) < 20 {
		n.waiting = append(n.waiting, size)
	}
}
