package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/backoff"
	"github.com/penstock-go/penstock/store/internal/leases"
	"github.com/penstock-go/penstock/store/lease"
)

// Leases is a [lease.Store] in a table. It has no goroutine and nothing to be closed. An incarnation's calls go through one Leases: of
// these, none is carried out after a later one has been, however late it reaches the server.
type Leases struct {
	pool    *pgxpool.Pool
	sql     leaseStatements
	cluster string
	client  string       // tells the calls of this one from others'
	calls   atomic.Int64 // that were made
}

// NewLeases keeps a cluster's leases in a table, which it makes if it is missing; processes may do so at once. The error is a
// penstock.ErrInvalid if the description or the table is not as it must be, if the role may not SELECT, INSERT, UPDATE and DELETE, or if
// the server answers a COMMIT before it is on disk.
//
//	CREATE TABLE penstock_leases (
//		cluster text COLLATE "C", name text COLLATE "C", incarnation text COLLATE "C", -- a life of a member, or '' and '' for the cluster's own row
//		address text        NOT NULL,
//		until   timestamptz NOT NULL, -- by clock_timestamp()
//		ended   boolean     NOT NULL, -- it is remembered for an hour
//		shards  jsonb       NOT NULL, -- {"17": 1767225600000}: shard 17 is owned with this epoch
//		epoch   bigint      NOT NULL, -- of the cluster: the one that was given last
//		client  text        NOT NULL, -- whose call was carried out last
//		call    bigint      NOT NULL, -- which of its calls
//		PRIMARY KEY (cluster, name, incarnation)
//	);
//
// Every call is one transaction that is sent as a whole, in one round trip, and two when a member joins. A connection that breaks
// just while it is sent may leave the server waiting for the rest: with tcp_keepalives_idle=5 in the connection string it notices soon.
func NewLeases(ctx context.Context, pool *pgxpool.Pool, at store.LeaseTable) (*Leases, error) {
	table, cluster, err := at.Resolve()
	if err != nil {
		return nil, err
	}
	l := &Leases{pool: pool, sql: newLeaseStatements(table), cluster: cluster, client: rand.Text()}
	if err := l.open(ctx, table); err != nil {
		return nil, fmt.Errorf("postgres: table %s of leases: %w", table, err)
	}
	return l, nil
}

// errOvertaken says that a later call of the same incarnation has been carried out before. Who still waits for this one makes it again.
var errOvertaken = errors.New("a later call has been carried out before")

// errUnknown says that an incarnation has not joined.
var errUnknown = errors.New("it has not joined")

// Renew implements [lease.Store]. It is one round trip for who has joined.
func (l *Leases) Renew(ctx context.Context, m lease.Member, ttl time.Duration) (v lease.View, err error) {
	if err := lease.CheckRenew(m, ttl); err != nil {
		return lease.View{}, err
	}
	err = l.call(ctx, "renew", m, func(call int64) error {
		v, err = l.renew(ctx, m, ttl, call)
		if errors.Is(err, errUnknown) {
			v, err = l.join(ctx, m, ttl, call)
		}
		return err
	})
	return v, err
}

// microseconds are those of a lease's time, rather one too many.
func microseconds(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }

func (l *Leases) renew(ctx context.Context, m lease.Member, ttl time.Duration, call int64) (lease.View, error) {
	b := l.begin()
	b.Queue(l.sql.mine, l.cluster, m.Name, m.Incarnation)
	b.Queue(l.sql.lapse, l.cluster, m.Name, m.Incarnation)
	var renewed int64
	b.exec(&renewed, l.sql.renew, l.cluster, m.Name, m.Incarnation, microseconds(ttl), m.Address, l.client, call)
	var seen sight
	l.look(b, m, &seen)
	if err := b.run(ctx); err != nil {
		return lease.View{}, err
	}
	switch {
	case renewed > 0:
		return leases.View(seen.lives), nil
	case !seen.known:
		return lease.View{}, errUnknown
	case seen.living:
		return lease.View{}, errOvertaken
	}
	return lease.View{}, lease.ErrLost
}

func (l *Leases) join(ctx context.Context, m lease.Member, ttl time.Duration, call int64) (lease.View, error) {
	b := l.begin()
	b.Queue(l.sql.draw, l.cluster)
	b.Queue(l.sql.expire, l.cluster)
	b.Queue(l.sql.prune, l.cluster, microseconds(leases.Remember))
	var joined int64
	b.exec(&joined, l.sql.join, l.cluster, m.Name, m.Incarnation, microseconds(ttl), m.Address, l.client, call)
	var seen sight
	l.look(b, m, &seen)
	if err := b.run(ctx); err != nil {
		return lease.View{}, err
	}
	switch {
	case joined > 0:
		return leases.View(seen.lives), nil
	case seen.known:
		return lease.View{}, errOvertaken // by another call of its that has joined, or left
	}
	return lease.View{}, lease.ErrNameTaken
}

