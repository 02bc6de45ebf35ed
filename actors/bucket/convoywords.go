package bucket

import (
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// What is asked together is written and read by hand too: see wire.go.

// The numbers of fields, as in bucket.proto.
const (
	wordAsks = 8

	asksBeat = 1
	asksList = 2

	forID   = 1
	forNice = 2 // flow and cost follow

	turnsBeat = 1
	turnsList = 2
)

// mostAsks is how many asks are taken in together.
const mostAsks = 4 * convoySize

// asksWire is a word that asks for several turns.
func asksWire(at beat, going []*seat) []byte {
	var beatRoom [24]byte
	var room [shortest]byte
	inner := make([]byte, 0, shortest+len(going)*32)
	inner = appendMessage(inner, asksBeat, appendBeat(beatRoom[:0], at))
	for _, s := range going {
		one := protowire.AppendString(protowire.AppendTag(room[:0], forID, protowire.BytesType), s.id)
		one = appendRequest(one, &s.request, forNice)
		inner = appendMessage(inner, asksList, one)
	}
	return appendMessage(make([]byte, 0, len(inner)+8), wordAsks, inner)
}

// scanAsks reads a word that asks for several turns, if there is nothing unusual about it.
func scanAsks(body []byte) (*askings, bool) {
	inner, ok := only(body, wordAsks)
	if !ok {
		return nil, false
	}
	a := new(askings)
	s := scanner{rest: inner, repeats: asksList}
	for s.next() {
		switch {
		case s.is(asksBeat, protowire.BytesType):
			a.beat, ok = scanBeat(s.bytes)
			s.failed = s.failed || !ok
		case s.is(asksList, protowire.BytesType):
			if a.list == nil { // they are about as long as the first one
				a.list = make([]askFor, 0, min(1+len(s.rest)/(len(s.bytes)+2), mostAsks))
			}
			one, ok := scanAskFor(s.bytes)
			a.list = append(a.list, one)
			s.failed = s.failed || !ok || len(a.list) > mostAsks
		default:
			s.failed = true
		}
	}
	return a, !s.failed
}

func scanAskFor(b []byte) (a askFor, ok bool) {
	s := scanner{rest: b}
	for s.next() {
		switch {
		case s.is(forID, protowire.BytesType):
			a.id = string(s.bytes)
			s.failed = s.failed || !utf8.Valid(s.bytes)
		default:
			s.request(&a.request, forNice)
		}
	}
	return a, !s.failed
}

// turnsWire is what an owner answers.
func turnsWire(of beat, turns []turn) []byte {
	var beatRoom [24]byte
	var room [2 * shortest]byte
	b := make([]byte, 0, shortest+len(turns)*32)
	b = appendMessage(b, turnsBeat, appendBeat(beatRoom[:0], of))
	for i := range turns {
		one := room[:0]
		if t := &turns[i]; t.granted {
			one = appendGrant(one, &t.grant)
		}
		b = appendMessage(b, turnsList, one)
	}
	return b
}

// readTurns reads what an owner answers to so many asks: nil for those that get none.
func readTurns(body []byte, asked int) ([]*grant, error) {
	turns, ok := scanTurns(body, asked)
	if !ok {
		var err error
		if turns, err = turnsOf(body); err != nil {
			return nil, err
		}
	}
	if len(turns) != asked {
		return nil, fmt.Errorf("%w turns: there are %d for %d who asked", penstock.ErrInvalid, len(turns), asked)
	}
	return turns, nil
}

// turnsOf reads turns by the generated code.
func turnsOf(body []byte) (turns []*grant, err error) {
	m, r := new(messages.BucketTurns), new(reader)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w turns: %w", penstock.ErrInvalid, err)
	}
	of := r.beat(m.GetBeat())
	for _, g := range m.GetTurns() {
		var turn *grant
		if proto.Size(g) > 0 {
			turn = r.grant(g)
			turn.beat = of
		}
		turns = append(turns, turn)
	}
	return turns, r.err("turns")
}

// askings reads asks by the generated code.
func (r *reader) askings(m *messages.BucketAsks) *askings {
	a := &askings{beat: r.beat(m.GetBeat())}
	if n := len(m.GetAsks()); n > mostAsks {
		r.errs = append(r.errs, fmt.Errorf("there are %d asks; it takes at most %d", n, mostAsks))
		return a
	}
	for _, one := range m.GetAsks() {
		a.list = append(a.list, askFor{one.GetId(), Request{
			Nice: int(one.GetNice()), Flow: one.GetFlow(), Cost: int(r.within("cost", one.GetCost(), math.MaxInt32)),
		}})
	}
	return a
}

func scanTurns(body []byte, asked int) (turns []*grant, ok bool) {
	turns = make([]*grant, 0, asked)
	var of beat
	s := scanner{rest: body, repeats: turnsList}
	for s.next() {
		switch {
		case s.is(turnsBeat, protowire.BytesType):
			of, ok = scanBeat(s.bytes)
			s.failed = s.failed || !ok
		case s.is(turnsList, protowire.BytesType) && len(s.bytes) == 0:
			turns = append(turns, nil)
		case s.is(turnsList, protowire.BytesType):
			g, ok := scanTurn(s.bytes)
			g.beat = of
			turns = append(turns, g)
			s.failed = s.failed || !ok
		default:
			s.failed = true
		}
	}
	return turns, !s.failed
}
