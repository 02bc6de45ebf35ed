// Demo shows Penstock at work: against a strict API and before a server that is asked for too much, beside what people use
// instead, with functions that get out of hand, with counts in a database that fails, with money in a database that takes
// its time, between several processes of which one is killed, or on an access log of your own.
//
//	go run ./cmd/demo
//	go run ./cmd/demo -act overload
//	go run ./cmd/demo -act pool -dir ~/src
//	go run ./cmd/demo -act stat -log access.log.gz -db counts.db
//	go run ./cmd/demo -act batch
//	go run ./cmd/demo -nodes 3
//	go run ./cmd/demo -log access.log.gz -limit 10/6s -limit 100/1m
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/internal/puppet"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it could not be done, or Penstock broke its promise
	exitUsage  = 2 // the command line makes no sense
)

func main() {
	// This program starts itself again: as the third act's children and as the nodes, of which Main does not
	// return, and as the second act's server.
	pool.Main()
	puppet.Main(fleet.Parts)
	if config, ok := os.LookupEnv(mill.Variable); ok {
		os.Exit(mill.Main(config, os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with everything it touches as an argument. When ctx ends it prints what it has so far.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parseOptions(args)
	switch {
	case errors.Is(err, errHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "demo: %v\nRun it with -h to see what it takes.\n", err)
		return exitUsage
	}
	act := actLog
	if o.log == "" || o.act == nameStat {
		act = actAll
	}
	if err := act(ctx, o, stdin, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "demo: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// results are what the acts that were played came to.
type results struct {
	Race     *raceResult     `json:"race,omitempty"`
	Overload *overloadResult `json:"overload,omitempty"`
	Pool     *poolResult     `json:"pool,omitempty"`
	Stat     *statResult     `json:"stat,omitempty"`
	Batch    *batchResult    `json:"batch,omitempty"`
	Nodes    *nodesResult    `json:"nodes,omitempty"`
}

// actAll plays the acts that are asked for, one after the other, and prints each when it is over; as JSON all of them at the
// end. When ctx ends it plays none that has not begun.
func actAll(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) error {
	text := stdout
	if o.json {
		text = io.Discard
	}
	var all results
	var broken []error
	for _, name := range o.program() {
		if !o.plays(name) || ctx.Err() != nil {
			continue
		}
		kept, err := all.play(ctx, name, o, stdin, text, stderr)
		if err != nil {
			return err
		}
		if !kept {
			broken = append(broken, fmt.Errorf("a promise of Penstock is broken: see the %s", name))
		}
	}
	if o.json {
		broken = append(broken, printJSON(stdout, all))
	}
	return errors.Join(broken...)
}

// play plays one act and reports whether Penstock kept its promise.
func (r *results) play(ctx context.Context, name string, o options, stdin io.Reader, stdout, stderr io.Writer) (kept bool, err error) {
	switch name {
	case nameRace:
		result, err := actRace(ctx, o.race, stdout, stderr)
		r.Race = &result
		return result.Kept, err
	case nameOverload:
		result, err := actOverload(ctx, o.overload, stdout, stderr)
		r.Overload = &result
		return result.Kept, err
	case namePool:
		result, err := actPool(ctx, o.pool, stdout, stderr)
		r.Pool = &result
		return result.Kept, err
	case nameBatch:
		result, err := actBatch(ctx, o.batch, stdout, stderr)
		r.Batch = &result
		return result.Kept, err
	case nameNodes:
		result, err := actNodes(ctx, o.nodes, stdout, stderr)
		r.Nodes = &result
		return result.Kept, err
	default:
		result, err := actStat(ctx, o.stat, stdin, stdout, stderr)
		r.Stat = &result
		return result.Kept, err
	}
}

// actRace runs the three kinds of clients against the strict API.
func actRace(ctx context.Context, r race, stdout, stderr io.Writer) (raceResult, error) {
	if err := r.announce(stdout); err != nil {
		return raceResult{}, err
	}
	result, err := r.run(ctx, stderr)
	if err != nil {
		return result, err
	}
	return result, result.print(stdout)
}

// actOverload asks three kinds of servers for several times of what they can do.
func actOverload(ctx context.Context, o overload, stdout, stderr io.Writer) (overloadResult, error) {
	if err := o.announce(stdout); err != nil {
		return overloadResult{}, err
	}
	result, err := o.run(ctx, stderr)
	if err != nil {
		return result, err
	}
	return result, result.print(stdout)
}

// actPool has files worked on among functions that get out of hand.
func actPool(ctx context.Context, a poolAct, stdout, stderr io.Writer) (poolResult, error) {
	tree, err := a.find(ctx)
	if err != nil {
		return poolResult{}, err
	}
	if err := a.announce(stdout, tree); err != nil {
		return poolResult{}, err
	}
	result, err := a.run(ctx, tree, stderr)
	if err != nil {
		return result, err
	}
	return result, result.print(stdout)
}

// actStat counts requests into a file that fails now and then. What came to nothing leaves no file.
func actStat(ctx context.Context, a statAct, stdin io.Reader, stdout, stderr io.Writer) (statResult, error) {
	s, err := a.openSource(ctx, stdin)
	if err != nil {
		return statResult{}, err
	}
	defer func() { _ = s.close() }() // never fails
	if a, err = a.place(); err != nil {
		return statResult{}, err
	}
	if err := a.announce(stdout, s); err != nil {
		return statResult{}, errors.Join(err, a.discard())
	}
	result, err := a.run(ctx, s, stderr)
	if err != nil {
		return result, errors.Join(err, a.discard())
	}
	return result, result.print(stdout)
}

// actBatch has money moved in a transaction for each request, and in batches.
func actBatch(ctx context.Context, a batchAct, stdout, stderr io.Writer) (batchResult, error) {
	if err := a.announce(stdout); err != nil {
		return batchResult{}, err
	}
	result, err := a.run(ctx, stderr)
	if err != nil {
		return result, err
	}
	return result, result.print(stdout)
}

// actLog tells what limits would do to an access log.
func actLog(ctx context.Context, o options, stdin io.Reader, stdout, _ io.Writer) error {
	name, log, err := openLog(ctx, o.log, stdin)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // never fails
	report, err := o.whatIf.run(log)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if o.json {
		return printJSON(stdout, report)
	}
	return report.print(stdout, name)
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
