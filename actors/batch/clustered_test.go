package batch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// onGrid runs a test with nodes of which the first owns everything.
func onGrid(t *testing.T, change func(cfg *Config[string, *ledger]), test func(t *testing.T, g *grid, nodes ...*gridNode), names ...string) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t)
		var nodes []*gridNode
		for _, name := range names {
			nodes = append(nodes, g.start(name, change))
		}
		g.give(names[0])
		test(t, g, nodes...)
	})
}

func TestG9_OperationsRunAtTheKeysOwner(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		for i, n := range []*gridNode{nodes[1], nodes[0], nodes[2], nodes[1]} {
			at, err := n.note.Do(t.Context(), "ada", i)
			require.NoError(t, err)
			require.Equal(t, i, at)
			require.Equal(t, []int{0, 1, 2, 3}[:i+1], g.rows.stored("ada"), "who is answered is stored")
		}
		require.Equal(t, 3, g.asked)
		_, ok := nodes[1].p.family.Lookup("ada")
		require.False(t, ok, "a node that owns nothing has the key")
		g.give("c")
		at, err := nodes[0].note.Do(t.Context(), "ada", 4)
		require.NoError(t, err)
		require.Equal(t, 4, at)
	}, "a", "b", "c")
}

func TestErrorsTravel(t *testing.T) {
	onGrid(t, func(cfg *Config[string, *ledger]) { cfg.MaxWaiting = 1 }, func(t *testing.T, g *grid, nodes ...*gridNode) {
		owner, other := nodes[0], nodes[1]
		_, err := other.note.Do(t.Context(), "ada", -1)
		remote := new(cluster.RemoteError)
		require.ErrorAs(t, err, &remote)
		require.Equal(t, "a", remote.Member)
		require.ErrorContains(t, err, errOwn.Error())

		fail := func(with error) func(*ledger, int) (int, error) {
			return func(*ledger, int) (int, error) { return 0, with }
		}
		is := map[string]error{
			"invalid": penstock.ErrInvalid, "full": penstock.ErrFull, "closed": penstock.ErrClosed, "conflict": ErrConflict, "stale": ErrStaleEpoch,
			"cancelled": ErrCancelled, "deadline": context.DeadlineExceeded, "away": cluster.ErrAway, "unknown": cluster.ErrUnknown,
		}
		for name, class := range is {
			for _, n := range nodes {
				op, err := Register(n.p, name, fail(errors.Join(errOwn, class)))
				require.NoError(t, err)
				_, err = op.Do(t.Context(), "ada", 0)
				require.ErrorIs(t, err, class)
				require.ErrorContains(t, err, errOwn.Error())
			}
		}
		for _, n := range nodes {
			op, err := Register(n.p, "panic", func(*ledger, int) (int, error) { panic("it hurts") })
			require.NoError(t, err)
			_, err = op.Do(t.Context(), "ada", 0)
			panicked := new(penstock.PanicError)
			require.ErrorAs(t, err, &panicked)
			require.ErrorContains(t, err, "it hurts")
			op, err = Register(n.p, "abort", fail(Abort(errOwn)))
			require.NoError(t, err)
			_, err = op.Do(t.Context(), "ada", 0)
			require.NotNil(t, abortion(err))
			require.ErrorContains(t, err, errOwn.Error())
		}
		time.Sleep(introduction)
		op, err := Register(other.p, "newer", noteAt)
		require.NoError(t, err)
		_, err = op.Do(t.Context(), "ada", 0)
		require.ErrorIs(t, err, ErrUnregistered)
		require.ErrorContains(t, err, `"newer"`)

		_, err = other.note.Do(t.Context(), "", 0)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		big, err := Register(owner.p, "big", func(*ledger, string) (string, error) { return strings.Repeat("x", maxArguments), nil })
		require.NoError(t, err)
		_, err = big.Do(t.Context(), "ada", strings.Repeat("x", maxArguments))
		require.ErrorIs(t, err, penstock.ErrInvalid, "at the owner too")
		_, err = big.Do(t.Context(), "ada", "")
		require.NoError(t, err)
		big, err = Register(other.p, "big", func(*ledger, string) (string, error) { return "", nil })
		require.NoError(t, err)
		_, err = big.Do(t.Context(), "ada", "")
		require.ErrorIs(t, err, ErrUnsent)
	}, "a", "b")
}

