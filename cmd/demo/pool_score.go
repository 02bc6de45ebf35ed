package main

import (
	"fmt"
	"time"
)

// poolResult is what the third act came to.
type poolResult struct {
	Dir         string        `json:"dir"`
	Seed        uint64        `json:"seed"`
	Elapsed     time.Duration `json:"elapsed_ns"`
	Interrupted bool          `json:"interrupted"`
	Skipped     int           `json:"skipped_files"` // that nobody asked for, because the time was over
	Rows        []poolRow     `json:"rows"`
	Customers   []customerRow `json:"customers"` // the last one is the machine that they share
	Read        int64         `json:"read_bytes"`
	Zipped      int64         `json:"zipped_bytes"`
	Heap        int64         `json:"peak_heap_bytes"`
	Deaf        int           `json:"deaf"`     // functions that began and could not return
	Stuck       []stuck       `json:"stuck"`    // what the pool told of them
	Held        held          `json:"held"`     // of the machine when everybody had been answered
	Left        held          `json:"left"`     // when those that were stuck had been let go: the most of any pool
	Children    int           `json:"children"` // processes that are left; -1 where the system does not tell
	Close       string        `json:"close_error,omitempty"`
	Broken      []string      `json:"broken,omitempty"` // promises
	Kept        bool          `json:"kept"`
}

// poolRow is one kind of functions.
type poolRow struct {
	Name    string         `json:"name"`
	Tier    string         `json:"tier"`
	Asked   int            `json:"asked"`
	Must    ending         `json:"must_end"`
	Endings map[ending]int `json:"endings"`
	Answers quantiles      `json:"answers"`
	Error   string         `json:"error,omitempty"`       // the first one's that ended as it must
	Other   string         `json:"other_error,omitempty"` // the first one's that did not
}

// customerRow is one pool.
type customerRow struct {
	Name    string `json:"name"`
	Callers int    `json:"callers"`
	Asked   int    `json:"asked"`
	Limit   held   `json:"limit"`
	Most    held   `json:"most"`
	Turns   int    `json:"turns"` // functions that began while both customers asked
}

// stuck is a function that does not return, as the pool tells of it.
type stuck struct {
	Task     string `json:"task"`
	Customer string `json:"customer"`
	Stack    string `json:"stack"`
}

// score sums up what the customers got. What is left behind is not known yet.
func (w *works) score(elapsed time.Duration) poolResult {
	r := poolResult{Seed: w.act.seed, Elapsed: elapsed, Skipped: int(w.skipped.Load())}
	w.book.mu.Lock()
	r.Read, r.Zipped = w.book.mu.read, w.book.mu.zipped
	for k, row := range w.book.mu.rows {
		if row.Answers = w.book.answers[k].quantiles(); row.Asked > 0 {
			r.Rows = append(r.Rows, row)
		}
	}
	w.book.mu.Unlock()
	w.gauge.mu.Lock()
	defer w.gauge.mu.Unlock()
	all := customerRow{Name: "together", Limit: w.gauge.limits[machine], Most: w.gauge.mu.most[machine]}
	for i, c := range w.customers {
		row := customerRow{Name: c.name, Callers: c.callers, Asked: int(c.asked.Load()),
			Limit: w.gauge.limits[i], Most: w.gauge.mu.most[i], Turns: w.gauge.mu.turns[i]}
		r.Customers = append(r.Customers, row)
		all.Callers, all.Asked, all.Turns = all.Callers+row.Callers, all.Asked+row.Asked, all.Turns+row.Turns
	}
	r.Customers = append(r.Customers, all)
	return r
}

// proper is how many ended as they must. A file that cannot be read is told so; that is all that can be done for it.
func (r poolRow) proper() int {
	n := r.Endings[r.Must]
	if r.Must == value {
		n += r.Endings[unreadable]
	}
	return n
}

// filesAsked and filesDone are those of both ways to work on them.
func (r poolResult) filesAsked() int { return r.files(func(row poolRow) int { return row.Asked }) }
func (r poolResult) filesDone() int {
	return r.files(func(row poolRow) int { return row.Endings[value] })
}

func (r poolResult) files(of func(poolRow) int) (n int) {
	for _, row := range r.Rows {
		if row.Must == value {
			n += of(row)
		}
	}
	return n
}

// broken names every promise that is broken; there must be none on any machine, however busy.
func (r poolResult) broken() (broken []string) {
	check := func(kept bool, format string, args ...any) {
		if !kept {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	for _, row := range r.Rows {
		proper := row.proper()
		if r.Interrupted {
			proper += row.Endings[givenUp]
		}
		check(proper == row.Asked, "%s: all %s must have ended with %q: %s: %s",
			row.Name, grouped(row.Asked), row.Must, row.endings(), firstLine(row.Other))
	}
	for _, c := range r.Customers {
		check(c.Most.within(c.Limit), "%s: it held %s at once, and may hold %s", c.Name, c.Most, c.Limit)
	}
	check(len(r.Stuck) == r.Deaf, "%s got stuck, and the pool shows %d", counted(r.Deaf, "function"), len(r.Stuck))
	for _, s := range r.Stuck {
		check(s.Stack != "", "nobody can tell where %s of %s is stuck", s.Task, s.Customer)
	}
	only := held{}.plus(r.Deaf, int64(r.Deaf)*kinds[deaf].memory)
	check(r.Held == only, "%s are held after the last answer, and only what is stuck may hold any: %s", r.Held, only)
	check(r.Left == held{}, "%s are held when nothing is stuck any more", r.Left)
	check(r.Children <= 0, "child processes are left behind: %d", r.Children)
	check(r.Close == "", "%s", r.Close)
	return broken
}
