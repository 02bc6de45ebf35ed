package supervisor

import (
	"fmt"
	"time"
)

// EventKind is what happened to an actor.
type EventKind uint8

const (
	Started    EventKind = iota // a child, or a family, was started for the first time or after an end
	Restarted                   // it failed, or a permanent child stopped, and was started again
	GaveUp                      // it failed more often than its intensity allows
	Passivated                  // it was idle and was put away; the next use starts it again
	Stopped                     // it ended for good: closed, or by itself
)

func (k EventKind) String() string {
	names := [...]string{"started", "restarted", "gave up", "passivated", "stopped"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is a turn in the life of a child, or of a whole family when ID is empty.
type Event struct {
	What             EventKind
	Kind, Family, ID string
	Generation       uint64 // which start it was
	Err              error  // why, for Restarted and GaveUp, and for Stopped when it failed
	At               time.Time
}
