// Command bench measures Penstock's bucket, queue, pool, stat buffer and batch beside what one would use instead, in one process and in interleaved
// rounds, and prints ratios: absolute numbers from a shared machine mean little, their ratio in one run means more.
//
//	go run . [-run REGEXP] [-rounds N] [-time D] [-strict] …
//
// README.md says what each row means.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/internal/puppet"
)

func main() {
	pool.Main() // this binary is its own child
	puppet.Main(parts)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// scale is how long and how large a run is. The bars are meant for the defaults.
type scale struct {
	rounds   int           // rounds of each comparison; both sides run in each
	side     time.Duration // of one side in one round
	ids      int           // live IDs of the keyed rows
	callers  int           // callers of the rows in which many ask at once
	buckets  int           // live buckets of the memory row
	hold     time.Duration // window of the memory row: a bucket used within it is not passivated
	accuracy time.Duration // length of the accuracy and overload rows; whole seconds
	profile  string        // a directory for CPU profiles of the nodes; empty: none
	strict   bool
	only     *regexp.Regexp
	list     bool
}

func parseFlags(args []string, out io.Writer) (scale, error) {
	var s scale
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	only := fs.String("run", "", "run only the rows whose name matches this `regexp`")
	fs.BoolVar(&s.list, "list", false, "list the rows and run none")
	fs.BoolVar(&s.strict, "strict", false, "end with status 1 when a bar is missed")
	fs.IntVar(&s.rounds, "rounds", 9, "rounds of each comparison")
	fs.DurationVar(&s.side, "time", 150*time.Millisecond, "length of one side in one round")
	fs.IntVar(&s.ids, "ids", 100_000, "live IDs of the keyed rows")
	fs.IntVar(&s.callers, "callers", 64, "callers of the rows in which many ask at once")
	fs.IntVar(&s.buckets, "buckets", 1_000_000, "live buckets of the memory row")
	fs.DurationVar(&s.hold, "hold", 20*time.Second, "window that keeps the memory row's buckets alive; longer than creating them takes")
	fs.StringVar(&s.profile, "profile", "", "`directory` for CPU profiles of the cluster rows' nodes")
	fs.DurationVar(&s.accuracy, "accuracy", 5*time.Second, "length of the accuracy and overload rows, in whole seconds")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("-run: %w", err)
	}
	if s.rounds < 1 || s.side <= 0 || s.ids < 1 || s.callers < 1 || s.buckets < 1 || s.hold <= 0 || s.accuracy < time.Second || fs.NArg() > 0 {
		return s, errors.New("every number must be positive, -accuracy at least 1s, and there are no other arguments")
	}
	return s, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parseFlags(args, out)
	if err != nil {
		return err
	}
	if s.list {
		for _, r := range rows {
			fmt.Fprintln(out, r.name)
		}
		return nil
	}
	return measure(ctx, s, out)
}

// row is one thing to measure. It returns one line for each bar it has.
type row struct {
	name    string
	measure func(context.Context, scale) ([]line, error)
}

// rows, in the order of the table. Those that need a quiet heap come last, so that they disturb no other.
var rows = []row{
	{"handle/rate.Allow", handleRate},
	{"handle/rate.Wait", handleWait},
	{"handle/go-limiter", handleGoLimiter},
	{"handle/failsafe", handleFailsafe},
	{"handle/exact", handleExact},
	{"handle/smooth", handleSmooth},
	{"keyed/rate", keyedRate},
	{"keyed/go-limiter", keyedGoLimiter},
	{"waiting", waiting},
	{"overload", overload},
	{"accuracy/rolling", accuracyRolling},
	{"accuracy/smooth", accuracySmooth},
	{"queue/semaphore", queueSemaphore},
	{"queue/bulkhead", queueBulkhead},
	{"queue/adaptive", queueAdaptive},
	{"queue/rate.Wait", queueRateWait},
	{"queue/counter", queueCounterCrowd},
	{"queue/rate", queueRateCrowd},
	{"queue/crowd", queueCrowdAgainst},
	{"queue/many", queueMany},
	{"queue/sharing", queueSharing},
	{"queue/passive", queuePassive},
	{"queue/durable", queueDurable},
	{"queue/accuracy", queueAccuracy},
	{"queue/fair", queueFair},
	{"queue/overload", queueOverload},
	{"pool/pond", poolPond},
	{"pool/composed", poolComposed},
	{"pool/kill", poolKill},
	{"pool/wasm", poolWasm},
	{"pool/process", poolProcess},
	{"stat/counter", statCounter},
	{"stat/increment", statIncrement},
	{"stat/newkey", statNewKey},
	{"stat/flushfunc", statFlushFunc},
	{"stat/due-sqlite", statDueSQLite},
	{"stat/due-postgres", statDuePostgres},
	{"stat/million", statMillion},
	{"batch/1", batchRun(1, 2*time.Microsecond, batchAllocs)},
	{"batch/64", batchRun(64, 2*time.Microsecond, batchAllocs)},
	{"batch/4096", batchRun(4096, 4*time.Microsecond, 0)},
	{"batch/262144", batchRun(262_144, 10*time.Microsecond, 0)},
	{"batch/groupcommit", batchGroupCommit},
	{"batch/postgres-conflicts", batchConflicts},
	{"cluster/transport", clusterTransport},
	{"cluster/remote", clusterRemote},
	{"cluster/slices", clusterSlices},
	{"cluster/alone", clusterAlone},
	{"million", million},
}

func measure(ctx context.Context, s scale, out io.Writer) error {
	fmt.Fprintf(out, "%s %s/%s, GOMAXPROCS %d\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	var lines []line
	for _, r := range rows {
		if !s.only.MatchString(r.name) {
			continue
		}
		runtime.GC() // what an earlier row left behind is not this row's cost
		got, err := r.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		for _, l := range got {
			l.row = r.name
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return errors.New("no row matches -run; -list names them")
	}
	missed := printTable(out, lines)
	if s.strict && len(missed) > 0 {
		return fmt.Errorf("bars missed: %s", strings.Join(missed, ", "))
	}
	return nil
}
