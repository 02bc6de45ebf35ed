//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/store/sqlite"
)

// config is what the command line says.
type config struct {
	rounds  int
	seed    uint64
	lease   time.Duration
	stop    time.Duration // how long a node is stopped
	nodes   int
	ids     int
	callers int // of each ID at each node
	grace   time.Duration
	alone   bool // buckets of each node by itself: a control, which must fail
	kinds   []string
}

// patience is how long anything may take that is not judged by how long it takes.
const patience = time.Minute

func (c config) law() law { return law{events: 5, per: time.Second, slack: 200 * time.Millisecond} }

// bound is how long an ID may go without being served, whatever happens.
func (c config) bound() time.Duration { return 2*c.lease + c.law().per }

// world is the nodes, what connects them, and the API.
type world struct {
	config
	dir     string
	signer  *authority.Authority
	api     *api
	network *network
	fronts  []*front
	nodes   []*fleet.Node // nil: it is not there
	past    fleet.Report  // what became of the calls of former lives
	texts   map[string]string
}

func open(c config) (w *world, err error) {
	w = &world{config: c, network: newNetwork(), texts: make(map[string]string)}
	w.past.Errors = make(map[string]int)
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "penstock-chaos"); err != nil {
		return w, err
	}
	if err := fleet.Prepare(context.Background(), w.file()); err != nil {
		return w, err
	}
	if w.signer, err = authority.New(); err != nil {
		return w, err
	}
	if w.api, err = serveAPI(newRecord(c.law(), w.names()...)); err != nil {
		return w, err
	}
	w.nodes = make([]*fleet.Node, c.nodes+1) // one more for those who join
	for i := range w.nodes {
		f, err := w.network.open(nodeName(i))
		if err != nil {
			return w, err
		}
		w.fronts = append(w.fronts, f)
	}
	for i := range c.nodes {
		if err := w.start(i); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) close() error {
	for _, n := range w.nodes {
		if n != nil {
			n.Kill()
		}
	}
	w.network.close()
	if w.api != nil {
		w.api.close()
	}
	return os.RemoveAll(w.dir)
}

func (c config) names() []string {
	names := make([]string, c.ids)
	for i := range names {
		names[i] = fmt.Sprintf("user-%02d", i+1)
	}
	return names
}

func (w *world) file() string { return filepath.Join(w.dir, "leases.db") }

func (w *world) start(i int) (err error) {
	l := w.law()
	w.nodes[i], err = fleet.Start(fleet.Order{
		Name: nodeName(i), File: w.file(), Bind: w.fronts[i].target, Advertise: w.fronts[i].listener.Addr().String(), Authority: w.signer, Lease: w.lease,
		API: w.api.url, IDs: w.names(), Callers: w.callers, Slack: l.slack, Alone: w.alone, Patience: 3 * w.bound(),
		Limit: limit.Limit{Events: l.events, Per: l.per},
	})
	if err == nil {
		w.network.belongs(w.nodes[i].Pid(), nodeName(i))
	}
	return err
}

// alive are the nodes that are there.
func (w *world) alive() (nodes []*fleet.Node) {
	for _, n := range w.nodes {
		if n != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// settled waits until all nodes know each other and nothing is left without an owner, and each ID was served after a moment.
func (w *world) settled(ctx context.Context, since time.Duration) error {
	nodes := w.alive()
	whole := func(r fleet.Report) bool {
		owned := make(map[string]int)
		for _, n := range nodes {
			for _, id := range n.Sum().Owned {
				owned[id]++
			}
		}
		return r.Member && r.Members == len(nodes) && len(owned) == w.ids && w.api.servedSince(since) || ctx.Err() != nil
	}
	for _, n := range nodes {
		if err := n.Await(patience, whole); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// end forgets a node that is no more, and notes what became of its calls.
func (w *world) end(i int, r fleet.Report) {
	add(&w.past, r)
	w.nodes[i] = nil
}

func add(to *fleet.Report, r fleet.Report) {
	to.Issued += r.Issued
	to.Answered += r.Answered
	to.Refused += r.Refused
	to.Late += r.Late
	for kind, n := range r.Errors {
		to.Errors[kind] += n
	}
}

// sum is what has become of all calls up to now.
func (w *world) sum() fleet.Report {
	s := w.past
	s.Errors = maps.Clone(w.past.Errors)
	for _, n := range w.alive() {
		r := n.Sum()
		add(&s, r)
		for kind, text := range r.Texts {
			w.texts[kind] = text
		}
	}
	return s
}

// begin makes a fault, and returns what ends it.
func (w *world) begin(ctx context.Context, f fault) (end func() error, lasts time.Duration, err error) {
	none := func() error { return nil }
	n := w.nodes[f.victim]
	switch f.kind {
	case faultKill:
		n.Kill()
		w.end(f.victim, n.Sum())
		return func() error { return w.start(f.victim) }, w.bound(), nil
	case faultStop:
		n.Signal(stopSignal)
		return func() error { n.Signal(continueSignal); return nil }, w.stop, nil
	case faultCut, faultOne:
		how := broken
		if f.stalls {
			how = stall
		}
		w.network.set(how, f.ways()...)
		return func() error { w.network.set(whole, f.ways()...); return nil }, w.bound(), nil
	case faultStore:
		db, unlock, err := w.lock(ctx)
		return func() error { return errors.Join(unlock(), db.Close()) }, 2 * w.lease, err
	case faultLeave:
		return func() error { return w.start(f.victim) }, w.bound(), w.leave(f.victim)
	case faultJoin:
		extra := len(w.nodes) - 1
		return func() error { return w.leave(extra) }, w.bound(), w.start(extra)
	}
	return none, 0, fmt.Errorf("there is no fault %q", f.kind)
}

// leave has a node leave as it does when it is replaced: it ends its calls, and tells the others what it knows.
func (w *world) leave(i int) error {
	r, err := w.nodes[i].Leave(patience)
	if err == nil && r.Issued != r.Ended() {
		err = fmt.Errorf("%w: %s issued %d, and %d have an outcome", errLost, nodeName(i), r.Issued, r.Ended())
	}
	w.end(i, r)
	return err
}

var errLost = errors.New("calls were lost without an error")

// lock holds the file that the leases are in.
func (w *world) lock(ctx context.Context) (db *sql.DB, unlock func() error, err error) {
	if db, err = sqlite.Open(w.file()); err != nil {
		return nil, nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	for { // nodes hold it now and then
		if _, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err == nil {
			break
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "locked") && !strings.Contains(err.Error(), "busy") {
			return nil, nil, errors.Join(err, conn.Close(), db.Close())
		}
	}
	return db, func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(err, conn.Close())
	}, nil
}

// stopAll ends all callers, and checks that each call has an outcome.
func (w *world) stopAll() error {
	var errs []error
	for i, n := range w.nodes {
		if n == nil {
			continue
		}
		r, err := n.Stop(patience)
		if err == nil && r.Issued != r.Ended() {
			err = fmt.Errorf("%w: %s issued %d, and %d have an outcome", errLost, nodeName(i), r.Issued, r.Ended())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// kindsOf are the keys of errors, in order.
func kindsOf(errs map[string]int) []string { return slices.Sorted(maps.Keys(errs)) }
