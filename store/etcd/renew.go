package etcd

import (
	"context"
	"errors"
	"io"
	"net/url"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/penstock-go/penstock/store/lease"
)

// Renew is [lease.Store]'s. How exactly a lease ends when it was asked to is said in the package's documentation.
func (l *Leases) Renew(ctx context.Context, m lease.Member, ttl time.Duration) (lease.View, error) {
	if err := lease.CheckRenew(m, ttl); err != nil {
		return lease.View{}, err
	}
	ctx = clientv3.WithRequireLeader(ctx)
	for {
		s, err := l.renew(ctx, m, seconds(ttl))
		if err != nil {
			return lease.View{}, failed("renew", m, err)
		}
		if s != nil {
			return s.view(), nil
		}
	}
}

// seconds is what etcd counts in. It is never less than was asked for.
func seconds(ttl time.Duration) int64 { return int64((ttl + time.Second - 1) / time.Second) }

// renew is one attempt. It returns nil if things have changed under its hands, and is to be made again.
func (l *Leases) renew(ctx context.Context, m lease.Member, seconds int64) (*snapshot, error) {
	me, lived, err := l.standing(ctx, m)
	want := member{Incarnation: m.Incarnation, Address: m.Address, Seconds: seconds}
	switch {
	case err != nil:
		return nil, err
	case me.Incarnation == "" && !lived:
		return l.join(ctx, m, want)
	case me.Incarnation != m.Incarnation && lived:
		return nil, lease.ErrLost
	case me.Incarnation != m.Incarnation:
		return nil, lease.ErrNameTaken
	case me.Address != m.Address || me.Seconds != seconds || me.Moving:
		return l.move(ctx, m.Name, me, want)
	}
	return l.prolong(ctx, m.Name, me)
}

// standing is the member that has the name, whose incarnation is empty if there is none, and whether m's has ever joined.
func (l *Leases) standing(ctx context.Context, m lease.Member) (me member, lived bool, err error) {
	resp, err := l.client.Txn(ctx).Then(clientv3.OpGet(l.members+m.Name), clientv3.OpGet(l.life(m), clientv3.WithKeysOnly())).Commit()
	if err != nil {
		return me, false, err
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		me, err = memberOf(kvs[0])
	}
	return me, len(resp.Responses[1].GetResponseRange().Kvs) > 0, err
}

// life is the key that says that an incarnation has joined. It outlives the member, whose own key etcd deletes: else nobody could
// tell a Renew that comes too late from a first one.
func (l *Leases) life(m lease.Member) string {
	return l.lives + url.PathEscape(m.Name) + "/" + m.Incarnation
}

// join makes the member's key, on an etcd lease of its own.
func (l *Leases) join(ctx context.Context, m lease.Member, want member) (*snapshot, error) {
	forget, err := l.forgettable(ctx)
	if err != nil {
		return nil, err
	}
	granted, err := l.client.Grant(ctx, want.Seconds)
	if err != nil {
		return nil, err
	}
	key, life := l.members+m.Name, l.life(m)
	conditions := []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0), clientv3.Compare(clientv3.CreateRevision(life), "=", 0)}
	return l.put(ctx, conditions, append(forget,
		clientv3.OpPut(life, ""),
		clientv3.OpPut(key, encode(want), clientv3.WithLease(granted.ID))))
}

const (
	// maxLives is how many incarnations are remembered, so that names that never come back do not fill the store. One that is
	// forgotten and still renews joins anew; that is after as many others have joined.
	maxLives = 1000
	// maxForget is how many are forgotten at once: etcd takes 128 operations in a transaction.
	maxForget = 100
)

// forgettable is how to forget the oldest incarnations, if there are too many for one more.
func (l *Leases) forgettable(ctx context.Context) (ops []clientv3.Op, err error) {
	resp, err := l.client.Get(ctx, l.lives, clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		return nil, err
	}
	tooMany := max(0, len(resp.Kvs)-maxLives+1)
	for _, kv := range resp.Kvs[:min(tooMany, maxForget)] {
		ops = append(ops, clientv3.OpDelete(string(kv.Key)))
	}
	return ops, nil
}

// move moves the member's key to a new etcd lease, since the time of one cannot be changed. The new lease is granted only after the
// key says so: a renewal that has then kept the old one alive sees it, and does not count. And a move that was given up is told
// from one that is done, so it cannot come late and take the key back to a lease that ends sooner than a later renewal's.
func (l *Leases) move(ctx context.Context, name string, me, want member) (*snapshot, error) {
	key := l.members + name
	me.Moving = true
	s, err := l.put(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", me.changed)},
		[]clientv3.Op{clientv3.OpPut(key, encode(me), clientv3.WithIgnoreLease())})
	if err != nil || s == nil {
		return nil, err
	}
	granted, err := l.client.Grant(ctx, want.Seconds)
	if err != nil {
		return nil, err
	}
	return l.put(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", s.revision)},
		[]clientv3.Op{clientv3.OpPut(key, encode(want), clientv3.WithLease(granted.ID))})
}

// put writes, if the conditions hold, and reads what there is then; else it returns nil.
func (l *Leases) put(ctx context.Context, conditions []clientv3.Cmp, ops []clientv3.Op) (*snapshot, error) {
	resp, err := l.client.Txn(ctx).If(conditions...).Then(append(ops, l.look()...)...).Commit()
	if errors.Is(err, rpctypes.ErrLeaseNotFound) { // granted and ended while the caller slept
		return nil, nil
	}
	if err != nil || !resp.Succeeded {
		return nil, err
	}
	return l.snapshot(resp.Header, resp.Responses)
}

// prolong keeps the member's etcd lease alive.
//
// A keep-alive is not agreed upon by etcd's servers: the leader notes it, and a server that has lost the lead without knowing it
// would answer too. So it counts only if the leader's term was the same before it as in a read that came after it. The read
// asks a majority, which then had elected nobody else.
func (l *Leases) prolong(ctx context.Context, name string, me member) (*snapshot, error) {
	term, found, err := l.keepAlive(ctx, me.lease)
	if err != nil || !found {
		return nil, err
	}
	s, err := l.read(ctx)
	if err != nil || s.term != term || s.members[name].changed != me.changed {
		return nil, err
	}
	return s, nil
}

// keepAlive is one attempt; the client's own KeepAliveOnce repeats it without a pause while the servers have no leader. The term is
// as it was before the lease was prolonged.
func (l *Leases) keepAlive(ctx context.Context, id clientv3.LeaseID) (term uint64, found bool, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := clientv3.RetryLeaseClient(l.client).LeaseKeepAlive(inner)
	if err != nil {
		return 0, false, clientv3.ContextError(ctx, err)
	}
	// A stream that is broken says so with io.EOF here, and why when it is read.
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil && !errors.Is(err, io.EOF) {
		return 0, false, clientv3.ContextError(ctx, err)
	}
	resp, err := stream.Recv()
	if err != nil {
		return 0, false, clientv3.ContextError(ctx, err)
	}
	return resp.GetHeader().GetRaftTerm(), resp.TTL > 0, nil
}
