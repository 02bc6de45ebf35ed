package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/backoff"
	"github.com/penstock-go/penstock/store/internal/leases"
	"github.com/penstock-go/penstock/store/lease"
)

// Leases is a [lease.Store] in a file that the processes of one machine share. It has no goroutine and nothing to be closed.
type Leases struct {
	db      *sql.DB
	sql     leaseStatements
	log     bool // the database has a write-ahead log
	cluster string
	clock   leaseClock
	turn    chan struct{} // holds something while a call is carried out: the others wait for it here, not for SQLite's lock
	seen    atomic.Bool   // the table has been of this boot
}

// leaseClock is what leases are timed by.
type leaseClock struct {
	boot string // what the clock counts from: another boot's times mean nothing
	now  func() time.Duration
}

// NewLeases keeps a cluster's leases in a table, which it makes if it is missing; processes may do so at once. The error is a
// penstock.ErrInvalid if the description or the table is not as it must be. The database should be opened by [Open], or as it does.
//
//	CREATE TABLE penstock_leases (
//		cluster TEXT NOT NULL, name TEXT NOT NULL, incarnation TEXT NOT NULL, -- a life of a member, or '' and '' for the cluster's own row
//		address TEXT NOT NULL,
//		until   INTEGER NOT NULL, -- nanoseconds by the clock of the machine
//		ended   INTEGER NOT NULL, -- 1: it is remembered for an hour
//		shards  TEXT NOT NULL,    -- {"17":1767225600000}: shard 17 is owned with this epoch
//		epoch   INTEGER NOT NULL, -- of the cluster: the one that was given last
//		boot    TEXT NOT NULL,    -- of the cluster: since when the clock counts
//		PRIMARY KEY (cluster, name, incarnation)
//	) WITHOUT ROWID;
//
// All processes must run on one machine. On Linux the clock is CLOCK_BOOTTIME, which nobody can set, and which goes on while the machine
// sleeps; when the machine was started anew, all leases have ended. Containers that share a file must share the kernel, and its time
// namespace. On other systems it is the wall clock: who sets it forward ends leases too early.
//
// Only what is taken waits for the disk, if the file has a write-ahead log: all else is of no use once the machine has lost its power. What is in
// the file already is not affected.
//
// SQLite lets one process write at a time. One that is stopped (SIGSTOP, a debugger) in the fraction of a millisecond in which it writes holds
// up all others until it goes on or is killed: their calls then end with their contexts.
func NewLeases(ctx context.Context, db *sql.DB, at store.LeaseTable) (*Leases, error) {
	table, cluster, err := at.Resolve()
	if err != nil {
		return nil, err
	}
	clock, err := machineClock()
	if err != nil {
		return nil, fmt.Errorf("sqlite: leases: %w", err)
	}
	l := &Leases{db: db, sql: newLeaseStatements(table), cluster: cluster, clock: clock, turn: make(chan struct{}, 1)}
	err = patiently(ctx, func() error { return create(ctx, db, []string{l.sql.create}) })
	if err == nil {
		err = patiently(ctx, func() (err error) {
			l.log, err = checkLeases(ctx, db, table)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: table %s of leases: %w", table, err)
	}
	return l, nil
}

// Renew implements [lease.Store].
func (l *Leases) Renew(ctx context.Context, m lease.Member, ttl time.Duration) (v lease.View, err error) {
	if err := lease.CheckRenew(m, ttl); err != nil {
		return lease.View{}, err
	}
	err = l.call(ctx, "renew", m, brief, func(t *leaseTransaction) error {
		me, err := t.find(ctx, m)
		if err != nil {
			return err
		}
		if me.known && !me.lives {
			return lease.ErrLost
		}
		lives, err := t.living(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(lives, func(l leases.Life) bool { return l.Member.Name == m.Name })
		switch {
		case me.known:
			lives[at].Member = m
			err = t.exec(ctx, l.sql.renew, int64(t.now+ttl), m.Address, l.cluster, m.Name, m.Incarnation)
		case at >= 0:
			return lease.ErrNameTaken
		default:
			lives = append(lives, leases.Life{Member: m})
			err = t.exec(ctx, l.sql.join, l.cluster, m.Name, m.Incarnation, m.Address, int64(t.now+ttl), false)
		}
		v = leases.View(lives)
		return err
	})
	return v, err
}

// Take implements [lease.Store].
func (l *Leases) Take(ctx context.Context, m lease.Member, shards []int) (took []lease.Shard, err error) {
	if err := lease.Check(m, 0, shards); err != nil {
		return nil, err
	}
	err = l.call(ctx, "take shards for", m, kept, func(t *leaseTransaction) error {
		me, err := t.find(ctx, m)
		if err != nil {
			return err
		}
		if !me.lives {
			return lease.ErrLost
		}
		lives, err := t.living(ctx)
		if err != nil {
			return err
		}
		free := make(leases.Owned)
		epoch := max(t.epoch+1, time.Now().UnixMilli())
		for _, n := range shards {
			if !slices.ContainsFunc(lives, func(l leases.Life) bool { return l.Owned[n] != 0 }) {
				free[n] = epoch
				me.owned[n] = epoch
			}
		}
		if took = leases.Shards(m.Name, free); len(took) == 0 {
			return nil
		}
		if err := t.exec(ctx, l.sql.draw, epoch, l.cluster); err != nil {
			return err
		}
		return t.exec(ctx, l.sql.own, me.owned.Text(), l.cluster, m.Name, m.Incarnation)
	})
	return took, err
}

// Give implements [lease.Store].
func (l *Leases) Give(ctx context.Context, m lease.Member, shards []lease.Shard) error {
	if err := lease.CheckGive(m, shards); err != nil {
		return err
	}
	return l.call(ctx, "give up shards of", m, brief, func(t *leaseTransaction) error {
		me, err := t.find(ctx, m)
		if err != nil || !me.lives {
			return err
		}
		for _, s := range shards {
			if me.owned[s.Number] == s.Epoch {
				delete(me.owned, s.Number)
			}
		}
		return t.exec(ctx, l.sql.own, me.owned.Text(), l.cluster, m.Name, m.Incarnation)
	})
}

// Leave implements [lease.Store].
func (l *Leases) Leave(ctx context.Context, m lease.Member) error {
	if err := lease.Check(m, 0, nil); err != nil {
		return err
	}
	return l.call(ctx, "end the lease of", m, brief, func(t *leaseTransaction) error {
		me, err := t.find(ctx, m)
		switch {
		case err != nil || me.known && !me.lives:
			return err
		case me.known:
			return t.exec(ctx, l.sql.leave, int64(t.now), l.cluster, m.Name, m.Incarnation)
		}
		return t.exec(ctx, l.sql.join, l.cluster, m.Name, m.Incarnation, m.Address, int64(t.now), true)
	})
}

// What is kept survives the loss of power: epochs, which are never given a second time. All else ends with the machine, and waits for no disk.
const (
	kept  = true
	brief = false
)

// call carries out a call in a transaction, again for as long as others are in the way.
func (l *Leases) call(ctx context.Context, what string, m lease.Member, kept bool, do func(t *leaseTransaction) error) error {
	err := l.inTurn(ctx, kept, do)
	if err != nil {
		return fmt.Errorf("sqlite: %s %.512q: %w", what, m.Name, err)
	}
	return nil
}

func (l *Leases) inTurn(ctx context.Context, kept bool, do func(t *leaseTransaction) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for try := 1; ; try++ {
		err := l.attempt(ctx, kept, do)
		if !isBusy(err) {
			return err
		}
		if ended := backoff.Wait(ctx, try); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

var _ lease.Store = (*Leases)(nil)
