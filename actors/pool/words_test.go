package pool

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/messages"
)

func TestErrandsTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &errand{
			task: Task{
				Name:    rapid.StringN(0, 20, 100).Filter(utf8.ValidString).Draw(t, "name"),
				MaxTime: time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "time")), MaxMemory: rapid.Int64Range(1, 1<<40).Draw(t, "memory"),
				Nice: rapid.IntRange(minNice, maxNice).Draw(t, "nice"),
			},
			wait: time.Duration(rapid.Int64Range(0, int64(maxWait)).Draw(t, "wait")),
			work: Work{Tier: Process, Name: "f", JSON: rapid.Bool().Draw(t, "json"), Input: []byte{1}},
		}
		if rapid.Bool().Draw(t, "wasm") {
			e.work = Work{Tier: Wasm, Name: "m", Digest: []byte{1}, Form: MainForm, Function: "f", Numbers: []uint64{1, 1 << 63}, Args: []string{"", "x"}, Input: []byte{2}}
		}
		body, err := e.wire()
		require.NoError(t, err)
		read, err := readErrand(body)
		require.NoError(t, err)
		require.Equal(t, e, read)
	})
	_, err := (&errand{}).wire()
	require.Error(t, err)
}

func TestReasonsTravel(t *testing.T) {
	for r := NoWorkers; r < reasons; r++ {
		back := reasonFrom(reasonOf(r))
		switch {
		case r <= Broken, r == Unregistered:
			require.Equal(t, r, back)
		default:
			require.Equal(t, Away, back)
		}
		require.NotEqual(t, r.String(), (r + reasons).String())
	}
}

// TestNothingThatANodeSaysIsTooLarge has the largest endings fit into a message.
func TestNothingThatANodeSaysIsTooLarge(t *testing.T) {
	const message = 64<<10 - 100
	text := string(make([]byte, 1<<20))
	for _, err := range []error{
		nil, &RemoteError{Message: text}, &CrashError{Stderr: text}, &MemoryError{Detail: text}, &KilledError{Cause: &textError{text: text}},
		&RejectError{Pool: string(make([]byte, maxName)), Reason: Broken, Cause: &textError{text: text}},
	} {
		body, e := proto.Marshal(endOf(make([]byte, maxTravel), err))
		require.NoError(t, e)
		require.Less(t, len(body), message)
	}
}

// FuzzReadErrand believes whatever is said, or says what is wrong with it.
func FuzzReadErrand(f *testing.F) {
	body, err := (&errand{task: Task{Name: "x"}, work: Work{Tier: Process, Name: "f"}}).wire()
	require.NoError(f, err)
	f.Add(body)
	p := &Pool{member: "b", there: "work"}
	f.Fuzz(func(t *testing.T, body []byte) {
		if e, err := readErrand(body); err == nil {
			require.GreaterOrEqual(t, e.wait, time.Duration(0))
			_, err = e.wire()
			require.NoError(t, err)
		}
		value, err := understood(body, p, &Task{Name: "x"})
		m := new(messages.PoolEnd)
		if proto.Unmarshal(body, m) != nil || m.GetOutcome() != messages.PoolOutcome_POOL_OUTCOME_VALUE {
			require.Error(t, err)
			require.NotEmpty(t, err.Error())
			require.Nil(t, value)
		}
	})
}
