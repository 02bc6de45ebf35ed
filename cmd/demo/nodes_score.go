package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
)

// nodesResult is what the act came to.
type nodesResult struct {
	Events      int           `json:"events"`
	Per         time.Duration `json:"per_ns"`
	Users       int           `json:"users"`
	Nodes       int           `json:"nodes"`
	Phases      []nodesPhase  `json:"phases"`
	Killed      time.Duration `json:"killed_ns"` // after the beginning
	Lost        int           `json:"lost"`      // users whose buckets the killed node had
	ServedAgain time.Duration `json:"served_again_ns"`
	Unserved    int           `json:"unserved"` // of these users, when the node came back
	Back        time.Duration `json:"back_ns"`
	OwnsAgain   time.Duration `json:"owns_again_ns"`
	Refused     int           `json:"refused_429"` // in all, by the API's record
	Busiest     int           `json:"busiest"`     // most requests of one user in any window
	Kept        bool          `json:"kept"`
	Interrupted bool          `json:"interrupted"`
}

// nodesPhase is a part of the act.
type nodesPhase struct {
	Name    string        `json:"name"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Served  int           `json:"served"`
	Refused int           `json:"refused_429"`
	Failed  int           `json:"failed"` // calls that ended with an error
	Share   float64       `json:"share"`  // of what the API allows
	Waits   quantiles     `json:"waits"`
	Owned   []int         `json:"owned"` // users' buckets, by node, at the end; -1: it is not there

	began  time.Time
	before strict.Totals
}

// begin notes how things stand at the beginning of a phase.
func (s *nodesStage) begin(name string) nodesPhase {
	return nodesPhase{Name: name, Failed: s.failures(), began: time.Now(), before: s.api.Record.Totals()}
}

// finish notes what a phase has come to.
func (s *nodesStage) finish(p nodesPhase) {
	totals := s.api.Record.Totals()
	p.Elapsed = time.Since(p.began)
	p.Served, p.Refused, p.Failed = totals.Served-p.before.Served, totals.Refused-p.before.Refused, s.failures()-p.Failed
	p.Share = float64(p.Served) * float64(s.rule.Per) / (float64(s.users*s.rule.Events) * float64(p.Elapsed))
	p.Waits = s.waits()
	if p.Owned == nil {
		p.Owned = s.ownedBy()
	}
	s.result.Phases = append(s.result.Phases, p)
}

// ownedBy is how many users each node owns.
func (s *nodesStage) ownedBy() (owned []int) {
	for i, n := range s.nodes {
		if i == s.away {
			owned = append(owned, -1)
		} else {
			owned = append(owned, len(n.Sum().Owned))
		}
	}
	return owned
}

// failures are calls of all nodes' lives that ended with an error.
func (s *nodesStage) failures() int {
	all := s.failed
	for _, n := range s.nodes {
		all += failures(n.Sum())
	}
	return all
}

// waits are those of what was served since the last time.
func (s *nodesStage) waits() quantiles {
	w := newWaits()
	for _, n := range s.nodes {
		for _, d := range n.TakeWaits() {
			w.add(d)
		}
	}
	return w.quantiles()
}

// announce says what is about to be seen.
func (a nodesAct) announce(w io.Writer) error {
	_, err := fmt.Fprintf(w, `A strict API on this machine allows each of %d users %d requests in any %s, and answers 429 beyond
that. %d processes call it, all for the same users, and want more than that: they share clustered
buckets, over mutual TLS, with leases of %s in a SQLite file. After %s one of them is killed
(SIGKILL); %s later it comes back. Each user's first window passes before all that.

`, a.users, a.rule.Events, brief(a.rule.Per), a.count, brief(nodesLease), brief(a.phase), brief(a.phase))
	return err
}

// print writes the table and how to read it.
func (r nodesResult) print(w io.Writer) error {
	if r.Interrupted {
		if _, err := fmt.Fprintf(w, "Interrupted: this is how far it came.\n\n"); err != nil {
			return err
		}
	}
	names := make([]string, r.Nodes)
	for i := range names {
		names[i] = nodeName(i)
	}
	t := table{heading: []string{"", "served", "429s", "of what the\nAPI allows", "calls that\nfailed", "waits\np50", "\np99",
		"users owned by\n" + strings.Join(names, " ")}}
	for _, p := range r.Phases {
		t.row(p.Name, grouped(p.Served), grouped(p.Refused), fmt.Sprintf("%.1f %%", 100*p.Share), grouped(p.Failed),
			brief(p.Waits.P50), brief(p.Waits.P99), owners(p.Owned, names))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
%sThe API's record decides: what it served and refused in each part, of %d requests a user in every
%s. A node keeps a distance from the limit, and who gains a bucket whose owner was killed assumes
that the limit is used up, so that its users wait for a window. A call failed if it was under way to
a node that died, and nobody can know whether its permit was used. A wait lasts from the wish to the
answer 200. Who owns a user is who decides when the user's next request goes, for all nodes. What
a user is allowed comes in bursts, of which a part may have one more or one less than is its due.

%s
`, r.events(), r.Events, brief(r.Per), r.verdict())
	return err
}

// owners writes how many users each node owns, below its name.
func owners(owned []int, names []string) string {
	cells := make([]string, len(owned))
	for i, n := range owned {
		cells[i] = strconv.Itoa(n)
		if n < 0 {
			cells[i] = "-"
		}
		cells[i] = fmt.Sprintf("%*s", len(names[i]), cells[i])
	}
	return strings.Join(cells, " ")
}

// events says when what happened.
func (r nodesResult) events() string {
	if r.Killed == 0 {
		return ""
	}
	name := nodeName(victim)
	text := fmt.Sprintf("%6s  %s is killed, which owned %s\n", brief(r.Killed), name, counted(r.Lost, "user"))
	if r.Lost > r.Unserved {
		text += fmt.Sprintf("%6s  the last of them is served again, after %s\n", brief(r.Killed+r.ServedAgain), brief(r.ServedAgain))
	}
	if r.Unserved > 0 {
		text += fmt.Sprintf("        %s of them %s not served again\n", grouped(r.Unserved), map[bool]string{true: "was", false: "were"}[r.Unserved == 1])
	}
	return text + fmt.Sprintf("%6s  %s is started again, and owns users after %s\n\n", brief(r.Back), name, brief(r.OwnsAgain))
}

func (r nodesResult) verdict() string {
	promise := fmt.Sprintf("nothing refused, never more than %d in any %s, and everybody served again.", r.Events, brief(r.Per))
	if r.Kept {
		return "Penstock kept its promise: " + promise
	}
	return "Penstock BROKE its promise: " + promise
}
