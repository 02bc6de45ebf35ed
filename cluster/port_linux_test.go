package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// answer is what a node does that has a room: it does what it is asked.
func (l life) answer() error {
	node, err := l.join(context.Background(), "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, err = node.Open(cluster.RoomSpec{Service: cluster.Buckets, Name: "room", Handle: func(c *cluster.Call) {
		switch what := string(c.Body); what {
		case "full":
			c.Refuse(fmt.Errorf("no room: %w", penstock.ErrFull))
		case "moved":
			c.Refuse(cluster.ErrMoved)
		case "panic":
			panic("the room's own")
		case "die":
			os.Exit(0)
		case "hang":
			go func() {
				<-c.Canceled()
				victim.Say("canceled", "")
			}()
		case "leave":
			c.Reply(nil)
			go func() {
				victim.Must(node.Leave(context.Background()))
				victim.Say("left", "")
			}()
		default:
			if c.ID == "" {
				victim.Say(c.From, " said "+what)
			}
			c.Reply(fmt.Appendf(nil, "%s did %s under %d", l.Name, what, c.Epoch))
		}
	}})
	if err != nil {
		return err
	}
	victim.Say("open", "")
	select {}
}

// hall is a node of this process, and another one's.
type hall struct {
	t      *testing.T
	node   *cluster.Node
	port   *cluster.Port
	gained chan cluster.Gain
	file   string
	heard  sync.WaitGroup
	lines  chan string
	shards map[bool]string // an ID of this node's, and one that is not
}

func newHall(t *testing.T) *hall {
	h := &hall{t: t, gained: make(chan cluster.Gain, 1000), file: filepath.Join(t.TempDir(), "leases.db"), lines: make(chan string, 1000)}
	db, err := sqlite.Open(h.file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	leases, err := sqlite.NewLeases(t.Context(), db, store.LeaseTable{})
	require.NoError(t, err)
	h.node, err = cluster.Join(t.Context(), roomtest.System(t), cluster.Config{
		Name: "here", Bind: "127.0.0.1:0", Leases: leases, Lease: processLease, Shards: processShards,
	})
	require.NoError(t, err)
	h.port, err = h.node.Open(cluster.RoomSpec{
		Service: cluster.Buckets, Name: "room", Handle: func(c *cluster.Call) { c.Reply(nil) }, Gained: func(g cluster.Gain) { h.gained <- g },
	})
	require.NoError(t, err)
	t.Cleanup(h.heard.Wait)
	return h
}

// other starts the other node, and waits until each has its part.
func (h *hall) other() *victim.Process {
	p := victim.Start(h.t, life{File: h.file, Name: "there", Room: true})
	h.heard.Go(func() {
		for line := range p.Lines() {
			h.lines <- line
		}
	})
	h.t.Cleanup(p.Kill)
	h.hears("open")
	h.settled(processShards / 2)
	return p
}

func (h *hall) hears(what string) {
	h.t.Helper()
	select {
	case line := <-h.lines:
		require.Equal(h.t, what, line)
	case <-time.After(time.Minute):
		require.Fail(h.t, "the other node says nothing", what)
	}
}

// settled waits until this node owns so many shards.
func (h *hall) settled(own int) {
	require.Eventually(h.t, func() bool {
		mine := 0
		h.shards = make(map[bool]string)
		for i := range 1000 {
			id := strconv.Itoa(i)
			_, ok := h.node.Epoch(h.node.Shard(id))
			h.shards[ok] = id
		}
		theirs := 0
		for shard := range processShards {
			if _, ok := h.node.Epoch(shard); ok {
				mine++
			} else if o, _ := h.node.Owner(shard); o.Name == "there" {
				theirs++
			}
		}
		return mine == own && mine+theirs == processShards
	}, time.Minute, time.Millisecond)
}

func (h *hall) ask(what string, a cluster.Ask) (string, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	a.Body = []byte(what)
	body, err := h.port.Ask(ctx, a)
	return string(body), err
}

func TestRoomsAskTheOwner(t *testing.T) {
	h := newHall(t)
	p := h.other()
	there := h.shards[false]
	for range 100 {
		answer, err := h.ask("this", cluster.Ask{ID: there})
		require.NoError(t, err)
		o, _ := h.node.Owner(h.node.Shard(there))
		require.Equal(t, fmt.Sprintf("there did this under %d", o.Epoch), answer)
	}
	_, err := h.ask("this", cluster.Ask{ID: h.shards[true]})
	require.ErrorIs(t, err, cluster.ErrMine)
	require.Equal(t, []string{"there"}, h.port.Members())

	answer, err := h.port.AskMember(t.Context(), "there", []byte("that"))
	require.NoError(t, err)
	require.Equal(t, "there did that under 0", string(answer))
	h.hears("here said that")
	require.NoError(t, h.port.Tell("there", []byte("more")))
	h.hears("here said more")
	var away *cluster.AwayError
	for _, nobody := range []string{"nobody", "here", ""} {
		_, err = h.port.AskMember(t.Context(), nobody, nil)
		require.ErrorAs(t, err, &away)
		require.ErrorIs(t, h.port.Tell(nobody, nil), cluster.ErrAway)
	}

	_, err = h.ask("full", cluster.Ask{ID: there})
	require.ErrorIs(t, err, penstock.ErrFull)
	var remote *cluster.RemoteError
	require.ErrorAs(t, err, &remote)
	require.Equal(t, `node "there": no room: `+penstock.ErrFull.Error(), err.Error())
	_, err = h.ask("panic", cluster.Ask{ID: there})
	require.ErrorAs(t, err, &remote)
	require.ErrorContains(t, err, "the room's own")
	_, err = h.ask("moved", cluster.Ask{ID: there, Refuse: true})
	require.ErrorIs(t, err, cluster.ErrAway)
	_, err = h.ask(strings.Repeat("x", 1<<20+1), cluster.Ask{ID: there})
	require.ErrorIs(t, err, penstock.ErrInvalid)

	for _, once := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		gaveUp := errors.New("it is of no use any more")
		time.AfterFunc(100*time.Millisecond, func() { cancel(gaveUp) })
		_, err = h.port.Ask(ctx, cluster.Ask{ID: there, Body: []byte("hang"), Once: once})
		require.ErrorIs(t, err, map[bool]error{false: context.Canceled, true: cluster.ErrUnknown}[once])
		h.hears("canceled")
	}

	other, err := h.node.Open(cluster.RoomSpec{Service: cluster.Buckets, Name: "not there", Handle: func(*cluster.Call) {}})
	require.NoError(t, err)
	_, err = other.Ask(t.Context(), cluster.Ask{ID: there, Refuse: true})
	require.ErrorIs(t, err, cluster.ErrAway)
	require.ErrorContains(t, err, `it has no room "not there"`)

	_, err = h.ask("die", cluster.Ask{ID: there, Once: true})
	require.ErrorIs(t, err, cluster.ErrUnknown, "the process is gone, and whatever it did")
	p.Kill()
	_, err = h.ask("this", cluster.Ask{ID: there})
	require.ErrorIs(t, err, cluster.ErrMine, "who waits long enough becomes the owner")
	for g := range h.gained {
		if g.Shard == h.node.Shard(there) && g.From == (cluster.Owner{}) {
			break // of the other node's shards, nobody knows what it did with them until its lease ended
		}
	}
}

