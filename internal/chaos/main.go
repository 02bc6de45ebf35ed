//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/internal/puppet"
)

func main() {
	puppet.Main(fleet.Parts)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	c, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	if err := command(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (c config, err error) {
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.IntVar(&c.rounds, "rounds", 30, "rounds, of one fault each")
	fs.Uint64Var(&c.seed, "seed", 1, "what the faults are drawn from")
	fs.DurationVar(&c.lease, "lease", time.Second, "the nodes' lease")
	fs.DurationVar(&c.stop, "stop", 10*time.Second, "how long a stopped node is stopped; at most ten leases")
	fs.DurationVar(&c.grace, "grace", time.Second, "what two leases and a window may take longer, because the machine has more to do")
	fs.IntVar(&c.nodes, "nodes", 3, "nodes, 2 to 8; one more joins now and then")
	fs.IntVar(&c.ids, "ids", 12, "IDs that have a limit")
	fs.IntVar(&c.callers, "callers", 2, "callers of each ID at each node")
	fs.BoolVar(&c.alone, "control", false, "nodes that do not share: a control, which must fail")
	kinds := fs.String("faults", strings.Join(faults, ","), "which faults, by name")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	c.kinds = strings.Split(*kinds, ",")
	c.stop = min(c.stop, 10*c.lease)
	switch {
	case fs.NArg() > 0:
		return c, fmt.Errorf("%q is not a flag", fs.Arg(0))
	case c.rounds < 1 || c.ids < 1 || c.callers < 1 || c.lease < 100*time.Millisecond || c.stop <= 0 || c.grace < 0 || c.nodes < 2 || c.nodes > 8:
		return c, errors.New("every number must be positive, -lease at least 100ms, and -nodes 2 to 8")
	}
	for _, kind := range c.kinds {
		if !slices.Contains(faults, kind) {
			return c, fmt.Errorf("-faults has %q, it takes some of %s", kind, strings.Join(faults, ","))
		}
	}
	return c, nil
}

// command plays all rounds and prints each when it is over.
func command(ctx context.Context, c config, out io.Writer) error {
	l := c.law()
	fmt.Fprintf(out, `%d nodes, leases of %v; %d IDs, each of which may have %d requests in any %v; %d callers of each at each node.
Faults are drawn with -seed %d. gap: the longest time in which an ID was not served; at most two leases and a window (%v), and %v
for what the machine takes. late: the caller had its permit, and came to the API over %v after that; such calls are not judged.

%5s  %-11s  %-24s  %7s  %7s  %6s  %5s  %5s  %-36s  %s
`, c.nodes, c.lease, c.ids, l.events, l.per, c.callers, c.seed, c.bound(), c.grace, l.slack,
		"round", "fault", "whose", "lasted", "gap", "served", "429s", "late", "errors", "verdict")
	broken, sum, err := run(ctx, c, func(i int, r round) {
		verdict := "ok"
		if len(r.breach) > 0 {
			verdict = "BREACH: " + strings.Join(r.breach, "; ")
		}
		fmt.Fprintf(out, "%5d  %-11s  %-24s  %7s  %7s  %6d  %5d  %5d  %-36s  %s\n", i+1, r.kind, r.who(c.nodes), seconds(r.lasted), seconds(r.gap),
			r.served, r.refused, r.late, r.errors(), verdict)
	})
	fmt.Fprintf(out, "\n%d calls: %d answered, %d refused, %d late", sum.Issued, sum.Answered, sum.Refused, sum.Late)
	for _, kind := range kindsOf(sum.Errors) {
		fmt.Fprintf(out, ", %d %s", sum.Errors[kind], kind)
	}
	fmt.Fprintf(out, "; %d under way in nodes that were killed\n", sum.Issued-sum.Ended())
	for _, kind := range kindsOf(sum.Errors) {
		fmt.Fprintf(out, "  %s: %s\n", kind, sum.Texts[kind])
	}
	if len(broken) > 0 {
		err = errors.Join(err, fmt.Errorf("promises are broken:\n  %s", strings.Join(broken, "\n  ")))
	}
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
