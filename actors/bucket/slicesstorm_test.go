package bucket

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// rush has callers of every node try without waiting, as often as some thousand times a second all together.
func (s *clusterStorm) rush(id string) {
	for _, f := range s.families {
		for range s.rng.IntN(8) {
			if f.Bucket(id).TryAcquire(Request{}).Allowed {
				s.ledgers[id].add(ledgerEntry{at: time.Now(), cost: 1})
			}
		}
	}
}

// gentle is a fault after which it is known who had a shard, most of the time.
func (s *clusterStorm) gentle() {
	shard, name := s.rng.IntN(gridShards), gridNames[s.rng.IntN(len(gridNames))]
	if s.rng.IntN(6) == 0 {
		s.fault()
		return
	}
	s.g.move(shard, name, true)
}

// Histories that go along and slices that are lent, beside requests that wait: moves with and without proof, nodes that are cut off while they hold
// slices, messages that are late or lost.
func TestG11_NoWindowIsExceededByWhatIsLentAndHandedOver(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			s := newClusterStorm(t, seed, Config{Limits: []limit.Limit{{Name: "api", Events: 100, Per: time.Second}}, MaxWaiting: 40})
			for i := range 3000 {
				s.rush(s.ids[i/50%len(s.ids)])
				if i%10 == 0 {
					s.call()
				}
				if i%120 == 50 {
					s.gentle()
				}
				time.Sleep(time.Duration(s.rng.IntN(8)) * time.Millisecond)
			}
			for _, name := range gridNames {
				s.g.cut(name, false)
			}
			s.callers.Wait()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			sum := 0
			for _, id := range s.ids {
				assert.LessOrEqual(t, s.ledgers[id].worst(time.Second), 100, "seed %d, %s", seed, id)
				sum += s.ledgers[id].sum()
				for _, f := range s.families {
					assert.Zero(t, f.Bucket(id).Info().Waiting, "seed %d", seed)
				}
			}
			for _, f := range s.families {
				f.peers.desk.mu.Lock()
				assert.Empty(t, f.peers.desk.listed, "seed %d: nobody asks any more", seed)
				f.peers.desk.mu.Unlock()
			}
			assert.Empty(t, s.callers.Strange(), "seed %d", seed)
			if seed == 0 {
				t.Logf("%d turns, %v, %d asked, %d told", sum, s.callers.Ended(), s.g.asked, s.g.told)
			}
		})
	}
}

// An owner that goes in order costs no window: what can be delivered is, through a move each second.
func TestG11_MovesWithProofLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds = 30
		g := newGrid(t, gridNames...)
		families := g.family(Config{Limits: []limit.Limit{{Name: "api", Events: 100, Per: 10 * time.Second}}}, gridNames...)
		time.Sleep(11 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), seconds*time.Second)
		defer cancel()
		var l ledger
		var c roomtest.Callers
		var longest time.Duration // that somebody waited
		var mu sync.Mutex
		for i := range 12 {
			c.Call(func() error {
				for {
					since := time.Now()
					if _, err := families[i%3].Bucket("user").Acquire(ctx, Request{}); err != nil {
						return nil
					}
					l.add(ledgerEntry{at: time.Now(), cost: 1})
					mu.Lock()
					longest = max(longest, time.Since(since))
					mu.Unlock()
					time.Sleep(time.Second)
				}
			})
		}
		for i := range seconds - 1 {
			time.Sleep(time.Second)
			g.moveAll(gridNames[(i+1)%3], true)
		}
		c.Wait()
		assert.LessOrEqual(t, l.worst(10*time.Second), 100)
		assert.GreaterOrEqual(t, l.sum(), 100*seconds/10*95/100)
		assert.Less(t, longest, 5*time.Second, "nobody waits for a window because the owner has changed")
		t.Logf("%d of %d, %v at most", l.sum(), 100*seconds/10, longest)
	})
}

// A node that dies with what it was lent has it charged, no more.
func TestG11_WhoDiesWithASliceCostsOneWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, gridNames...)
		families := g.family(Config{Limits: []limit.Limit{thousand}}, gridNames...)
		time.Sleep(1100 * time.Millisecond)
		var l load
		var all sync.WaitGroup
		all.Go(func() {
			l.try("b", families[1].Bucket("user"), 2000, time.Second)
			g.cut("b", true)
		})
		all.Go(func() { l.try("c", families[2].Bucket("user"), 2000, 4*time.Second) })
		all.Wait()
		assert.LessOrEqual(t, roomtest.Worst(l.turns, time.Second), 1000)
		late := 0
		for _, turn := range l.turns {
			if turn.At.Sub(l.turns[0].At) >= 2200*time.Millisecond {
				late++
			}
		}
		assert.GreaterOrEqual(t, late, 1600, "%v: in the last 1.8 s", l.had)
	})
}

// A caller that gives up while its node is lent slices, or asks the owner, costs nothing for longer than a slice lives.
func TestG3_GivingUpAmongSlicesCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		families := g.family(Config{Limits: []limit.Limit{tenAMinute}}, "a", "b")
		time.Sleep(61 * time.Second)
		granted := 0
		for range 50 {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond) // sooner than anybody answers
			if _, err := families[1].Bucket("user").Acquire(ctx, Request{}); err == nil {
				granted++ // by a slice
			} else {
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			}
			cancel()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, granted, families[0].Bucket("user").Info().Limits[0].Used)
	})
}
