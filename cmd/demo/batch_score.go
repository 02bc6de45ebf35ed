package main

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

// batchResult is what the fifth act came to.
type batchResult struct {
	Database    string     `json:"database"`
	Wallets     int        `json:"wallets"`
	Opening     int64      `json:"opening"` // what each wallet holds at first
	Tellers     int        `json:"clients"`
	Seed        uint64     `json:"seed"`
	Interrupted bool       `json:"interrupted"`
	Rows        []batchRow `json:"rows"`
	Times       float64    `json:"times"` // how many times as many requests Penstock answered in a second; 0 without both
	Bar         float64    `json:"bar"`   // … and how many are asked of it
	Kept        bool       `json:"kept"`
	Broken      []string   `json:"broken"`
}

// batchRow is one server.
type batchRow struct {
	Name         string        `json:"name"`
	Elapsed      time.Duration `json:"elapsed_ns"` // to the last answer
	Moved        int           `json:"moved_200"`
	Refused      int           `json:"refused_409"`
	Failed       int           `json:"failed"`
	Reason       string        `json:"failure,omitempty"`   // of the first that failed
	PerSecond    float64       `json:"answered_per_second"` // those moved and those refused
	Answers      quantiles     `json:"answers"`
	Transactions int           `json:"transactions"` // that were committed
	Audit        bank.Audit    `json:"audit"`
	Ledger       ledger        `json:"ledger"`
}

// ledger is how the transfers in the database compare with what the tellers were told.
type ledger struct {
	Missing int      `json:"missing"` // a teller was told that they are on disk
	MadeUp  int      `json:"made_up"` // nobody sent them, or they were refused
	Altered int      `json:"altered"` // other wallets, or another amount
	Example []string `json:"examples"`
}

const shownTransfers = 3 // that are wrong

// score compares a server's database with its tellers' records.
func (c *crowd) score(ctx context.Context, name string, b *bank.Bank) (row batchRow, err error) {
	row = batchRow{Name: name, Elapsed: c.elapsed, Answers: c.answers.quantiles(), Transactions: b.Commits()}
	if c.reason != nil {
		row.Reason = c.reason.Error()
	}
	for _, t := range c.tellers {
		for _, f := range t.told {
			switch f {
			case moved:
				row.Moved++
			case refused:
				row.Refused++
			default:
				row.Failed++
			}
		}
	}
	if c.elapsed > 0 {
		row.PerSecond = float64(row.Moved+row.Refused) / c.elapsed.Seconds()
	}
	if row.Audit, err = b.Audit(ctx); err != nil {
		return row, err
	}
	row.Ledger, err = c.compare(ctx, b)
	return row, err
}

// compare goes through the database's transfers and the tellers' records at once: both are ordered by the transfers' numbers.
func (c *crowd) compare(ctx context.Context, b *bank.Bank) (l ledger, err error) {
	sent := c.sent()
	want, open := sent()
	missing := func() {
		if want.fate == moved {
			l.Missing++
			l.note("transfer %d was answered, and is not in the database", want.ID)
		}
		want, open = sent()
	}
	for got, err := range b.Transfers(ctx) {
		if err != nil {
			return l, err
		}
		for open && want.ID < got.ID {
			missing()
		}
		switch {
		case !open || want.ID != got.ID:
			l.MadeUp++
			l.note("transfer %d is in the database, and nobody sent it", got.ID)
			continue
		case want.fate == refused:
			l.MadeUp++
			l.note("transfer %d is in the database, and it was refused", got.ID)
		case want.Transfer != got:
			l.Altered++
			l.note("transfer %d is %+v in the database, and %+v was sent", got.ID, got, want.Transfer)
		}
		want, open = sent()
	}
	for open {
		missing()
	}
	return l, nil
}

func (l *ledger) note(format string, args ...any) {
	if len(l.Example) < shownTransfers {
		l.Example = append(l.Example, fmt.Sprintf(format, args...))
	}
}

// remembered is a transfer with what its teller was told.
type remembered struct {
	bank.Transfer
	fate fate
}

// sent is all that was sent, by numbers: the tellers' first transfers, then their second ones.
func (c *crowd) sent() func() (r remembered, open bool) {
	draws := make([]func() bank.Transfer, len(c.tellers))
	longest := 0
	for i, t := range c.tellers {
		draws[i], longest = t.draw(), max(longest, len(t.told))
	}
	at := 0
	return func() (remembered, bool) {
		for ; at < longest*len(c.tellers); at++ {
			who, n := at%len(c.tellers), at/len(c.tellers)
			if t := c.tellers[who]; n < len(t.told) {
				at++
				return remembered{draws[who](), t.told[n]}, true
			}
		}
		return remembered{}, false
	}
}

// judge says by how much Penstock was faster, and what promises are broken.
func (r *batchResult) judge() {
	r.Times = 0
	if len(r.Rows) == len(ways) && r.Rows[0].PerSecond > 0 {
		r.Times = r.Rows[len(r.Rows)-1].PerSecond / r.Rows[0].PerSecond
	}
	r.Broken = nil
	for _, row := range r.Rows {
		r.Broken = append(r.Broken, row.broken(r.Wallets, r.Opening)...)
	}
	r.Kept = len(r.Broken) == 0
}

// broken names every promise that is broken; there must be none on any machine, however busy.
func (r batchRow) broken(wallets int, opening int64) (broken []string) {
	check := func(kept bool, format string, args ...any) {
		if !kept {
			broken = append(broken, r.Name+": "+fmt.Sprintf(format, args...))
		}
	}
	check(r.Audit.Wallets == wallets, "there are %s, and were %s", counted(r.Audit.Wallets, "wallet"), grouped(wallets))
	check(r.Audit.Sum == int64(wallets)*opening, "the wallets hold %s, and held %s", grouped(int(r.Audit.Sum)), grouped(wallets*int(opening)))
	for _, w := range r.Audit.Wrong[:min(len(r.Audit.Wrong), shownWrong)] {
		check(false, "wallet %d holds %s, and by its transfers it is %s", w.ID, grouped(int(w.Balance)), grouped(int(w.Due)))
	}
	check(len(r.Audit.Wrong) <= shownWrong, "and %s", counted(len(r.Audit.Wrong)-shownWrong, "other wrong wallet"))
	for _, e := range r.Ledger.Example {
		check(false, "%s", e)
	}
	more := r.Ledger.Missing + r.Ledger.MadeUp + r.Ledger.Altered - len(r.Ledger.Example)
	check(more <= 0, "and %s", counted(more, "other wrong transfer"))
	check(r.Audit.Transfers >= r.Moved && r.Audit.Transfers <= r.Moved+r.Failed, "%s in the database, and %s answered", counted(r.Audit.Transfers, "transfer"), grouped(r.Moved))
	return broken
}
