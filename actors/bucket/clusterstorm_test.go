package bucket

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// clusterStorm is random demand at the buckets of three nodes, whose shards move and which are cut off and come back, while now and then a
// message is late.
type clusterStorm struct {
	rng      *rand.Rand
	g        *grid
	families []*Family
	ids      []string
	callers  roomtest.Callers
	ledgers  map[string]*ledger
}

var gridNames = []string{"a", "b", "c"}

// clusterEnding names what becomes of a call to a clustered bucket.
func clusterEnding(err error) string {
	if errors.Is(err, cluster.ErrUnknown) && !errors.Is(err, context.DeadlineExceeded) {
		return "unknown"
	}
	return roomtest.Ending(err)
}

func newClusterStorm(t testing.TB, seed uint64, cfg Config) *clusterStorm {
	s := &clusterStorm{rng: rand.New(rand.NewPCG(seed, 7)), g: newGrid(t, gridNames...), ids: ids(6), ledgers: make(map[string]*ledger)}
	s.callers.Ending = clusterEnding
	s.g.delay = lateNowAndThen(rand.New(rand.NewPCG(seed, 8)), 20, 3*time.Second)
	s.families = s.g.family(cfg, gridNames...)
	for _, id := range s.ids {
		s.ledgers[id] = new(ledger)
	}
	return s
}

// call has a caller of some node want a turn, who may give up, or give it back.
func (s *clusterStorm) call() {
	f, id := s.families[s.rng.IntN(len(s.families))], s.ids[s.rng.IntN(len(s.ids))]
	r := Request{Nice: s.rng.IntN(40) - 20, Cost: 1 + s.rng.IntN(3)}
	patience, unused := time.Duration(s.rng.IntN(20_000))*time.Millisecond, s.rng.IntN(10) == 0
	if s.rng.IntN(8) == 0 {
		if f.Bucket(id).TryAcquire(r).Allowed {
			s.ledgers[id].add(ledgerEntry{at: time.Now(), cost: r.Cost})
		}
		return
	}
	s.callers.Call(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p, err := f.Bucket(id).Acquire(ctx, r)
		switch {
		case err != nil:
		case unused:
			p.Settle(map[string]int{"api": 0})
		default:
			s.ledgers[id].add(ledgerEntry{at: time.Now(), cost: r.Cost})
		}
		return err
	})
}

// fault has something happen to the cluster.
func (s *clusterStorm) fault() {
	shard, name := s.rng.IntN(gridShards), gridNames[s.rng.IntN(len(gridNames))]
	switch s.rng.IntN(4) {
	case 0:
		s.g.move(shard, name, false)
	case 1: // its own lease was lost and came back, and nobody else had it
		s.g.mu.Lock()
		owner := s.g.owners[shard].Name
		s.g.mu.Unlock()
		s.g.move(shard, owner, true)
	case 2: // it is lost, and so are its shards once its lease is over
		s.g.cut(name, true)
		time.AfterFunc(time.Second, func() {
			s.g.mu.Lock()
			owns := s.g.nodes[name].owns
			s.g.mu.Unlock()
			for shard, epoch := range owns {
				if epoch != 0 {
					s.g.move(shard, gridNames[(shard+int(epoch))%len(gridNames)], false)
				}
			}
		})
	case 3:
		for _, name := range gridNames {
			s.g.cut(name, false)
		}
	}
}

func TestG11_NoWindowIsExceededWhateverHappensToTheNodes(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			s := newClusterStorm(t, seed, Config{Limits: []limit.Limit{perSecond}, MaxWaiting: 40})
			for i := range 2000 {
				s.call()
				if i%100 == 50 {
					s.fault()
				}
				time.Sleep(time.Duration(s.rng.IntN(20)) * time.Millisecond)
			}
			for _, name := range gridNames {
				s.g.cut(name, false)
			}
			s.callers.Wait()
			time.Sleep(10 * time.Second) // for what is late
			synctest.Wait()
			for _, id := range s.ids {
				assert.LessOrEqual(t, s.ledgers[id].worst(time.Second), 20, "seed %d, %s", seed, id)
				for _, f := range s.families {
					assert.Zero(t, f.Bucket(id).Info().Waiting, "seed %d", seed)
					assert.Zero(t, f.Info().Waiting, "seed %d", seed)
				}
			}
			assert.Empty(t, s.callers.Strange(), "seed %d", seed)
			if seed == 0 {
				t.Logf("%v, %d asked, %d told", s.callers.Ended(), s.g.asked, s.g.told)
			}
		})
	}
}

// What the limits can deliver is delivered, while somebody waits at the owner.
func TestG1_TheOwnerDeliversToAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, gridNames...)
		families := g.family(Config{Limits: []limit.Limit{perSecond}}, gridNames...)
		afterAWindow()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		var l ledger
		var c roomtest.Callers
		for i := range 30 {
			c.Call(func() error {
				for {
					if _, err := families[i%3].Bucket("user").Acquire(ctx, Request{}); err != nil {
						return nil
					}
					l.add(ledgerEntry{at: time.Now(), cost: 1})
				}
			})
		}
		c.Wait()
		assert.LessOrEqual(t, l.worst(time.Second), 20)
		assert.GreaterOrEqual(t, l.sum(), 20*20*95/100)
		t.Logf("%d of %d", l.sum(), 20*20)
	})
}
