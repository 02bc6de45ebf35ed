package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// announce says what is about to be seen.
func (a poolAct) announce(w io.Writer, t tree) error {
	var b strings.Builder
	fmt.Fprintf(&b, `For two customers %s are hashed (SHA-256) and compressed (gzip), below this directory:

  %s

Each customer asks a pool of its own. Both delegate to the machine's pool, which has as many
workers as there are processors, and no fewer than %d; neither can take the last one from the
other. Among the files, at random places, are functions that get out of hand:

`, counted(len(t.files), "file"), t.dir, leastWorkers)
	for k := range kindCount {
		if !k.files() && k.playable() {
			fmt.Fprintf(&b, "  %-8s  %s\n", kinds[k].name, kinds[k].does)
		}
	}
	if !eats.playable() {
		b.WriteString("\nThis system cannot cap the memory of a process, so none takes all it can get.\n")
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// print writes the tables and how to read them.
func (r poolResult) print(w io.Writer) error {
	if r.Interrupted {
		if _, err := fmt.Fprintf(w, "Interrupted: this is how far it came in %s.\n\n", brief(r.Elapsed)); err != nil {
			return err
		}
	}
	for _, part := range []func(io.Writer) error{r.printRows, r.printContained, r.printCustomers, r.printTotals} {
		if err := part(w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, r.verdict())
	return err
}

func (r poolResult) printRows(w io.Writer) error {
	t := table{heading: []string{"", "asked", "done", "how it ended", "answer\np50", "longest"}}
	for _, row := range r.Rows {
		t.row(row.Name, grouped(row.Asked), grouped(row.proper()), row.endings(), brief(row.Answers.P50), brief(row.Answers.Max))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, `
Asked is how many of a kind were asked for, and done how many of them ended as their kind has to:
a file with its value, or the error that it cannot be read; the others with the error that says
what they did. An answer is how long a caller waits for either, its turn included: p50 and longest.

`)
	return err
}

// endings are a row's endings, the most frequent first, with numbers where there are several.
func (r poolRow) endings() string {
	var all []ending
	for e := range r.Endings {
		all = append(all, e)
	}
	if len(all) == 1 {
		return string(all[0])
	}
	slices.SortFunc(all, func(a, b ending) int {
		if d := r.Endings[b] - r.Endings[a]; d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
	var b strings.Builder
	for i, e := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", grouped(r.Endings[e]), e)
	}
	return b.String()
}

// printContained has a line for each kind of failure, and for each function that is stuck.
func (r poolResult) printContained(w io.Writer) error {
	var b strings.Builder
	line := func(name string, n int, err string) {
		fmt.Fprintf(&b, "%-8s  %s, the first: %s\n", name, counted(n, "time"), firstLine(err))
	}
	for _, row := range r.Rows {
		if row.Error != "" {
			line(row.Name, row.Endings[row.Must], row.Error)
		}
		if row.Other != "" {
			line(row.Name, row.Asked-row.Endings[row.Must], row.Other)
		}
	}
	for _, s := range r.Stuck {
		where := strings.Join(strings.Fields(firstLine(s.Stack)), " ")
		fmt.Fprintf(&b, "stuck     pool %q: task %q is at %s\n", s.Customer, s.Task, where)
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "What callers were told, and where the functions are that do not return:\n\n%s\n", b.String())
	return err
}

func (r poolResult) printCustomers(w io.Writer) error {
	t := table{heading: []string{"", "callers", "asked",
		"workers\nmay have", "had at\nonce", "memory\nmay have", "had at\nonce",
		"turns while\nboth asked"}}
	turns := 0
	for _, c := range r.Customers {
		turns = max(turns, c.Turns) // of both
	}
	for _, c := range r.Customers {
		t.row(c.Name, grouped(c.Callers), grouped(c.Asked), grouped(c.Limit.Workers), grouped(c.Most.Workers),
			mib(c.Limit.Memory), mib(c.Most.Memory), ifAny(turns, percent(float64(c.Turns)/float64(max(turns, 1)))))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, `
Callers ask for one thing after the other. What a customer had at once is the most, by a record
that the functions themselves keep; memory is what they declare, and a child process is kept to
it. Turns are functions that began while both customers had more to ask for. Who has more callers
gets no more turns for it; who waits for functions that hang gets fewer.

`)
	return err
}

func (r poolResult) printTotals(w io.Writer) error {
	t := table{heading: []string{
		"files\ndone", "of files\nasked", "hashed", "gzipped", "peak\nheap", "held by\nthe stuck", "held\nafter", "children\nleft",
	}}
	left := "-"
	if r.Children != unknown {
		left = grouped(r.Children)
	}
	t.row(grouped(r.filesDone()), grouped(r.filesAsked()), mb(r.Read), mb(r.Zipped), mib(r.Heap),
		r.Held.short(), r.Left.short(), left)
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
In %s. Hashed and gzipped are bytes, before and after. The heap is that of this process, looked
at every %s. Held are workers and declared memory: by the functions that are stuck, when everybody
else had returned, and after they were let go. Children are processes that are left at the end.
%s
`, brief(r.Elapsed), brief(heapEvery), r.skipped())
	return err
}

// skipped tells of files that there was no time for.
func (r poolResult) skipped() string {
	if r.Skipped == 0 {
		return ""
	}
	return fmt.Sprintf("The time was over before %s were asked for.\n", counted(r.Skipped, "more file"))
}

func (r poolResult) verdict() string {
	word, promise := "kept", "every file done, every failure contained, nothing left behind"
	switch {
	case !r.Kept:
		word = "BROKE"
	case r.Interrupted:
		promise = "every failure contained, nothing left behind"
	}
	s := fmt.Sprintf("Penstock %s its promise: %s.\n", word, promise)
	for _, b := range r.Broken {
		s += "  " + b + "\n"
	}
	return s
}

// short is "2, 2 MiB".
func (h held) short() string { return fmt.Sprintf("%d, %s", h.Workers, mib(h.Memory)) }

func mib(bytes int64) string { return fmt.Sprintf("%d MiB", (bytes+1<<19)>>20) }

func mb(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