// TestG11_FunctionsRunAtTheOwnerOnly is about functions, which cannot travel.
func TestG11_FunctionsRunAtTheOwnerOnly(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		ran := 0
		for range 2 {
			err := nodes[1].p.Run(t.Context(), "ada", func(*ledger) { ran++ })
			require.ErrorIs(t, err, ErrNotOwner)
			where := new(NotOwnerError)
			require.ErrorAs(t, err, &where)
			require.Equal(t, NotOwnerError{Processor: "test", Key: "ada", Owner: "a"}, *where)
			require.ErrorContains(t, err, `node "a" owns it`)
		}
		_, err := Do(t.Context(), nodes[1].p, "ada", func(*ledger) (int, error) { ran++; return 0, nil })
		require.ErrorIs(t, err, ErrNotOwner)
		require.Zero(t, ran)
		must(t, nodes[0].p, "ada", note(1))
		require.Equal(t, []int{1}, g.rows.stored("ada"))
		g.give("")
		err = nodes[0].p.Run(t.Context(), "ada", note(2))
		require.ErrorIs(t, err, ErrNotOwner)
		require.ErrorContains(t, err, "no node is known to own it")
	}, "a", "b")
}

func TestG11_ALostAnswerIsNotAskedForAgain(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		for i, lost := range [][2]bool{{false, true}, {true, false}, {false, false}} {
			first := true
			g.lose = func() (request, answer bool) {
				defer func() { first = false }()
				return first && lost[0], first && lost[1]
			}
			asked := g.asked
			_, err := nodes[1].note.Do(roomtest.Within(t, time.Second), "ada", i)
			require.Equal(t, lost[0] || lost[1], errors.Is(err, cluster.ErrUnknown), "%v", err)
			require.Equal(t, 1, g.asked-asked)
		}
		require.Equal(t, []int{0, 2}, g.rows.stored("ada"))
	}, "a", "b")
}

func TestWhoWaitsGoesWithTheKey(t *testing.T) {
	onGrid(t, func(cfg *Config[string, *ledger]) { cfg.MinDuration = 100 * time.Millisecond }, func(t *testing.T, g *grid, nodes ...*gridNode) {
		answers := make(chan error, len(nodes))
		for i, n := range nodes {
			go func() {
				_, err := n.note.Do(context.Background(), "ada", i)
				answers <- err
			}()
		}
		own := start(nodes[0].p, "ada", note(9))
		time.Sleep(50 * time.Millisecond)
		g.give("b")
		require.ErrorIs(t, <-own, ErrNotOwner, "a function stays where it is")
		for range nodes {
			require.NoError(t, <-answers)
		}
		require.ElementsMatch(t, []int{0, 1, 2}, g.rows.stored("ada"))
		for _, n := range nodes {
			requireNobody(t, n.p)
		}
	}, "a", "b", "c")
}

// TestG11_AStoppedOwnersSaveIsRefused has an owner stop between its load and its save, while another one loads and saves.
func TestG11_AStoppedOwnersSaveIsRefused(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		stop := newBlocker()
		g.rows.before = func(ctx context.Context, _ string, saves bool) {
			if epoch, _ := cluster.Epoch(ctx); saves && epoch <= gridShards { // of the first owner
				stop.block()
			}
		}
		function := start(nodes[0].p, "ada", note(1))
		answers := make(chan error, 2)
		for i, n := range nodes[:2] {
			go func() {
				_, err := n.note.Do(context.Background(), "ada", 2+i)
				answers <- err
			}()
		}
		<-stop.started
		g.give("c")
		_, err := nodes[2].note.Do(t.Context(), "ada", 4)
		require.NoError(t, err)
		close(stop.release)
		err = <-function
		require.ErrorIs(t, err, ErrStaleEpoch)
		for range 2 {
			require.NoError(t, <-answers, "what has a name is done by the new owner")
		}
		require.Equal(t, 4, g.rows.stored("ada")[0])
		require.ElementsMatch(t, []int{4, 2, 3}, g.rows.stored("ada"))
		require.Equal(t, 1, g.rows.stale)
	}, "a", "b", "c")
}

