package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/leases"
	"github.com/penstock-go/penstock/store/lease"
)

// leaseStatements are those of a table of leases. A row is a life of a member; the one without a name is the cluster's own.
type leaseStatements struct {
	create, found, cluster, boot, forget, expire, prune string
	living, find, join, renew, own, leave, draw         string
	synchronous                                         string
}

func newLeaseStatements(table store.Name) leaseStatements {
	of := func(format string) string { return fmt.Sprintf(format, table.SQL()) }
	const member = " WHERE cluster = ? AND name = ? AND incarnation = ?"
	return leaseStatements{
		create: of("CREATE TABLE IF NOT EXISTS %s (cluster TEXT NOT NULL, name TEXT NOT NULL, incarnation TEXT NOT NULL, address TEXT NOT NULL," +
			" until INTEGER NOT NULL, ended INTEGER NOT NULL, shards TEXT NOT NULL, epoch INTEGER NOT NULL, boot TEXT NOT NULL," +
			" PRIMARY KEY (cluster, name, incarnation)) WITHOUT ROWID"),
		found: of("INSERT INTO %s (cluster, name, incarnation, address, until, ended, shards, epoch, boot) VALUES (?, '', '', '', 0, 0, '{}', 0, ?)" +
			" ON CONFLICT (cluster, name, incarnation) DO NOTHING"),
		cluster: of("SELECT epoch, boot FROM %s WHERE cluster = ? AND name = '' AND incarnation = ''"),
		boot:    of("UPDATE %s SET boot = ? WHERE cluster = ? AND name = '' AND incarnation = ''"),
		forget:  of("DELETE FROM %s WHERE cluster = ? AND name <> ''"),
		expire:  of("UPDATE %s SET ended = 1, shards = '{}' WHERE cluster = ? AND name <> '' AND ended = 0 AND until <= ?"),
		prune:   of("DELETE FROM %s WHERE cluster = ? AND name <> '' AND ended = 1 AND until <= ?"),
		living:  of("SELECT name, incarnation, address, shards FROM %s WHERE cluster = ? AND name <> '' AND ended = 0"),
		find:    of("SELECT ended = 0, shards FROM %s" + member),
		join: of("INSERT INTO %s (cluster, name, incarnation, address, until, ended, shards, epoch, boot)" +
			" VALUES (?, ?, ?, ?, ?, ?, '{}', 0, '')"),
		renew: of("UPDATE %s SET until = ?, address = ?" + member),
		own:   of("UPDATE %s SET shards = ?" + member),
		leave: of("UPDATE %s SET ended = 1, shards = '{}', until = ?" + member),
		draw:  of("UPDATE %s SET epoch = ? WHERE cluster = ? AND name = '' AND incarnation = ''"),

		synchronous: "PRAGMA " + store.Quote(cmp.Or(table.Schema, "main")) + ".synchronous",
	}
}

// checkLeases looks whether the table has what is needed, and the database a journal: a log, or another one.
func checkLeases(ctx context.Context, db *sql.DB, table store.Name) (log bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	mode, wrong, err := checkJournal(ctx, conn, table.Schema)
	if err != nil {
		return false, err
	}
	needed := []string{"cluster", "name", "incarnation", "address", "until", "ended", "shards", "epoch", "boot"}
	_, errColumns := checkColumns(ctx, conn, table, needed)
	errKey := checkStatement(ctx, conn, table, newLeaseStatements(table).found, needed[:3])
	if err := errors.Join(wrong, errColumns, errKey); err != nil {
		return false, fmt.Errorf("%w: %w", penstock.ErrInvalid, err)
	}
	return mode == "wal", nil
}

// leaseTransaction is a call that is carried out. It holds the file's write lock, and begins by ending the leases whose time has come:
// who finds one that is not marked as ended finds one that lives.
type leaseTransaction struct {
	*transaction
	l     *Leases
	now   time.Duration // after the lock was taken: nothing can happen to a lease until this transaction is over
	epoch int64         // that was drawn last
}

