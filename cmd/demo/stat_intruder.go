package main

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/penstock-go/penstock/store/sqlite"
)

const (
	// lockEvery is how long the database is left alone between two locks.
	lockEvery = 400 * time.Millisecond
	// lockPatience is how long a flush may stand before a locked database.
	lockPatience = 50 * time.Millisecond
)

// intruder is another connection to the file. It locks it again and again, and each time until an attempt to flush has been
// given up for that.
type intruder struct {
	db     *sql.DB
	faults *faults
	locks  int
}

func newIntruder(file string, f *faults) (*intruder, error) {
	db, err := sqlite.Open(file)
	if err != nil {
		return nil, err
	}
	return &intruder{db: db, faults: f}, nil
}

// run locks until ctx ends. It closes begun when it has locked for the first time.
func (i *intruder) run(ctx context.Context, begun chan<- struct{}) {
	once := sync.OnceFunc(func() { close(begun) })
	defer once()
	for {
		if err := i.lock(ctx, once); err != nil {
			return // ctx ended, or there is no locking this file, of which the flushes will tell
		}
		if !sleepUntil(ctx, time.Now().Add(lockEvery)) {
			return
		}
	}
}

func (i *intruder) lock(ctx context.Context, locked func()) error {
	conn, err := i.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	i.locks++
	locked()
	before := i.faults.told().Locked
	for sleepUntil(ctx, time.Now().Add(lockPatience)) && i.faults.told().Locked == before {
		i.faults.giveUp()
	}
	_, err = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return err
}

func (i *intruder) close() error {
	if i == nil {
		return nil
	}
	return i.db.Close()
}
