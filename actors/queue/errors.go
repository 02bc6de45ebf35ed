package queue

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

// Classes of refusals, beside those of package penstock. Ask for them with errors.Is; details are in [RefusedError].
var (
	// ErrTimedOut says that a request waited for MaxTime.
	ErrTimedOut = errors.New("queue: waited too long")
	// ErrRejected says that the queue refuses everything, because its Action is Reject.
	ErrRejected = errors.New("queue: rejected")
)

// Reason is why a request was refused.
type Reason uint8

const (
	granted    Reason = iota // it was not
	Full                     // as many wait as may (MaxSize): penstock.ErrFull
	TimedOut                 // it waited for MaxTime: ErrTimedOut
	Overloaded               // the queue is overloaded and sheds who has waited for long: penstock.ErrFull
	Hopeless                 // its deadline is nearer than what a quick job takes: penstock.ErrFull
	Rejected                 // the queue refuses everything: ErrRejected
	Away                     // the node that owns a clustered regulator cannot be reached, and nobody is to wait: cluster.ErrAway
	impossible               // it could never be granted: penstock.ErrInvalid

	reasons // how many there are
)

// String names the reason as metrics do: "full", "timed_out", "overloaded", "hopeless", "rejected", "away".
func (r Reason) String() string {
	names := [...]string{"granted", "full", "timed_out", "overloaded", "hopeless", "rejected", "away", "invalid"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// RefusedError is a request that was refused, and why.
type RefusedError struct {
	Queue      string
	Reason     Reason
	Waiting    int           // how many waited
	Waited     time.Duration // how long this one had
	Regulator  string        // what held the queue back; empty if nothing did
	RetryAfter time.Duration // how long the queue needs for those who wait now, by its recent rate; 0 if it cannot tell
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "queue %q: ", e.Queue)
	switch e.Reason {
	case Full:
		fmt.Fprintf(&b, "%d requests wait already, as many as may", e.Waiting)
	case TimedOut:
		fmt.Fprintf(&b, "timed out: it waited %v, as long as it may", e.Waited.Round(time.Microsecond))
	case Overloaded:
		fmt.Fprintf(&b, "overloaded: refused after %v, with %d others waiting", e.Waited.Round(time.Microsecond), e.Waiting)
	case Hopeless:
		b.WriteString("its deadline is too near for the job to be done in time")
	case Rejected:
		b.WriteString("it refuses everything now")
	case Away:
		b.WriteString("the node that owns a regulator of the whole cluster cannot be reached")
	default:
		b.WriteString(e.Reason.String())
	}
	if e.Regulator != "" {
		fmt.Fprintf(&b, "; %s holds it back", e.Regulator)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; those who wait are through in about %v", e.RetryAfter.Round(time.Millisecond))
	}
	return b.String()
}

// Unwrap returns the refusal's class.
func (e *RefusedError) Unwrap() error {
	switch e.Reason {
	case TimedOut:
		return ErrTimedOut
	case Rejected:
		return ErrRejected
	case Away:
		return cluster.ErrAway
	}
	return penstock.ErrFull
}
