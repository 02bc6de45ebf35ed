package bucket

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/limit"
)

// heir is a node of a simulated cluster, and what it knows of the one bucket.
type heir struct {
	clock time.Duration // ahead of the real time
	rules *rules
	state state
	on    tenure
	root  int64 // as of a descent
}

// dynasty is a bucket that goes from node to node.
type dynasty struct {
	t     *rapid.T
	start time.Time
	now   time.Duration
	heirs []*heir
	owner int   // -1: nobody
	epoch int64 // of the latest ownership
	net   []parcel
	uses  []time.Duration
}

func (d *dynasty) at(h *heir) time.Time { return d.start.Add(d.now + h.clock) }

// move gives the bucket to a node. If it is proven who had it before, that one is asked.
func (d *dynasty) move(to int, proven bool) {
	was, before := d.owner, d.epoch
	d.owner = to
	d.epoch++
	if to < 0 {
		d.owner, d.epoch = to, before
		return
	}
	h := d.heirs[to]
	if was == to && proven {
		h.on.epoch = d.epoch
		return
	}
	h.state.assume(d.at(h), d.at(h), time.Time{}, h.on.epoch != 0)
	h.on.epoch, h.root = d.epoch, d.epoch
	number := h.on.guess.begin(h.state.passed)
	if was < 0 || was == to || !proven {
		return
	}
	d.send(func() {
		from := d.heirs[was]
		if d.owner == was || from.on.epoch != before { // the fence
			return
		}
		wire, err := estateWire([]account{from.state.bequeath(d.at(from))})
		require.NoError(d.t, err)
		d.send(func() {
			got, err := readEstate(wire)
			require.NoError(d.t, err)
			if h.on.guess.holds(number, h.state.passed) {
				h.on.guess.open = false
				h.state.inherit(d.at(h), time.Time{}, got[0])
			}
		})
	})
}

func (d *dynasty) send(open func()) {
	d.net = append(d.net, parcel{d.now + drawMicros(d.t, "delay", 0, 300), open})
}

func (d *dynasty) run(until time.Duration) {
	for {
		slices.SortStableFunc(d.net, func(a, b parcel) int { return int(a.at - b.at) })
		if len(d.net) == 0 || d.net[0].at > until {
			break
		}
		p := d.net[0]
		d.net = d.net[1:]
		d.now = max(d.now, p.at)
		p.open()
	}
	d.now = until
}

// No window holds more than the limit, whoever owned the bucket when, whoever was asked, and whenever the answer came.
func TestG1_WhatIsHandedOverNeverExceedsInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events, per := rapid.IntRange(1, 8).Draw(t, "events"), drawMicros(t, "per", 20, 500)
		d := &dynasty{t: t, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), owner: -1}
		for i := range 3 {
			plan, err := limit.NewPlan([]limit.Limit{{Name: "a", Events: events, Per: per}}, 0)
			require.NoError(t, err)
			h := &heir{clock: time.Duration(i) * time.Hour, rules: newRules(Config{Idle: time.Hour}, plan)}
			h.state = newState(h.rules, d.at(h), time.Time{})
			d.heirs = append(d.heirs, h)
		}
		for range rapid.IntRange(10, 150).Draw(t, "steps") {
			d.run(d.now + drawMicros(t, "gap", 0, 200))
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				d.move(rapid.IntRange(-1, 2).Draw(t, "to"), rapid.IntRange(0, 3).Draw(t, "proven") > 0)
			default:
				if d.owner < 0 {
					continue
				}
				h := d.heirs[d.owner]
				for range rapid.IntRange(1, 8).Draw(t, "asked") {
					if _, _, ok := h.state.pass(d.at(h), 0, &h.rules.one); ok {
						h.state.passed++
						d.uses = append(d.uses, d.now)
					}
				}
			}
		}
		for i := range d.uses {
			n := 0
			for _, at := range d.uses[i:] {
				if at-d.uses[i] < per {
					n++
				}
			}
			require.LessOrEqual(t, n, events)
		}
	})
}

// A move loses no more than the time that the answer is under way, and a throttle goes along.
func TestWhatIsHandedOverCountsAtOnce(t *testing.T) {
	plan, err := limit.NewPlan([]limit.Limit{{Name: "a", Events: 10, Per: time.Minute}}, 0)
	require.NoError(t, err)
	r := newRules(Config{Idle: time.Hour}, plan)
	now := plan.Epoch()
	a, b := newState(r, now, time.Time{}), newState(r, now, time.Time{})
	for range 4 {
		a.pass(now, 0, &r.one)
	}
	b.assume(now, now, time.Time{}, false)
	require.Zero(t, b.limits.Remaining(now, 0))
	var g guess
	number := g.begin(5)
	require.True(t, g.holds(number, 5))
	require.False(t, g.holds(number, 6), "something has been granted")
	require.False(t, g.holds(number-1, 5), "it is the answer to an earlier question")
	a.hold(now, now.Add(time.Second))
	b.inherit(now, time.Time{}, a.bequeath(now))
	require.Equal(t, 6, b.limits.Remaining(now, 0))
	require.Equal(t, time.Second, b.held(now))
}
