package bucket

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/messages"
)

func drawBeat(t *rapid.T) beat {
	return beat{life: rapid.Uint64().Draw(t, "life"), stamp: rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "stamp")}
}

func drawGrant(t *rapid.T) *grant {
	clock := rapid.Int64Range(0, math.MaxInt64)
	g := &grant{beat: drawBeat(t), epoch: clock.Draw(t, "epoch"), at: time.Duration(clock.Draw(t, "at")), plan: rapid.Uint64().Draw(t, "plan")}
	for i := range g.costs {
		g.costs[i] = rapid.Int32Range(0, math.MaxInt32).Draw(t, "cost")
	}
	return g
}

func drawCounts(t *rapid.T) map[string]int {
	counts := rapid.MapOfN(rapid.StringN(0, 5, 20), rapid.IntRange(0, math.MaxInt32), 0, 3).Draw(t, "counts")
	if len(counts) == 0 {
		return nil
	}
	return counts
}

// What one node says is what the other one hears.
func TestWordsTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w word
		text := rapid.StringN(0, 20, 80)
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			w.ask = &asking{beat: drawBeat(t), request: Request{
				Nice: rapid.IntRange(MinNice, MaxNice).Draw(t, "nice"), Flow: text.Draw(t, "flow"),
				Cost: rapid.IntRange(0, math.MaxInt32).Draw(t, "cost"), Costs: drawCounts(t),
			}}
		case 1:
			b := drawBeat(t)
			w.beat = &b
		case 2:
			w.settle = &settlement{id: text.Draw(t, "id"), grant: drawGrant(t), actual: drawCounts(t), unused: rapid.Bool().Draw(t, "unused")}
		case 3:
			w.throttle = &throttle{id: text.Draw(t, "id"), rest: time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "rest"))}
		}
		body, err := w.wire()
		require.NoError(t, err)
		heard, err := readWord(body)
		require.NoError(t, err)
		require.Equal(t, w, heard)

		a := answerWord{grant: drawGrant(t)}
		switch rapid.IntRange(0, 2).Draw(t, "answer") {
		case 0:
			a = answerWord{full: &FullError{Waiting: rapid.IntRange(0, math.MaxInt32).Draw(t, "waiting"), Limit: text.Draw(t, "limit"), RetryAfter: time.Hour}}
		case 1:
			a = answerWord{invalid: &invalidError{"no " + text.Draw(t, "text")}}
		}
		body, err = a.wire()
		require.NoError(t, err)
		answer, err := readAnswer(body)
		require.NoError(t, err)
		if a.invalid != nil {
			a.invalid = &invalidError{a.invalid.Error()}
		}
		require.Equal(t, a, answer)
	})
}

func manyAsks(n int) (asks []*messages.BucketAskFor) {
	for range n {
		asks = append(asks, &messages.BucketAskFor{Id: "user"})
	}
	return asks
}

func TestBadWordsAreRefused(t *testing.T) {
	grant := func(g *messages.BucketGrant) *messages.BucketWord {
		return &messages.BucketWord{Of: &messages.BucketWord_Settle{Settle: &messages.BucketSettle{Grant: g}}}
	}
	for what, m := range map[string]*messages.BucketWord{
		"nothing that this version knows": {},
		"cost is -1":                      {Of: &messages.BucketWord_Ask{Ask: &messages.BucketAsk{Cost: -1}}},
		"cost is 2147483648":              {Of: &messages.BucketWord_Ask{Ask: &messages.BucketAsk{Costs: map[string]int64{"a": 1 << 31}}}},
		"stamp is -2":                     {Of: &messages.BucketWord_Beat{Beat: &messages.BucketBeat{Stamp: -2}}},
		"epoch is -3":                     grant(&messages.BucketGrant{Epoch: -3}),
		"at is -4":                        grant(&messages.BucketGrant{At: -4}),
		"cost is -5":                      grant(&messages.BucketGrant{Costs: []int32{-5}}),
		"there are 9 costs":               grant(&messages.BucketGrant{Costs: make([]int32, 9)}),
		"cost is -7":                      {Of: &messages.BucketWord_Asks{Asks: &messages.BucketAsks{Asks: []*messages.BucketAskFor{{Cost: -7}}}}},
		"there are 257 asks":              {Of: &messages.BucketWord_Asks{Asks: &messages.BucketAsks{Asks: manyAsks(257)}}},
		"rest is -6":                      {Of: &messages.BucketWord_Throttle{Throttle: &messages.BucketThrottle{Rest: -6}}},
	} {
		body, err := proto.Marshal(m)
		require.NoError(t, err)
		_, err = readWord(body)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, what)
	}
	for _, body := range [][]byte{{0xff}, nil} {
		_, err := readAnswer(body)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
	}
	_, err := readWord([]byte{0xff})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
}

// FuzzWords has a family take in whatever is said.
func FuzzWords(f *testing.F) {
	for _, w := range []word{
		{ask: &asking{beat: beat{1, 2}, request: Request{Cost: 1}}},
		{beat: &beat{1, 2}},
		{settle: &settlement{id: "user", grant: &grant{epoch: 2, at: 1 << 40}, actual: map[string]int{"api": 3}}},
		{settle: &settlement{id: "user", grant: &grant{epoch: 2}, unused: true}},
		{throttle: &throttle{id: "user", rest: math.MaxInt64}},
		{throttle: &throttle{rest: 1}},
	} {
		body, err := w.wire()
		require.NoError(f, err)
		f.Add(body)
	}
	f.Add(asksWire(beat{1, 2}, []*seat{{id: "user"}, {id: "user", request: Request{Nice: 99, Cost: 1}}, {id: ""}}))
	g := newGrid(f, "a", "b")
	a := g.family(Config{Limits: []limit.Limit{perMinute}}, "a")[0]
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newGridCall(g)
		a.peers.hear(letter{inquiry: c, from: "b", id: "user", body: body})
		c.cancel()
		if e, ok := a.children.Lookup("user"); ok {
			require.GreaterOrEqual(t, used(a), 0)
			require.NotNil(t, e.Value.state.rules)
		}
	})
}
