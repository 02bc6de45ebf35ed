package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-go/penstock/supervisor"
)

// turnstile is a member of a room: it lets callers pass one by one, with a gap between them. All that it knows is under its
// lock; its actor looks when somebody has come, and when the next may pass.
type turnstile struct {
	seat *supervisor.Seat[*turnstile]
	gap  time.Duration

	mu     sync.Mutex
	line   []chan error // those who wait, each with room for the one answer
	next   time.Time    // when the next may pass
	closed error        // why nobody is let in any more
}

// pass waits for the caller's turn.
func (t *turnstile) pass() error {
	reply := make(chan error, 1)
	t.mu.Lock()
	if err := t.closed; err != nil {
		t.mu.Unlock()
		return err
	}
	t.line = append(t.line, reply)
	t.mu.Unlock()
	t.seat.Wake() // without the lock
	return <-reply
}

func (t *turnstile) advance() (again time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.line) > 0 {
		if wait := time.Until(t.next); wait > 0 {
			return wait
		}
		t.line[0] <- nil
		t.line = t.line[1:]
		t.next = time.Now().Add(t.gap)
	}
	return supervisor.Never
}

func (t *turnstile) shut(reason error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed == nil {
		t.closed = reason
	}
}

func (t *turnstile) turnAway(reason error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, reply := range t.line {
		reply <- reason
	}
	t.line = nil
}

func (t *turnstile) end(reason error) {
	t.shut(reason)
	t.turnAway(reason)
}

// A room of your own whose members are found by name. In a system its tree is that of the system, and [penstock.Part] keeps
// the room.
//
// [penstock.Part]: https://pkg.go.dev/github.com/penstock-go/penstock#Part
func ExampleRoom() {
	tree := supervisor.New(supervisor.Config{})
	defer func() { _ = tree.Close(context.Background()) }()

	var station supervisor.Room[*turnstile]
	err := station.Open(tree, supervisor.RoomSpec[*turnstile]{
		Kind: "turnstile", Name: "station",
		Advance:   (*turnstile).advance,
		Shut:      (*turnstile).shut,
		Abandoned: (*turnstile).turnAway,
		End:       (*turnstile).end,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	const gap = 10 * time.Millisecond
	err = station.Add("north", func(s *supervisor.Seat[*turnstile]) *turnstile { return &turnstile{seat: s, gap: gap} })
	if err != nil {
		fmt.Println(err)
		return
	}
	seat, _ := station.Lookup("north")
	north, start := seat.Member(), time.Now()
	for range 3 {
		fmt.Println("passed:", north.pass())
	}
	fmt.Println("two gaps between three:", time.Since(start) >= 2*gap)

	fmt.Println("removed:", seat.Remove(errors.New("the north entrance is closed")))
	fmt.Println(north.pass())
	// Output:
	// passed: <nil>
	// passed: <nil>
	// passed: <nil>
	// two gaps between three: true
	// removed: true
	// the north entrance is closed
}
