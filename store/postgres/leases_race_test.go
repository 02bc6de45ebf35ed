package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/cutter"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/lease"
)

var (
	a1 = lease.Member{Name: "a", Incarnation: "1"}
	a2 = lease.Member{Name: "a", Incarnation: "2"}
	b1 = lease.Member{Name: "b", Incarnation: "1", Address: "b:1"}
)

func renew(t testing.TB, l *Leases, m lease.Member, ttl time.Duration) lease.View {
	t.Helper()
	v, err := l.Renew(t.Context(), m, ttl)
	require.NoError(t, err)
	return v
}

func take(t testing.TB, l *Leases, m lease.Member, shards ...int) []lease.Shard {
	t.Helper()
	took, err := l.Take(t.Context(), m, shards)
	require.NoError(t, err)
	return took
}

// end has a member's time come.
func end(t testing.TB, pool *pgxpool.Pool, name string) {
	t.Helper()
	run(t, pool, "UPDATE penstock_leases SET until = clock_timestamp() WHERE name = $1 AND NOT ended", name)
}

const lockRow = "SELECT FROM penstock_leases WHERE name = $1 FOR UPDATE"

// TestG11_ARenewalThatWaitedLooksAgain has a lease end while its renewal waits for the row, whose holder then changes nothing, so that
// the server does not look at the row again by itself.
func TestG11_ARenewalThatWaitedLooksAgain(t *testing.T) {
	pool, _ := newPool(t)
	l := newLeases(t, pool, store.LeaseTable{})
	for i := range 4 {
		m := lease.Member{Name: "a", Incarnation: fmt.Sprint("life ", i)}
		renew(t, l, m, time.Second)
		holder := hold(t, pool, lockRow, "a")
		done := make(chan error, 1)
		go func() {
			var err error
			if i%2 == 0 {
				_, err = l.Renew(t.Context(), m, time.Hour)
			} else {
				_, err = l.Take(t.Context(), m, []int{1})
			}
			done <- err
		}()
		waits(t, pool, holder)
		var ended bool
		for !ended {
			err := pool.QueryRow(t.Context(), "SELECT bool_and(until <= clock_timestamp()) FROM penstock_leases WHERE name = 'a'").Scan(&ended)
			require.NoError(t, err)
		}
		require.NoError(t, holder.Rollback(t.Context()))
		require.ErrorIs(t, <-done, lease.ErrLost)
	}
}

// TestG11_AClockThatIsSetBackRevivesNobody has the server's clock set back after somebody was told that its lease is lost.
func TestG11_AClockThatIsSetBackRevivesNobody(t *testing.T) {
	pool, _ := newPool(t)
	l := newLeases(t, pool, store.LeaseTable{})
	for _, call := range []func() error{
		func() error { _, err := l.Renew(t.Context(), a1, time.Hour); return err },
		func() error { _, err := l.Take(t.Context(), a2, []int{1}); return err },
	} {
		for _, m := range []lease.Member{a1, a2} {
			if _, err := l.Renew(t.Context(), m, time.Hour); err == nil {
				end(t, pool, "a")
				break
			}
		}
		require.ErrorIs(t, call(), lease.ErrLost)
		run(t, pool, "UPDATE penstock_leases SET until = until + interval '1 minute' WHERE name = 'a'")
		require.ErrorIs(t, call(), lease.ErrLost)
	}
}

// TestG11_NobodyWaitsForARenewal has a row of a member held, as if its renewal were under way, when its time has come: what it owns is
// left alone for now, and the rest is taken.
func TestG11_NobodyWaitsForARenewal(t *testing.T) {
	pool, _ := newPool(t)
	l := newLeases(t, pool, store.LeaseTable{})
	renew(t, l, a1, time.Hour)
	take(t, l, a1, 1)
	renew(t, l, b1, time.Hour)
	end(t, pool, "a")
	holder := hold(t, pool, lockRow, "a")
	require.Len(t, take(t, l, b1, 1, 2), 1, "the renewal may have come before")
	require.NoError(t, holder.Rollback(t.Context()))
	require.Len(t, take(t, l, b1, 1, 2), 1)
}

// TestG11_RenewalsDoNotWaitForTakers has the cluster's row held, as if somebody who takes or joins were slow.
func TestG11_RenewalsDoNotWaitForTakers(t *testing.T) {
	pool, _ := newPool(t)
	l := newLeases(t, pool, store.LeaseTable{})
	renew(t, l, a1, time.Hour)
	mine := take(t, l, a1, 1, 2)
	holder := hold(t, pool, lockRow, "")
	require.Len(t, renew(t, l, a1, time.Hour).Shards, 2)
	require.NoError(t, l.Give(t.Context(), a1, mine[:1]))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := l.Take(ctx, a1, []int{1}); done <- err }()
	waits(t, pool, holder)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.NoError(t, l.Leave(t.Context(), a1))
}

