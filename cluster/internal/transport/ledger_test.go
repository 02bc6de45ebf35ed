package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/messages"
)

func TestLedger(t *testing.T) {
	l := newLedger(2)
	one, v := l.admit(1)
	require.Equal(t, begin, v)
	one.request = new(Request)
	_, v = l.admit(1)
	require.Equal(t, running, v)
	two, v := l.admit(2)
	require.Equal(t, begin, v)
	_, v = l.admit(3)
	require.Equal(t, full, v)

	a := &messages.Answer{Id: 1, Kind: 7}
	require.True(t, l.finish(one, time.Second, a))
	require.False(t, l.finish(one, time.Second, &messages.Answer{Id: 1, Kind: 8}), "the first answer counts")
	r, v := l.admit(1)
	require.Equal(t, answered, v)
	require.Same(t, a, r.answer)
	_, v = l.admit(3)
	require.Equal(t, begin, v, "there is room again")

	l.settle(2)
	require.Equal(t, 2, l.running(), "what has no answer cannot have arrived")
	require.True(t, l.finish(two, 2*time.Second, &messages.Answer{Id: 2}))
	l.settle(2)
	require.Len(t, l.records, 2)
	l.expire(time.Second + memory)
	require.Len(t, l.records, 2)
	l.expire(time.Second + memory + 1)
	require.Len(t, l.records, 1)
	_, v = l.admit(1)
	require.Equal(t, forgotten, v)
}

// TestNothingIsBegunTwice is a model of a peer that asks and asks again, and forgets nothing itself.
func TestNothingIsBegunTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		l := newLedger(limit)
		var (
			now     time.Duration
			next    uint64
			begun   = make(map[uint64]*record)
			answers = make(map[uint64]*messages.Answer)
			settled = make(map[uint64]bool) // is not asked again
		)
		known := func(what string) uint64 { return rapid.Uint64Range(1, max(next, 1)).Draw(t, what) }
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				next++
				r, v := l.admit(next)
				switch v {
				case begin:
					begun[next] = r
				case full:
					if running := len(begun) - len(answers); running < limit {
						t.Fatalf("%d are under way, and may be %d", running, limit)
					}
				default:
					t.Fatalf("%d is new, and was %v", next, v)
				}
			},
			"ask again": func(t *rapid.T) {
				id := known("again")
				if settled[id] || id > next {
					return
				}
				r, v := l.admit(id)
				switch {
				case v == begin && begun[id] != nil:
					t.Fatalf("%d was begun twice", id)
				case v == begin:
					begun[id] = r
				case v == answered && r.answer != answers[id]:
					t.Fatalf("%d got another answer", id)
				case v == running && answers[id] != nil:
					t.Fatalf("%d has its answer", id)
				}
			},
			"answer": func(t *rapid.T) {
				id := known("answered")
				if r := begun[id]; r != nil {
					a := &messages.Answer{Id: id}
					if l.finish(r, now, a) {
						answers[id] = a
					}
				}
			},
			"settle": func(t *rapid.T) {
				if id := known("settled"); answers[id] != nil {
					settled[id] = true
					l.settle(id)
				}
			},
			"time": func(t *rapid.T) {
				now += time.Duration(rapid.Int64Range(0, int64(memory)).Draw(t, "pause"))
				l.expire(now)
			},
			"": func(t *rapid.T) {
				if got, want := l.running(), len(begun)-len(answers); got != want || got > limit {
					t.Fatalf("%d are under way, should be %d of up to %d", got, want, limit)
				}
				if l.done.Len() > 2*limit {
					t.Fatalf("%d answers are kept", l.done.Len())
				}
			},
		})
	})
}
