package roomtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// Callers makes calls, each on a goroutine of its own, and counts how they ended. The zero Callers is ready.
type Callers struct {
	// Ending names what became of a call, where the room has endings of its own, such as why it refused. Default [Ending]
	Ending func(error) string

	calls   sync.WaitGroup
	mu      sync.Mutex
	ends    map[string]int // guarded by mu
	strange []error        // guarded by mu
}

// Call makes a call.
func (c *Callers) Call(fn func() error) {
	c.calls.Go(func() { c.Note(fn()) })
}

// Note counts a call that was made elsewhere.
func (c *Callers) Note(err error) {
	name := c.Ending
	if name == nil {
		name = Ending
	}
	end := name(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = make(map[string]int)
	}
	c.ends[end]++
	if end == Other {
		c.strange = append(c.strange, err)
	}
}

// Wait returns when all calls so far have ended.
func (c *Callers) Wait() { c.calls.Wait() }

// Ended is how many of the calls so far ended in which way.
func (c *Callers) Ended() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}

// Total is how many calls have ended so far.
func (c *Callers) Total() (n int) {
	for _, k := range c.Ended() {
		n += k
	}
	return n
}

// Strange are the errors that have no name: those that ended as [Other].
func (c *Callers) Strange() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.strange)
}

// Other is an ending that no room is to have.
const Other = "other"

// Ending names what became of a call as every room would: "granted", "gave up" (its context ended), "full", "closed", "given
// up" (its actor was), "panicked" or [Other].
func Ending(err error) string {
	var panicked *penstock.PanicError
	var gaveUp *supervisor.GaveUpError
	switch {
	case err == nil:
		return "granted"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "gave up"
	case errors.Is(err, penstock.ErrFull):
		return "full"
	case errors.Is(err, penstock.ErrClosed):
		return "closed"
	case errors.As(err, &gaveUp):
		return "given up"
	case errors.As(err, &panicked):
		return "panicked"
	}
	return Other
}
