package bucket

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// AskOwner asks a node, whatever it owns.
func (n *gridNode) AskOwner(ctx context.Context, o cluster.Owner, body []byte) ([]byte, error) {
	_, handle, lost := n.reach(o.Name)
	if handle == nil {
		return nil, cluster.ErrAway
	}
	c := newGridCall(n.grid)
	time.AfterFunc(n.grid.delay(), func() {
		if !ended(lost) {
			handle(letter{inquiry: c, from: n.name, body: slices.Clone(body)})
		}
	})
	select {
	case answer := <-c.answer:
		if errors.Is(answer.err, errGridAgain) {
			return nil, cluster.ErrAway
		}
		return answer.body, answer.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-lost[0]:
	case <-lost[1]:
	}
	return nil, cluster.ErrAway
}

var tenAMinute = limit.Limit{Name: "api", Events: 10, Per: time.Minute}

// goes has a turn within a second, or none.
func goes(t *testing.T, b *Bucket) bool {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := b.Acquire(ctx, Request{})
	if err != nil {
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	return err == nil
}

// What was used goes along, and what was not is there at once: nobody waits for a window because the owner has changed.
func TestG11_HistoriesGoAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b", "c")
		families := g.family(Config{Limits: []limit.Limit{tenAMinute}}, "a", "b", "c")
		time.Sleep(61 * time.Second)
		for range 4 {
			require.True(t, goes(t, families[0].Bucket("user")))
		}
		g.moveAll("b", true)
		for range 3 {
			require.True(t, goes(t, families[1].Bucket("user")), "4 of 10 were used before")
		}
		require.False(t, families[0].Bucket("user").TryAcquire(Request{Cost: 2}).Allowed, "who has told what it knew grants nothing more")
		require.True(t, goes(t, families[0].Bucket("other")), "an ID that was never used")
		g.moveAll("c", true)
		for range 3 {
			require.True(t, goes(t, families[0].Bucket("user")), "4 and 3 of 10 were used before")
		}
		require.False(t, goes(t, families[2].Bucket("user")))
		time.Sleep(60 * time.Second)
		require.True(t, goes(t, families[2].Bucket("user")), "the first four have left the window")
	})
}

// Without proof, or an answer, the bucket counts as used up.
func TestG11_WhoeverIsNotToldAssumesTheWorst(t *testing.T) {
	for name, spoil := range map[string]func(*grid){
		"unproven": func(g *grid) { g.moveAll("b", false) },
		"away": func(g *grid) {
			g.cut("a", true)
			g.moveAll("b", true)
		},
		"served in between": func(g *grid) {
			g.moveAll("b", true)
			g.moveAll("a", true)
			g.moveAll("b", false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGrid(t, "a", "b")
				families := g.family(Config{Limits: []limit.Limit{tenAMinute}}, "a", "b")
				time.Sleep(61 * time.Second)
				require.True(t, goes(t, families[0].Bucket("user")))
				spoil(g)
				time.Sleep(time.Second)
				require.False(t, goes(t, families[1].Bucket("user")))
				time.Sleep(60 * time.Second)
				require.True(t, goes(t, families[1].Bucket("user")))
			})
		})
	}
}

// Moves in a row, before anybody has used the ID at the nodes between: each assumes the worst of the time before it.
func TestG11_AssumptionsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b", "c")
		families := g.family(Config{Limits: []limit.Limit{tenAMinute}}, "a", "b", "c")
		time.Sleep(61 * time.Second)
		for range 10 {
			require.True(t, goes(t, families[0].Bucket("user")))
		}
		g.moveAll("b", true)
		time.Sleep(10 * time.Second)
		g.moveAll("c", true)
		require.False(t, goes(t, families[2].Bucket("user")))
		time.Sleep(45 * time.Second)
		require.False(t, goes(t, families[2].Bucket("user")), "b does not know what was used before it came, and says so")
		time.Sleep(10 * time.Second)
		require.True(t, goes(t, families[2].Bucket("user")))
	})
}

// Throttles go along.
func TestThrottlesGoAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		families := g.family(Config{Limits: []limit.Limit{tenAMinute}}, "a", "b")
		time.Sleep(61 * time.Second)
		families[0].Bucket("user").Throttle(time.Now().Add(10 * time.Second))
		g.moveAll("b", true)
		began := time.Now()
		_, err := families[1].Bucket("user").Acquire(t.Context(), Request{})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(began), 9*time.Second)
		assert.Less(t, time.Since(began), 11*time.Second)
	})
}
