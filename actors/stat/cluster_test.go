package stat

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/messages"
)

// others is the way to other nodes, whose answers are given.
type others map[string]func(question []byte) ([]byte, error)

func (o others) Close() {}

func (o others) Members() (names []string) {
	for name := range o {
		names = append(names, name)
	}
	return names
}

func (o others) AskMember(_ context.Context, member string, body []byte) ([]byte, error) {
	return o[member](body)
}

func TestG8_CountsOfAllNodesArePutTogether(t *testing.T) {
	ctx := context.Background()
	here, there := roomtest.System(t), roomtest.System(t)
	sums := func(sys *penstock.System) *Buffer[int] {
		b, err := NewBuffer(sys, "sums", Config[int]{Sink: newTable[int]()})
		require.NoError(t, err)
		return b
	}
	a, b := sums(here), sums(there)
	away := errors.New("away")
	a.ledger.port = others{"b": b.ledger.answer}

	n, ok, err := a.CountCluster(ctx, 7)
	require.NoError(t, err)
	require.False(t, ok)
	require.Zero(t, n)
	require.NoError(t, b.Increment(7, -2))
	n, ok, err = a.CountCluster(ctx, 7)
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, -2, n)
	require.NoError(t, a.Increment(7, 5))
	require.NoError(t, a.Increment(8, 100))
	n, _, err = a.CountCluster(ctx, 7)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)

	a.ledger.port = others{"b": b.ledger.answer, "c": func([]byte) ([]byte, error) { return nil, away }}
	n, ok, err = a.CountCluster(ctx, 7)
	require.EqualError(t, err, `stat buffer "sums": 1 nodes have not answered: "c": away`)
	require.ErrorIs(t, err, away)
	require.True(t, ok)
	require.EqualValues(t, 3, n, "what the others know")

	_, _, err = b.CountCluster(ctx, 7)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "Clustered is false")

	most := func(sys *penstock.System) *Max[string] {
		m, err := NewMax(sys, "most", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err)
		return m
	}
	x, y := most(here), most(there)
	x.ledger.port = others{"b": y.ledger.answer}
	require.NoError(t, x.Observe("k", 3))
	require.NoError(t, y.Observe("k", 9))
	n, ok, err = x.ValueCluster(ctx, "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 9, n)
	x.ledger.port = others{"b": b.ledger.answer}
	_, _, err = x.ValueCluster(ctx, "k")
	require.ErrorContains(t, err, `it is of another kind of buffer than "sums", a sum`)

	times := func(sys *penstock.System) *Histogram[string] {
		h, err := NewHistogram(sys, "times", Scale{}, Config[Bin[string]]{Sink: newTable[Bin[string]]()})
		require.NoError(t, err)
		return h
	}
	v, w := times(here), times(there)
	v.ledger.port = others{"b": w.ledger.answer}
	require.NoError(t, v.Record("k", 3))
	require.NoError(t, w.Record("k", 9))
	n, _, err = v.CountCluster(ctx, "k")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

func TestQuestionsOfOtherVersions(t *testing.T) {
	sys := roomtest.System(t)
	b, err := NewBuffer(sys, "sums", Config[int]{Sink: newTable[int]()})
	require.NoError(t, err)
	for _, ask := range []*messages.StatAsk{{}, {Kind: 9}, {Kind: messages.StatKind_STAT_KIND_SUM, Key: []byte("x")}} {
		question, err := proto.Marshal(ask)
		require.NoError(t, err)
		_, err = b.ledger.answer(question)
		require.ErrorIs(t, err, penstock.ErrInvalid)
	}
	_, err = b.ledger.answer([]byte{0xff})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	b.ledger.port = others{"b": func([]byte) ([]byte, error) { return []byte{0xff}, nil }}
	_, _, err = b.CountCluster(context.Background(), 1)
	partial := new(PartialError)
	require.ErrorAs(t, err, &partial)
	require.Contains(t, partial.Nodes, "b")
}

func TestKeysThatCannotTravel(t *testing.T) {
	b, err := NewBuffer(roomtest.System(t), "sums", Config[secret]{Sink: newTable[secret]()})
	require.NoError(t, err)
	b.ledger.port = others{}
	_, _, err = b.CountCluster(context.Background(), 1)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "it is read as 0")
}

// secret is a key that encoding/json does not tell.
type secret int

func (secret) MarshalJSON() ([]byte, error) { return []byte("0"), nil }

func TestClusteredNeedsANode(t *testing.T) {
	_, err := NewBuffer(roomtest.System(t), "sums", Config[int]{Sink: newTable[int](), Clustered: true})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "cluster.Join")
	require.NotErrorIs(t, err, cluster.ErrAway)
}

func TestFlushIDsNameTheirNode(t *testing.T) {
	require.Equal(t, "a-1.", idPrefix("a-1"))
	require.Equal(t, "10_0_0_1_7300.", idPrefix("10.0.0.1:7300"))
	require.Equal(t, "___e.", idPrefix("日本\xffe"))
	require.Equal(t, strings.Repeat("x", nameMost)+".", idPrefix(strings.Repeat("x", 500)))
}
