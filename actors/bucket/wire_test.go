package bucket

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/messages"
)

// byMessage is a word or an answer as the generated code writes it.
func byMessage(t testing.TB, m proto.Message) string {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	require.NoError(t, err)
	return string(wire)
}

func TestWhatIsWrittenByHandIsWhatTheMessagesSay(t *testing.T) {
	for _, a := range []*asking{
		{}, {beat: beat{1, 2}, request: Request{Nice: -20, Flow: "tenant", Cost: 3}}, {request: Request{Nice: 19}},
		{beat: beat{math.MaxUint64, math.MaxInt64 / 2}, request: Request{Flow: strings.Repeat("f", 512), Cost: math.MaxInt32}},
	} {
		wire, err := word{ask: a}.wire()
		require.NoError(t, err)
		require.Equal(t, byMessage(t, &messages.BucketWord{Of: &messages.BucketWord_Ask{Ask: &messages.BucketAsk{
			Beat: a.beat.message(), Nice: int32(a.request.Nice), Flow: a.request.Flow, Cost: int64(a.request.Cost),
		}}}), string(wire))
		read, ok := scanAsk(wire)
		require.True(t, ok)
		require.Equal(t, a, read)
	}
	for _, g := range []*grant{
		{}, {beat: beat{1, 2}, epoch: 3, at: 4, plan: 5, costs: limit.Costs{6, 0, 7}},
		{beat: beat{math.MaxUint64, 1}, epoch: math.MaxInt64, at: math.MaxInt64, plan: math.MaxUint64, costs: limit.Costs{7: math.MaxInt32}},
	} {
		wire, err := answerWord{grant: g}.wire()
		require.NoError(t, err)
		require.Equal(t, byMessage(t, &messages.BucketAnswer{Of: &messages.BucketAnswer_Grant{Grant: g.message()}}), string(wire))
		read, ok := scanGrant(wire)
		require.True(t, ok)
		require.Equal(t, g, read)
	}
	for _, a := range []*askings{
		{beat: beat{1, 2}, list: []askFor{
			{"ada", Request{}}, {strings.Repeat("i", 512), Request{Nice: -20, Flow: strings.Repeat("f", 512), Cost: math.MaxInt32}}, {"ida", Request{Cost: 2}},
		}},
		{list: []askFor{{"ada", Request{Nice: 19}}}}, {},
	} {
		m := &messages.BucketAsks{Beat: a.beat.message()}
		var going []*seat
		for _, one := range a.list {
			going = append(going, &seat{id: one.id, request: one.request})
			m.Asks = append(m.Asks, &messages.BucketAskFor{
				Id: one.id, Nice: int32(one.request.Nice), Flow: one.request.Flow, Cost: int64(one.request.Cost),
			})
		}
		wire := asksWire(a.beat, going)
		require.Equal(t, byMessage(t, &messages.BucketWord{Of: &messages.BucketWord_Asks{Asks: m}}), string(wire))
		read, ok := scanAsks(wire)
		require.True(t, ok)
		require.Equal(t, a, read)
		require.Equal(t, a, askingsOf(t, wire))
	}
	of := beat{math.MaxUint64, 3}
	turns := []*grant{{beat: of, epoch: 4, at: 5, plan: 6, costs: limit.Costs{7}}, nil, {beat: of, epoch: 8}, nil}
	m := &messages.BucketTurns{Beat: of.message()}
	for _, g := range turns {
		one := new(messages.BucketGrant)
		if g != nil {
			one = g.message()
			one.Beat = nil
		}
		m.Turns = append(m.Turns, one)
	}
	wire := turnsWire(of, turnsFrom(turns))
	require.Equal(t, byMessage(t, m), string(wire))
	read, ok := scanTurns(wire, len(turns))
	require.True(t, ok)
	require.Equal(t, turns, read)
	read, err := turnsOf(wire)
	require.NoError(t, err)
	require.Equal(t, turns, read)
	_, err = readTurns(wire, len(turns)+1)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	testUnusual(t)
}

