package bucket

import (
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penstock-go/penstock/limit"
)

// What is said for each turn, a request and its grant, is written and read here by hand: the generated code takes a dozen allocations for it. What
// is unusual is left to that: see word.wire, readWord and readAnswer.

// The numbers of fields, as in bucket.proto.
const (
	wordAsk     = 1
	answerGrant = 1

	askBeat = 1
	askNice = 2 // flow and cost follow

	grantBeat  = 1
	grantEpoch = 2
	grantAt    = 3
	grantPlan  = 4
	grantCosts = 5

	beatLife  = 1
	beatStamp = 2
)

// shortest is the room for all that is said but texts.
const shortest = 128

// askWire is a word that asks, if it names no costs of single limits.
func askWire(a *asking) (b []byte, ok bool) {
	if a.request.Costs != nil || !utf8.ValidString(a.request.Flow) {
		return nil, false
	}
	var beatRoom [24]byte
	var room [2 * shortest]byte
	inner := appendMessage(room[:0], askBeat, appendBeat(beatRoom[:0], a.beat))
	inner = appendRequest(inner, &a.request, askNice)
	return appendMessage(make([]byte, 0, len(inner)+8), wordAsk, inner), true
}

// grantWire is an answer that grants.
func grantWire(g *grant) []byte {
	var beatRoom [24]byte
	var room [2 * shortest]byte
	inner := appendMessage(room[:0], grantBeat, appendBeat(beatRoom[:0], g.beat))
	inner = appendGrant(inner, g)
	return appendMessage(make([]byte, 0, len(inner)+8), answerGrant, inner)
}

// appendGrant writes a grant but for its beat.
func appendGrant(inner []byte, g *grant) []byte {
	var costs [limit.MaxLimits * 5]byte
	for i, v := range [...]uint64{uint64(g.epoch), uint64(g.at), g.plan} {
		if v != 0 {
			inner = appendNumber(inner, grantEpoch+protowire.Number(i), v)
		}
	}
	packed := costs[:0]
	for _, n := range g.costs[:lastOf(&g.costs)] {
		packed = protowire.AppendVarint(packed, uint64(int64(n)))
	}
	if len(packed) > 0 {
		inner = appendMessage(inner, grantCosts, packed)
	}
	return inner
}

// lastOf is how many limits costs are of.
func lastOf(costs *limit.Costs) int {
	n := len(costs)
	for n > 0 && costs[n-1] == 0 {
		n--
	}
	return n
}

func appendBeat(b []byte, of beat) []byte {
	if of.life != 0 {
		b = protowire.AppendFixed64(protowire.AppendTag(b, beatLife, protowire.Fixed64Type), of.life)
	}
	if of.stamp != 0 {
		b = appendNumber(b, beatStamp, uint64(of.stamp))
	}
	return b
}

func appendNumber(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendMessage(b []byte, n protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), m)
}

// scanner reads the fields of a message that are in their order and of kinds that are known. What else there is makes it fail.
type scanner struct {
	rest    []byte
	n       protowire.Number // of the field that was read last
	repeats protowire.Number // the one that may come more than once
	kind    protowire.Type
	number  uint64
	bytes   []byte
	failed  bool
}

// next reads a field; false at the end, and if it fails.
func (s *scanner) next() bool {
	if len(s.rest) == 0 || s.failed {
		return false
	}
	n, kind, size := protowire.ConsumeTag(s.rest)
	if size < 0 || n < s.n || n == s.n && n != s.repeats {
		s.failed = true
		return false
	}
	s.n, s.kind, s.rest = n, kind, s.rest[size:]
	switch kind {
	case protowire.VarintType:
		s.number, size = protowire.ConsumeVarint(s.rest)
	case protowire.Fixed64Type:
		s.number, size = protowire.ConsumeFixed64(s.rest)
	case protowire.BytesType:
		s.bytes, size = protowire.ConsumeBytes(s.rest)
	default:
		size = -1
	}
	if size < 0 {
		s.failed = true
		return false
	}
	s.rest = s.rest[size:]
	return true
}

