// Command mutants proves that the tests would notice. Each mutant is a deliberate bug: a patch in this folder, named
// for the guarantee it breaks, with the test that must turn red. The command applies each to a copy of the repository
// and runs that test; a patch that no longer applies, or a test that stays green, fails the run.
//
//	go run ./internal/mutants [-run REGEXP] [-j N] [-timeout D] [-v]
//
// A mutant is a unified diff under a header of "# key: value" lines, for instance G1_oldest_is_forgotten.patch:
//
//	# test: ./limit TestG1_RollingNeverExceeds
//	# bug: the oldest entry of a window is dropped one nanosecond too early
//	diff --git a/limit/rolling.go b/limit/rolling.go
//	…
//
// The keys are:
//
//	test     package and regular expression; it must match the whole name of top-level tests
//	bug      one sentence: what the mutant breaks
//	flags    further flags of go test, such as -race (optional)
//	red      "timeout" when the bug shows as a test that hangs; else a hang is an error (optional)
//	timeout  how long the mutated test may run, such as 20s (optional; default -timeout)
//
// Red means that the test ran and failed. A mutant that does not compile proves nothing, so it is an error. The tests
// named are run once without any mutant first: there they must exist, run, and be green.
//
// When docs/guarantees.md exists it is checked too: every test and every mutant it names must exist, and every
// guarantee whose status is "held" must have a mutant.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	root    string         // the repository
	dir     string         // folder of the patches, relative to root
	only    *regexp.Regexp // mutants whose file name matches
	workers int            // copies of the repository that are tested at once
	timeout time.Duration  // of one test run, unless its mutant says otherwise
	verbose bool           // print the output of red tests too
}

func parseFlags(args []string, out io.Writer) (options, error) {
	o := options{dir: filepath.Join("internal", "mutants")}
	fs := flag.NewFlagSet("mutants", flag.ContinueOnError)
	fs.SetOutput(out)
	only := fs.String("run", "", "run only the mutants whose file name matches this `regexp`")
	fs.IntVar(&o.workers, "j", min(2, runtime.NumCPU()), "copies of the repository tested at once")
	fs.DurationVar(&o.timeout, "timeout", 2*time.Minute, "limit of one test run")
	fs.BoolVar(&o.verbose, "v", false, "print what the tests print, also when they turn red as they should")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if o.workers < 1 || o.timeout <= 0 || fs.NArg() > 0 {
		return o, errors.New("-j and -timeout must be positive, and there are no other arguments")
	}
	wd, err := os.Getwd()
	if err != nil {
		return o, err
	}
	o.root, err = moduleRoot(wd)
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseFlags(args, out)
	if err != nil {
		return err
	}
	return check(ctx, o, out)
}

// check is the whole run: it loads the mutants, runs their tests without them and then with them, reads the list of
// guarantees, and prints a table. It returns an error when anything is not as it should be.
func check(ctx context.Context, o options, out io.Writer) error {
	all, err := loadMutants(filepath.Join(o.root, o.dir))
	if err != nil {
		return err
	}
	var selected []*mutant
	for _, m := range all {
		if o.only == nil || o.only.MatchString(m.name) {
			selected = append(selected, m)
		}
	}
	if len(selected) == 0 {
		return fmt.Errorf("no mutants in %s match", o.dir)
	}
	files, err := listFiles(ctx, o.root)
	if err != nil {
		return err
	}
	docErr := checkGuarantees(o.root, files, all)

	results, err := runAll(ctx, o, files, selected)
	if err != nil {
		return err
	}
	bad := printResults(out, results, o.verbose)
	if bad > 0 {
		err = fmt.Errorf("%d of %d mutants did not turn their test red", bad, len(results))
	}
	return errors.Join(err, docErr)
}
