package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock/cluster/internal/transport"
	"github.com/penstock-go/penstock/messages"
)

// said is what a node answers.
type said struct {
	kind    uint32
	payload []byte
}

// asked has a node handle a request.
func (n *Node) asked(t *testing.T, kind uint32, epoch int64, m proto.Message) (answers []said) {
	payload, err := proto.Marshal(m)
	require.NoError(t, err)
	n.handle(&transport.Request{Kind: kind, Epoch: uint64(epoch), Payload: payload}, func(kind uint32, payload []byte) {
		answers = append(answers, said{kind, payload})
	})
	return answers
}

func (s said) refusal(t *testing.T) *messages.RoomError {
	require.EqualValues(t, kindRefused, s.kind)
	m := new(messages.RoomError)
	require.NoError(t, proto.Unmarshal(s.payload, m))
	return m
}

func TestG11_WhoIsNotTheOwnerSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := joinAs(t, m, "a"), joinAs(t, m, "b")
		time.Sleep(2 * leaseTime)
		p := &Port{node: a, spec: RoomSpec{Service: Queues, Name: "room", Handle: func(c *Call) { c.Reply([]byte(c.From)) }}}
		a.ports[place{Queues, "room"}] = p
		ids := make(map[string]string)
		for _, id := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"} {
			o, ok := a.Owner(a.Shard(id))
			require.True(t, ok)
			ids[o.Name] = id
		}
		ask := func(id string) *messages.RoomCall {
			return &messages.RoomCall{Service: uint32(Queues), Room: "room", Id: id, From: "b", Body: []byte("body")}
		}
		epoch, _ := a.Epoch(a.Shard(ids["a"]))
		for _, believed := range []int64{0, epoch - 1, epoch} {
			require.Equal(t, []said{{kindDone, []byte("b")}}, a.asked(t, kindAsk, believed, ask(ids["a"])))
		}
		require.Equal(t, []said{{kindDone, []byte("b")}}, a.asked(t, kindAsk, 0, ask("")), "a member is asked")
		require.EqualValues(t, kindMoved, a.asked(t, kindAsk, epoch+1, ask(ids["a"]))[0].kind, "somebody knows of a later owner")

		owner, _ := b.Owner(b.Shard(ids["b"]))
		answer := a.asked(t, kindAsk, 0, ask(ids["b"]))
		require.Len(t, answer, 1)
		require.EqualValues(t, kindMoved, answer[0].kind)
		hint := new(messages.NotOwner)
		require.NoError(t, proto.Unmarshal(answer[0].payload, hint))
		require.Equal(t, owner, Owner{hint.GetName(), hint.GetAddress(), hint.GetEpoch()})

		other := ask(ids["a"])
		other.Room = "other"
		require.Equal(t, []said{{kindNoRoom, nil}}, a.asked(t, kindAsk, 0, other))
		require.Equal(t, messages.ErrorClass_ERROR_CLASS_INVALID, a.asked(t, 77, 0, ask(ids["a"]))[0].refusal(t).GetClass())
		garbage := &messages.Batch{Settled: []uint64{1 << 40}} // its field 11 is none of a call's
		require.EqualValues(t, kindNoRoom, a.asked(t, kindAsk, 0, garbage)[0].kind)

		m.cut("", true)
		time.Sleep(leaseTime)
		require.EqualValues(t, kindMoved, a.asked(t, kindAsk, 0, ask(ids["a"]))[0].kind, "its lease is over")
		m.cut("", false)
		time.Sleep(2 * leaseTime)
	})
}

func TestNewsOfOwnersChangeWhoIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := joinAs(t, m, "a"), joinAs(t, m, "b")
		time.Sleep(2 * leaseTime)
		owner := func() Owner {
			o, ok := a.Owner(7)
			require.True(t, ok)
			return o
		}
		before := owner()
		news := &messages.Owned{Name: "b", Address: "b:1", Shards: []*messages.OwnedShard{{Number: 7, Epoch: before.Epoch + 1}, {Number: 1 << 20, Epoch: 1}}}
		for _, stranger := range []*messages.Owned{
			{Name: "c", Address: "c:1", Shards: news.Shards}, {Name: "b", Address: "elsewhere:1", Shards: news.Shards},
			{Name: "a", Address: "a:1", Shards: news.Shards}, {Name: "b", Address: "b:1", Shards: []*messages.OwnedShard{{Number: 7, Epoch: before.Epoch - 1}}},
		} {
			require.Empty(t, a.asked(t, kindOwned, 0, stranger))
			require.Equal(t, before, owner())
		}
		changed := a.routes.Load().changed
		require.Empty(t, a.asked(t, kindOwned, 0, news))
		require.Equal(t, Owner{Name: "b", Address: "b:1", Epoch: before.Epoch + 1}, owner())
		<-changed
		for shard := range 256 {
			_, mine := a.Epoch(shard)
			_, theirs := b.Epoch(shard)
			require.NotEqual(t, mine, theirs, "who owns what is the store's to say")
		}
	})
}
