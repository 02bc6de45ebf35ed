package queue

import (
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
)

// Info is what a queue can tell of itself: jobs' queue_info. It answers why a queue waits: HeldBy, HeldFor and OldestWait.
type Info struct {
	Name    string
	Action  Action
	Order   Order
	Waiting int // requests that wait for their turn
	Running int // jobs that were let go and are not done

	// HeldBy is the name of the regulator that holds the head of the line back, and HeldFor how long it has done so. Empty
	// if nothing does.
	HeldBy  string
	HeldFor time.Duration
	// OldestWait is how long the request that waits longest has waited.
	OldestWait time.Duration
	// RateIn and RateOut are requests a second that came, and that were let go, over the last second or so.
	RateIn, RateOut float64
	// JobTime is what a job takes, smoothed.
	JobTime time.Duration

	// Asked are all requests so far. Of them Waited had to wait, whatever became of them then. Done and Failed are jobs.
	Asked, Granted, Waited, Done, Failed, GaveUp uint64
	Refused                                      map[Reason]uint64
	MaxSize                                      int // 0: nobody may wait
	MaxTime                                      time.Duration
	Regulators                                   []RegulatorInfo
	Producer                                     *ProducerInfo // nil unless the queue produces
	Behavior                                     any           // what the queue's Behavior tells of itself
}

// RegulatorInfo is what a queue can tell of one of its regulators.
type RegulatorInfo struct {
	Name       string  // as SetRegulator takes it, or of a shared one as "group rate db"
	Kind       string  // "rate", "counter", "adaptive", "group rate", "named counter"
	Preset     float64 // as configured; of an adaptive limit its Max
	Limit      float64 // in force, after what its modifiers took off
	Correction int     // percent that they took off
	Used       int     // of a counter
	Increment  int     // of a counter, for each job
	Passed     uint64  // jobs that it let go, of all queues that share it
	Holds      uint64  // times that it began to hold a queue back
	Queues     int     // that share it; 0 if it is the queue's own
	Deleted    bool    // it was deleted and holds nobody back any more

	Clustered bool // it is that of all nodes together. Then Used and Passed are this node's
	Lent      int  // of a clustered one: what this node has of it, in use or not
	Away      bool // of a clustered one: its owner does not answer
}

// Info tells what the queue lets through, who waits, and why.
func (q *Queue) Info() Info {
	g := &q.entry.Value
	g.lock()
	defer g.unlock(false)
	s, now := &g.state, q.room.clock.Now()
	info := Info{
		Name: q.name, Action: s.rules.cfg.Action, Order: s.rules.cfg.Order,
		Waiting: s.waiting, Running: s.running,
		RateIn: s.in.perSecond(now, s.counts.asked), RateOut: s.out.perSecond(now, s.counts.granted),
		JobTime: s.service.mean,
		Asked:   s.counts.asked, Granted: s.counts.granted, Waited: s.counts.waited, Done: s.counts.done, Failed: s.counts.failed, GaveUp: s.counts.gaveUp,
		Refused: make(map[Reason]uint64),
		MaxSize: s.rules.cfg.MaxSize, MaxTime: s.rules.cfg.MaxTime,
		Behavior: s.line.Info(),
	}
	for why, n := range s.counts.refused {
		if n > 0 {
			info.Refused[Reason(why)] = n
		}
	}
	if s.held.by >= 0 && s.waiting > 0 {
		info.HeldBy, info.HeldFor = s.rules.names[s.held.by], now.Sub(s.held.since)
	}
	if t, ok := s.line.Oldest(); ok {
		info.OldestWait = now.Sub(t.At)
	}
	for i := range s.regs {
		info.Regulators = append(info.Regulators, s.regs[i].info(s.rules, i))
	}
	if q.producer != nil {
		info.Producer = q.producer.info()
	}
	return info
}

func (r *reg) info(rules *rules, i int) RegulatorInfo {
	info := r.acct.info()
	info.Name, info.Kind = rules.names[i], rules.cfg.Regulators[i].kind()
	info.Increment, info.Deleted = r.increment, r.gone
	if r.shared != nil {
		info.Queues = len(r.shared.users)
	}
	return info
}

func (a *account) info() RegulatorInfo {
	info := RegulatorInfo{
		Kind: a.kind(), Preset: a.preset, Limit: a.limit(), Correction: a.corrected,
		Used: a.counter.Used(), Passed: a.passed, Holds: a.holds,
	}
	if b := a.loan; b != nil {
		info.Clustered, info.Lent, info.Away = true, a.counter.Limit(), b.away
	}
	return info
}

// SystemInfo is what a system's queues can tell: jobs' info(all).
type SystemInfo struct {
	Queues     []Info
	GroupRates []RegulatorInfo
	Counters   []RegulatorInfo
	Passive    []PassiveInfo
	Default    string // the default queue's name; empty if there is none
}

// SystemInfoOf tells everything about the system's queues and shared regulators, in no order.
func SystemInfoOf(sys *penstock.System) (SystemInfo, error) {
	m, err := roomOf(sys)
	if err != nil {
		return SystemInfo{}, err
	}
	info := SystemInfo{Passive: PassiveInfos(sys)}
	for e := range m.queues.All() {
		info.Queues = append(info.Queues, e.Value.queue.Info())
	}
	for e := range m.rates.All() {
		info.GroupRates = append(info.GroupRates, e.Value.info())
	}
	for e := range m.counters.All() {
		info.Counters = append(info.Counters, e.Value.info())
	}
	if q := m.fallback.Load(); q != nil {
		info.Default = q.name
	}
	return info, nil
}

func (s *shared) info() RegulatorInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := s.acct.info()
	info.Name, info.Queues = s.name, len(s.users)
	return info
}

// Request is what the ticket's caller asked for.
func (t Ticket) Request() Request {
	return Request{Nice: t.w.item.Nice, Flow: t.w.item.Flow, Cost: t.w.item.Cost}
}

// tooMuch is the error of a request that regulator i can never have room for.
func (s *state) tooMuch(i, cost int) error {
	r := &s.regs[i]
	return fmt.Errorf("%w request: it takes %d of %s, which never has more than %d",
		penstock.ErrInvalid, r.acct.need(r.increment, cost), s.rules.names[i], int(r.acct.preset))
}
