package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// ErrDown is the class of a [DownError].
var ErrDown = errors.New("the link is down")

// DownError says that a peer does not answer, and that it is not known what became of the request, unless NotSent says so. It is an
// [ErrDown].
type DownError struct {
	Peer string
	// NotSent is true if the request has not left this node.
	NotSent bool
	// Why the link is down.
	Why error

	again  *question // what Retry asks; nil: nothing
	toLife uint64    // the life of the peer that was asked
}

func (e *DownError) Error() string {
	sent := "it is not known whether the request was handled"
	if e.NotSent {
		sent = "the request was not sent"
	}
	return fmt.Sprintf("peer %s: the link is down: %v: %s", e.Peer, e.Why, sent)
}

// Unwrap makes it an ErrDown, and what is in Why.
func (e *DownError) Unwrap() []error { return []error{ErrDown, e.Why} }

// Why links go down.
var (
	errNeverUp   = errors.New("it has not answered yet")
	errBroken    = errors.New("the connection broke")
	errSilent    = errors.New("it does not answer")
	errReborn    = errors.New("it has started anew")
	errLostLink  = errors.New("it lost its connection to this node, and answers with it")
	errForgotten = errors.New("it cannot be asked again: it is too late, or somebody has")
)

// RemoteError says that a peer has refused a request, or failed at it. With [RemoteError.Begun] it says whether it was begun.
//
// It is a [penstock.ErrFull] if too many requests of this node are under way there, and a [context.DeadlineExceeded] if the request
// came too late.
type RemoteError struct {
	Peer string
	// Text is what the peer says about it.
	Text string

	refusal messages.Refusal
}

func (e *RemoteError) Error() string {
	why := "it failed"
	switch e.refusal {
	case messages.Refusal_REFUSAL_LATE:
		why = "the request came too late"
	case messages.Refusal_REFUSAL_FULL:
		why = "too many requests of this node are under way"
	case messages.Refusal_REFUSAL_FORGOTTEN:
		why = "it no longer knows whether it has answered the request before"
	case messages.Refusal_REFUSAL_CANCELED:
		why = "the request had been cancelled"
	}
	if e.Text != "" {
		why += ": " + e.Text
	}
	return fmt.Sprintf("peer %s: %s", e.Peer, why)
}

// Begun reports whether the request may have been handled, in whole or in part.
func (e *RemoteError) Begun() bool {
	return e.refusal != messages.Refusal_REFUSAL_LATE && e.refusal != messages.Refusal_REFUSAL_FULL
}

// Unwrap is the class that the refusal belongs to, if it has one.
func (e *RemoteError) Unwrap() error {
	switch e.refusal {
	case messages.Refusal_REFUSAL_LATE:
		return context.DeadlineExceeded
	case messages.Refusal_REFUSAL_FULL:
		return penstock.ErrFull
	case messages.Refusal_REFUSAL_CANCELED:
		return context.Canceled
	}
	return nil
}
