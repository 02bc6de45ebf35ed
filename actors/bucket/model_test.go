package bucket

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/limit"
)

// model runs a state beside the most naive bookkeeping there is: a list of those who wait, and a ledger of every grant.
type model struct {
	t       *rapid.T
	cfg     Config
	rules   *rules
	state   state
	now     time.Time
	waiting []*ticket // in order of arrival, in line or on their way
	coming  []*ticket // on their way: not in line yet
	granted []modelGrant
	held    time.Time // nothing may pass before
	flows   twinLine  // those in line, unless nobody names a flow
	shared  bool      // requests name flows
}

// modelGrant is what was taken when, of each limit by its name.
type modelGrant struct {
	at    time.Time
	costs map[string]int
	taken limit.Costs
	plan  *limit.Plan
}

func newModel(t *rapid.T) *model {
	cfg := Config{
		Limits: []limit.Limit{
			{Name: "small", Events: rapid.IntRange(1, 12).Draw(t, "events"), Per: time.Duration(rapid.IntRange(1, 100).Draw(t, "per")) * time.Millisecond},
			{Name: "large", Events: 40, Per: 300 * time.Millisecond},
		},
		Aging: time.Duration(rapid.SampledFrom([]int{0, 0, 5}).Draw(t, "aging")) * time.Millisecond,
	}
	if rapid.Bool().Draw(t, "headroom") {
		cfg.Headroom = Headroom{
			Classes: []Class{{MaxNice: -10, Share: 1}, {MaxNice: 0, Share: 0.7}, {MaxNice: MaxNice, Share: 0.3}},
			Lift:    50 * time.Millisecond,
		}
	}
	shared := cfg.Aging == 0 && rapid.Bool().Draw(t, "flows")
	if shared {
		cfg.Weights = map[string]int{"a": rapid.IntRange(1, 4).Draw(t, "weight"), "b": 2}
	}
	cfg = cfg.withDefaults()
	r, err := cfg.compile()
	if err != nil {
		t.Fatal(err)
	}
	return &model{t: t, cfg: cfg, rules: r, state: newState(r, t0, time.Time{}), now: t0, shared: shared}
}

func (m *model) request() Request {
	r := Request{Nice: rapid.IntRange(MinNice, MaxNice).Draw(m.t, "nice")}
	full := m.state.rules.full
	r.Cost = min(rapid.SampledFrom([]int{1, 1, 1, 2, 5}).Draw(m.t, "cost"), int(full[0]), int(full[1]))
	if m.shared { // few ranks, so that flows meet
		r.Nice = rapid.SampledFrom([]int{0, 0, 0, -15, 5}).Draw(m.t, "one of few")
		r.Flow = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(m.t, "flow")
	}
	return r
}

// note keeps a grant, and judges every window that ends with it by the limits in force: also those that began before a
// change of limits, of which nothing may have been forgotten.
func (m *model) note(costs *limit.Costs) {
	if m.now.Before(m.held) {
		m.t.Fatalf("granted %v before the throttle ends", m.held.Sub(m.now))
	}
	g := modelGrant{at: m.now, costs: make(map[string]int), taken: *costs, plan: m.rules.plan}
	for i, l := range m.rules.plan.Limits() {
		g.costs[l.Name] = int(costs[i])
	}
	m.granted = append(m.granted, g)
	for _, l := range m.rules.plan.Limits() {
		sum := 0
		for _, g := range m.granted {
			if m.now.Sub(g.at) < l.Per {
				sum += g.costs[l.Name]
			}
		}
		if sum > l.Events {
			m.t.Fatalf("the window of %v that ends now holds %d", l, sum)
		}
	}
}

