package bucket

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// storm is random demand at one bucket: callers of all urgencies that come, wait, give up and pass at once, with
// whatever else the test does to the bucket meanwhile.
type storm struct {
	seed    uint64
	calls   int
	meddle  func(rng *rand.Rand, f *Family) // now and then
	gap     time.Duration                   // the longest between two calls
	costs   []int
	ledger  ledger
	callers roomtest.Callers
}

func (s *storm) run(t *testing.T, f *Family) {
	rng := rand.New(rand.NewPCG(s.seed, 1))
	for i := range s.calls {
		b := f.Bucket("user")
		r := Request{Nice: rng.IntN(40) - 20, Cost: s.costs[rng.IntN(len(s.costs))]}
		switch rng.IntN(10) {
		case 0:
			if b.TryAcquire(r).Allowed {
				s.ledger.add(ledgerEntry{at: time.Now(), cost: r.Cost, nice: r.Nice, label: i})
			}
		default:
			patience := time.Hour
			if rng.IntN(4) == 0 {
				patience = time.Duration(rng.IntN(10_000)) * time.Millisecond
			}
			s.callers.Call(func() error {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				_, err := b.Acquire(ctx, r)
				if err == nil {
					s.ledger.add(ledgerEntry{at: time.Now(), cost: r.Cost, nice: r.Nice, label: i})
				}
				return err
			})
		}
		if s.meddle != nil && rng.IntN(8) == 0 {
			s.meddle(rng, f)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(s.gap))))
	}
	s.callers.Wait()
	synctest.Wait() // for the word of those who gave up
}

// storms runs storms of many seeds, each in a bubble, and checks what must hold for every one of them.
func storms(t *testing.T, cfg Config, meddle func(*rand.Rand, *Family), check func(t *testing.T, s *storm, f *Family), opts ...penstock.Option) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			s := &storm{seed: seed, calls: 150, meddle: meddle, gap: 400 * time.Millisecond, costs: []int{1, 1, 1, 2, 5}}
			if cfg.Idle > 0 {
				s.gap = 6 * time.Second // let it be idle now and then
			}
			f := newFamily(t, cfg, opts...)
			s.run(t, f)
			per := cfg.Limits[0].Per
			if worst := s.ledger.worst(per); worst > cfg.Limits[0].Events {
				t.Errorf("seed %d: a window of %v holds %d", seed, per, worst)
			}
			if len(s.callers.Strange()) > 0 {
				t.Errorf("seed %d: %v", seed, s.callers.Strange())
			}
			if n := f.Info().Waiting; n != 0 {
				t.Errorf("seed %d: %d still wait", seed, n)
			}
			if check != nil {
				check(t, s, f)
			}
		})
	}
}