// TestG11_LateCallsChangeNothing carries out calls after later ones of the same incarnation.
func TestG11_LateCallsChangeNothing(t *testing.T) {
	pool, _ := newPool(t)
	l, ctx := newLeases(t, pool, store.LeaseTable{}), t.Context()
	_, err := l.join(ctx, a1, time.Hour, 10)
	require.NoError(t, err)
	_, err = l.renew(ctx, a1, time.Hour, 20)
	require.NoError(t, err)
	var until, now time.Time
	read := func(at *time.Time) {
		require.NoError(t, pool.QueryRow(ctx, "SELECT until FROM penstock_leases WHERE name = 'a'").Scan(at))
	}
	read(&until)
	for _, call := range []int64{19, 20} {
		_, err = l.renew(ctx, a1, time.Minute, call)
		require.ErrorIs(t, err, errOvertaken)
		_, err = l.take(ctx, a1, []int32{1}, call)
		require.ErrorIs(t, err, errOvertaken)
		require.ErrorIs(t, l.leave(ctx, a1, call), errOvertaken)
		_, err = l.join(ctx, a1, time.Minute, call)
		require.ErrorIs(t, err, errOvertaken)
	}
	read(&now)
	require.Equal(t, until, now)
	l.calls.Store(15)
	require.Empty(t, renew(t, l, a1, time.Hour).Shards, "who still waits makes the call again, with a new number")
	other := newLeases(t, pool, store.LeaseTable{})
	require.Len(t, renew(t, other, a1, time.Hour).Members, 1, "another client counts by itself")

	require.NoError(t, l.Leave(ctx, a2), "it leaves, and then its first renewal arrives")
	_, err = l.Renew(ctx, a2, time.Hour)
	require.ErrorIs(t, err, lease.ErrLost)
	run(t, pool, "UPDATE penstock_leases SET until = until - interval '1 hour' WHERE ended")
	renew(t, l, b1, time.Hour)
	var n int
	require.NoError(t, pool.QueryRow(ctx, "SELECT count(*) FROM penstock_leases").Scan(&n))
	require.Equal(t, 3, n, "who ended an hour ago is not forgotten")
}

// TestG11_LeasesCutAroundTheCommit cuts each call's connection before its COMMIT reaches the server, or between the COMMIT and its answer.
func TestG11_LeasesCutAroundTheCommit(t *testing.T) {
	direct, schema := newPool(t)
	proxy, err := cutter.Listen(server)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	behind, beside := newLeases(t, poolOf(t, dsn(proxy.Addr()), schema), store.LeaseTable{}), newLeases(t, direct, store.LeaseTable{})
	ctx := t.Context()
	renew(t, beside, b1, time.Hour)
	for n := range 20 {
		m := lease.Member{Name: "a", Incarnation: fmt.Sprint(n)}
		moment := cutter.Moment(1 + n%2)
		cut := func(call func() error) {
			before := proxy.Cuts(moment)
			proxy.Arm(moment)
			err := call()
			require.Error(t, err)
			require.False(t, errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrNameTaken), "nobody can know: %v", err)
			require.Equal(t, before+1, proxy.Cuts(moment), "it was not cut")
		}
		cut(func() error { _, err := behind.Renew(ctx, m, time.Hour); return err })
		renew(t, behind, m, time.Hour)
		cut(func() error { _, err := behind.Take(ctx, m, []int{1, 2}); return err })
		owned := renew(t, behind, m, time.Hour).Shards
		require.Equal(t, moment == cutter.After, len(owned) == 2)
		owned = append(owned, take(t, behind, m, 1, 2)...)
		cut(func() error { return behind.Give(ctx, m, owned) })
		require.Equal(t, moment == cutter.Before, len(renew(t, beside, b1, time.Hour).Shards) == 2)
		cut(func() error { return behind.Leave(ctx, m) })
		require.NoError(t, behind.Leave(ctx, m))
		require.Empty(t, renew(t, beside, b1, time.Hour).Shards)
	}
}

// batches counts what is sent, by round trips.
type batches struct{ n atomic.Int64 }

func (b *batches) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	b.n.Add(1)
	return ctx
}
func (b *batches) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (b *batches) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (b *batches) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	b.n.Add(1)
	return ctx
}
func (b *batches) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestG11_RenewalsAreOneRoundTrip(t *testing.T) {
	_, schema := newPool(t)
	cfg, err := pgxpool.ParseConfig(dsn(server))
	require.NoError(t, err)
	cfg.ConnConfig.RuntimeParams["search_path"] = store.Quote(schema)
	var sent batches
	cfg.ConnConfig.Tracer = &sent
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	l := newLeases(t, pool, store.LeaseTable{})
	renew(t, l, a1, time.Hour)
	for _, call := range []func(){
		func() { renew(t, l, a1, time.Hour) }, func() { take(t, l, a1, 1) },
		func() { require.NoError(t, l.Give(t.Context(), a1, nil)) }, func() { require.NoError(t, l.Leave(t.Context(), a1)) },
	} {
		before := sent.n.Load()
		call()
		require.Equal(t, before+1, sent.n.Load())
	}
}

