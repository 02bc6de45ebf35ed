package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
	"github.com/penstock-go/penstock/limit"
)

const usage = `Demo shows Penstock at work.

  demo [-act race|overload|pool|stat|batch] [-duration D] [-users 20] [-dir DIR] [-db FILE] [-pg URL]
       [-seed 1] [-quick] [-json]

    Five acts, one after the other; -act plays one of them. The exit code is 1 if Penstock broke
    a promise.

    race      A strict API on this machine allows each user 10 requests in any 6 seconds and
              answers 429 beyond that. Against it, at the same time and with the same demand:
              plain clients that retry, clients with golang.org/x/time/rate, and plain clients
              whose transport is Penstock's. The table at the end comes from the API's own
              record. The promise is that no request of Penstock's is refused.
    overload  A server on this machine is asked for 5 times of what it can do: as it is, behind a
              semaphore, and behind Penstock's queue. The promise is that something becomes of
              every request, and that with the queue no fewer are answered in time than without.
    pool      Real files are hashed and compressed in pools that two customers share, among functions
              that hang, spin, panic, exit and take memory without end. The promise is that every
              file is done, every failure stays with its caller, and nothing is left behind.
    stat      Requests are counted, by path and by client, in memory and at full speed, and the sums
              go into a SQLite file: while answers to its COMMITs are lost, and while another
              connection locks it. The promise is that every sum in the file is what a plain count
              of the same requests is: nothing lost, nothing stored twice.
    batch     Clients have a server move money between wallets in a database: with a transaction for
              each request, and with Penstock's batches. The promise is that every transfer that was
              answered is in the database, once, and that every wallet holds what its transfers
              come to.

    -duration  how long the race runs, 1s to 1h; one that would end just when the API opens again
               goes on for a third of a window                             (default 20s)
               and how long each server of the overload is under load      (default 10s)
               and after how long the pools are asked for no more files    (default 15s)
               and for how long there are requests to count                (default 5s)
               and how long each server of the wallets is asked            (default 10s)
    -users     how many users the API of the race has, 1 to 200            (default 20)
    -dir       the directory whose files the pools work on, with all below it: the first 20,000
               of 1 byte to 16 MiB           (default: Go's own sources, or the current directory)
    -db        the file that is counted into, which must not be there yet: you can open it with sqlite3
               afterwards, or meanwhile          (default: one among the system's temporary files)
    -pg        a PostgreSQL database for the wallets, in a schema that is removed again: postgres://…
               (default: a SQLite file among the system's temporary files, removed again)
    -seed      what the demand is drawn from                               (default 1)
    -quick     10 requests in any 2 seconds instead of 6, for 5.5 s, 2 s under load, 300 files,
               1 s of requests, and 1 s for each server of the wallets: a check for machines

  demo -nodes N [-users 12] [-quick] [-json]

    Several nodes: N processes on this machine, 2 to 16, call a strict API for the same users, who want
    more than the 10 requests that it allows each in any 6 seconds. One of the processes is killed, and
    comes back. The promise is that no request is refused, by the API's own record, and that everybody
    is served again. It takes 50 s; with -quick, 10 requests in any 2 seconds and 20 s.

  demo -log FILE [-limit 10/6s]... [-max-waiting N] [-json]

    What a limit would do to your own traffic: every client of an access log is a bucket,
    replayed in virtual time.

    -log          an access log in common or combined format, plain or gzip; - is standard input
    -limit        10/6s, 100/1m, 5/s, 10/6s:smooth:burst=3, 60/1m:calendar; may be repeated,
                  each is tried by itself                                  (default 10/6s)
    -max-waiting  how many requests of a client may wait; more are refused (default 10000)

  demo -act stat -log FILE [-db FILE] [-json]

    The fourth act with the requests of an access log, each of which is counted once.

  -json prints the result as JSON; times are in nanoseconds.
  -h    prints this.

  go run ./cmd/demo
  go run ./cmd/demo -act overload
  go run ./cmd/demo -act pool -dir .
  go run ./cmd/demo -act stat -log access.log.gz -db counts.db
  go run ./cmd/demo -act batch -pg postgres://localhost/test
  go run ./cmd/demo -nodes 3
  go run ./cmd/demo -log /var/log/nginx/access.log -limit 10/1s -limit 100/1m
`

