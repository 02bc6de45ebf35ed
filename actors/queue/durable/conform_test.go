package durable

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/actors/queue/queuetest"
	"github.com/penstock-go/penstock/limit"
)

// kept is a durable queue's state and file as a [queue.Behavior]: what comes in is written, what goes out has its try counted
// and its value read, and is acknowledged at once. In the end the file must hold what waits, and nothing else.
type kept struct {
	t      testing.TB
	path   string
	store  *store
	state  state
	given  map[uint64]*queue.Item[int]
	closed bool
}

func newKept(t testing.TB, line queue.LineConfig) *kept {
	k := &kept{t: t, path: filepath.Join(t.TempDir(), "queue"), given: make(map[uint64]*queue.Item[int])}
	var err error
	k.store, err = openStore(k.path, time.Second)
	require.NoError(t, err)
	k.store.db.NoSync = true // what is on disk is not the question here
	cfg := &rules{visibility: time.Hour, maxTries: math.MaxInt32}
	k.state = newState(cfg, queue.NewLine[stand](line))
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func (k *kept) write(now time.Time, w *write) {
	require.NoError(k.t, k.store.commit(&batch{writes: []*write{w}, lastID: k.state.nextID, at: now}))
}

func (k *kept) In(now time.Time, x *queue.Item[int]) error {
	value, err := json.Marshal(x.Value)
	if err != nil {
		return err
	}
	r := &record{at: x.At, nice: x.Nice, cost: x.Cost, flow: x.Flow, value: value}
	y := k.state.item(x.Seq, r)
	y.Weight = x.Weight
	k.state.nextID = max(k.state.nextID, x.Seq)
	k.given[x.Seq] = x
	k.write(now, &write{kind: put, items: []*item{y}, bodies: [][]byte{r.encode()}})
	k.state.enter(now, y)
	return nil
}

func (k *kept) mine(y *item, ok bool) (*queue.Item[int], bool) {
	if !ok {
		return nil, false
	}
	return k.given[y.Seq], true
}

func (k *kept) Peek(now time.Time) (*queue.Item[int], bool) { return k.mine(k.state.line.Peek(now)) }
func (k *kept) Oldest() (*queue.Item[int], bool)            { return k.mine(k.state.line.Oldest()) }
func (k *kept) Len() int                                    { return k.state.line.Len() }
func (k *kept) Info() any                                   { return k.state.line.Info() }

func (k *kept) Out(now time.Time) (*queue.Item[int], bool) {
	list := k.state.handOut(now, 1)
	if len(list) == 0 {
		return nil, false
	}
	y, x := list[0], k.given[list[0].Seq]
	w := &write{kind: handOut, items: list}
	k.write(now, w)
	require.NoError(k.t, w.faults[0])
	require.Equal(k.t, fmt.Sprint(x.Value), string(w.bodies[0]))
	k.state.handedOut(now, y)
	k.end(now, y)
	return x, true
}

// end acknowledges an item.
func (k *kept) end(now time.Time, y *item) {
	if y.Value.where != leaving {
		k.state.leave(y)
	}
	k.write(now, &write{kind: acknowledge, items: []*item{y}})
	k.state.forget(y)
}

func (k *kept) Remove(x *queue.Item[int]) bool {
	y := k.state.items[x.Seq]
	if y == nil || k.given[x.Seq] != x {
		return false
	}
	k.end(x.At, y)
	return true
}

func (k *kept) TimedOut(now time.Time, maxTime time.Duration) (gone []*queue.Item[int]) {
	k.state.cfg.maxTime = maxTime
	for _, y := range k.state.hopeless(now) {
		k.end(now, y)
		gone = append(gone, k.given[y.Seq])
	}
	return gone
}

func (k *kept) Due(now time.Time, maxTime time.Duration) time.Duration {
	k.state.cfg.maxTime = maxTime
	if len(k.state.away) > 0 {
		return 0 // nothing is out for longer than an Out
	}
	return min(k.state.due(now), limit.Never)
}

func (k *kept) All() iter.Seq[*queue.Item[int]] {
	return func(yield func(*queue.Item[int]) bool) {
		for y := range k.state.line.All() {
			if !yield(k.given[y.Seq]) {
				return
			}
		}
	}
}

func (k *kept) Close() error {
	if k.closed {
		return nil
	}
	k.closed = true
	if err := k.store.close(); err != nil {
		return err
	}
	again, err := openStore(k.path, time.Second)
	if err != nil {
		return err
	}
	c, err := again.load(time.Now(), math.MaxInt32)
	if err != nil {
		return err
	}
	want, got := []uint64{}, []uint64{}
	for y := range k.state.line.All() {
		want = append(want, y.Seq)
	}
	for _, x := range c.items {
		got = append(got, x.id)
	}
	require.Equal(k.t, want, got, "on disk")
	require.Zero(k.t, c.dead+c.damaged)
	return again.close()
}

func TestQ17_Durable(t *testing.T) {
	for _, order := range []queue.Order{queue.FIFO, queue.LIFO} {
		t.Run(order.String(), func(t *testing.T) {
			queuetest.Test(t, queuetest.Config{New: func(t testing.TB) queue.Behavior[int] {
				return newKept(t, queue.LineConfig{Order: order})
			}})
		})
	}
}
