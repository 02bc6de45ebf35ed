package sampler

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/messages"
)

// wires connect the samplers of several systems of one process, as a cluster does.
type wires struct {
	mu    sync.Mutex
	nodes map[string]*wire
	told  int
}

// wire is a node's end.
type wire struct {
	of      *wires
	name    string
	handle  func(*cluster.Call)
	members func([]string)
	cut     bool // nothing comes or goes
	closed  bool
}

// node starts a system that is a node.
func (w *wires) node(t *testing.T, name string) *penstock.System {
	sys := roomtest.System(t)
	r, err := roomOf(sys)
	require.NoError(t, err)
	r.open = func(handle func(*cluster.Call), members func([]string)) (port, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		end := &wire{of: w, name: name, handle: handle, members: members}
		w.nodes[name] = end
		w.tellMembers()
		return end, nil
	}
	return sys
}

func (w *wires) change(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// leave ends a node's membership, as its lease's end does.
func (w *wires) leave(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.nodes, name)
	w.tellMembers()
}

func (w *wires) tellMembers() {
	for _, end := range w.nodes {
		others := end.others()
		go end.members(others)
	}
}

func (e *wire) others() (names []string) {
	for name := range e.of.nodes {
		if name != e.name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (e *wire) Members() []string {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	return e.others()
}

func (e *wire) Tell(member string, body []byte) error {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	to, ok := e.of.nodes[member]
	if !ok || e.closed {
		return cluster.ErrAway
	}
	e.of.told++
	if !e.cut && !to.cut && !to.closed {
		go to.handle(&cluster.Call{From: e.name, Body: slices.Clone(body)})
	}
	return nil
}

func (e *wire) Close() {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	e.closed = true
}

func TestQ23_LevelsTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{nodes: make(map[string]*wire)}
		a, b := w.node(t, "a"), w.node(t, "b")
		here, there := &dial{t: t, value: 2}, &dial{t: t, value: 3}
		add(t, a, "cpu", Config{Source: here, Clustered: true})
		add(t, a, "private", Config{Source: &dial{t: t, value: 1}})
		add(t, b, "cpu", Config{Source: there, Clustered: true})
		after(2*time.Second + half)
		assert.Equal(t, Load{"cpu": {Local: 2, Remote: map[string]int{"b": 3}}, "private": {Local: 1}}, Current(a))
		assert.Equal(t, Load{"cpu": {Local: 3, Remote: map[string]int{"a": 2}}}, Current(b), "what is not Clustered stays at home")

		var seen seen
		stop, err := Watch(b, seen.add)
		require.NoError(t, err)
		defer stop()
		seen.take()
		here.set(1)
		after(time.Second)
		assert.Equal(t, []Load{{"cpu": {Local: 3, Remote: map[string]int{"a": 1}}}}, seen.take(), "watchers hear of it within a tenth of a second")

		Delete(a, "cpu")
		after(beatLeast)
		assert.Equal(t, Load{"cpu": {Local: 3}}, Current(b))

		late := w.node(t, "late")
		add(t, late, "memory", Config{Source: &dial{t: t}, Clustered: true})
		after(2 * beatLeast)
		assert.Equal(t, Load{"memory": {}, "cpu": {Remote: map[string]int{"b": 3}}}, Current(late), "who comes late is told at once")
		require.NoError(t, late.Close(t.Context()))
		after(0)
		assert.Equal(t, Load{"cpu": {Local: 3}}, Current(b), "who goes says goodbye")
	})
}

func TestQ23_LevelsExpireWithTheirNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{nodes: make(map[string]*wire)}
		a, b := w.node(t, "a"), w.node(t, "b")
		add(t, a, "cpu", Config{Source: &dial{t: t, value: 2}, Clustered: true})
		add(t, b, "cpu", Config{Source: &dial{t: t, value: 3}, Clustered: true})
		remote := func() map[string]int { return Current(a)["cpu"].Remote }
		after(2*time.Second + half)
		require.Equal(t, map[string]int{"b": 3}, remote())

		w.change(func() { w.nodes["b"].cut = true })
		after(beatLife - beatMost)
		assert.Equal(t, map[string]int{"b": 3}, remote(), "one or two may get lost")
		after(beatMost + half)
		assert.Empty(t, remote(), "it is not heard of any more")
		w.change(func() { w.nodes["b"].cut = false })
		after(beatMost)
		assert.Equal(t, map[string]int{"b": 3}, remote())

		w.change(func() { w.nodes["b"].cut = true })
		w.leave("b")
		after(0)
		assert.Empty(t, remote(), "it is no member any more")
	})
}

func TestQ23_LevelsAreNotToldTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{nodes: make(map[string]*wire)}
		a, b := w.node(t, "a"), w.node(t, "b")
		d := &dial{t: t}
		add(t, a, "cpu", Config{Source: d, Interval: minInterval, Clustered: true})
		add(t, b, "other", Config{Source: &dial{t: t}, Clustered: true})
		after(time.Second)
		w.change(func() { w.told = 0 })
		for range 500 {
			d.change(func() { d.value = 3 - d.value })
			after(minInterval)
		}
		w.change(func() { assert.LessOrEqual(t, w.told, 5*10+5+2) })
	})
}

func TestANodeIsNeededToBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, err := Add(sys, "cpu", Config{Source: &dial{t: t}, Thresholds: []float64{1}, Clustered: true})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, "cluster.Join")
		_, ok := Get(sys, "cpu")
		assert.False(t, ok)
		r, err := roomOf(sys)
		require.NoError(t, err)
		broken := errors.New("broken")
		r.open = func(func(*cluster.Call), func([]string)) (port, error) { return nil, broken }
		_, err = Add(sys, "cpu", Config{Source: &dial{t: t}, Thresholds: []float64{1}, Clustered: true})
		assert.ErrorIs(t, err, broken)
	})
}

func TestBadLevelsAreRefused(t *testing.T) {
	good := func() *messages.SamplerLevels {
		return &messages.SamplerLevels{Life: int64(time.Second), Levels: []*messages.SamplerLevel{{Name: "cpu", Level: 2}}}
	}
	read := func(change func(*messages.SamplerLevels)) (map[string]int, error) {
		m := good()
		change(m)
		body, err := proto.Marshal(m)
		require.NoError(t, err)
		levels, _, err := readLevels(body)
		return levels, err
	}
	levels, err := read(func(*messages.SamplerLevels) {})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"cpu": 2}, levels)
	for what, change := range map[string]func(*messages.SamplerLevels){
		"life":  func(m *messages.SamplerLevels) { m.Life = 0 },
		"1m0s":  func(m *messages.SamplerLevels) { m.Life = int64(time.Hour) },
		"name":  func(m *messages.SamplerLevels) { m.Levels[0].Name = "" },
		"level": func(m *messages.SamplerLevels) { m.Levels[0].Level = 1 << 31 },
		"1000": func(m *messages.SamplerLevels) {
			for i := range maxRemoteLevels {
				m.Levels = append(m.Levels, &messages.SamplerLevel{Name: "n" + string(rune(i+0x4e00))})
			}
		},
	} {
		_, err := read(change)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, what)
	}
	_, _, err = readLevels([]byte{0xff})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
}

// However levels change: what has changed is told within a tenth of a second and what has not within one, but never twice in a tenth.
func TestTheBeatMatchesAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b beat
		now := noon
		b.tick(now)
		told, changed := now, time.Time{}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "passed")) * time.Millisecond)
			for !b.due.After(now) { // the timer rang
				at := b.due
				require.GreaterOrEqual(t, at.Sub(told), beatLeast)
				require.LessOrEqual(t, at.Sub(told), beatMost)
				if !changed.IsZero() {
					require.LessOrEqual(t, at.Sub(changed), beatLeast)
				}
				b.tick(at)
				told, changed = at, time.Time{}
			}
			if rapid.Bool().Draw(t, "changes") {
				b.hurry(now)
				if changed.IsZero() {
					changed = now
				}
			}
		}
	})
}