// TestG11_LeasesBeginAgain has a trigger that fails as the server does when transactions are in each other's way.
func TestG11_LeasesBeginAgain(t *testing.T) {
	for _, state := range []string{deadlockDetected, serializationFailure} {
		pool, _ := newPool(t)
		l := newLeases(t, pool, store.LeaseTable{})
		run(t, pool, `CREATE SEQUENCE tries; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF nextval('tries') < 4 THEN RAISE EXCEPTION 'again' USING ERRCODE = '`+state+`'; END IF;
				RETURN NEW;
			END $$;
			CREATE TRIGGER fail BEFORE INSERT ON penstock_leases FOR EACH ROW WHEN (new.name = 'a') EXECUTE FUNCTION fail()`)
		renew(t, l, a1, time.Hour)
	}
}

func TestG11_LeasesAreMadeByManyAtOnce(t *testing.T) {
	_, schema := newPool(t)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		pool := poolOf(t, dsn(server), schema)
		wg.Go(func() { _, errs[i] = NewLeases(context.Background(), pool, store.LeaseTable{}) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestG11_ClustersShareATable(t *testing.T) {
	pool, schema := newPool(t)
	one, other := newLeases(t, pool, store.LeaseTable{Cluster: "one"}), newLeases(t, pool, store.LeaseTable{Cluster: "other"})
	renew(t, one, a1, time.Minute)
	renew(t, other, a2, time.Minute)
	require.Len(t, take(t, one, a1, 1, 2), 2)
	require.Len(t, take(t, other, a2, 1, 2), 2)
	require.NoError(t, one.Leave(t.Context(), a2))
	v := renew(t, other, a2, time.Minute)
	require.Equal(t, []lease.Member{a2}, v.Members)
	require.Len(t, v.Shards, 2)
	epoch := v.Shards[0].Epoch
	third := newLeases(t, pool, store.LeaseTable{Table: schema + `.my "leases"`})
	require.Equal(t, []lease.Member{b1}, renew(t, third, b1, time.Minute).Members)

	for time.Now().UnixMilli() <= epoch { // which is of this millisecond
		runtime.Gosched()
	}
	run(t, pool, "TRUNCATE penstock_leases")
	renew(t, other, a1, time.Minute)
	require.Greater(t, take(t, other, a1, 1)[0].Epoch, epoch, "the table was lost")
	run(t, pool, "UPDATE penstock_leases SET epoch = 1::bigint << 50 WHERE name = ''") // which is in the far future
	require.EqualValues(t, 1<<50+1, take(t, other, a1, 2)[0].Epoch)
}

func TestG11_BadTablesOfLeases(t *testing.T) {
	pool, schema := newPool(t)
	bad := func(pool *pgxpool.Pool, at store.LeaseTable, says ...string) {
		t.Helper()
		_, err := NewLeases(t.Context(), pool, at)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, s := range says {
			require.ErrorContains(t, err, s)
		}
	}
	bad(pool, store.LeaseTable{Table: ".leases", Cluster: "\xff"}, "Table", "Cluster")
	run(t, pool, "CREATE TABLE other (cluster text, name text)")
	bad(pool, store.LeaseTable{Table: "other"}, "other", "incarnation")
	run(t, pool, "CREATE TABLE keyless (LIKE other)")
	newLeases(t, pool, store.LeaseTable{})
	run(t, pool, "CREATE TABLE copied (LIKE penstock_leases)")
	bad(pool, store.LeaseTable{Table: "copied"}, "no primary key or unique index")
	bad(poolOf(t, dsn(server)+"&synchronous_commit=off", schema), store.LeaseTable{}, "synchronous_commit")

	role := store.Quote(schema + "_role")
	run(t, pool, "CREATE ROLE "+role)
	t.Cleanup(func() { run(t, pool, "DROP OWNED BY "+role); run(t, pool, "DROP ROLE "+role) })
	run(t, pool, "GRANT USAGE ON SCHEMA "+store.Quote(schema)+" TO "+role)
	run(t, pool, "GRANT SELECT, INSERT ON penstock_leases TO "+role)
	lesser := poolOf(t, dsn(server)+"&role="+schema+"_role", schema)
	bad(lesser, store.LeaseTable{}, "permission denied")
	run(t, pool, "GRANT UPDATE, DELETE ON penstock_leases TO "+role)
	renew(t, newLeases(t, lesser, store.LeaseTable{}), a1, time.Minute)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := NewLeases(ended, pool, store.LeaseTable{})
	require.ErrorIs(t, err, context.Canceled)
}
