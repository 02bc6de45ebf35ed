// Demo shows Penstock at work: against a strict API and before a server that is asked for too much, beside what people use
// instead, or on an access log of your own.
//
//	go run ./cmd/demo
//	go run ./cmd/demo -act overload
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

	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it could not be done, or Penstock broke its promise
	exitUsage  = 2 // the command line makes no sense
)

func main() {
	if config, ok := os.LookupEnv(mill.Variable); ok { // the server of the second act, which this program started
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
	if o.log == "" {
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
}

// actAll plays the acts that are asked for, one after the other, and prints each when it is over; as JSON all of them at the
// end. When ctx ends it plays none that has not begun.
func actAll(ctx context.Context, o options, _ io.Reader, stdout, stderr io.Writer) error {
	text := stdout
	if o.json {
		text = io.Discard
	}
	var all results
	var broken []error
	if o.plays(nameRace) {
		result, err := actRace(ctx, o.race, text, stderr)
		if err != nil {
			return err
		}
		all.Race = &result
		if !result.Kept {
			broken = append(broken, errors.New("a promise of Penstock is broken: see the race"))
		}
	}
	if o.plays(nameOverload) && ctx.Err() == nil {
		result, err := actOverload(ctx, o.overload, text, stderr)
		if err != nil {
			return err
		}
		all.Overload = &result
		if !result.Kept {
			broken = append(broken, errors.New("a promise of Penstock is broken: see the overload"))
		}
	}
	if o.json {
		broken = append(broken, printJSON(stdout, all))
	}
	return errors.Join(broken...)
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
