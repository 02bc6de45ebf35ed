package bucket

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// havoc is random use of a few buckets while all that can happen to them does: their limits change, they are throttled,
// their actors crash, idle ones are put away, callers give up, and permits are settled, also those of a former life.
type havoc struct {
	seed    uint64
	name    string // of the limit; "": it is found by its place
	rng     *rand.Rand
	family  *Family
	ids     []string
	start   time.Time
	stop    time.Time
	asked   atomic.Int64     // how many calls were made
	callers roomtest.Callers // and how they ended
	epochs  []epoch

	mu     sync.Mutex                // guards what follows
	grants map[string][]*ledgerEntry // by ID; at what they cost after they were settled
}

// epoch is a time of one limit. It ends with the next.
type epoch struct {
	from  time.Time
	limit limit.Limit
}

func newHavoc(t *testing.T, seed uint64, name string) *havoc {
	h := &havoc{seed: seed, name: name, rng: rand.New(rand.NewPCG(seed, 7)), ids: ids(3), grants: make(map[string][]*ledgerEntry)}
	first := h.randomLimit()
	cfg := Config{Limits: []limit.Limit{first}, Idle: time.Duration(1+h.rng.IntN(8)) * time.Second, MaxWaiting: 30}
	if h.rng.IntN(2) == 0 {
		cfg.Aging = time.Second
	}
	h.family = newFamily(t, cfg)
	h.start = time.Now()
	h.stop = h.start.Add(200 * time.Second)
	h.epochs = []epoch{{h.start, first}}
	return h
}

// randomLimit is a limit that grants at least the highest cost, and has windows both shorter and longer than Idle.
func (h *havoc) randomLimit() limit.Limit {
	return limit.Limit{Name: h.name, Events: 3 + h.rng.IntN(12), Per: 500*time.Millisecond + millis(h.rng, 20_000)}
}

// millis is a random time below n ms. It is whole, for the worst happens to what falls on the same instant.
func millis(rng *rand.Rand, n int) time.Duration {
	return time.Duration(rng.IntN(n)) * time.Millisecond
}

func (h *havoc) run(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 5 {
		rng := rand.New(rand.NewPCG(h.seed, uint64(100+i)))
		wg.Go(func() { h.visit(t, rng, h.ids[i%len(h.ids)]) })
	}
	wg.Go(func() { h.meddle(t) })
	wg.Wait()
	h.callers.Wait()
	time.Sleep(20 * time.Second) // for actors that wait to be restarted, and the word of those who gave up that waits there
	synctest.Wait()
}

// visit uses a bucket, at times densely, at times after a pause long enough for it to be put away.
func (h *havoc) visit(t *testing.T, rng *rand.Rand, id string) {
	for time.Now().Before(h.stop) {
		pause := millis(rng, 900)
		if rng.IntN(25) == 0 {
			pause = 5*time.Second + millis(rng, 30_000)
		}
		time.Sleep(pause)
		r := Request{Nice: rng.IntN(40) - 20, Cost: 1 + rng.IntN(3)}
		if rng.IntN(4) == 0 {
			if h.family.Bucket(id).TryAcquire(r).Allowed {
				h.note(id, time.Now(), r.Cost)
			}
			continue
		}
		actual, work := r.Cost, millis(rng, 12_000)
		if rng.IntN(3) == 0 {
			actual = rng.IntN(r.Cost + 1)
		}
		ctx := roomtest.Within(t, millis(rng, 15_000))
		h.asked.Add(1)
		h.callers.Call(func() error { return h.acquire(ctx, id, r, actual, work) })
	}
}

// acquire waits for a permit, and settles it when the work is done if that took less than was asked for.
func (h *havoc) acquire(ctx context.Context, id string, r Request, actual int, work time.Duration) error {
	p, err := h.family.Bucket(id).Acquire(ctx, r)
	if err != nil {
		return err
	}
	granted := h.note(id, p.At(), r.Cost)
	if actual == r.Cost {
		return nil
	}
	time.Sleep(work)
	p.Settle(map[string]int{h.family.Limits()[0].Name: actual})
	h.mu.Lock()
	defer h.mu.Unlock()
	granted.cost = actual
	return nil
}

