package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penstock-go/penstock/store/lease"
)

// Leases is a [lease.Store] in etcd. It remembers nothing: any number of them may use the same prefix, and the same member.
type Leases struct {
	client  *clientv3.Client
	members string // prefix of the members' keys
	lives   string // prefix of the keys that say who has lived
	table   string // key of the shards
}

var _ lease.Store = (*Leases)(nil)

// NewLeases makes leases of a client, which stays the caller's: it is to be closed after the last call. Nothing is asked of the
// server yet. The error is a [penstock.ErrInvalid] and names everything that is bad and the values it takes.
func NewLeases(client *clientv3.Client, cfg Config) (*Leases, error) {
	if err := cfg.validate(client); err != nil {
		return nil, err
	}
	prefix := cfg.withDefaults().Prefix
	return &Leases{client: client, members: prefix + "members/", lives: prefix + "lives/", table: prefix + "shards"}, nil
}

// Take is [lease.Store]'s: one transaction, whatever the number of shards.
func (l *Leases) Take(ctx context.Context, m lease.Member, shards []int) ([]lease.Shard, error) {
	if err := lease.Check(m, 0, shards); err != nil {
		return nil, err
	}
	ctx = clientv3.WithRequireLeader(ctx)
	for {
		s, err := l.read(ctx)
		if err != nil {
			return nil, failed("take", m, err)
		}
		me, ok := s.find(m)
		if !ok {
			return nil, failed("take", m, lease.ErrLost)
		}
		taken := s.table.take(m.Name, me.life, shards, s.revision)
		if len(taken) == 0 {
			return nil, nil
		}
		if ok, err := l.write(ctx, s, clientv3.Compare(clientv3.CreateRevision(l.members+m.Name), "=", me.life)); err != nil {
			return nil, failed("take", m, err)
		} else if ok {
			return taken, nil
		}
	}
}

// Give is [lease.Store]'s: one transaction, whatever the number of shards.
func (l *Leases) Give(ctx context.Context, m lease.Member, shards []lease.Shard) error {
	if err := lease.CheckGive(m, shards); err != nil {
		return err
	}
	ctx = clientv3.WithRequireLeader(ctx)
	for {
		s, err := l.read(ctx)
		if err != nil {
			return failed("give", m, err)
		}
		me, ok := s.find(m)
		if !ok || !s.table.give(m.Name, me.life, shards) {
			return nil
		}
		if ok, err := l.write(ctx, s); err != nil {
			return failed("give", m, err)
		} else if ok {
			return nil
		}
	}
}

// write writes a snapshot's table, if nobody has written it since and the conditions hold; else it is false, and somebody else has
// got on: so whoever tries again comes to an end.
func (l *Leases) write(ctx context.Context, s *snapshot, conditions ...clientv3.Cmp) (bool, error) {
	conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(l.table), "=", s.written))
	resp, err := l.client.Txn(ctx).If(conditions...).Then(clientv3.OpPut(l.table, encode(s.table))).Commit()
	if err != nil {
		return false, err
	}
	return resp.Succeeded, nil
}

// Leave is [lease.Store]'s. The member's key is deleted, and so its shards are nobody's; its etcd lease, which then has no keys, ends
// by itself.
func (l *Leases) Leave(ctx context.Context, m lease.Member) error {
	if err := lease.Check(m, 0, nil); err != nil {
		return err
	}
	ctx = clientv3.WithRequireLeader(ctx)
	me, _, err := l.standing(ctx, m)
	if err != nil {
		return failed("leave", m, err)
	}
	if me.Incarnation != m.Incarnation {
		return nil
	}
	key := l.members + m.Name
	_, err = l.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", me.life)).Then(clientv3.OpDelete(key)).Commit()
	if err != nil {
		return failed("leave", m, err)
	}
	return nil // if it was not that life any more, it has ended all the same
}

// failed says what could not be done, and for whom.
func failed(do string, m lease.Member, err error) error {
	s := status.Convert(err)
	if s.Code() == codes.DeadlineExceeded || s.Code() == codes.Unknown && s.Message() == context.DeadlineExceeded.Error() {
		err = context.DeadlineExceeded // the server has seen it before the context itself
	}
	return fmt.Errorf("etcd: %s, member %.512q: %w", do, m.Name, err)
}
