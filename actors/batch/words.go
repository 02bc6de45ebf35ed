package batch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/messages"
)

// call is what the owner of a key is asked.
type call struct {
	operation string
	key       string
	arguments []byte
}

// wire is the call as it travels.
func (c call) wire() ([]byte, error) {
	return proto.Marshal(&messages.BatchCall{Operation: c.operation, Key: c.key, Arguments: c.arguments})
}

// readCall reads what another node asks.
func readCall(body []byte) (call, error) {
	m := new(messages.BatchCall)
	if err := proto.Unmarshal(body, m); err != nil {
		return call{}, fmt.Errorf("%w call: %w", penstock.ErrInvalid, err)
	}
	return call{m.GetOperation(), m.GetKey(), m.GetArguments()}, nil
}

// ending is what the owner answers.
type ending struct {
	member string
	result []byte
	err    error
}

// endings are the errors that are known again on another node. Of those that an error is, the first one counts.
var endings = []struct {
	ending messages.BatchEnding
	is     error
}{
	{messages.BatchEnding_BATCH_ENDING_UNKNOWN, cluster.ErrUnknown}, // first: nothing of the rest is as important
	{messages.BatchEnding_BATCH_ENDING_UNSENT, ErrUnsent},
	{messages.BatchEnding_BATCH_ENDING_CONFLICT, ErrConflict},
	{messages.BatchEnding_BATCH_ENDING_STALE, ErrStaleEpoch},
	{messages.BatchEnding_BATCH_ENDING_UNREGISTERED, ErrUnregistered},
	{messages.BatchEnding_BATCH_ENDING_CANCELLED, ErrCancelled},
	{messages.BatchEnding_BATCH_ENDING_RECURSIVE, ErrRecursive},
	{messages.BatchEnding_BATCH_ENDING_INVALID, penstock.ErrInvalid},
	{messages.BatchEnding_BATCH_ENDING_FULL, penstock.ErrFull},
	{messages.BatchEnding_BATCH_ENDING_CLOSED, penstock.ErrClosed},
	{messages.BatchEnding_BATCH_ENDING_EXISTS, penstock.ErrExists},
	{messages.BatchEnding_BATCH_ENDING_AWAY, cluster.ErrAway},
	{messages.BatchEnding_BATCH_ENDING_CONTEXT_CANCELED, context.Canceled},
	{messages.BatchEnding_BATCH_ENDING_DEADLINE, context.DeadlineExceeded},
}

// maxErrorText is how much is told of an error.
const maxErrorText = 8 << 10

// wire is the answer as it travels. Of an error there is no result.
func (a ending) wire() ([]byte, error) {
	m := &messages.BatchAnswer{Ending: messages.BatchEnding_BATCH_ENDING_DONE, Member: a.member, Result: a.result}
	if a.err != nil {
		text := a.err.Error()
		m.Ending, m.Result, m.Text = messages.BatchEnding_BATCH_ENDING_FAILED, nil, strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
		aborted, panicked, stuck := new(AbortError), new(penstock.PanicError), new(StuckError)
		switch {
		case errors.As(a.err, &aborted):
			m.Ending = messages.BatchEnding_BATCH_ENDING_ABORTED
		case errors.As(a.err, &panicked):
			m.Ending = messages.BatchEnding_BATCH_ENDING_PANICKED
		case errors.As(a.err, &stuck):
			m.Ending, m.What, m.After = messages.BatchEnding_BATCH_ENDING_STUCK, stuck.What, int64(stuck.After)
		default:
			for _, e := range endings {
				if errors.Is(a.err, e.is) {
					m.Ending = e.ending
					break
				}
			}
		}
	}
	return proto.Marshal(m)
}

// readAnswer reads what the owner answers: the result, or its error.
func readAnswer(body []byte) (result []byte, err error) {
	m := new(messages.BatchAnswer)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, &cluster.UnknownError{Why: fmt.Errorf("its answer cannot be read: %w", err)}
	}
	remote := &cluster.RemoteError{Member: m.GetMember(), Text: m.GetText()}
	switch m.GetEnding() {
	case messages.BatchEnding_BATCH_ENDING_DONE:
		return m.GetResult(), nil
	case messages.BatchEnding_BATCH_ENDING_NONE:
		return nil, &cluster.UnknownError{Member: m.GetMember(), Why: errors.New("its answer says nothing")}
	case messages.BatchEnding_BATCH_ENDING_UNKNOWN:
		return nil, &cluster.UnknownError{Member: m.GetMember(), Why: remote}
	case messages.BatchEnding_BATCH_ENDING_ABORTED:
		return nil, &AbortError{Cause: remote}
	case messages.BatchEnding_BATCH_ENDING_PANICKED:
		return nil, &remoteError{remote, &penstock.PanicError{Value: m.GetText()}}
	case messages.BatchEnding_BATCH_ENDING_STUCK:
		return nil, &remoteError{remote, &StuckError{What: m.GetWhat(), After: time.Duration(m.GetAfter())}}
	}
	for _, e := range endings {
		if e.ending == m.GetEnding() {
			return nil, &remoteError{remote, e.is}
		}
	}
	return nil, remote
}
