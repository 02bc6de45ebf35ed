package main

import (
	"fmt"
	"io"
	"strings"
)

// print writes what the log held, a row for each limit, and whom each limit holds back most.
func (r *logReport) print(w io.Writer, name string) error {
	if _, err := io.WriteString(w, r.head(name)); err != nil {
		return err
	}
	t := table{heading: []string{"\nlimit", "clients\nheld back", "requests\ndelayed", "\nrefused", "wait of all\np50", "\np99",
		"wait of the delayed\np50", "\np99", "\nmax"}}
	for _, l := range r.Limits {
		t.row(l.Limit, grouped(l.HeldBack), grouped(l.Delayed.Count), grouped(l.Refused), brief(l.All.P50), brief(l.All.P99),
			brief(l.Delayed.P50), brief(l.Delayed.P99), brief(l.Delayed.Max))
	}
	if err := t.print(w); err != nil {
		return err
	}
	for _, l := range r.Limits {
		if err := l.printWorst(w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, `
Every client is a bucket of its own. A request beyond the limit waits for its turn; it is
refused when the client's line is full. A log's times are whole seconds, so requests of one
second count as simultaneous, and real waits are a little shorter.
`)
	return err
}

// head says what was read and what was wrong with it.
func (r *logReport) head(name string) string {
	var b strings.Builder
	if r.Interrupted {
		b.WriteString("Interrupted: this is how far it came.\n")
	}
	const day = "2 Jan 2006 15:04:05 -0700"
	fmt.Fprintf(&b, "%s: %s by %s, %s to %s\n", name, counted(r.Requests, "request"), counted(r.Clients, "client"),
		r.From.Format(day), r.To.Format(day))
	if r.Malformed > 0 {
		fmt.Fprintf(&b, "%s left out:\n", counted(r.Malformed, "malformed line"))
		for _, m := range r.malformed {
			fmt.Fprintf(&b, "  %v\n", m)
		}
		if more := r.Malformed - len(r.malformed); more > 0 {
			fmt.Fprintf(&b, "  and %s\n", counted(more, "other"))
		}
	}
	if r.Cut > 0 {
		fmt.Fprintf(&b, "%s cut off at the end; counted, because client and time are whole.\n", counted(r.Cut, "line"))
	}
	if r.Disordered > 0 {
		fmt.Fprintf(&b, "%s older than one before; put in order of time.\n", counted(r.Disordered, "line"))
	}
	if r.Late > 0 {
		fmt.Fprintf(&b, "%s of them more than %s too late for that; taken at the latest time of the client.\n",
			grouped(r.Late), counted(lookAhead, "line"))
	}
	b.WriteByte('\n')
	return b.String()
}

func (s effectSummary) printWorst(w io.Writer) error {
	if len(s.Worst) == 0 {
		_, err := fmt.Fprintf(w, "\n%s holds nobody back.\n", s.Limit)
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%s: the most affected of %s held back\n", s.Limit, counted(s.HeldBack, "client")); err != nil {
		return err
	}
	t := table{heading: []string{"client", "delayed", "refused", "total wait", "longest"}}
	for _, c := range s.Worst {
		t.row(c.Client, grouped(c.Delayed), grouped(c.Refused), brief(c.Total), brief(c.Longest))
	}
	return t.print(w)
}
