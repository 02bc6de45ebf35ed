package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

// database says where the wallets are, and no password.
func (a batchAct) database() string {
	if a.postgres == "" {
		return "a SQLite file, with a write-ahead log and synchronous=FULL"
	}
	cfg, err := pgx.ParseConfig(a.postgres)
	if err != nil {
		return "PostgreSQL"
	}
	at := cfg.Host
	if !strings.HasPrefix(at, "/") {
		at = net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	}
	return fmt.Sprintf("PostgreSQL at %s, database %s, synchronous_commit=on", at, cfg.Database)
}

// announce says what is about to be seen.
func (a batchAct) announce(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%d wallets with %s each in
%s.
%d clients ask a server on this machine, over HTTP, to move money from one to another, each as soon
as it has the answer to its last request. An answer 200 is given when the transfer is on disk. Two
servers, %s each, with a database of their own:

  a transaction each  for each request both wallets are read, changed and committed
  Penstock            a batch: the transfers that come while the last batch is saved are run on the
                      wallets in memory, one after another, and saved in one transaction

A transfer changes two wallets and must be saved with both or not at all, so what a batch loads and
saves is the book of all wallets, under one key. It has a version in the database: somebody else who
writes would be noticed.

`, bank.Wallets, grouped(bank.Opening), a.database(), tellers, brief(a.duration))
	return err
}

// print writes the table and how to read it.
func (r batchResult) print(w io.Writer) error {
	if r.Interrupted {
		if _, err := io.WriteString(w, "Interrupted: this is how far it came.\n\n"); err != nil {
			return err
		}
	}
	if len(r.Rows) > 0 {
		if err := r.printRows(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s%s\n", r.failures(), r.verdict())
	return err
}

func (r batchResult) printRows(w io.Writer) error {
	t := table{heading: []string{"", "requests\na second", "answers\np50", "\np99", "moved", "payer had\ntoo little", "failed",
		"trans-\nactions", "requests a\ntransaction", "sum of all\nwallets"}}
	for _, row := range r.Rows {
		answered := row.Moved + row.Refused
		t.row(row.Name, grouped(int(row.PerSecond)), ifAny(answered, brief(row.Answers.P50)), ifAny(answered, brief(row.Answers.P99)),
			grouped(row.Moved), grouped(row.Refused), grouped(row.Failed), grouped(row.Transactions),
			ratio(int64(answered), int64(row.Transactions)), grouped(int(row.Audit.Sum)))
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
Times are the clients', from sending a request to the whole answer. Transactions are those that were
committed: a payer who has too little ends one without. Clients, server and database share this
machine.
%s
`, r.comparison())
	return err
}

// comparison says by how much Penstock was faster.
func (r batchResult) comparison() string {
	if r.Times == 0 {
		return ""
	}
	word := "which it is"
	if r.Times < r.Bar {
		word = "which it is NOT here"
	}
	return fmt.Sprintf("\nPenstock answered %.1f times as many requests; %.0f times are expected, %s. It depends on what a\ncommit takes: the longer, the more a batch saves.\n", r.Times, r.Bar, word)
}

// failures has a line for each server that failed some; as a rule there are none.
func (r batchResult) failures() string {
	var b strings.Builder
	for _, row := range r.Rows {
		if row.Failed > 0 {
			fmt.Fprintf(&b, "%s: %s failed, the first with: %s\n\n", row.Name, counted(row.Failed, "request"), printable(row.Reason))
		}
	}
	return b.String()
}

func (r batchResult) verdict() string {
	word := "kept"
	if !r.Kept {
		word = "BROKE"
	}
	s := fmt.Sprintf("Penstock %s its promise: every transfer that was answered is in the database, once and as it was\n"+
		"sent, none that was refused is, and every wallet holds what its transfers come to.\n", word)
	for _, b := range r.Broken {
		s += "  " + b + "\n"
	}
	return strings.TrimSuffix(s, "\n")
}