// TestG11_ABatchWhoseKeyMovedIsNotSaved is about an owner that finds out before its save.
func TestG11_ABatchWhoseKeyMovedIsNotSaved(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		g.rows.naive = true
		stop := newBlocker()
		slow := start(nodes[0].p, "ada", func(l *ledger) { stop.block(); note(1)(l) })
		<-stop.started
		g.give("b")
		g.give("a") // it owns the key again, under another epoch
		close(stop.release)
		require.ErrorIs(t, <-slow, ErrStaleEpoch)
		require.Empty(t, g.rows.stored("ada"))
		must(t, nodes[0].p, "ada", note(2))
		require.Equal(t, []int{2}, g.rows.stored("ada"))
	}, "a", "b")
}

func TestWhoGivesUpIsTakenOutAtTheOwner(t *testing.T) {
	onGrid(t, func(cfg *Config[string, *ledger]) { cfg.MinDuration = 100 * time.Millisecond }, func(t *testing.T, g *grid, nodes ...*gridNode) {
		for i, ctx := range []context.Context{roomtest.Within(t, 50*time.Millisecond), t.Context()} {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(60*time.Millisecond, cancel)
			_, err := nodes[1].note.Do(ctx, "ada", i)
			require.True(t, errors.Is(err, cluster.ErrUnknown) || errors.Is(err, ErrCancelled), "unless the owner says that it is out, it cannot know: %v", err)
			require.ErrorIs(t, err, ctx.Err())
		}
		time.Sleep(time.Second)
		require.Empty(t, g.rows.stored("ada"))
		require.Zero(t, nodes[0].p.Info().Pending)
	}, "a", "b")
}

func TestWhoCallsANodeThatHasJustStartedWaits(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		op, err := Register(nodes[1].p, "late", noteAt)
		require.NoError(t, err)
		answer := make(chan error, 1)
		go func() {
			_, err := op.Do(context.Background(), "ada", 1)
			answer <- err
		}()
		time.Sleep(introduction / 2)
		_, err = Register(nodes[0].p, "other", noteAt)
		require.NoError(t, err)
		_, err = Register(nodes[0].p, "late", noteAt)
		require.NoError(t, err)
		require.NoError(t, <-answer)
	}, "a", "b")
}

func TestAnAwayOwner(t *testing.T) {
	for _, policy := range []cluster.Policy{cluster.Wait, cluster.Refuse} {
		onGrid(t, func(cfg *Config[string, *ledger]) { cfg.Away = policy }, func(t *testing.T, g *grid, nodes ...*gridNode) {
			g.give("")
			time.AfterFunc(time.Second, func() { g.give("a") })
			_, err := nodes[1].note.Do(t.Context(), "ada", 1)
			if policy == cluster.Refuse {
				require.ErrorIs(t, err, cluster.ErrAway)
				return
			}
			require.NoError(t, err)
		}, "a", "b")
	}
}

// TestG4_ClosingHandsKeysOn closes an owner that is in use: its callers of other nodes have their answers, now or from the next owner.
func TestG4_ClosingHandsKeysOn(t *testing.T) {
	onGrid(t, nil, func(t *testing.T, g *grid, nodes ...*gridNode) {
		const calls = 50
		answers := make(chan error, calls)
		for i := range calls {
			time.AfterFunc(time.Duration(i)*time.Millisecond, func() {
				_, err := nodes[1].note.Do(context.Background(), "ada", i)
				answers <- err
			})
		}
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, nodes[0].p.Close(t.Context()))
		g.give("b")
		for range calls {
			require.NoError(t, <-answers)
		}
		require.Len(t, g.rows.stored("ada"), calls)
		_, err := nodes[0].note.Do(t.Context(), "ada", 1)
		require.ErrorIs(t, err, penstock.ErrClosed)
		g.give("")
		waits := make(chan error, 1)
		go func() {
			_, err := nodes[1].note.Do(context.Background(), "ada", 1)
			waits <- err
		}()
		synctest.Wait()
		require.Error(t, nodes[1].p.Close(roomtest.Within(t, time.Second)))
		require.ErrorIs(t, <-waits, penstock.ErrClosed)
	}, "a", "b")
}
