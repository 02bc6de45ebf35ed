package cluster

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster/internal/transport"
	"github.com/penstock-go/penstock/messages"
)

// The kinds of requests, and of answers.
const (
	kindAsk   = 1
	kindTell  = 2
	kindOwned = 3

	kindDone    = 1
	kindMoved   = 2 // the payload is a NotOwner
	kindRefused = 3 // the payload is a RoomError
	kindNoRoom  = 4
)

// errAgain is why somebody else is to be asked, or the same one later: nothing was done, or it may be done again.
var errAgain = errors.New("there was no answer")

// ask asks a member once, or twice what must not be done twice: the second time for the first one's answer. The error is an errAgain if it
// may be asked again, and next who should be, if the member knows.
func (p *Port) ask(ctx context.Context, to Owner, payload []byte, once bool) (body []byte, next Owner, err error) {
	a, err := p.node.wire.Call(ctx, to.Address, kindAsk, uint64(to.Epoch), payload)
	if down := new(transport.DownError); once && errors.As(err, &down) && !down.NotSent {
		if a, err = p.node.wire.Retry(ctx, down); err != nil {
			return nil, next, &UnknownError{Member: to.Name, Why: err}
		}
	}
	if err != nil {
		return nil, next, p.failed(ctx, to, err, once)
	}
	return p.understand(to, a)
}

// askOnce asks a member, and not again: whoever is lost meanwhile has been told to give it up.
func (p *Port) askOnce(ctx context.Context, to Owner, payload []byte) ([]byte, error) {
	a, err := p.node.wire.Call(ctx, to.Address, kindAsk, 0, payload)
	if err == nil {
		var body []byte
		if body, _, err = p.understand(to, a); errors.Is(err, errAgain) {
			err = &AwayError{Member: to.Name, Why: err}
		}
		return body, err
	}
	down, remote := new(transport.DownError), new(transport.RemoteError)
	switch {
	case errors.As(err, &down) && down.NotSent:
		return nil, &AwayError{Member: to.Name, Why: err}
	case errors.As(err, &down), errors.Is(err, penstock.ErrClosed), ctx.Err() != nil, errors.As(err, &remote) && remote.Begun():
		return nil, &UnknownError{Member: to.Name, Why: err}
	}
	return nil, p.failed(ctx, to, err, true)
}

// understand says what an answer means.
func (p *Port) understand(to Owner, a transport.Answer) (body []byte, next Owner, err error) {
	switch a.Kind {
	case kindDone:
		return a.Payload, next, nil
	case kindMoved:
		var m messages.NotOwner
		if err := proto.Unmarshal(a.Payload, &m); err == nil {
			next = Owner{Name: m.GetName(), Address: m.GetAddress(), Epoch: m.GetEpoch()}
		}
		return nil, next, fmt.Errorf("%w: it is not the owner", errAgain)
	case kindRefused:
		var m messages.RoomError
		if err := proto.Unmarshal(a.Payload, &m); err == nil {
			return nil, next, &RemoteError{Member: to.Name, Text: m.GetText(), class: classes[m.GetClass()]}
		}
	case kindNoRoom:
		return nil, next, fmt.Errorf("%w: it has no room %q yet, or no more", errAgain, p.spec.Name)
	}
	return nil, next, &RemoteError{Member: to.Name, Text: "its answer is of no kind that this version knows"}
}

// failed says what became of a call that has no answer.
func (p *Port) failed(ctx context.Context, to Owner, err error, once bool) error {
	remote := new(transport.RemoteError)
	switch {
	case errors.Is(err, transport.ErrDown), errors.Is(err, penstock.ErrClosed): // it was not sent, or may be sent again
		return fmt.Errorf("%w: %w", errAgain, err)
	case errors.Is(err, penstock.ErrInvalid):
		return fmt.Errorf("room %q: %w", p.spec.Name, err)
	case errors.As(err, &remote):
		if once && remote.Begun() {
			return &UnknownError{Member: to.Name, Why: err}
		}
		if !once && errors.Is(err, context.Canceled) && ctx.Err() == nil { // the member had lost this node
			return fmt.Errorf("%w: %w", errAgain, err)
		}
		return &RemoteError{Member: to.Name, Text: err.Error(), class: remote.Unwrap()}
	case once && ctx.Err() != nil:
		return &UnknownError{Member: to.Name, Why: context.Cause(ctx)}
	}
	return err
}
