package queuetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/limit"
)

// Config is the Behavior to be proved, and what it claims. Only New is required.
type Config struct {
	// New makes an empty Behavior. What it needs may be cleaned up with t.
	New func(t testing.TB) queue.Behavior[int]
	// Next is which item must come out next of those that wait, which are in order of coming and at least one. Default nil:
	// there is no claim
	Next func(waiting []*queue.Item[int]) *queue.Item[int]
	// Sheds says that TimedOut may give up what has not waited for maxTime yet. Default false: it must not
	Sheds bool
}

// Test proves the Behavior.
func Test(t *testing.T, cfg Config) {
	if cfg.New == nil {
		t.Fatal("queuetest: Config.New is nil; it takes a function that makes a Behavior")
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, cfg) })
	}
}

var cases = []struct {
	name string
	run  func(t testing.TB, cfg Config)
}{
	{"an empty one has nothing", empty},
	{"each item comes out once", once},
	{"what is removed does not come out", removed},
	{"an item may come back", comesBack},
	{"time-outs are exact, oldest first", timeOuts},
	{"due is never too late", due},
	{"it closes with items inside", closes},
	{"model", model},
}

// start is when every test begins.
var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// bench is a Behavior under test, the time, and what ought to wait in it.
type bench struct {
	t       rapid.TB
	cfg     Config
	b       queue.Behavior[int]
	now     time.Time
	seq     uint64
	waiting []*queue.Item[int] // in order of coming
}

func newBench(t testing.TB, cfg Config) *bench {
	return &bench{t: t, cfg: cfg, b: cfg.New(t), now: start}
}

// in puts a new item in.
func (h *bench) in(nice int, flow string, weight, cost int) *queue.Item[int] {
	h.seq++
	x := &queue.Item[int]{
		Value: int(h.seq), At: h.now, Seq: h.seq,
		Nice: nice, Flow: flow, Weight: weight, Cost: cost,
	}
	h.add(x)
	return x
}

// add puts an item in, for the first time or again.
func (h *bench) add(x *queue.Item[int]) {
	require.NoError(h.t, h.b.In(h.now, x), "In")
	i, _ := slices.BinarySearchFunc(h.waiting, x, bySeq)
	h.waiting = slices.Insert(h.waiting, i, x)
}

func bySeq(a, b *queue.Item[int]) int {
	if a.Seq < b.Seq {
		return -1
	}
	return int(min(a.Seq-b.Seq, 1))
}

// gone notes that an item came out.
func (h *bench) gone(x *queue.Item[int], how string) {
	h.t.Helper()
	i := slices.Index(h.waiting, x)
	require.GreaterOrEqual(h.t, i, 0, "%s gave item %d, which does not wait", how, x.Seq)
	h.waiting = slices.Delete(h.waiting, i, i+1)
}

// out takes one out, and checks that it is the one that Peek said and that Next claims.
func (h *bench) out() (*queue.Item[int], bool) {
	h.t.Helper()
	peeked, could := h.b.Peek(h.now)
	x, ok := h.b.Out(h.now)
	require.Equal(h.t, could, ok, "Out and Peek differ on whether there is something to go")
	if !ok {
		return nil, false
	}
	require.NotNil(h.t, x, "Out says there is an item, and gives none")
	require.Same(h.t, peeked, x, "Out took another one than Peek said")
	if h.cfg.Next != nil {
		want := h.cfg.Next(slices.Clone(h.waiting))
		require.Equal(h.t, want.Seq, x.Seq, "Out took another one than Next claims")
	}
	h.gone(x, "Out")
	return x, true
}

// timedOut takes out what has waited too long, and checks that it is that.
func (h *bench) timedOut(maxTime time.Duration) []*queue.Item[int] {
	h.t.Helper()
	late := 0
	for _, x := range h.waiting {
		if maxTime > 0 && h.now.Sub(x.At) >= maxTime {
			late++
		}
	}
	list := h.b.TimedOut(h.now, maxTime)
	require.True(h.t, slices.IsSortedFunc(list, bySeq), "TimedOut is not oldest first: %v", seqs(list))
	for _, x := range list {
		if !h.cfg.Sheds {
			require.True(h.t, maxTime > 0 && h.now.Sub(x.At) >= maxTime, "TimedOut gave item %d after %v of %v", x.Seq, h.now.Sub(x.At), maxTime)
		}
		h.gone(x, "TimedOut")
	}
	require.GreaterOrEqual(h.t, len(list), late, "TimedOut left items that have waited for %v", maxTime)
	return list
}

// check compares what the Behavior tells of itself with what ought to be.
func (h *bench) check() {
	h.t.Helper()
	require.Equal(h.t, len(h.waiting), h.b.Len(), "Len")
	require.Equal(h.t, seqs(h.waiting), seqs(slices.Collect(h.b.All())), "All, oldest first")
	oldest, ok := h.b.Oldest()
	require.Equal(h.t, len(h.waiting) > 0, ok, "Oldest")
	if ok {
		require.Equal(h.t, h.waiting[0].Seq, oldest.Seq, "Oldest")
	}
	for range h.b.All() {
		break // a walk may be left early
	}
	x, ok := h.b.Peek(h.now)
	again, ok2 := h.b.Peek(h.now)
	require.Equal(h.t, ok, ok2, "Peek changes what it looks at")
	require.Same(h.t, x, again, "Peek changes what it looks at")
	require.Equal(h.t, len(h.waiting), h.b.Len(), "Peek changes what it looks at")
	h.b.Info()
}

// drain takes everything out, going forward in time where the Behavior says that it takes time.
func (h *bench) drain() (list []*queue.Item[int]) {
	h.t.Helper()
	for len(h.waiting) > 0 {
		if x, ok := h.out(); ok {
			list = append(list, x)
			h.check()
			continue
		}
		wait := h.b.Due(h.now, 0)
		require.NotEqual(h.t, limit.Never, wait, "%d items wait, and none will ever come out", len(h.waiting))
		require.Positive(h.t, wait, "something is due now, and Out and Peek have nothing")
		h.now = h.now.Add(wait)
	}
	_, ok := h.out()
	require.False(h.t, ok, "there is more in it than was put in")
	h.check()
	return list
}

func seqs(list []*queue.Item[int]) []uint64 {
	seqs := make([]uint64, 0, len(list))
	for _, x := range list {
		seqs = append(seqs, x.Seq)
	}
	return seqs
}
