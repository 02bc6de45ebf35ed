package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// overloadResult is what an overload came to.
type overloadResult struct {
	Capacity    float64       `json:"capacity"`         // requests that a server without load does in a second of processor time
	Asked       float64       `json:"asked_per_second"` // of each server
	Deadline    time.Duration `json:"deadline_ns"`
	Seed        uint64        `json:"seed"`
	Interrupted bool          `json:"interrupted"`
	Rows        []overloadRow `json:"rows"`
	Kept        bool          `json:"kept"` // Penstock kept its promise: see kept
}

// overloadRow is one server.
type overloadRow struct {
	Name string `json:"name"`
	outcomes
	Reason    string        `json:"failure,omitempty"`   // of the first that failed
	PerSecond float64       `json:"answered_per_second"` // within their deadline, while requests came
	Share     float64       `json:"share"`               // of what a server without load does in the same processor time
	Answers   quantiles     `json:"answers"`
	Refusals  quantiles     `json:"refusals"`
	Done      int           `json:"done"`    // requests that the server worked for to the end
	InVain    int           `json:"in_vain"` // of those, the ones that nobody waited for any more
	Processor time.Duration `json:"processor_ns"`
	Memory    int64         `json:"peak_memory_bytes"` // 0: the system does not tell
}

// share is which part of what a server without load does in as much processor time was done, and in time.
func (r overloadRow) share(capacity float64) float64 {
	if r.Processor == 0 {
		return 0
	}
	return float64(r.Answered) / (capacity * r.Processor.Seconds())
}

// kept is what holds on any machine, however busy: the server with a queue fails nobody, and answers no fewer in time than
// the one without. Of a run that was interrupted only the first is asked.
func (r overloadResult) kept() bool {
	if len(r.Rows) < len(contenders) {
		return r.Interrupted
	}
	without, with := r.Rows[0], r.Rows[len(r.Rows)-1]
	return with.Failed == 0 && with.accounted() && (r.Interrupted || with.Answered >= without.Answered)
}

// announce says what is about to be seen.
func (o overload) announce(w io.Writer) error {
	_, err := fmt.Fprintf(w, `A server on this machine, a process of its own with one processor, works %s for each request.
First it is measured how many it can do. Then %d times as many come, at moments that no answer
changes, one in %.0f of them urgent; a client that has no answer after %s leaves. Three servers,
%s each:

  no queue    net/http as it is: every request is handled as it comes
  semaphore   two requests are handled at once, the others wait in order until their clients leave
  Penstock    httplimit.Shed before a queue with adaptive order and an adaptive limit

`, brief(overloadCost), overloadFactor, 1/urgentShare, brief(deadline), brief(o.duration))
	return err
}

// print writes the table and how to read it.
func (r overloadResult) print(w io.Writer) error {
	if r.Interrupted {
		if _, err := io.WriteString(w, "Interrupted: this is how far it came.\n\n"); err != nil || len(r.Rows) == 0 {
			return err
		}
	}
	t := table{heading: []string{"", "answered in\ntime a second", "of what\nit can do", "answers\np50", "\np99", "\nrefused",
		"refusals\np99", "no\nanswer", "of urgent\nanswered", "work\nin vain", "peak\nmemory"}}
	for _, row := range r.Rows {
		t.row(row.Name, fmt.Sprintf("%.1f", row.PerSecond), percent(row.Share),
			ifAny(row.Answers.Count, brief(row.Answers.P50)), ifAny(row.Answers.Count, brief(row.Answers.P99)),
			grouped(row.Refused), ifAny(row.Refusals.Count, brief(row.Refusals.P99)), grouped(row.Late+row.Failed),
			ifAny(row.Urgent, percent(float64(row.UrgentAnswered)/float64(row.Urgent))),
			ifAny(row.Done, percent(float64(row.InVain)/float64(row.Done))),
			ifAny(int(row.Memory), fmt.Sprintf("%.0f MiB", float64(row.Memory)/(1<<20))))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
%sWithout load the server does %.0f requests in a second of processor time; %.0f a second came. What
it can do is that, in the processor time that it got. An answer is in time if it is 200 and whole
within %s of the moment at which its client wanted it; p50 and p99 are of those. Refused is a 503
that says when to come back, and p99 how soon; who got neither has no answer. Work in vain is
which part of the requests that were worked for to the end had nobody waiting any more.

%s
`, r.failures(), r.Capacity, r.Asked, brief(r.Deadline), r.verdict())
	return err
}

// failures has a line for each server that failed some; as a rule there are none.
func (r overloadResult) failures() string {
	var b strings.Builder
	for _, row := range r.Rows {
		if row.Failed > 0 {
			fmt.Fprintf(&b, "%s failed %s, the first with: %s\n", row.Name, counted(row.Failed, "request"), row.Reason)
		}
	}
	return b.String()
}

func (r overloadResult) verdict() string {
	word := "kept"
	switch {
	case !r.Kept:
		word = "BROKE"
	case r.Interrupted:
		return "Whether Penstock keeps its promise takes a whole run."
	}
	return fmt.Sprintf("Penstock %s its promise: each request answered, refused or given up by its client, and no fewer\n"+
		"answered in time than without a queue.", word)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// ifAny is s, or a dash if there is nothing to tell of.
func ifAny(n int, s string) string {
	if n == 0 {
		return "-"
	}
	return s
}