func (h *havoc) note(id string, at time.Time, cost int) *ledgerEntry {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := &ledgerEntry{at: at, cost: cost}
	h.grants[id] = append(h.grants[id], e)
	return e
}

// meddle does to the family what can be done to it.
func (h *havoc) meddle(t *testing.T) {
	for time.Now().Before(h.stop) {
		time.Sleep(millis(h.rng, 8000))
		id := h.ids[h.rng.IntN(len(h.ids))]
		switch h.rng.IntN(6) {
		case 0:
			crash(h.family, id)
		case 1:
			h.family.Bucket(id).Throttle(time.Now().Add(millis(h.rng, 5000)))
		case 2:
			h.family.Throttle(time.Now().Add(millis(h.rng, 3000)))
		case 3, 4:
			h.change(t)
		}
	}
}

// change sets another limit. One seed in three keeps its first one, so that nothing is ever held back for history's sake.
func (h *havoc) change(t *testing.T) {
	if h.seed%3 == 0 {
		return
	}
	l := h.randomLimit()
	if err := h.family.SetLimits(l); err != nil {
		t.Errorf("seed %d: %v: %v", h.seed, l, err)
	}
	h.epochs = append(h.epochs, epoch{time.Now(), l})
}

// limitAt is the limit that what was granted then was granted under. At the very moment of a change it may be either.
func (h *havoc) limitAt(at time.Time) (in limit.Limit, ok bool) {
	in = h.epochs[0].limit
	for _, e := range h.epochs[1:] {
		if e.from.Equal(at) {
			return in, false
		}
		if e.from.Before(at) {
			in = e.limit
		}
	}
	return in, true
}

// check judges every grant by the limit of its moment: the window that ends with it holds no more than that allows.
func (h *havoc) check(t *testing.T) {
	for id, grants := range h.grants {
		for _, g := range grants {
			l, ok := h.limitAt(g.at)
			if n := held(grants, g.at, l.Per); ok && n > l.Events {
				t.Errorf("seed %d, limit %q, %s: the window of %v that ends at %v holds %d", h.seed, h.name, id, l, g.at.Sub(h.start), n)
			}
		}
	}
	if n := h.callers.Total(); int64(n) != h.asked.Load() || len(h.callers.Strange()) > 0 {
		t.Errorf("seed %d, limit %q: %d of %d calls were answered: %v", h.seed, h.name, n, h.asked.Load(), h.callers.Strange())
	}
	nobodyWaits(t, h.seed, h.family)
}

// held is what the window that ends with this moment holds.
func held(grants []*ledgerEntry, end time.Time, window time.Duration) (n int) {
	for _, g := range grants {
		if !g.at.After(end) && end.Sub(g.at) < window {
			n += g.cost
		}
	}
	return n
}

// nobodyWaits checks that the family's count of those who wait, and every bucket's line, are empty.
func nobodyWaits(t *testing.T, seed uint64, f *Family) {
	if n := f.Info().Waiting; n != 0 {
		t.Errorf("seed %d: %d still wait", seed, n)
	}
	for e := range f.children.All() {
		if n := e.Value.state.waiting(); n != 0 {
			t.Errorf("seed %d: %d still wait at %s", seed, n, e.Key())
		}
	}
}

func TestG1_G2_Havoc(t *testing.T) {
	var granted int
	var restarted, passivated uint64
	for seed := range roomtest.Seeds() {
		for _, name := range []string{"api", ""} {
			synctest.Test(t, func(t *testing.T) {
				h := newHavoc(t, seed, name)
				h.run(t)
				h.check(t)
				granted += h.callers.Ended()["granted"]
				restarted += h.family.sys.Info().Tree.Restarted
				passivated += passivations(h.family)
			})
		}
	}
	assert.NotZero(t, granted)
	assert.NotZero(t, restarted)
	assert.NotZero(t, passivated)
}

