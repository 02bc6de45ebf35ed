package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

// batchAct is the fifth act: a server moves money between wallets in a database, first in a transaction for each request, then
// in batches.
type batchAct struct {
	postgres string        // the URL of a database; "" is a SQLite file
	duration time.Duration // for which each server is asked
	seed     uint64
}

const (
	// tellers are the clients of a server. Each sends its next transfer when it has the answer to the last one.
	tellers = 32
	// batchBar is how many times as many requests are asked of the batch. How many it is depends on what a commit takes here.
	batchBar = 5
)

// way is one of moving money.
type way struct {
	name string
	open func(sys *penstock.System, b *bank.Bank) (bank.Mover, error)
}

// ways in the order of their turns; the last one is Penstock's.
var ways = []way{
	{"a transaction each", func(_ *penstock.System, b *bank.Bank) (bank.Mover, error) { return bank.NewEach(b), nil }},
	{"Penstock", func(sys *penstock.System, b *bank.Bank) (bank.Mover, error) { return bank.NewBatched(sys, b) }},
}

// run tries each way until its time is over or ctx ends.
func (a batchAct) run(ctx context.Context, stderr io.Writer) (batchResult, error) {
	result := batchResult{
		Database: a.database(), Wallets: bank.Wallets, Opening: bank.Opening, Tellers: tellers, Seed: a.seed, Bar: batchBar,
	}
	for _, w := range ways {
		if ctx.Err() != nil {
			break
		}
		row, err := a.try(ctx, w, stderr)
		if err != nil {
			return result, fmt.Errorf("%s: %w", w.name, err)
		}
		result.Rows = append(result.Rows, row)
	}
	result.Interrupted = ctx.Err() != nil
	result.judge()
	return result, nil
}

// open makes a bank with nothing moved in it.
func (a batchAct) open(ctx context.Context) (*bank.Bank, error) {
	if a.postgres != "" {
		return bank.OpenPostgres(ctx, a.postgres)
	}
	return bank.OpenSQLite(ctx)
}

// try has a server move money one way, and then compares the database with what the clients were told. What ends ctx ends the
// sending: who has sent gets an answer, and the database is looked at.
func (a batchAct) try(ctx context.Context, w way, stderr io.Writer) (row batchRow, err error) {
	whole := context.WithoutCancel(ctx)
	b, err := a.open(whole)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	sys, err := penstock.New(penstock.WithName("demo"), penstock.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, sys.Close(whole)) }()
	mover, err := w.open(sys, b)
	if err != nil {
		return row, err
	}
	counter, err := openCounter(mover)
	if err != nil {
		return row, err
	}
	c := newCrowd(counter.url, a.seed)
	c.run(ctx, a.duration, func(running context.Context) { progress(running, stderr, w.name, a.duration) })
	closing, cancel := context.WithTimeout(whole, overtime)
	defer cancel()
	if err := errors.Join(counter.close(closing), sys.Close(closing)); err != nil {
		return row, err
	}
	return c.score(whole, w.name, b)
}

// checkPostgres fails before the first act does.
func checkPostgres(url string) error {
	if url == "" {
		return errors.New("-pg is empty, it takes a PostgreSQL database: postgres://user@host/name")
	}
	if _, err := pgx.ParseConfig(url); err != nil {
		return fmt.Errorf("-pg takes a PostgreSQL database, postgres://user@host/name: %w", err)
	}
	return nil
}