// change puts other limits in force, in another order.
func (m *model) change() {
	limits := m.rules.plan.Limits()
	limits[0], limits[1] = limits[1], limits[0]
	for i := range limits {
		if limits[i].Name == "small" {
			limits[i].Events = rapid.IntRange(1, 12).Draw(m.t, "events")
			limits[i].Per = time.Duration(rapid.IntRange(1, 100).Draw(m.t, "per")) * time.Millisecond
		}
	}
	plan, err := m.rules.plan.Change(limits, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.rules = m.rules.next().withPlan(plan, m.cfg.Headroom)
	m.state.adopt(m.now, m.rules)
}

// refund gives a grant back, as if it had never been.
func (m *model) refund() {
	if len(m.granted) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.granted)-1).Draw(m.t, "which")
	g := m.granted[i]
	costs := m.rules.plan.Translate(g.plan, &g.taken, 0)
	m.state.limits.Refund(m.now, g.at, &costs)
	m.granted = append(m.granted[:i:i], m.granted[i+1:]...)
}

func (m *model) throttle() {
	m.held = m.now.Add(time.Millisecond)
	m.state.hold(m.now, m.held)
	m.state.hold(m.now, m.now.Add(time.Microsecond)) // never shorter
}

// arrive asks at the gate, and waits if it has to.
func (m *model) arrive() {
	r := m.request()
	nice, costs := r.Nice, m.state.rules.plan.Costs(r.Cost)
	if _, _, ok := m.state.pass(m.now, nice, &costs); ok {
		for _, w := range m.waiting {
			if m.rank(nice, m.now) >= m.rank(w.nice, w.since) {
				m.t.Fatalf("niceness %d passed a waiter of niceness %d", nice, w.nice)
			}
		}
		m.note(&costs)
		return
	}
	w := &ticket{cost: r.Cost, flow: r.Flow}
	m.state.admit(m.now, nice, &costs, w)
	m.waiting = append(m.waiting, w)
	m.coming = append(m.coming, w)
}

// rank is a more naive reckoning of who goes before whom.
func (m *model) rank(nice int, since time.Time) int64 {
	if m.cfg.Aging == 0 {
		return int64(nice)
	}
	return int64(since.Sub(t0)) + int64(nice)*int64(m.cfg.Aging)
}

// settleIn lets one who is on the way reach the line, in any order.
func (m *model) settleIn() {
	if len(m.coming) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.coming)-1).Draw(m.t, "who")
	m.state.join(m.coming[i])
	m.flows.push(m.coming[i], m.cfg.Weights)
	m.coming = append(m.coming[:i], m.coming[i+1:]...)
}

// promote makes one more urgent, in line or on the way.
func (m *model) promote() {
	if len(m.waiting) == 0 {
		return
	}
	w := m.waiting[rapid.IntRange(0, len(m.waiting)-1).Draw(m.t, "who")]
	nice := rapid.SampledFrom([]int{-15, 0, 5}).Draw(m.t, "to")
	if nice < w.nice && w.inLine {
		m.flows.take(w, false)
		defer m.flows.push(w, m.cfg.Weights)
	}
	m.state.promote(w, nice)
}

func (m *model) leave() {
	if len(m.waiting) == 0 {
		return
	}
	w := m.waiting[rapid.IntRange(0, len(m.waiting)-1).Draw(m.t, "who")]
	if !m.state.dismiss(w) || m.state.dismiss(w) {
		m.t.Fatal("a waiter must be dismissed exactly once")
	}
	m.remove(w, false)
}

func (m *model) remove(w *ticket, served bool) {
	m.flows.take(w, served)
	for i := range m.waiting {
		if m.waiting[i] == w {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
			break
		}
	}
	for i := range m.coming { // it may reach the line after it was dismissed
		if m.coming[i] == w {
			m.state.join(w)
			m.coming = append(m.coming[:i], m.coming[i+1:]...)
			break
		}
	}
}

// first is who in line must go next.
func (m *model) first() *ticket {
	if m.shared {
		return m.flows.head()
	}
	var first *ticket
	for _, w := range m.waiting {
		if w.inLine && (first == nil || m.rank(w.nice, w.since) < m.rank(first.nice, first.since)) {
			first = w
		}
	}
	return first
}