// havocOfCalls is random use of Do, by callers who stay and callers who give up, for shared runs and runs of their own.
type havocOfCalls struct {
	seed              uint64
	rng               *rand.Rand
	family            *Family
	limits            [2]limit.Limit
	staying, leaving  roomtest.Callers
	asked             int
	turnedSomeoneAway bool
}

func newHavocOfCalls(t *testing.T, seed uint64) *havocOfCalls {
	h := &havocOfCalls{seed: seed, rng: rand.New(rand.NewPCG(seed, 3))}
	h.limits = [2]limit.Limit{
		{Name: "a", Events: 5, Per: time.Second},
		{Name: "b", Events: 8, Per: 2 * time.Second, Algorithm: limit.Algorithm(h.rng.IntN(3))},
	}
	h.family = newFamily(t, Config{Limits: h.limits[:1], Idle: 2 * time.Second, MaxBuckets: 3, MaxWaiting: 20})
	return h
}

func (h *havocOfCalls) run(t *testing.T) {
	for range 400 {
		time.Sleep(millis(h.rng, 60))
		b := h.family.Bucket(ids(3)[h.rng.IntN(3)])
		h.call(t, b)
		h.meddle(b)
	}
	if h.rng.IntN(2) == 0 { // in the middle of what was begun
		h.turnedSomeoneAway = h.family.Close(roomtest.Within(t, millis(h.rng, 3000))) != nil
	}
	h.staying.Wait()
	h.leaving.Wait()
	time.Sleep(20 * time.Second) // for actors that wait to be restarted
	synctest.Wait()
}

func (h *havocOfCalls) call(t *testing.T, b *Bucket) {
	r := Request{Nice: h.rng.IntN(40) - 20}
	if h.rng.IntN(2) == 0 {
		r.Key = ids(3)[h.rng.IntN(3)]
	}
	work := millis(h.rng, 300)
	fn := func(ctx context.Context) (int, error) {
		select {
		case <-time.After(work):
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	who, ctx := &h.staying, context.Background()
	if h.rng.IntN(2) == 0 {
		who, ctx = &h.leaving, roomtest.Within(t, millis(h.rng, 3000))
	}
	h.asked++
	who.Call(func() error { _, err := Do(ctx, b, r, fn); return err })
}

// meddle now and then does something to the bucket or its family, or lets it be idle.
func (h *havocOfCalls) meddle(b *Bucket) {
	one, two := h.limits[0], h.limits[1]
	switch h.rng.IntN(25) {
	case 0:
		crash(h.family, b.ID())
	case 1:
		_ = h.family.SetLimits(one, two)
	case 2:
		_ = h.family.SetLimits(two)
	case 3:
		_ = h.family.SetLimits(two, one)
	case 4:
		b.Throttle(time.Now().Add(time.Second))
	case 5:
		time.Sleep(8 * time.Second)
	}
}

func (h *havocOfCalls) check(t *testing.T) {
	if n := h.staying.Total() + h.leaving.Total(); n != h.asked {
		t.Errorf("seed %d: %d of %d calls were answered", h.seed, n, h.asked)
	}
	if len(h.staying.Strange())+len(h.leaving.Strange()) > 0 {
		t.Errorf("seed %d: %v %v", h.seed, h.staying.Strange(), h.leaving.Strange())
	}
	// Only a Close that turns callers away ends the context of a run that somebody waits for.
	if n := h.staying.Ended()["gave up"]; n > 0 && !h.turnedSomeoneAway {
		t.Errorf("seed %d: %d who stayed were told that they gave up", h.seed, n)
	}
	nobodyWaits(t, h.seed, h.family)
}

func TestG4_HavocOfCalls(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			h := newHavocOfCalls(t, seed)
			h.run(t)
			h.check(t)
		})
	}
}
