package bucket

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/messages"
)

// word is what a node says to another one: one of these.
type word struct {
	ask      *asking
	asks     *askings
	beat     *beat
	settle   *settlement
	throttle *throttle
	estate   *estateAsk
	wants    *wants
	lent     []lentSlice
}

// asking is a request for a turn. Which ID it is about travels with the call.
type asking struct {
	beat    beat
	request Request // without its Key
}

// askings are requests for turns that are to be had at once.
type askings struct {
	beat beat
	list []askFor
}

// askFor is one of them: its request has no Key and no Costs.
type askFor struct {
	id      string
	request Request
}

// settlement corrects what a turn was charged.
type settlement struct {
	id     string
	grant  *grant
	actual map[string]int
	unused bool
}

// throttle has nothing pass for a time.
type throttle struct {
	id   string // empty: of the whole family
	rest time.Duration
}

// answerWord is what an owner says to an asking: one of these.
type answerWord struct {
	grant   *grant
	full    *FullError // without Family and ID
	invalid error
}

func (b beat) message() *messages.BucketBeat {
	return &messages.BucketBeat{Life: b.life, Stamp: b.stamp}
}

func (g *grant) message() *messages.BucketGrant {
	m := &messages.BucketGrant{Beat: g.beat.message(), Epoch: g.epoch, At: int64(g.at), Plan: g.plan}
	m.Costs = append(m.Costs, g.costs[:lastOf(&g.costs)]...)
	return m
}

func counts(of map[string]int) map[string]int64 {
	if of == nil {
		return nil
	}
	wide := make(map[string]int64, len(of))
	for name, n := range of {
		wide[name] = int64(clampCost(max(n, 0)))
	}
	return wide
}

// wire is the word as it travels.
func (w word) wire() ([]byte, error) {
	if w.ask != nil {
		if wire, ok := askWire(w.ask); ok {
			return wire, nil
		}
	}
	m := new(messages.BucketWord)
	switch {
	case w.ask != nil:
		r := w.ask.request
		m.Of = &messages.BucketWord_Ask{Ask: &messages.BucketAsk{
			Beat: w.ask.beat.message(), Nice: int32(r.Nice), Flow: r.Flow, Cost: int64(r.Cost), Costs: counts(r.Costs),
		}}
	case w.beat != nil:
		m.Of = &messages.BucketWord_Beat{Beat: w.beat.message()}
	case w.settle != nil:
		s := w.settle
		m.Of = &messages.BucketWord_Settle{Settle: &messages.BucketSettle{Id: s.id, Grant: s.grant.message(), Actual: counts(s.actual), Unused: s.unused}}
	case w.throttle != nil:
		m.Of = &messages.BucketWord_Throttle{Throttle: &messages.BucketThrottle{Id: w.throttle.id, Rest: int64(w.throttle.rest)}}
	case w.estate != nil:
		m.Of = &messages.BucketWord_Estate{Estate: &messages.BucketEstateAsk{Epoch: w.estate.epoch, Ids: w.estate.ids}}
	case w.wants != nil:
		m.Of = &messages.BucketWord_Wants{Wants: w.wants.wire()}
	case w.lent != nil:
		m.Of = &messages.BucketWord_Slices{Slices: slicesWire(w.lent)}
	}
	return proto.Marshal(m)
}

// wire is the answer as it travels.
func (a answerWord) wire() ([]byte, error) {
	if a.grant != nil {
		return grantWire(a.grant), nil
	}
	m := new(messages.BucketAnswer)
	switch {
	case a.full != nil:
		m.Of = &messages.BucketAnswer_Full{Full: &messages.BucketFull{
			Waiting: int64(a.full.Waiting), Limit: a.full.Limit, RetryAfter: int64(a.full.RetryAfter),
		}}
	case a.invalid != nil:
		m.Of = &messages.BucketAnswer_Invalid{Invalid: a.invalid.Error()}
	}
	return proto.Marshal(m)
}

// reader takes in numbers, and notes which of them could not be.
type reader struct{ errs []error }

func (r *reader) within(what string, n, most int64) int64 {
	if n < 0 || n > most {
		r.errs = append(r.errs, fmt.Errorf("%s is %d; it takes 0 to %d", what, n, most))
		return 0
	}
	return n
}

func (r *reader) span(what string, n int64) time.Duration {
	return time.Duration(r.within(what, n, math.MaxInt64))
}

