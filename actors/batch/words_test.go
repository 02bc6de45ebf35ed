package batch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/messages"
)

func TestAnswersTravel(t *testing.T) {
	read := func(err error) error {
		t.Helper()
		wire, failure := ending{member: "b", err: err}.wire()
		require.NoError(t, failure)
		result, again := readAnswer(wire)
		require.Nil(t, result)
		require.Error(t, again)
		return again
	}
	for _, e := range endings {
		require.ErrorIs(t, read(errors.Join(errOwn, e.is)), e.is)
	}
	err := read(errOwn)
	require.Equal(t, &cluster.RemoteError{Member: "b", Text: errOwn.Error()}, err)
	stuck := new(StuckError)
	require.ErrorAs(t, read(&StuckError{What: "save", After: time.Minute}), &stuck)
	require.Equal(t, StuckError{What: "save", After: time.Minute}, *stuck)
	require.ErrorIs(t, read(&StuckError{What: "save"}), cluster.ErrUnknown)
	require.NotErrorIs(t, read(&StuckError{What: "the save before"}), cluster.ErrUnknown)
	panicked := new(penstock.PanicError)
	require.ErrorAs(t, read(&penstock.PanicError{Value: "it hurts"}), &panicked)
	require.Contains(t, panicked.Error(), "it hurts")
	require.NotNil(t, abortion(read(Abort(errOwn))))

	long := read(errors.New(strings.Repeat("é\xff", maxErrorText)))
	require.LessOrEqual(t, len(long.Error()), maxErrorText+20)
	require.True(t, utf8.ValidString(long.Error()))

	wire, failure := ending{member: "b", result: []byte("5")}.wire()
	require.NoError(t, failure)
	result, err := readAnswer(wire)
	require.NoError(t, err)
	require.Equal(t, []byte("5"), result)

	for name, body := range map[string][]byte{"nothing": nil, "no message": {0xff}} {
		_, err := readAnswer(body)
		require.ErrorIs(t, err, cluster.ErrUnknown, name)
	}
	newer, failure := proto.Marshal(&messages.BatchAnswer{Ending: 99, Text: "something new", Member: "b"})
	require.NoError(t, failure)
	_, err = readAnswer(newer)
	require.Equal(t, &cluster.RemoteError{Member: "b", Text: "something new"}, err)
	require.ErrorIs(t, read(errors.Join(ErrCancelled, context.Canceled)), ErrCancelled)
}

// TestEveryEndingHasAMeaning is about those that are added: an error that nobody reads would be one of no class.
func TestEveryEndingHasAMeaning(t *testing.T) {
	for number, name := range messages.BatchEnding_name {
		wire, err := proto.Marshal(&messages.BatchAnswer{Ending: messages.BatchEnding(number), Text: "x", Member: "b"})
		require.NoError(t, err)
		_, err = readAnswer(wire)
		switch messages.BatchEnding(number) {
		case messages.BatchEnding_BATCH_ENDING_DONE:
			require.NoError(t, err)
		case messages.BatchEnding_BATCH_ENDING_FAILED:
			require.IsType(t, &cluster.RemoteError{}, err)
		default:
			require.NotEqual(t, &cluster.RemoteError{Member: "b", Text: "x"}, err, name)
		}
	}
}

func TestACallOfNobodyIsRefused(t *testing.T) {
	_, err := readCall([]byte{0xff})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	wire, err := call{"note", "ada", []byte("5")}.wire()
	require.NoError(t, err)
	c, err := readCall(wire)
	require.NoError(t, err)
	require.Equal(t, call{"note", "ada", []byte("5")}, c)
}