// turnsFrom are turns at their owner.
func turnsFrom(grants []*grant) (turns []turn) {
	for _, g := range grants {
		t := turn{granted: g != nil}
		if t.granted {
			t.grant = *g
		}
		turns = append(turns, t)
	}
	return turns
}

// askingsOf reads a word by the generated code.
func askingsOf(t testing.TB, wire []byte) *askings {
	m := new(messages.BucketWord)
	require.NoError(t, proto.Unmarshal(wire, m))
	r := new(reader)
	require.NotNil(t, m.GetAsks())
	a := r.askings(m.GetAsks())
	require.NoError(t, r.err("word"))
	return a
}

func testUnusual(t *testing.T) {
	costs := word{ask: &asking{request: Request{Costs: map[string]int{"tokens": 7}}}}
	wire, err := costs.wire()
	require.NoError(t, err)
	_, ok := scanAsk(wire)
	require.False(t, ok, "what is unusual is left to the generated code")
	read, err := readWord(wire)
	require.NoError(t, err)
	require.Equal(t, costs.ask.request, read.ask.request)
}

// FuzzWire reads by hand nothing but what the generated code reads, and the same.
func FuzzWire(f *testing.F) {
	for _, m := range []proto.Message{
		&messages.BucketWord{Of: &messages.BucketWord_Ask{Ask: &messages.BucketAsk{Beat: beat{1, 2}.message(), Nice: -3, Flow: "f", Cost: 4}}},
		&messages.BucketAnswer{Of: &messages.BucketAnswer_Grant{Grant: (&grant{beat: beat{1, 2}, epoch: 3, at: 4, plan: 5, costs: limit.Costs{1}}).message()}},
		&messages.BucketAnswer{Of: &messages.BucketAnswer_Full{Full: &messages.BucketFull{Waiting: 1}}},
	} {
		f.Add([]byte(byMessage(f, m)))
	}
	f.Add(asksWire(beat{1, 2}, []*seat{{id: "ada"}, {id: "ida", request: Request{Nice: 3, Flow: "f", Cost: 4}}}))
	f.Add(turnsWire(beat{1, 2}, turnsFrom([]*grant{nil, {epoch: 3, at: 4, plan: 5, costs: limit.Costs{1}}})))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if a, ok := scanAsk(wire); ok {
			m := new(messages.BucketWord)
			require.NoError(t, proto.Unmarshal(wire, m))
			r := new(reader)
			of := m.GetAsk()
			require.NotNil(t, of)
			require.Equal(t, asking{beat: r.beat(of.GetBeat()), request: Request{Nice: int(of.GetNice()), Flow: of.GetFlow(), Cost: int(of.GetCost())}}, *a)
			require.NoError(t, r.err("word"))
			require.Empty(t, of.GetCosts())
		}
		if g, ok := scanGrant(wire); ok {
			m := new(messages.BucketAnswer)
			require.NoError(t, proto.Unmarshal(wire, m))
			r := new(reader)
			require.NotNil(t, m.GetGrant())
			require.Equal(t, r.grant(m.GetGrant()), g)
			require.NoError(t, r.err("answer"))
		}
		if a, ok := scanAsks(wire); ok {
			require.Equal(t, askingsOf(t, wire), a)
		}
		if turns, ok := scanTurns(wire, 0); ok {
			read, err := turnsOf(wire)
			require.NoError(t, err)
			require.Equal(t, len(read), len(turns))
			for i := range read {
				require.Equal(t, read[i], turns[i])
			}
		}
	})
}

func BenchmarkWire(b *testing.B) {
	a := &asking{beat: beat{math.MaxUint64, 1 << 50}, request: Request{Cost: 2}}
	g := &grant{beat: a.beat, epoch: 1 << 41, at: 1 << 40, plan: 1, costs: limit.Costs{2}}
	b.ReportAllocs()
	for b.Loop() {
		asks, _ := word{ask: a}.wire()
		grants, _ := answerWord{grant: g}.wire()
		if _, err := readWord(asks); err != nil {
			b.Fatal(err)
		}
		if _, err := readAnswer(grants); err != nil {
			b.Fatal(err)
		}
	}
}
