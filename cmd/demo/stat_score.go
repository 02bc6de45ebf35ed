package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/cmd/demo/internal/accesslog"
)

// statResult is what the fourth act came to.
type statResult struct {
	Source      string        `json:"source"` // the log's name
	File        string        `json:"file"`
	Seed        uint64        `json:"seed"`
	Interrupted bool          `json:"interrupted"`
	Requests    int           `json:"requests"`
	Malformed   int           `json:"malformed"`   // lines of the log
	Counting    time.Duration `json:"counting_ns"` // until the last request was counted
	Elapsed     time.Duration `json:"elapsed_ns"`  // until everything was stored
	Rows        []statRow     `json:"rows"`        // the last one is both together
	Faults      faultCounts   `json:"faults"`
	Locks       int           `json:"locks"` // times that the database was locked
	TopPaths    []top         `json:"top_paths"`
	TopClients  []top         `json:"top_clients"`
	Backlog     unstored      `json:"largest_backlog"`
	Heap        int64         `json:"peak_heap_bytes"`
	Wrong       []wrongSum    `json:"wrong_sums"`      // the first of them
	WrongSums   int           `json:"wrong_sum_count"` // all
	Close       string        `json:"close,omitempty"`
	Kept        bool          `json:"kept"`
	Broken      []string      `json:"broken"`

	malformed []*accesslog.LineError
}

// statRow is one buffer.
type statRow struct {
	Name         string `json:"name"`
	Keys         int    `json:"keys"`
	Increments   int64  `json:"increments"`
	Transactions int    `json:"transactions"` // by the flush IDs in the file
	Flushes      uint64 `json:"flushes"`      // that the buffer knows to be stored
	Written      uint64 `json:"rows_written"` // in those transactions
	Dropped      uint64 `json:"dropped"`
	Sum          int64  `json:"sum"` // of all counts in the file
}

// wrongSum is a key whose count in the file is not what a plain map says.
type wrongSum struct {
	Table string `json:"table"`
	Key   string `json:"key"`
	Got   int64  `json:"got"`
	Want  int64  `json:"want"`
}

const shownWrong = 3 // sums of a table

// score reads the file and compares it with the plain count.
func (t *tallying) score(ctx context.Context, want *plainCount, r *statResult) error {
	got, err := t.counts.sums(ctx)
	if err != nil {
		return err
	}
	r.Requests = want.requests
	r.Faults, r.Locks = t.faults.told(), t.intruder.locks
	compare(r, "hits", want.hits, got.hits, func(h hit) string { return fmt.Sprintf("%s %d", h.path, h.status) })
	compare(r, "clients", want.clients, got.clients, func(c string) string { return c })
	r.Rows = []statRow{
		rowOf("hits", len(want.hits), got.hits, t.hits.Info().Totals), rowOf("clients", len(want.clients), got.clients, t.clients.Info().Totals),
	}
	all := statRow{Name: "together"}
	for i := range r.Rows {
		row := &r.Rows[i]
		row.Increments = int64(want.requests)
		if row.Transactions, err = t.counts.transactions(ctx, row.Name); err != nil {
			return err
		}
		all.add(*row)
	}
	r.Rows = append(r.Rows, all)
	var errs [2]error
	r.TopPaths, errs[0] = t.counts.top(ctx, topPaths)
	r.TopClients, errs[1] = t.counts.top(ctx, topClients)
	return errors.Join(errs[:]...)
}

func rowOf[K comparable](name string, keys int, got map[K]int64, totals stat.Totals) statRow {
	row := statRow{Name: name, Keys: keys, Flushes: totals.Flushes, Written: totals.Deltas, Dropped: totals.Dropped}
	for _, n := range got {
		row.Sum += n
	}
	return row
}

func (r *statRow) add(o statRow) {
	r.Keys += o.Keys
	r.Increments += o.Increments
	r.Transactions += o.Transactions
	r.Flushes += o.Flushes
	r.Written += o.Written
	r.Dropped += o.Dropped
	r.Sum += o.Sum
}

// compare notes every key whose sum in the file is not the plain count's.
func compare[K comparable](r *statResult, table string, want, got map[K]int64, name func(K) string) {
	var wrong []wrongSum
	note := func(key K) {
		if got[key] != want[key] {
			wrong = append(wrong, wrongSum{Table: table, Key: name(key), Got: got[key], Want: want[key]})
		}
	}
	for key := range want {
		note(key)
	}
	for key := range got {
		if _, known := want[key]; !known {
			note(key)
		}
	}
	r.WrongSums += len(wrong)
	slices.SortFunc(wrong, func(a, b wrongSum) int { return cmp.Compare(a.Key, b.Key) })
	r.Wrong = append(r.Wrong, wrong[:min(len(wrong), shownWrong)]...)
}

// broken names every promise that is broken; there must be none on any machine, however busy.
func (r statResult) broken() (broken []string) {
	check := func(kept bool, format string, args ...any) {
		if !kept {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	for _, w := range r.Wrong {
		check(false, "%s: %s is %s in the file, and a plain count says %s", w.Table, printable(w.Key), grouped(int(w.Got)), grouped(int(w.Want)))
	}
	check(r.WrongSums <= len(r.Wrong), "and %s", counted(r.WrongSums-len(r.Wrong), "other wrong sum"))
	for _, row := range r.Rows {
		check(row.Sum == row.Increments, "%s: what is in the file adds up to %s, and %s were counted", row.Name,
			grouped(int(row.Sum)), grouped(int(row.Increments)))
		check(uint64(row.Transactions) == row.Flushes, "%s: the file knows %s, and the buffer had %s stored", row.Name,
			counted(row.Transactions, "flush ID"), grouped(int(row.Flushes)))
		check(row.Dropped == 0, "%s: %s were dropped", row.Name, grouped(int(row.Dropped)))
	}
	check(r.Faults.Gone == 0, "of %s whose answers were lost %s did not come again", grouped(r.Faults.Lost), grouped(r.Faults.Gone))
	check(r.Close == "", "%s", r.Close)
	return broken
}
