// Demo shows Penstock at work: against a strict API, beside what people use instead, or on an access log of your own.
//
//	go run ./cmd/demo
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
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it could not be done, or Penstock broke its promise
	exitUsage  = 2 // the command line makes no sense
)

func main() {
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
	act := actRace
	if o.log != "" {
		act = actLog
	}
	if err := act(ctx, o, stdin, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "demo: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// actRace runs the three kinds of clients against the strict API.
func actRace(ctx context.Context, o options, _ io.Reader, stdout, stderr io.Writer) error {
	if !o.json {
		if err := o.race.announce(stdout); err != nil {
			return err
		}
	}
	result, err := o.race.run(ctx, stderr)
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(stdout, result)
	} else {
		err = result.print(stdout)
	}
	if err == nil && !result.Kept {
		err = errors.New("a promise of Penstock is broken")
	}
	return err
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
