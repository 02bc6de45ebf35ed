package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
)

// hold begins a transaction that stays open, after a statement.
func hold(t *testing.T, pool *pgxpool.Pool, statement string, args ...any) pgx.Tx {
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
	return tx
}

// waits returns when a backend waits for the lock of a transaction, and that backend's process ID.
func waits(t *testing.T, pool *pgxpool.Pool, tx pgx.Tx) (pid int) {
	holder := tx.Conn().PgConn().PID()
	for {
		err := pool.QueryRow(t.Context(), "SELECT pid FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", holder).Scan(&pid)
		if err == nil {
			return pid
		}
		require.ErrorIs(t, err, pgx.ErrNoRows)
	}
}

func start(t *testing.T, s *Sink[string], f stat.Flush[string]) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Flush(t.Context(), f) }()
	return done
}

const rememberByHand = "INSERT INTO penstock_flushes (id, counts) VALUES ('1', 'views.n')"

// TestG8_AnAttemptThatStillRuns repeats a flush while the first attempt, whose client is gone, has not ended in the server.
func TestG8_AnAttemptThatStillRuns(t *testing.T) {
	for _, commits := range []bool{true, false} {
		pool, _ := newPool(t)
		require.NoError(t, CreateTables(t.Context(), pool, views))
		sink := newSink(t, pool, views)
		first := hold(t, pool, rememberByHand)
		_, err := first.Exec(t.Context(), "INSERT INTO views VALUES ('a', 5)")
		require.NoError(t, err)
		second := start(t, sink, flushOf("1", "a", 5))
		waits(t, pool, first)
		if commits {
			require.NoError(t, first.Commit(t.Context()))
		} else {
			require.NoError(t, first.Rollback(t.Context()))
		}
		require.NoError(t, <-second)
		require.Equal(t, map[string]int64{"a": 5}, counts(t, pool), "the first one commits: %v", commits)
	}
}

// TestG8_WhatIsCertain goes through the errors of which it is certain that nothing was stored, and those of which it is not.
func TestG8_WhatIsCertain(t *testing.T) {
	open := func(t *testing.T, script string) (*pgxpool.Pool, *Sink[string]) {
		pool, _ := newPool(t)
		run(t, pool, script)
		require.NoError(t, CreateTables(t.Context(), pool, views))
		return pool, newSink(t, pool, views)
	}
	nothing := func(t *testing.T, pool *pgxpool.Pool) {
		var n int
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM views WHERE n > 0) + (SELECT count(*) FROM penstock_flushes)").Scan(&n))
		require.Zero(t, n, "something was stored")
	}
	kill := func(t *testing.T, pool *pgxpool.Pool, pid int) {
		run(t, pool, "SELECT pg_terminate_backend($1)", pid)
	}
	t.Run("the server ends the connection while rows are written: certain", func(t *testing.T) {
		pool, s := open(t, "CREATE TABLE views (page text PRIMARY KEY, n bigint); INSERT INTO views VALUES ('b', 0)")
		other := hold(t, pool, "UPDATE views SET n = n")
		done := start(t, s, flushOf("1", "b", 1))
		kill(t, pool, waits(t, pool, other))
		require.ErrorIs(t, <-done, stat.ErrNotStored)
		nothing(t, pool)
	})
	t.Run("the server ends the connection while it waits for the ID: not certain", func(t *testing.T) {
		pool, s := open(t, "")
		other := hold(t, pool, rememberByHand)
		done := start(t, s, flushOf("1", "b", 1))
		kill(t, pool, waits(t, pool, other))
		err := <-done
		require.Error(t, err)
		require.NotErrorIs(t, err, stat.ErrNotStored)
	})
	t.Run("a constraint that is looked at when it commits: certain", func(t *testing.T) {
		pool, s := open(t, `CREATE TABLE pages (page text PRIMARY KEY);
			CREATE TABLE views (page text PRIMARY KEY REFERENCES pages DEFERRABLE INITIALLY DEFERRED, n bigint)`)
		require.ErrorIs(t, s.Flush(t.Context(), flushOf("1", "a", 1)), stat.ErrNotStored)
		nothing(t, pool)
		run(t, pool, "INSERT INTO pages VALUES ('a')")
		require.NoError(t, s.Flush(t.Context(), flushOf("1", "a", 1)))
	})
	t.Run("a trigger that keeps rows out: certain", func(t *testing.T) {
		pool, s := open(t, `CREATE TABLE views (page text PRIMARY KEY, n bigint);
			CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER skip BEFORE INSERT ON views FOR EACH ROW WHEN (new.page = 'b') EXECUTE FUNCTION skip()`)
		f := stat.Flush[string]{ID: "1", Deltas: []stat.Delta[string]{{Key: "a", N: 1}, {Key: "b", N: 1}}}
		err := s.Flush(t.Context(), f)
		require.ErrorIs(t, err, stat.ErrNotStored)
		require.ErrorContains(t, err, "1 of 2 rows were written")
		nothing(t, pool)
	})
	t.Run("a key that is too long is not cut: certain", func(t *testing.T) {
		for _, typ := range []string{"varchar(3)", "char(3)"} {
			pool, s := open(t, "CREATE TABLE views (page "+typ+" PRIMARY KEY, n bigint)")
			require.ErrorIs(t, s.Flush(t.Context(), flushOf("1", "long", 1)), stat.ErrNotStored)
			nothing(t, pool)
			require.NoError(t, s.Flush(t.Context(), flushOf("1", "lon", 1)))
			require.Equal(t, map[string]int64{"lon": 1}, counts(t, pool))
		}
	})
	t.Run("the server cannot be reached: not certain", func(t *testing.T) {
		pool, s := open(t, "")
		pool.Close()
		err := s.Flush(t.Context(), flushOf("1", "a", 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, stat.ErrNotStored)
	})
}

// TestDeadlocksAndSerializationFailuresBeginAgain has a trigger that fails as the server does when transactions are in each other's way.
func TestDeadlocksAndSerializationFailuresBeginAgain(t *testing.T) {
	for _, state := range []string{deadlockDetected, serializationFailure} {
		pool, _ := newPool(t)
		run(t, pool, `CREATE TABLE views (page text PRIMARY KEY, n bigint); CREATE SEQUENCE tries;
			CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF nextval('tries') < 4 THEN RAISE EXCEPTION 'again' USING ERRCODE = '`+state+`'; END IF;
				RETURN NEW;
			END $$;
			CREATE TRIGGER fail BEFORE INSERT ON views FOR EACH ROW EXECUTE FUNCTION fail()`)
		require.NoError(t, CreateTables(t.Context(), pool, views))
		require.NoError(t, newSink(t, pool, views).Flush(t.Context(), flushOf("1", "a", 1)))
		require.Equal(t, map[string]int64{"a": 1}, counts(t, pool))
		var tries int
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT last_value FROM tries").Scan(&tries))
		require.Equal(t, 4, tries)
	}
}