// sight is what there was at a moment.
type sight struct {
	lives         []leases.Life
	known, living bool // the member that looks
}

func (l *Leases) look(b *leaseBatch, m lease.Member, s *sight) {
	b.query(l.sql.look, []any{l.cluster, m.Name, m.Incarnation}, func(row pgx.Rows) error {
		var life leases.Life
		var text []byte
		var lives bool
		if err := row.Scan(&life.Member.Name, &life.Member.Incarnation, &life.Member.Address, &text, &lives); err != nil {
			return err
		}
		if life.Member.Name == m.Name && life.Member.Incarnation == m.Incarnation {
			s.known, s.living = true, lives
		}
		if !lives {
			return nil
		}
		var err error
		life.Owned, err = leases.Parse(text)
		s.lives = append(s.lives, life)
		return err
	})
}

// Take implements [lease.Store].
func (l *Leases) Take(ctx context.Context, m lease.Member, shards []int) (took []lease.Shard, err error) {
	if err := lease.Check(m, 0, shards); err != nil {
		return nil, err
	}
	numbers := make([]int32, len(shards))
	for i, n := range shards {
		numbers[i] = int32(n)
	}
	err = l.call(ctx, "take shards for", m, func(call int64) error {
		took, err = l.take(ctx, m, numbers, call)
		return err
	})
	return took, err
}

func (l *Leases) take(ctx context.Context, m lease.Member, numbers []int32, call int64) ([]lease.Shard, error) {
	b := l.begin()
	b.Queue(l.sql.draw, l.cluster)
	b.Queue(l.sql.mine, l.cluster, m.Name, m.Incarnation)
	b.Queue(l.sql.expire, l.cluster)
	b.Queue(l.sql.prune, l.cluster, microseconds(leases.Remember))
	var may bool
	var owned leases.Owned
	b.query(l.sql.take, []any{l.cluster, m.Name, m.Incarnation, numbers, l.client, call}, func(row pgx.Rows) error {
		var text []byte
		err := row.Scan(&may, &text)
		if err == nil {
			owned, err = leases.Parse(text)
		}
		return err
	})
	var seen sight
	l.look(b, m, &seen)
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	switch {
	case may:
		return leases.Shards(m.Name, owned), nil
	case seen.living:
		return nil, errOvertaken
	}
	return nil, lease.ErrLost
}

// Give implements [lease.Store].
func (l *Leases) Give(ctx context.Context, m lease.Member, shards []lease.Shard) error {
	if err := lease.CheckGive(m, shards); err != nil {
		return err
	}
	numbers, epochs := make([]string, len(shards)), make([]int64, len(shards))
	for i, s := range shards {
		numbers[i], epochs[i] = strconv.Itoa(s.Number), s.Epoch
	}
	return l.call(ctx, "give up shards of", m, func(int64) error {
		b := l.begin()
		b.Queue(l.sql.give, l.cluster, m.Name, m.Incarnation, numbers, epochs)
		return b.run(ctx)
	})
}

// Leave implements [lease.Store].
func (l *Leases) Leave(ctx context.Context, m lease.Member) error {
	if err := lease.Check(m, 0, nil); err != nil {
		return err
	}
	return l.call(ctx, "end the lease of", m, func(call int64) error { return l.leave(ctx, m, call) })
}

func (l *Leases) leave(ctx context.Context, m lease.Member, call int64) error {
	b := l.begin()
	var left int64
	b.exec(&left, l.sql.leave, l.cluster, m.Name, m.Incarnation, m.Address, l.client, call)
	var seen sight
	l.look(b, m, &seen)
	err := b.run(ctx)
	if err == nil && left == 0 && seen.living {
		return errOvertaken
	}
	return err
}

// call carries out a call, again for as long as others are in the way.
func (l *Leases) call(ctx context.Context, what string, m lease.Member, do func(call int64) error) error {
	for try := 1; ; try++ {
		err := do(l.calls.Add(1))
		state := sqlState(err)
		if err == nil {
			return nil
		}
		if errors.Is(err, errOvertaken) || state == serializationFailure || state == deadlockDetected {
			ended := backoff.Wait(ctx, try)
			if ended == nil {
				continue
			}
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return fmt.Errorf("postgres: %s %.512q: %w", what, m.Name, err)
	}
}

var _ lease.Store = (*Leases)(nil)
