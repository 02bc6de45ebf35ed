package registry_test

import (
	"fmt"

	"github.com/penstock-go/penstock/registry"
)

// An entry is made once and found by everybody. It can be put away only while no sender is in flight.
func Example() {
	users := registry.NewDirectory[string, int](1000)

	e, added, err := users.LookupOrAdd("ann", func(e *registry.Entry[string, int]) { e.Value = 42 })
	fmt.Println(e.Key(), e.Value, added, err)

	e.Enter() // a sender
	fmt.Println("retired:", e.Retire())
	e.Leave()
	fmt.Println("retired:", e.Retire())

	fmt.Println("removed:", users.Remove(e), users.Len())
	// Output:
	// ann 42 true <nil>
	// retired: false
	// retired: true
	// removed: true 0
}
