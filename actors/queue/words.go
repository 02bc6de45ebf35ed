package queue

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// word is what one node says to another about a clustered regulator: a report or a loan.
type word struct {
	from   string // who says it; empty in what is to be sent
	paced  bool   // it is about a rate, and else about a counter
	name   string // of the regulator
	report *report
	loan   *loan
}

// wire is the word as it travels.
func (w word) wire() ([]byte, error) {
	m := &messages.QueueWord{Kind: messages.QueueKind_QUEUE_KIND_COUNTER, Name: w.name}
	if w.paced {
		m.Kind = messages.QueueKind_QUEUE_KIND_RATE
	}
	if r := w.report; r != nil {
		m.Of = &messages.QueueWord_Report{Report: &messages.QueueReport{
			Life: r.life, Number: r.number, Clock: r.clock, Epoch: r.epoch, Loan: r.loan, Limit: int64(r.limit), Used: int64(r.used),
			Want: int64(r.want), Least: int64(r.least), Spent: r.spent, Idle: r.idle, Gone: r.gone,
		}}
	}
	if l := w.loan; l != nil {
		m.Of = &messages.QueueWord_Loan{Loan: &messages.QueueLoan{
			Life: l.life, Epoch: l.epoch, Number: l.number, Clock: l.clock, Limit: int64(l.limit),
			Held: int64(l.held), Most: int64(l.most), Hello: l.hello,
		}}
	}
	return proto.Marshal(m)
}

// readWord reads what another node says, and believes nothing that could not be.
func readWord(from string, body []byte) (w word, err error) {
	m := new(messages.QueueWord)
	if err := proto.Unmarshal(body, m); err != nil {
		return w, fmt.Errorf("%w word: %w", penstock.ErrInvalid, err)
	}
	w = word{from: from, name: m.GetName(), paced: m.GetKind() == messages.QueueKind_QUEUE_KIND_RATE}
	errs := []error{checkName("regulator", w.name)}
	if !w.paced && m.GetKind() != messages.QueueKind_QUEUE_KIND_COUNTER {
		errs = append(errs, fmt.Errorf("the kind is %d; it takes %d or %d", m.GetKind(),
			messages.QueueKind_QUEUE_KIND_COUNTER, messages.QueueKind_QUEUE_KIND_RATE))
	}
	within := func(what string, n, most int64) int {
		if n < 0 || n > most {
			errs = append(errs, fmt.Errorf("%s is %d; it takes 0 to %d", what, n, most))
			return 0
		}
		return int(n)
	}
	count := func(what string, n int64) int { return within(what, n, math.MaxInt32) }
	switch {
	case m.GetReport() != nil:
		r := m.GetReport()
		within("clock", r.GetClock(), math.MaxInt64/2)
		within("epoch", r.GetEpoch(), math.MaxInt64)
		w.report = &report{
			life: r.GetLife(), number: r.GetNumber(), clock: r.GetClock(), epoch: r.GetEpoch(), loan: r.GetLoan(),
			limit: count("limit", r.GetLimit()), used: count("used", r.GetUsed()),
			want: count("want", r.GetWant()), least: count("least", r.GetLeast()),
			spent: r.GetSpent(), idle: r.GetIdle(), gone: r.GetGone(),
		}
	case m.GetLoan() != nil:
		l := m.GetLoan()
		within("clock", l.GetClock(), math.MaxInt64/2)
		within("epoch", l.GetEpoch(), math.MaxInt64)
		w.loan = &loan{
			life: l.GetLife(), epoch: l.GetEpoch(), number: l.GetNumber(), clock: l.GetClock(),
			limit: count("limit", l.GetLimit()), held: time.Duration(within("held", l.GetHeld(), int64(maxHeld))),
			most: count("most", l.GetMost()), hello: l.GetHello(),
		}
	default:
		errs = append(errs, errors.New("it is neither a report nor a loan"))
	}
	if err := errors.Join(errs...); err != nil {
		return word{}, fmt.Errorf("%w word about regulator %.64q: %w", penstock.ErrInvalid, w.name, err)
	}
	return w, nil
}

// maxHeld bounds how long after a report its permits may come.
const maxHeld = time.Hour
