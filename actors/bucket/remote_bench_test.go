package bucket

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// direct is a cluster of two nodes, one of which owns everything, and whose wire takes no time.
type direct struct {
	name   string
	owner  bool
	began  time.Time
	handle *func(letter) // of the owner
}

func (d direct) Name() string                    { return d.name }
func (d direct) Shard(string) int                { return 0 }
func (d direct) Epoch(int) (int64, bool)         { return 1, d.owner }
func (d direct) Owner(int) (cluster.Owner, bool) { return cluster.Owner{Name: "owner", Epoch: 1}, true }
func (d direct) Clock() time.Duration            { return time.Since(d.began) }
func (d direct) Tell(string, []byte) error       { return nil }
func (d direct) Members() []string               { return nil }
func (d direct) Close()                          {}
func (d direct) AskOwner(context.Context, cluster.Owner, []byte) ([]byte, error) {
	return nil, cluster.ErrAway
}

func (d direct) AskMember(ctx context.Context, _ string, body []byte) ([]byte, error) {
	return d.Ask(ctx, cluster.Ask{Body: body})
}

func (d direct) Ask(_ context.Context, a cluster.Ask) ([]byte, error) {
	c := directCall{said: make(chan struct{})}
	(*d.handle)(letter{inquiry: &c, from: d.name, id: a.ID, body: a.Body})
	<-c.said
	return c.body, c.err
}

type directCall struct {
	body []byte
	err  error
	said chan struct{}
}

func (c *directCall) say(body []byte, err error) {
	c.body, c.err = body, err
	close(c.said)
}

func (c *directCall) Canceled() <-chan struct{}     { return nil }
func (c *directCall) Reply(body []byte)             { c.say(body, nil) }
func (c *directCall) ReplyOr(body []byte, _ func()) { c.say(body, nil) }
func (c *directCall) Refuse(err error)              { c.say(nil, err) }

// BenchmarkTurnOfAnotherNode is what a turn costs at both nodes, without what carries it.
func BenchmarkTurnOfAnotherNode(b *testing.B) {
	handle := new(func(letter))
	family := func(name string, owner bool) *Family {
		d := direct{name: name, owner: owner, began: time.Now(), handle: handle}
		f, err := newFamilyAt(roomtest.System(b), "bench", Config{
			Limits: []limit.Limit{{Events: 1e9, Per: time.Second}}, Idle: time.Hour, Clustered: true,
		}, func(spec cluster.RoomSpec, h func(letter)) (node, port, error) {
			if owner {
				*handle = h
			}
			return d, d, nil
		})
		require.NoError(b, err)
		if owner {
			f.peers.gained(cluster.Gain{Shard: 0, Epoch: 1})
		}
		return f
	}
	family("owner", true)
	asks := family("asks", false).Bucket("ada")
	_, err := asks.Acquire(b.Context(), Request{Cost: 2}) // a bucket that has just come is held for a while
	require.NoError(b, err)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := asks.Acquire(ctx, Request{Cost: 2}); err != nil {
			b.Fatal(err)
		}
	}
}