// is reports whether the field is that one; of a wrong kind it fails.
func (s *scanner) is(n protowire.Number, kind protowire.Type) bool {
	if s.n == n && s.kind != kind {
		s.failed = true
	}
	return s.n == n && s.kind == kind
}

// within is the field's number, which fails if it is too large.
func (s *scanner) within(most uint64) uint64 {
	s.failed = s.failed || s.number > most
	return s.number
}

// only is the message in the one field that there is.
func only(b []byte, n protowire.Number) (inner []byte, ok bool) {
	s := scanner{rest: b}
	if !s.next() || !s.is(n, protowire.BytesType) || len(s.rest) > 0 {
		return nil, false
	}
	return s.bytes, true
}

func scanBeat(b []byte) (of beat, ok bool) {
	s := scanner{rest: b}
	for s.next() {
		switch {
		case s.is(beatLife, protowire.Fixed64Type):
			of.life = s.number
		case s.is(beatStamp, protowire.VarintType):
			of.stamp = int64(s.within(math.MaxInt64 / 2))
		default:
			s.failed = true
		}
	}
	return of, !s.failed
}

// scanAsk reads a word that asks, if there is nothing unusual about it.
func scanAsk(body []byte) (*asking, bool) {
	inner, ok := only(body, wordAsk)
	if !ok {
		return nil, false
	}
	a := new(asking)
	s := scanner{rest: inner}
	for s.next() {
		switch {
		case s.is(askBeat, protowire.BytesType):
			a.beat, ok = scanBeat(s.bytes)
			s.failed = s.failed || !ok
		default:
			s.request(&a.request, askNice)
		}
	}
	return a, !s.failed
}

// request takes a field in that appendRequest has written, and fails if it is another one.
func (s *scanner) request(r *Request, first protowire.Number) {
	switch {
	case s.is(first, protowire.VarintType):
		r.Nice = int(protowire.DecodeZigZag(s.within(math.MaxUint32)))
	case s.is(first+1, protowire.BytesType):
		r.Flow = string(s.bytes)
		s.failed = s.failed || !utf8.Valid(s.bytes)
	case s.is(first+2, protowire.VarintType):
		r.Cost = int(s.within(math.MaxInt32))
	default:
		s.failed = true
	}
}

// appendRequest writes niceness, flow and cost of a request, whose fields have the first number and those after it.
func appendRequest(b []byte, r *Request, first protowire.Number) []byte {
	if nice := int64(r.Nice); nice != 0 {
		b = appendNumber(b, first, protowire.EncodeZigZag(int64(int32(nice))))
	}
	if r.Flow != "" {
		b = protowire.AppendString(protowire.AppendTag(b, first+1, protowire.BytesType), r.Flow)
	}
	if r.Cost != 0 {
		b = appendNumber(b, first+2, uint64(r.Cost))
	}
	return b
}

// scanGrant reads an answer that grants, if there is nothing unusual about it.
func scanGrant(body []byte) (*grant, bool) {
	inner, ok := only(body, answerGrant)
	if !ok {
		return nil, false
	}
	return scanTurn(inner)
}

func scanTurn(b []byte) (_ *grant, ok bool) {
	g := new(grant)
	s := scanner{rest: b}
	for s.next() {
		switch {
		case s.is(grantBeat, protowire.BytesType):
			g.beat, ok = scanBeat(s.bytes)
			s.failed = s.failed || !ok
		case s.is(grantEpoch, protowire.VarintType):
			g.epoch = int64(s.within(math.MaxInt64))
		case s.is(grantAt, protowire.VarintType):
			g.at = time.Duration(s.within(math.MaxInt64))
		case s.is(grantPlan, protowire.VarintType):
			g.plan = s.number
		case s.is(grantCosts, protowire.BytesType):
			s.failed = s.failed || !scanCosts(s.bytes, &g.costs)
		default:
			s.failed = true
		}
	}
	return g, !s.failed
}

func scanCosts(b []byte, into *limit.Costs) bool {
	for i := 0; len(b) > 0; i++ {
		n, size := protowire.ConsumeVarint(b)
		if size < 0 || n > math.MaxInt32 || i == len(into) {
			return false
		}
		into[i], b = int32(n), b[size:]
	}
	return true
}
