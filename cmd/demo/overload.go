package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
)

// overload is the second act: the same server three times, one after the other, each asked for several times of what it can do.
type overload struct {
	duration time.Duration // for which each server is under load
	sample   time.Duration // for which a server without load is measured first
	seed     uint64
}

const (
	// overloadCost is what a request costs the server in processor time: so much that hundreds of refusals a second, which
	// cost it something too, and the clients are cheap beside it.
	overloadCost = 20 * time.Millisecond
	// overloadFactor is how many times of what the server can do is asked of it.
	overloadFactor = 5
	// deadline is how long a client waits for its answer.
	deadline = 500 * time.Millisecond
	// urgent requests go before the others, where the server knows of that.
	urgent = priority(mill.Urgent)
	// urgentShare of the requests are urgent: a quarter of what the server can do.
	urgentShare = 0.05
)

// contender is a server of this act.
type contender struct {
	name  string
	guard mill.Guard
}

// contenders in the order of their turns; the last one is Penstock.
var contenders = []contender{{"no queue", mill.None}, {"semaphore", mill.Semaphore}, {"Penstock", mill.Queue}}

// run measures what the server can do, and then tries each kind of server until its time is over or ctx ends.
func (o overload) run(ctx context.Context, stderr io.Writer) (overloadResult, error) {
	work := mill.Calibrate(overloadCost)
	result := overloadResult{Deadline: deadline, Seed: o.seed}
	var err error
	result.Capacity, err = o.capacity(ctx, work)
	result.Asked = overloadFactor * result.Capacity
	for _, c := range contenders {
		if err != nil || ctx.Err() != nil {
			break
		}
		var row overloadRow
		if row, err = o.try(ctx, c, work, result.Asked, stderr); err != nil {
			err = fmt.Errorf("%s: %w", c.name, err)
			break
		}
		row.Share = row.share(result.Capacity)
		result.Rows = append(result.Rows, row)
	}
	result.Interrupted = ctx.Err() != nil
	if result.Interrupted {
		err = nil // whatever failed did so because of that
	}
	result.Kept = result.kept()
	return result, err
}

// try runs one kind of server under load.
func (o overload) try(ctx context.Context, c contender, work mill.Work, perSecond float64, stderr io.Writer) (row overloadRow, err error) {
	server, err := mill.Start(mill.Config{Guard: c.guard, Work: work, Deadline: deadline})
	if err != nil {
		return row, err
	}
	running, stop := context.WithTimeoutCause(ctx, o.duration, errOver)
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		progress(running, stderr, c.name, o.duration)
	}()
	load := newLoad(server.URL, deadline)
	load.run(ctx, arrivals(o.seed, perSecond, o.duration), o.duration)
	stop()
	<-watched
	totals, err := server.Close()
	return load.score(c.name, totals), err
}