// dispatch grants what is due, as the actor does.
func (m *model) dispatch() {
	for t := m.state.head(); t != nil; t = m.state.head() {
		if want := m.first(); t != want {
			m.t.Fatalf("the head is %+v, and must be %+v", t, want)
		}
		switch d := m.state.due(m.now); {
		case d == limit.Never: // the limits were changed to less than it costs
			m.state.dismiss(t)
			m.remove(t, false)
			continue
		case d > 0:
			return
		}
		m.note(&t.costs)
		m.state.grant(m.now)
		m.remove(t, true)
	}
}

func (m *model) pass() {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(m.t, "µs")) * time.Microsecond)
}

// sleep goes to the moment the state says the head is due at, and checks that it is neither early nor late.
func (m *model) sleep() {
	if m.state.head() == nil {
		return
	}
	d := m.state.due(m.now)
	if d <= 0 || d == limit.Never {
		return
	}
	if early := m.state.due(m.now.Add(d - 1)); early == 0 {
		m.t.Fatal("the head could have gone a nanosecond earlier than the state said")
	}
	m.now = m.now.Add(d)
}

func (m *model) check() {
	if m.state.waiting() != len(m.waiting) {
		m.t.Fatalf("%d wait, and %d are counted", len(m.waiting), m.state.waiting())
	}
}

func TestG1_G7_StateAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"arrive":   func(t *rapid.T) { m.t = t; m.arrive() },
			"arrive 2": func(t *rapid.T) { m.t = t; m.arrive() },
			"settle":   func(t *rapid.T) { m.t = t; m.settleIn(); m.dispatch() },
			"promote":  func(t *rapid.T) { m.t = t; m.promote() },
			"leave":    func(t *rapid.T) { m.t = t; m.leave() },
			"dispatch": func(t *rapid.T) { m.t = t; m.dispatch() },
			"pass":     func(t *rapid.T) { m.t = t; m.pass() },
			"sleep":    func(t *rapid.T) { m.t = t; m.sleep() },
			"throttle": func(t *rapid.T) { m.t = t; m.throttle() },
			"change":   func(t *rapid.T) { m.t = t; m.change() },
			"refund":   func(t *rapid.T) { m.t = t; m.refund() },
			"":         func(t *rapid.T) { m.t = t; m.check() },
		})
		// G4 on the state: with time alone, everybody who waits gets a turn.
		m.t = t
		for len(m.coming) > 0 {
			m.settleIn()
		}
		for steps := 0; len(m.waiting) > 0; steps++ {
			m.dispatch()
			m.sleep()
			if steps > 10_000 {
				t.Fatalf("%d still wait: %v", len(m.waiting), m.state.due(m.now))
			}
		}
		m.check()
	})
}

// TestG1_LimitsAreDelivered asks for more than is allowed and counts what is let through.
func TestG1_LimitsAreDelivered(t *testing.T) {
	for _, l := range []limit.Limit{
		tenIn6s,
		{Events: 1000, Per: time.Second},
		{Events: 90_000, Per: time.Minute},
		{Events: 50, Per: time.Second, Algorithm: limit.Smooth},
		{Events: 60, Per: time.Minute, Algorithm: limit.Calendar},
	} {
		t.Run(l.String(), func(t *testing.T) {
			s := newState(rulesFor(t, Config{Limits: []limit.Limit{l}}), t0, time.Time{})
			const windows = 4
			start := t0.Truncate(l.Per)
			end, granted, now := start.Add(windows*l.Per), 0, start
			for now.Before(end) {
				if s.waiting() == 0 {
					if arrival(&s, now, 0, 1) == nil {
						granted++
						continue
					}
				}
				if went := turns(&s, now); len(went) > 0 {
					granted += len(went)
					continue
				}
				now = now.Add(s.due(now))
			}
			allowed := windows * l.Events
			if l.Algorithm == limit.Rolling {
				if granted > allowed {
					t.Fatalf("%d granted of %d", granted, allowed)
				}
			}
			if granted*100 < allowed*99 {
				t.Fatalf("%d granted of %d: less than 99 %%", granted, allowed)
			}
		})
	}
}
