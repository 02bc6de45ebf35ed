package registry_test

import (
	"fmt"

	"github.com/penstock-go/penstock/registry"
)

type user struct {
	visits        int
	registry.Life // every Value has one
}

// An entry is made once and found by everybody. It can be put away only while no sender is in flight.
func Example() {
	users := registry.NewDirectory[string, user](1000)

	e, added, err := users.LookupOrAdd("ann", func(e *registry.Entry[string, user]) { e.Value.visits = 42 })
	fmt.Println(e.Key(), e.Value.visits, added, err)

	e.Value.Enter() // a sender
	fmt.Println("retired:", e.Value.Retire())
	e.Value.Leave()
	fmt.Println("retired:", e.Value.Retire())

	fmt.Println("removed:", users.Remove(e), users.Len())
	// Output:
	// ann 42 true <nil>
	// retired: false
	// retired: true
	// removed: true 0
}