func (r *reader) counts(what string, of map[string]int64) map[string]int {
	if len(of) == 0 {
		return nil
	}
	narrow := make(map[string]int, len(of))
	for name, n := range of {
		narrow[name] = int(r.within(what, n, math.MaxInt32))
	}
	return narrow
}

func (r *reader) beat(m *messages.BucketBeat) beat {
	return beat{life: m.GetLife(), stamp: r.within("stamp", m.GetStamp(), math.MaxInt64/2)}
}

func (r *reader) grant(m *messages.BucketGrant) *grant {
	g := &grant{
		beat: r.beat(m.GetBeat()), epoch: r.within("epoch", m.GetEpoch(), math.MaxInt64),
		at: r.span("at", m.GetAt()), plan: m.GetPlan(),
	}
	if len(m.GetCosts()) > limit.MaxLimits {
		r.errs = append(r.errs, fmt.Errorf("there are %d costs; it takes at most %d", len(m.GetCosts()), limit.MaxLimits))
		return g
	}
	for i, n := range m.GetCosts() {
		g.costs[i] = int32(r.within("cost", int64(n), math.MaxInt32))
	}
	return g
}

func (r *reader) err(what string) error {
	if err := errors.Join(r.errs...); err != nil {
		return fmt.Errorf("%w %s about a bucket: %w", penstock.ErrInvalid, what, err)
	}
	return nil
}

// readWord reads what another node says, and believes nothing that could not be. What a request says is judged by its bucket.
func readWord(body []byte) (w word, err error) {
	if a, ok := scanAsk(body); ok {
		return word{ask: a}, nil
	}
	if a, ok := scanAsks(body); ok {
		return word{asks: a}, nil
	}
	m, r := new(messages.BucketWord), new(reader)
	if err := proto.Unmarshal(body, m); err != nil {
		return w, fmt.Errorf("%w word: %w", penstock.ErrInvalid, err)
	}
	switch {
	case m.GetAsk() != nil:
		a := m.GetAsk()
		w.ask = &asking{beat: r.beat(a.GetBeat()), request: Request{
			Nice: int(a.GetNice()), Flow: a.GetFlow(), Cost: int(r.within("cost", a.GetCost(), math.MaxInt32)), Costs: r.counts("cost", a.GetCosts()),
		}}
	case m.GetAsks() != nil:
		w.asks = r.askings(m.GetAsks())
	case m.GetBeat() != nil:
		b := r.beat(m.GetBeat())
		w.beat = &b
	case m.GetSettle() != nil:
		s := m.GetSettle()
		w.settle = &settlement{id: s.GetId(), grant: r.grant(s.GetGrant()), actual: r.counts("actual", s.GetActual()), unused: s.GetUnused()}
	case m.GetThrottle() != nil:
		w.throttle = &throttle{id: m.GetThrottle().GetId(), rest: r.span("rest", m.GetThrottle().GetRest())}
	case m.GetEstate() != nil:
		w.estate = &estateAsk{epoch: m.GetEstate().GetEpoch(), ids: m.GetEstate().GetIds()}
	case m.GetWants() != nil:
		of := readWants(m.GetWants())
		w.wants = &of
	case m.GetSlices() != nil:
		if w.lent, err = readSlices(m.GetSlices()); err != nil {
			r.errs = append(r.errs, err)
		}
	default:
		r.errs = append(r.errs, errors.New("it is nothing that this version knows"))
	}
	if err := r.err("word"); err != nil {
		return word{}, err
	}
	return w, nil
}

// readAnswer reads what an owner says.
func readAnswer(body []byte) (a answerWord, err error) {
	if g, ok := scanGrant(body); ok {
		return answerWord{grant: g}, nil
	}
	m, r := new(messages.BucketAnswer), new(reader)
	if err := proto.Unmarshal(body, m); err != nil {
		return a, fmt.Errorf("%w answer: %w", penstock.ErrInvalid, err)
	}
	switch {
	case m.GetGrant() != nil:
		a.grant = r.grant(m.GetGrant())
	case m.GetFull() != nil:
		full := m.GetFull()
		a.full = &FullError{
			Waiting: int(r.within("waiting", full.GetWaiting(), math.MaxInt32)), Limit: full.GetLimit(), RetryAfter: r.span("retry after", full.GetRetryAfter()),
		}
	case m.GetInvalid() != "":
		a.invalid = &invalidError{m.GetInvalid()}
	default:
		r.errs = append(r.errs, errors.New("it is nothing that this version knows"))
	}
	if err := r.err("answer"); err != nil {
		return answerWord{}, err
	}
	return a, nil
}
