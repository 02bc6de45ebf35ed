package bucket

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// together has so many callers ask at once, and returns how many messages that took.
func together(t *testing.T, g *grid, f *Family, callers int, id func(i int) string) (messages int) {
	g.mu.Lock()
	before := g.asked
	g.mu.Unlock()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			_, err := f.Bucket(id(i)).Acquire(context.Background(), Request{Nice: i%3 - 1, Cost: 2 + i%2})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked - before
}

func TestAsksGoTogether(t *testing.T) {
	inGrid(t, Config{Limits: []limit.Limit{{Events: 1000, Per: time.Minute}}}, func(t *testing.T, g *grid, a, b *Family) {
		const callers = 4 * convoySize
		user := func(i int) string { return fmt.Sprint("user ", i%10) }
		require.LessOrEqual(t, together(t, g, b, callers, user), 4+convoys)
		charged := 0
		for e := range a.children.All() {
			charged += e.Value.handle.Info().Limits[0].Used
		}
		require.Equal(t, callers*5/2, charged, "each costs what it says")
		synctest.Wait()
		c := b.peers.convoy("a")
		c.mu.Lock()
		require.Zero(t, c.underWay, "it goes while somebody asks")
		require.Empty(t, c.line)
		c.mu.Unlock()
		long := func(i int) string { return fmt.Sprint(strings.Repeat("x", 500), i) }
		require.Greater(t, together(t, g, b, callers, long), callers*500/(convoyBytes+500), "a message has its bounds")
		b.peers.members(nil)
		for c := range b.peers.convoys.Range {
			require.Fail(t, "what goes to nobody is forgotten", c)
		}
	})
}

// TestWhoCannotGoAtOnceAsksAlone: requests at a full bucket ride along once in a while only.
func TestWhoCannotGoAtOnceAsksAlone(t *testing.T) {
	inGrid(t, Config{Limits: []limit.Limit{{Events: 10, Per: time.Minute}}}, func(t *testing.T, g *grid, a, b *Family) {
		require.Equal(t, 10, all(a.Bucket("user")))
		for range 20 {
			_, err := acquire(b, 10*time.Millisecond, Request{})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		took := 20 * 10 * time.Millisecond
		require.LessOrEqual(t, g.asked, 20+int(took/b.cfg.Transit)+1)
		time.Sleep(time.Minute)
		_, err := acquire(b, time.Second, Request{})
		require.NoError(t, err)
		require.Equal(t, 1, used(a))
	})
}

// TestG3_ATurnOfAConvoyThatNobodyTakesIsGivenBack: its caller is gone when it comes, or the answer is not heard.
func TestG3_ATurnOfAConvoyThatNobodyTakesIsGivenBack(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		g.delay = func() time.Duration { return 5 * time.Millisecond }
		_, err := acquire(b, time.Millisecond, Request{}) // it is under way
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, used(a))
		require.Equal(t, 1, g.asked)
		require.Equal(t, 1, g.told, "it was given back")

		waits, cancel := context.WithCancel(b.peers.waits)
		b.peers.waits = waits
		c := b.peers.convoy("a")
		s := newSeat().(*seat)
		s.id = "user"
		time.AfterFunc(7*time.Millisecond, cancel) // the owner has granted, and its answer is on its way
		c.carry([]*seat{s})
		require.Nil(t, <-s.turn)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, used(a), "nobody has heard of it")
	})
}

// TestG11_WhoHasLostTheBucketGrantsNothing, whoever is believed to own it.
func TestG11_WhoHasLostTheBucketGrantsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b", "c")
		families := g.family(Config{Limits: []limit.Limit{perSecond}}, "a", "b", "c")
		afterAWindow()
		_, err := families[1].Bucket("user").Acquire(t.Context(), Request{})
		require.NoError(t, err)
		for shard := range gridShards {
			g.move(shard, "c", false)
		}
		s := newSeat().(*seat)
		s.id = "user"
		families[1].peers.convoy("a").carry([]*seat{s}) // it has not heard
		require.Nil(t, <-s.turn)
		_, err = families[1].Bucket("user").Acquire(t.Context(), Request{})
		require.NoError(t, err, "alone it finds the way")
	})
}

// TestAConvoyThatIsNotUnderstood is one to a node of another version, and one that brings nonsense.
func TestAConvoyThatIsNotUnderstood(t *testing.T) {
	inGrid(t, Config{Limits: []limit.Limit{{Events: 1000, Per: time.Minute}}}, func(t *testing.T, g *grid, a, b *Family) {
		handle := g.nodes["a"].handle
		for _, answer := range []func(l letter){
			func(l letter) { l.Refuse(cluster.ErrAway) },
			func(l letter) { l.Reply([]byte{0xff}) },
			func(l letter) { l.Reply(turnsWire(beat{}, make([]turn, 2))) },
			func(l letter) { l.Reply(nil) },
		} {
			g.mu.Lock()
			g.nodes["a"].handle = func(l letter) {
				if w, err := readWord(l.body); err == nil && w.asks != nil {
					answer(l)
					return
				}
				handle(l)
			}
			g.mu.Unlock()
			_, err := acquire(b, time.Second, Request{})
			require.NoError(t, err, "who asks alone is understood")
			time.Sleep(time.Second)
		}
		require.Equal(t, 4, used(a))
	})
}

// TestG11_AConvoyBringsWordOfItsOwnerToo: who goes alone when it is away does so only after it was away for a second again.
func TestG11_AConvoyBringsWordOfItsOwnerToo(t *testing.T) {
	inGrid(t, Config{LocalShare: 0.25, Limits: []limit.Limit{{Events: 1000, Per: time.Minute}}}, func(t *testing.T, g *grid, a, b *Family) {
		_, err := acquire(b, time.Minute, Request{Cost: 2})
		require.NoError(t, err)
		for range 2 {
			g.cut("a", true)
			began := time.Now()
			_, err := acquire(b, time.Minute, Request{Cost: 2})
			require.NoError(t, err)
			require.GreaterOrEqual(t, time.Since(began), endures)
			g.cut("a", false)
			time.Sleep(100 * time.Millisecond)
			granted := used(a)
			_, err = acquire(b, time.Minute, Request{Cost: 2})
			require.NoError(t, err)
			require.Equal(t, granted+2, used(a), "it is there again")
		}
	})
}