// The names of the acts, as -act takes them.
const (
	nameRace     = "race"
	nameOverload = "overload"
	namePool     = "pool"
	nameStat     = "stat"
	nameBatch    = "batch"
	nameNodes    = "nodes" // not one that -act takes: -nodes plays it
)

// acts in the order in which they are played.
var acts = []string{nameRace, nameOverload, namePool, nameStat, nameBatch}

var errHelp = flag.ErrHelp

// options are a command line, checked.
type options struct {
	json     bool
	act      string // "" plays all
	race     race
	overload overload
	pool     poolAct
	stat     statAct
	batch    batchAct
	nodes    nodesAct
	log      string // "" plays the acts
	whatIf   whatIf
}

// program is what may be played.
func (o options) program() []string {
	if o.nodes.count != 0 {
		return []string{nameNodes}
	}
	return acts
}

// plays reports whether an act is asked for.
func (o options) plays(act string) bool { return o.act == "" || o.act == act }

func parseOptions(args []string) (options, error) {
	o := options{whatIf: whatIf{lookAhead: lookAhead}}
	var quick bool
	var duration time.Duration
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the errors and the usage
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.act, "act", "", "")
	flags.BoolVar(&quick, "quick", false, "")
	flags.DurationVar(&duration, "duration", 0, "")
	flags.IntVar(&o.race.users, "users", 20, "")
	flags.Uint64Var(&o.race.seed, "seed", 1, "")
	flags.StringVar(&o.pool.dir, "dir", "", "")
	flags.StringVar(&o.stat.file, "db", "", "")
	flags.StringVar(&o.batch.postgres, "pg", "", "")
	flags.IntVar(&o.nodes.count, "nodes", 0, "")
	flags.StringVar(&o.log, "log", "", "")
	flags.IntVar(&o.whatIf.maxWaiting, "max-waiting", 0, "")
	flags.Func("limit", "", func(s string) error {
		l, err := limit.Parse(s)
		o.whatIf.limits = append(o.whatIf.limits, l)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	set := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	o.overload.seed, o.pool.seed, o.stat.seed, o.batch.seed, o.stat.log = o.race.seed, o.race.seed, o.race.seed, o.race.seed, o.log
	o.nodes.users = nodesUsers
	if set["users"] {
		o.nodes.users = o.race.users
	}
	o.pace(quick)
	if set["duration"] {
		o.race.duration, o.overload.duration, o.pool.duration, o.stat.duration = duration, duration, duration, duration
		o.batch.duration = duration
	}
	if len(o.whatIf.limits) == 0 {
		o.whatIf.limits = []limit.Limit{{Events: 10, Per: 6 * time.Second}}
	}
	err := errors.Join(o.check(set), checkNoArguments(flags))
	o.race.duration = wholeWindows(o.race.duration, o.race.rule.Per)
	return o, err
}

// pace sets how long the acts take. One process is the race's API and all its clients, so the way to it jitters as if it were
// far. The quick check, which must not depend on how busy a machine is, keeps far away.
func (o *options) pace(quick bool) {
	o.race.rule, o.race.slack = strict.Rule{Events: 10, Per: 6 * time.Second}, 150*time.Millisecond
	o.race.duration, o.overload.duration, o.overload.sample = 20*time.Second, 10*time.Second, 2*time.Second
	o.pool.files, o.pool.repeat, o.pool.duration, o.pool.patience = 20_000, 3, 15*time.Second, 250*time.Millisecond
	o.stat.duration, o.batch.duration = 5*time.Second, 10*time.Second
	o.nodes.rule, o.nodes.slack, o.nodes.phase = o.race.rule, 300*time.Millisecond, 13*time.Second
	if quick {
		o.nodes.rule.Per, o.nodes.slack, o.nodes.phase = 2*time.Second, 600*time.Millisecond, 5500*time.Millisecond
		o.race.rule.Per, o.race.slack = 2*time.Second, 600*time.Millisecond
		o.race.duration, o.overload.duration, o.overload.sample = 5500*time.Millisecond, 2*time.Second, time.Second/2
		o.pool.files, o.pool.repeat, o.pool.duration = 300, 1, 3*time.Second
		o.stat.duration, o.batch.duration = time.Second, time.Second
	}
}

// wholeWindows makes a run last at least a third of a window longer than the whole windows in it. What the API allows grows by
// a burst at the start of a window, and a run that ended at that moment would count what nobody had the time to ask for.
func wholeWindows(d, per time.Duration) time.Duration { return max(d, d.Truncate(per)+per/3) }

// check names every value out of range and every flag of the act that is not asked for.
func (o options) check(set map[string]bool) error {
	var errs []error
	if o.act != "" && !slices.Contains(acts, o.act) {
		errs = append(errs, fmt.Errorf("-act is %q, it takes %s, %s, %s, %s or %s", o.act, nameRace, nameOverload, namePool, nameStat, nameBatch))
	}
	if d := o.race.duration; d < time.Second || d > time.Hour {
		errs = append(errs, fmt.Errorf("-duration is %v, it takes 1s to 1h", d))
	}
	if n := o.race.users; n < 1 || n > 200 {
		errs = append(errs, fmt.Errorf("-users is %d, it takes 1 to 200", n))
	}
	if n := o.whatIf.maxWaiting; set["max-waiting"] && n < 1 {
		errs = append(errs, fmt.Errorf("-max-waiting is %d, it takes 1 or more", n))
	}
	if set["log"] && o.log == "" {
		errs = append(errs, errors.New("-log takes a file, or - for standard input"))
	}
	for _, name := range []string{"limit", "max-waiting"} {
		switch {
		case set[name] && !set["log"]:
			errs = append(errs, fmt.Errorf("-%s needs -log", name))
		case set[name] && o.act == nameStat:
			errs = append(errs, fmt.Errorf("-%s does not go with -act %s", name, nameStat))
		}
	}
	for _, of := range []struct{ flag, act string }{{"users", nameRace}, {"dir", namePool}, {"db", nameStat}, {"pg", nameBatch}} {
		if set[of.flag] && !o.plays(of.act) && slices.Contains(acts, o.act) {
			errs = append(errs, fmt.Errorf("-%s does not go with -act %s", of.flag, o.act))
		}
	}
	if set["dir"] {
		errs = append(errs, checkDirectory(o.pool.dir))
	}
	if set["db"] {
		errs = append(errs, checkNewFile(o.stat.file))
	}
	if set["pg"] {
		errs = append(errs, checkPostgres(o.batch.postgres))
	}
	if n := o.nodes.count; set["nodes"] && (n < 2 || n > 16) {
		errs = append(errs, fmt.Errorf("-nodes is %d, it takes 2 to 16", n))
	}
	for _, name := range []string{"act", "duration", "dir", "db", "pg", "seed", "log"} {
		if set[name] && set["nodes"] {
			errs = append(errs, fmt.Errorf("-%s does not go with -nodes", name))
		}
	}
	for _, name := range []string{"act", "duration", "users", "dir", "db", "pg", "seed", "quick"} {
		counts := o.act == nameStat && (name == "act" || name == "db")
		if set[name] && set["log"] && !counts {
			errs = append(errs, fmt.Errorf("-%s does not go with -log", name))
		}
	}
	return errors.Join(errs...)
}

// checkDirectory fails before the first act does.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case dir == "":
		return errors.New("-dir is empty, it takes a directory")
	case err != nil:
		return fmt.Errorf("-dir is %q, it takes a directory: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("-dir is %q, it takes a directory, and that is a file", dir)
	}
	return nil
}

// checkNewFile fails before the first act does.
func checkNewFile(path string) error {
	if path == "" {
		return errors.New("-db is empty, it takes a file that is not there yet")
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("-db is %q, it takes a file that is not there yet, and that one is", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("-db is %q, it takes a file in a directory that is there", path)
	}
	return nil
}

func checkNoArguments(flags *flag.FlagSet) error {
	if flags.NArg() == 0 {
		return nil
	}
	return fmt.Errorf("%q is not a flag; a log is named with -log", flags.Arg(0))
}
