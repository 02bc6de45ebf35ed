package queue

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// What one node says is what the other one hears.
func TestWordsTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, math.MaxInt32)
		clock := rapid.Int64Range(0, math.MaxInt64/2)
		w := word{from: "a", paced: rapid.Bool().Draw(t, "paced"), name: rapid.StringN(1, 20, 80).Draw(t, "name")}
		if rapid.Bool().Draw(t, "report") {
			w.report = &report{
				life: rapid.Uint64().Draw(t, "life"), number: rapid.Uint64().Draw(t, "number"), clock: clock.Draw(t, "clock"),
				epoch: clock.Draw(t, "epoch"), loan: rapid.Uint64().Draw(t, "loan"), limit: count.Draw(t, "limit"), used: count.Draw(t, "used"),
				want: count.Draw(t, "want"), least: count.Draw(t, "least"), spent: rapid.Uint64().Draw(t, "spent"),
				idle: rapid.Bool().Draw(t, "idle"), gone: rapid.Bool().Draw(t, "gone"),
			}
		} else {
			w.loan = &loan{
				life: rapid.Uint64().Draw(t, "life"), epoch: clock.Draw(t, "epoch"), number: rapid.Uint64().Draw(t, "number"),
				clock: clock.Draw(t, "clock"), limit: count.Draw(t, "limit"), held: time.Duration(rapid.Int64Range(0, int64(maxHeld)).Draw(t, "held")),
				most: count.Draw(t, "most"), hello: rapid.Bool().Draw(t, "hello"),
			}
		}
		body, err := w.wire()
		require.NoError(t, err)
		heard, err := readWord("a", body)
		require.NoError(t, err)
		require.Equal(t, w, heard)
	})
}

func TestBadWordsAreRefused(t *testing.T) {
	report := func(r *messages.QueueReport) *messages.QueueWord {
		return &messages.QueueWord{Kind: messages.QueueKind_QUEUE_KIND_COUNTER, Name: "db", Of: &messages.QueueWord_Report{Report: r}}
	}
	loan := func(l *messages.QueueLoan) *messages.QueueWord {
		return &messages.QueueWord{Kind: messages.QueueKind_QUEUE_KIND_RATE, Name: "api", Of: &messages.QueueWord_Loan{Loan: l}}
	}
	for what, m := range map[string]*messages.QueueWord{
		"neither a report nor a loan":     {Kind: 1, Name: "db"},
		"the kind is 7":                   {Kind: 7, Name: "db", Of: &messages.QueueWord_Loan{}},
		"regulator name: it is empty":     {Kind: 1, Of: &messages.QueueWord_Loan{}},
		"limit is -1; it takes 0 to 2147": report(&messages.QueueReport{Limit: -1}),
		"used is 2147483648":              report(&messages.QueueReport{Used: 1 << 31}),
		"want is -2":                      report(&messages.QueueReport{Want: -2}),
		"least is -3":                     report(&messages.QueueReport{Least: -3}),
		"clock is -4":                     report(&messages.QueueReport{Clock: -4}),
		"epoch is -5":                     loan(&messages.QueueLoan{Epoch: -5}),
		"held is 3600000000001":           loan(&messages.QueueLoan{Held: int64(time.Hour) + 1}),
		"most is -6":                      loan(&messages.QueueLoan{Most: -6}),
		"clock is 9223372036854775807":    loan(&messages.QueueLoan{Clock: math.MaxInt64}),
	} {
		body, err := proto.Marshal(m)
		require.NoError(t, err)
		_, err = readWord("a", body)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, what)
	}
	_, err := readWord("a", []byte{0xff})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
}

// FuzzWords has the owner and a borrower take in whatever is said: neither fails, and neither lends more than there is.
func FuzzWords(f *testing.F) {
	for _, w := range []word{
		{name: "x", report: &report{life: 1, number: 1, epoch: 2, loan: 1 << roundShift, want: 3, least: 1}},
		{name: "x", loan: &loan{life: 1, epoch: 2, number: 1<<roundShift + 1, limit: 3, most: 4}},
		{paced: true, name: "x", loan: &loan{epoch: 2, number: 1 << roundShift, hello: true}},
	} {
		body, err := w.wire()
		require.NoError(f, err)
		f.Add(body, body)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, r := range []Regulator{Counter{Limit: 4}, Rate{PerSecond: 10}} {
			a := newAccount(r)
			a.lend(t0, 1)
			l, i := newLender(t0, 2, 1, nil), newIssuer(t0, 2, 1, 10)
			for n, body := range [][]byte{first, second, first} {
				now := t0.Add(time.Duration(n) * time.Second)
				w, err := readWord("a", body)
				switch {
				case err != nil:
				case w.loan != nil:
					a.takeIn(now, *w.loan, time.Second)
					a.report(now)
				default:
					l.report(now, "a", *w.report)
					i.report(now, "a", *w.report)
				}
				free := 4
				for _, b := range l.nodes {
					free -= b.charge()
				}
				before := free
				l.advance(now, 4)
				free = 4
				for _, b := range l.nodes {
					free -= b.charge()
				}
				require.GreaterOrEqual(t, free, min(before, 0))
				i.advance(now, 10)
			}
		}
	})
}
