package bucket

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

var perSecond = limit.Limit{Name: "api", Events: 20, Per: time.Second}

// afterAWindow waits until what may have been granted before is over.
func afterAWindow() { time.Sleep(1100 * time.Millisecond) }

func TestG11_BucketsOfSeveralNodesShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b", "c")
		families := g.family(Config{Limits: []limit.Limit{perSecond}}, "a", "b", "c")
		afterAWindow()
		var l ledger
		var c roomtest.Callers
		began := time.Now()
		for i := range 300 {
			c.Call(func() error {
				_, err := families[i%3].Bucket("user").Acquire(context.Background(), Request{})
				if err == nil {
					l.add(ledgerEntry{at: time.Now(), cost: 1})
				}
				return err
			})
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 300}, c.Ended())
		assert.LessOrEqual(t, l.worst(time.Second), 20)
		took := time.Since(began)
		t.Logf("took %v, %d asked, %d told", took, g.asked, g.told)
		assert.Less(t, took, 15*time.Second*105/100)
	})
}

func TestG3_WhoGivesUpAtAnotherNodeCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		families := g.family(Config{Limits: []limit.Limit{{Events: 20, Per: time.Minute}}}, "a", "b")
		time.Sleep(61 * time.Second)
		require.Equal(t, 20, all(families[0].Bucket("user")))
		for range 30 {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			_, err := families[1].Bucket("user").Acquire(ctx, Request{})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.Zero(t, families[0].Bucket("user").Info().Waiting)
		time.Sleep(61 * time.Second)
		assert.Equal(t, 20, all(families[0].Bucket("user")))
	})
}

// The turn is on its way when its caller gives up, or comes right then.
func TestG3_ATurnThatCrossesWithGivingUpIsGivenBack(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		g.delay = func() time.Duration { return 10 * time.Millisecond }
		for _, patience := range []time.Duration{5, 10, 15, 20, 21} {
			_, err := acquire(b, patience*time.Millisecond, Request{})
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
			} else {
				require.GreaterOrEqual(t, patience, 20*time.Nanosecond)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			want := 0
			if err == nil {
				want = 1
			}
			assert.Equal(t, want, used(a), "%d ms", patience)
			time.Sleep(time.Minute)
		}
	})
}
