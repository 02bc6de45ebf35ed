package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
)

const (
	conflictKeys      = 10
	conflictProcesses = 2
	conflictCallers   = 32 // of each process
	conflictWindow    = 5 * time.Millisecond
	conflictSides     = 200 // times -time is how long they go on
	conflictLeast     = 2 * time.Second
	conflictMemory    = 4 << 30 // of a process; it needs little, but the race detector's records count too
)

// sums is what a process was told.
type sums struct {
	Answered  map[string]int64 // what the operations have added that were answered as saved
	Calls     int
	Conflicts uint64
	Failed    int
	Reason    string // of one that failed
}

// conflictOrder is what a process is to do.
type conflictOrder struct {
	Server, Table string
	Time          time.Duration
}

// tallied is a row.
type tallied struct{ N, Version int64 }

// benchConflicts adds to rows that another process adds to as well, and keeps its own record.
var benchConflicts = pool.Register("bench/conflicts", func(ctx context.Context, o conflictOrder) (s sums, err error) {
	db, err := pgxpool.New(ctx, postgresURL(o.Server))
	if err != nil {
		return s, err
	}
	defer db.Close()
	rows, err := postgres.NewResource(ctx, db, store.Resource[string, *tallied]{
		Select:  "SELECT n, version FROM " + o.Table + " WHERE id = $1",
		Update:  "UPDATE " + o.Table + " SET n = $2, version = version + 1 WHERE id = $1 AND version = $3 RETURNING version",
		Scan:    func(t *tallied) []any { return []any{&t.N} },
		Version: func(t *tallied) *int64 { return &t.Version },
	})
	if err != nil {
		return s, err
	}
	h, err := openEmpty()
	if err != nil {
		return s, err
	}
	defer h.close(&err)
	p, err := batch.NewProcessor(h.sys, "bench", batch.Config[string, *tallied]{
		MinDuration: conflictWindow, MaxDuration: 10 * time.Second, LoadMany: rows.LoadMany, SaveMany: rows.SaveMany,
	})
	if err != nil {
		return s, err
	}
	s = addUntil(ctx, p, time.Now().Add(o.Time))
	s.Conflicts = p.Info().Conflicts
	return s, nil
})

// addUntil adds to all rows, from several goroutines.
func addUntil(ctx context.Context, p *batch.Processor[string, *tallied], end time.Time) sums {
	s := sums{Answered: make(map[string]int64)}
	var mu sync.Mutex
	var callers sync.WaitGroup
	var next atomic.Int64
	for range conflictCallers {
		callers.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				i := int(next.Add(1))
				key := conflictKey(i % conflictKeys)
				err := p.Run(ctx, key, func(t *tallied) { t.N += amount(i) })
				mu.Lock()
				s.Calls++
				if err == nil {
					s.Answered[key] += amount(i)
				} else {
					s.Failed++
					s.Reason = err.Error()
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return s
}

func conflictKey(i int) string { return fmt.Sprintf("row-%d", i) }

func batchConflicts(ctx context.Context, s scale) ([]line, error) {
	return conflictsAt(ctx, s, postgresServer)
}

// conflictsAt measures nothing, and says so, if there is no server.
func conflictsAt(ctx context.Context, s scale, server string) (lines []line, err error) {
	db, err := pgxpool.New(ctx, postgresURL(server))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil {
		return []line{{
			what: "two processes at the same rows of PostgreSQL", ours: "no server", allocs: -1,
			note: fmt.Sprintf("it needs PostgreSQL at %s, with a database test and a user postgres who needs no password: %v", server, err),
		}}, nil
	}
	o := conflictOrder{server, "penstock_bench_" + strings.ToLower(rand.Text()), max(conflictLeast, conflictSides*s.side)}
	_, err = db.Exec(ctx, "CREATE TABLE "+o.Table+" (id text PRIMARY KEY, n bigint NOT NULL, version bigint NOT NULL)")
	if err != nil {
		return nil, err
	}
	defer func() { // also when ctx has ended
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, dropped := db.Exec(ctx, "DROP TABLE "+o.Table)
		err = errors.Join(err, dropped)
	}()
	for i := range conflictKeys {
		if _, err := db.Exec(ctx, "INSERT INTO "+o.Table+" VALUES ($1, 0, 1)", conflictKey(i)); err != nil {
			return nil, err
		}
	}
	all, err := together(ctx, o)
	if err != nil {
		return nil, err
	}
	saved, saves, err := readTallied(ctx, db, o.Table)
	if err != nil {
		return nil, err
	}
	return []line{conflictLine(o.Time, all, saved, saves)}, nil
}

// together has several processes do the same at once.
func together(ctx context.Context, o conflictOrder) ([]sums, error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	p, err := pool.New(h.sys, "bench", pool.Config{MaxWorkers: conflictProcesses})
	if err != nil {
		return nil, err
	}
	all, errs := make([]sums, conflictProcesses), make([]error, conflictProcesses)
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			all[i], errs[i] = pool.Run(ctx, p, pool.Task{MaxMemory: conflictMemory}, benchConflicts.With(o))
		})
	}
	running.Wait()
	return all, errors.Join(errs...)
}

// readTallied is what the rows hold, and how often they were saved.
func readTallied(ctx context.Context, db *pgxpool.Pool, table string) (saved map[string]int64, saves int64, err error) {
	rows, err := db.Query(ctx, "SELECT id, n, version FROM "+table)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	saved = make(map[string]int64)
	for rows.Next() {
		var key string
		var t tallied
		if err := rows.Scan(&key, &t.N, &t.Version); err != nil {
			return nil, 0, err
		}
		saved[key] = t.N
		saves += t.Version - 1
	}
	return saved, saves, rows.Err()
}

// conflictLine compares what is in the rows with what the processes were told. Without a conflict nothing was tried.
func conflictLine(d time.Duration, all []sums, saved map[string]int64, saves int64) line {
	var calls, failed, wrong int
	var conflicts uint64
	var reason string
	for _, s := range all {
		calls, failed, conflicts = calls+s.Calls, failed+s.Failed, conflicts+s.Conflicts
		if s.Reason != "" {
			reason = "; one of them: " + s.Reason
		}
	}
	for i := range conflictKeys {
		var told int64
		for _, s := range all {
			told += s.Answered[conflictKey(i)]
		}
		if saved[conflictKey(i)] != told {
			wrong++
		}
	}
	return line{
		what: fmt.Sprintf("%d processes at the same %d rows of PostgreSQL for %v: rows that are not the sum of what was answered", len(all), conflictKeys, d),
		ours: fmt.Sprint(wrong), bar: "0", met: wrong == 0 && calls > failed && conflicts > 0, allocs: -1,
		note: fmt.Sprintf("%d operations (%.0f a second), %d saves of a row, %d batches run again because of the other process, %d operations refused after too many of these%s",
			calls, float64(calls)/d.Seconds(), saves, conflicts, failed, reason),
	}
}