// attempt is one transaction. It is committed also if what was called for is refused, since the leases that it has ended stay ended.
func (l *Leases) attempt(ctx context.Context, kept bool, do func(t *leaseTransaction) error) error {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !kept {
		restore, err := l.hurry(ctx, conn)
		defer restore()
		if err != nil {
			return err
		}
	}
	begun := &transaction{conn: conn}
	defer begun.rollBack()
	if err := begun.begin(ctx); err != nil {
		return err
	}
	t := &leaseTransaction{transaction: begun, l: l, now: l.clock.now()}
	if err := t.open(ctx); err != nil {
		return err
	}
	refused := do(t)
	if refused != nil && !errors.Is(refused, lease.ErrLost) && !errors.Is(refused, lease.ErrNameTaken) {
		return refused
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.commit(ctx); err != nil {
		return err
	}
	l.seen.Store(true)
	return refused
}

// hurry has a connection not wait for the disk when it commits, until restore is called. What it commits outlives the death of any
// process, as before, and not that of the machine, after which there is nobody left who had a lease. So a lease is not lost because
// somebody else keeps the disk busy.
func (l *Leases) hurry(ctx context.Context, conn *sql.Conn) (restore func(), err error) {
	if !l.log {
		return func() {}, nil // what is not written to a log is not whole without the disk
	}
	var was int
	if err := conn.QueryRowContext(ctx, l.sql.synchronous).Scan(&was); err != nil || was <= synchronousNormal {
		return func() {}, err
	}
	restore = func() {
		if _, err := conn.ExecContext(context.Background(), fmt.Sprint(l.sql.synchronous, " = ", was)); err != nil {
			bad(conn)
		}
	}
	_, err = conn.ExecContext(ctx, fmt.Sprint(l.sql.synchronous, " = ", synchronousNormal))
	return restore, err
}

// synchronousNormal is SQLite's number for waiting for the disk when the log is put into the file, and not at each commit.
const synchronousNormal = 1

// open reads the cluster's row, and makes it if this is the first call of all. After the machine was started anew there is nobody left
// of those who had leases.
func (t *leaseTransaction) open(ctx context.Context) error {
	l := t.l
	if err := t.exec(ctx, l.sql.found, l.cluster, l.clock.boot); err != nil {
		return err
	}
	var boot string
	if err := t.conn.QueryRowContext(ctx, l.sql.cluster, l.cluster).Scan(&t.epoch, &boot); err != nil {
		return err
	}
	if boot != l.clock.boot {
		if l.seen.Load() {
			return fmt.Errorf("cluster %.512q: another machine has used the table; it takes processes of one machine only", l.cluster)
		}
		if err := t.exec(ctx, l.sql.forget, l.cluster); err != nil {
			return err
		}
		return t.exec(ctx, l.sql.boot, l.clock.boot, l.cluster)
	}
	if err := t.exec(ctx, l.sql.expire, l.cluster, int64(t.now)); err != nil {
		return err
	}
	return t.exec(ctx, l.sql.prune, l.cluster, int64(t.now-leases.Remember))
}

func (t *leaseTransaction) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.conn.ExecContext(ctx, query, args...)
	return err
}

// row is what is known of a life.
type row struct {
	known bool // it has joined, or left, or both
	lives bool
	owned leases.Owned
}

func (t *leaseTransaction) find(ctx context.Context, m lease.Member) (r row, err error) {
	var text []byte
	err = t.conn.QueryRowContext(ctx, t.l.sql.find, t.l.cluster, m.Name, m.Incarnation).Scan(&r.lives, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, nil
	}
	if err == nil {
		r.known = true
		r.owned, err = leases.Parse(text)
	}
	return r, err
}

// living are the members that live, and what they own.
func (t *leaseTransaction) living(ctx context.Context) (lives []leases.Life, err error) {
	rows, err := t.conn.QueryContext(ctx, t.l.sql.living, t.l.cluster)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l leases.Life
		var text []byte
		if err := rows.Scan(&l.Member.Name, &l.Member.Incarnation, &l.Member.Address, &text); err != nil {
			return nil, err
		}
		if l.Owned, err = leases.Parse(text); err != nil {
			return nil, fmt.Errorf("what %.512q owns: %w", l.Member.Name, err)
		}
		lives = append(lives, l)
	}
	return lives, rows.Err()
}
