package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/limit"
)

const (
	nodesLease    = time.Second
	nodesCallers  = 3 // of each user at each node, who always want more
	nodesUsers    = 12
	nodesPatience = time.Minute // of a call, and how long anything but the phases may take
	victim        = 1           // which node is killed
)

// nodesAct has several processes share the limits of a strict API's users, and kills one of them.
type nodesAct struct {
	count int // of nodes; 0: the act is not asked for
	users int
	rule  strict.Rule
	slack time.Duration
	phase time.Duration
}

// nodesStage is the act while it is played.
type nodesStage struct {
	nodesAct
	dir    string
	signer *authority.Authority
	api    *strict.Server
	nodes  []*fleet.Node
	away   int // which node is; -1: none
	failed int // calls of nodes' former lives that ended with an error
	result nodesResult
}

// actNodes plays it and prints what came of it.
func actNodes(ctx context.Context, a nodesAct, stdout, stderr io.Writer) (nodesResult, error) {
	if err := a.announce(stdout); err != nil {
		return nodesResult{}, err
	}
	result, err := a.run(ctx, stderr)
	if err != nil {
		return result, err
	}
	return result, result.print(stdout)
}

func (a nodesAct) run(ctx context.Context, stderr io.Writer) (result nodesResult, err error) {
	s := &nodesStage{nodesAct: a, away: -1}
	if s.dir, err = os.MkdirTemp("", "penstock-demo"); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	if s.signer, err = authority.New(); err != nil {
		return result, err
	}
	if s.api, err = strict.Start(a.rule); err != nil {
		return result, err
	}
	defer func() {
		for _, n := range s.nodes {
			n.Kill()
		}
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.api.Close(ended) // who called it is gone
	}()
	if err := s.open(ctx); err != nil {
		return result, err
	}
	err = s.play(ctx, stderr)
	return s.result, err
}

// open starts the nodes, and returns when every user was served: who gains a user that nobody had before assumes that the limit is used up.
func (s *nodesStage) open(ctx context.Context) error {
	if err := fleet.Prepare(ctx, s.file()); err != nil {
		return err
	}
	for i := range s.count {
		n, err := s.start(i)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, n)
	}
	for _, n := range s.nodes {
		err := n.Await(nodesPatience, func(r fleet.Report) bool {
			return r.Member && r.Members == s.count && s.owned() == s.users && s.served()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *nodesStage) start(i int) (*fleet.Node, error) {
	return fleet.Start(fleet.Order{
		Name: nodeName(i), File: s.file(), Authority: s.signer, Lease: nodesLease,
		API: s.api.URL, IDs: s.ids(), Callers: nodesCallers, Slack: s.slack, Patience: nodesPatience,
		Limit: limit.Limit{Events: s.rule.Events, Per: s.rule.Per},
	})
}

func (s *nodesStage) file() string { return filepath.Join(s.dir, "leases.db") }

func nodeName(i int) string { return fmt.Sprintf("n%d", i+1) }

func (a nodesAct) ids() []string {
	ids := make([]string, a.users)
	for i := range ids {
		ids[i] = fmt.Sprintf("user-%03d", i+1)
	}
	return ids
}

// owned is how many users have an owner.
func (s *nodesStage) owned() (users int) {
	for i, n := range s.nodes {
		if i != s.away {
			users += len(n.Sum().Owned)
		}
	}
	return users
}

// served reports whether every user was.
func (s *nodesStage) served() bool {
	for _, id := range s.ids() {
		if s.api.Record.ServedAfter(id, time.Time{}).IsZero() {
			return false
		}
	}
	return true
}

// play is the course of events.
func (s *nodesStage) play(ctx context.Context, stderr io.Writer) error {
	shown, done := context.WithCancel(ctx)
	showing := make(chan struct{})
	go func() {
		defer close(showing)
		progress(shown, stderr, "the nodes", 3*s.phase)
	}()
	defer func() {
		done()
		<-showing
	}()
	s.result = nodesResult{Events: s.rule.Events, Per: s.rule.Per, Users: s.users, Nodes: s.count}
	began := time.Now()
	s.waits()

	before := s.begin("before")
	s.pass(ctx)
	s.finish(before)

	if ctx.Err() == nil {
		away := s.begin("while " + nodeName(victim) + " is away")
		s.result.Killed = time.Since(began)
		lost := s.nodes[victim].Sum().Owned
		s.nodes[victim].Kill()
		killed := time.Now()
		s.away = victim
		s.pass(ctx)
		s.again(lost, killed)
		away.Owned = s.ownedBy()
		if err := s.bringBack(began); err != nil {
			return err
		}
		s.finish(away)
	}
	if ctx.Err() == nil {
		after := s.begin("after its return")
		s.pass(ctx)
		s.finish(after)
	}
	s.result.Interrupted = ctx.Err() != nil
	for _, n := range s.nodes {
		if _, err := n.Stop(nodesPatience); err != nil {
			return err
		}
	}
	totals := s.api.Record.Totals()
	s.result.Busiest, s.result.Refused = totals.Busiest, totals.Refused
	s.result.Kept = totals.Refused == 0 && totals.Busiest <= s.rule.Events && s.result.Unserved == 0
	return nil
}

// pass lets a phase's time pass.
func (s *nodesStage) pass(ctx context.Context) {
	t := time.NewTimer(s.phase)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// again notes how long it took until the users were served again whose buckets the killed node had.
func (s *nodesStage) again(lost []string, killed time.Time) {
	s.result.Lost = len(lost)
	for _, id := range lost {
		at := s.api.Record.ServedAfter(id, killed)
		if at.IsZero() {
			s.result.Unserved++
			continue
		}
		s.result.ServedAgain = max(s.result.ServedAgain, at.Sub(killed))
	}
}

// bringBack starts the killed node again, and returns when it has its share of the users.
func (s *nodesStage) bringBack(began time.Time) (err error) {
	at := time.Now()
	s.result.Back = at.Sub(began)
	s.failed += failures(s.nodes[victim].Sum())
	if s.nodes[victim], err = s.start(victim); err != nil {
		return err
	}
	s.away = -1
	err = s.nodes[victim].Await(nodesPatience, func(r fleet.Report) bool { return len(r.Owned) > 0 })
	s.result.OwnsAgain = time.Since(at)
	return err
}

// failures are calls that ended with an error.
func failures(r fleet.Report) (n int) {
	for _, e := range r.Errors {
		n += e
	}
	return n
}