func TestWhoLeavesIsKnownToHaveOwned(t *testing.T) {
	h := newHall(t)
	h.other()
	shard := h.node.Shard(h.shards[false])
	was, ok := h.node.Owner(shard)
	require.True(t, ok)
	settled := time.Now()
	require.Eventually(t, func() bool { return time.Since(settled) > 3*processLease/2 }, time.Minute, 10*time.Millisecond) // what is freed sooner is not proven
	_, err := h.port.AskMember(t.Context(), "there", []byte("leave"))
	require.NoError(t, err)
	h.settled(processShards)
	for {
		select {
		case g := <-h.gained:
			if g.Shard != shard || g.Epoch < was.Epoch {
				continue
			}
			epoch, mine := h.node.Epoch(shard)
			require.True(t, mine)
			require.Equal(t, cluster.Gain{Shard: shard, Epoch: epoch, From: was}, g)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if answer, err := h.port.AskOwner(ctx, g.From, []byte("something")); err == nil {
				require.Equal(t, "there did something under 0", string(answer))
				h.hears("here said something")
			} else {
				require.ErrorIs(t, err, cluster.ErrAway, "half a lease was over: this machine is slow")
			}
			h.hears("left")
			return
		case <-time.After(time.Minute):
			require.Fail(t, "it was not told of the shard that came")
		}
	}
}

func TestRoomsThatAreBad(t *testing.T) {
	h := newHall(t)
	_, err := h.node.Open(cluster.RoomSpec{Name: "\xff"})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, field := range []string{"Service", "Name", "Handle"} {
		require.ErrorContains(t, err, field)
	}
	again := cluster.RoomSpec{Service: cluster.Buckets, Name: "room", Handle: func(*cluster.Call) {}}
	_, err = h.node.Open(again)
	require.ErrorIs(t, err, penstock.ErrExists)
	h.port.Close()
	h.port.Close()
	_, err = h.node.Open(again)
	require.NoError(t, err)
	require.NoError(t, h.node.Leave(t.Context()))
	_, err = h.node.Open(again)
	require.ErrorIs(t, err, penstock.ErrClosed)
	_, err = h.ask("this", cluster.Ask{ID: "1"})
	require.ErrorIs(t, err, penstock.ErrClosed)
}

// TestAMemberIsAskedOnce tells what was not done from what may have been.
func TestAMemberIsAskedOnce(t *testing.T) {
	h := newHall(t)
	p := h.other()
	answer, err := h.port.AskMemberOnce(t.Context(), "there", []byte("that"))
	require.NoError(t, err)
	require.Equal(t, "there did that under 0", string(answer))
	h.hears("here said that")
	for _, nobody := range []string{"here", "nowhere"} {
		_, err = h.port.AskMemberOnce(t.Context(), nobody, nil)
		require.ErrorIs(t, err, cluster.ErrAway)
	}
	_, err = h.port.AskMemberOnce(t.Context(), "there", []byte("full"))
	require.ErrorIs(t, err, penstock.ErrFull)
	_, err = h.port.AskMemberOnce(t.Context(), "there", make([]byte, 1<<20))
	require.ErrorIs(t, err, penstock.ErrInvalid)

	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(10*time.Millisecond, cancel)
	defer stop.Stop()
	_, err = h.port.AskMemberOnce(ctx, "there", []byte("hang"))
	require.ErrorIs(t, err, cluster.ErrUnknown)
	_, err = h.port.AskMemberOnce(t.Context(), "there", []byte("die"))
	require.ErrorIs(t, err, cluster.ErrUnknown)
	p.Kill()
}
