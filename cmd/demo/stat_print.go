package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// announce says what is about to be seen.
func (a statAct) announce(w io.Writer, s *source) error {
	what := "requests that are drawn for " + brief(a.duration)
	if s.log != nil {
		what = "the requests of " + s.name
	}
	_, err := fmt.Fprintf(w, `Counted, by path and status and by client: %s.

%s add to two buffers as fast as they can; what was added to a key in %s
goes into a SQLite file as one sum:

  %s

Meanwhile answers to COMMITs are lost, the first and every %dth, and another connection locks the
file again and again, each time until a flush has given up.

`, what, counted(len(s.takers), "goroutine"), brief(countInterval), a.file, loseEvery)
	return err
}

// print writes the tables and how to read them.
func (r statResult) print(w io.Writer) error {
	if _, err := io.WriteString(w, r.head()); err != nil {
		return err
	}
	for _, part := range []func(io.Writer) error{r.printTops, r.printRows, r.printTotals} {
		if err := part(w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, r.verdict())
	return err
}

// head says whether it was interrupted, and what was wrong with the log.
func (r statResult) head() string {
	var b strings.Builder
	if r.Interrupted {
		fmt.Fprintf(&b, "Interrupted: this is how far it came in %s.\n\n", brief(r.Counting))
	}
	if r.Malformed > 0 {
		fmt.Fprintf(&b, "%s: %s left out:\n", r.Source, counted(r.Malformed, "malformed line"))
		for _, m := range r.malformed {
			fmt.Fprintf(&b, "  %v\n", m)
		}
		if more := r.Malformed - len(r.malformed); more > 0 {
			fmt.Fprintf(&b, "  and %s\n", counted(more, "other"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// printTops has what the file says.
func (r statResult) printTops(w io.Writer) error {
	for _, t := range []struct {
		heading string
		list    []top
	}{{"path", r.TopPaths}, {"client", r.TopClients}} {
		if len(t.list) == 0 {
			continue
		}
		shown := table{heading: []string{t.heading, "requests"}}
		for _, one := range t.list {
			shown.row(printable(one.Name), grouped(int(one.N)))
		}
		if err := shown.print(w); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, `That is what the file says. Look at it yourself:

  sqlite3 %[1]s "%[2]s"
  sqlite3 %[1]s "%[3]s"

`, shellWord(r.File), topPaths, topClients)
	return err
}

func (r statResult) printRows(w io.Writer) error {
	t := table{heading: []string{"", "keys", "increments", "trans-\nactions", "rows\nwritten", "increments a\ntransaction", "\na row"}}
	for _, row := range r.Rows {
		t.row(row.Name, grouped(row.Keys), grouped(int(row.Increments)), grouped(row.Transactions), grouped(int(row.Written)),
			ratio(row.Increments, int64(row.Transactions)), ratio(row.Increments, int64(row.Written)))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, `
Each request is an increment of two keys. Without a buffer each increment would be a transaction,
and a row written. The transactions are counted by the IDs of flushes in the file.

`)
	return err
}

func (r statResult) printTotals(w io.Writer) error {
	t := table{heading: []string{"attempts\nto flush", "answers\nlost", "given up:\nlocked", "other\nfailures", "flushes that\ncame again",
		"keys\nwaiting", "flushes\nwaiting", "oldest\ncount", "peak\nheap"}}
	t.row(grouped(r.Faults.Attempts), grouped(r.Faults.Lost), grouped(r.Faults.Locked), grouped(r.Faults.Other), grouped(r.Faults.Repeated),
		grouped(r.Backlog.Keys), grouped(r.Backlog.Flushes), brief(r.Backlog.Oldest), mib(r.Heap))
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
%s counted in %s (%s a second), and stored after %s. A flush
that failed comes again with the ID that it had. The file remembers IDs, so what had been committed is
not added twice. Keys and flushes waiting, and the age of the oldest count, are the most at any time;
the heap is that of this process. The database was locked %s.

`, counted(2*r.Requests, "increment"), brief(r.Counting), perSecond(2*r.Requests, r.Counting), brief(r.Elapsed), counted(r.Locks, "time"))
	return err
}

func (r statResult) verdict() string {
	word := "kept"
	if !r.Kept {
		word = "BROKE"
	}
	keys := 0
	if len(r.Rows) > 0 {
		keys = r.Rows[len(r.Rows)-1].Keys
	}
	s := fmt.Sprintf("Penstock %s its promise: for each of %s the file says what a plain count of the same requests says;\n"+
		"nothing lost, nothing stored twice.\n", word, counted(keys, "key"))
	for _, b := range r.Broken {
		s += "  " + b + "\n"
	}
	return s
}

// ratio is how many of n come to one of m.
func ratio(n, m int64) string {
	if m == 0 {
		return "-"
	}
	if n < 10*m {
		return fmt.Sprintf("%.1f", float64(n)/float64(m))
	}
	return grouped(int((n + m/2) / m))
}

// perSecond is how many of n there were in a second, to two digits: nobody should compare more.
func perSecond(n int, d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	rate, unit := int(float64(n)/d.Seconds()), 1
	for rate/unit >= 100 {
		unit *= 10
	}
	return grouped((rate + unit/2) / unit * unit)
}

// longestShown is how much of a name a table has, in characters.
const longestShown = 72

// printable is a name that does nothing to a terminal, and does not break a table.
func printable(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, name))
	if len(runes) > longestShown {
		return string(runes[:longestShown-1]) + "…"
	}
	return string(runes)
}

// shellWord is a word as a shell takes it.
func shellWord(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:\\", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
