package registry

// Entry stands for one ID: it has the room's own part of it. Entries are made by a [Directory].
type Entry[K comparable, V any] struct {
	key K // before Value, whose first words are what a call touches next: they share a cache line

	// Value is the room's part: gate and state, and the entry's [Life]. The registry never touches it.
	Value V
}

// Key is the entry's ID.
func (e *Entry[K, V]) Key() K { return e.key }

// Life is the one in Value. A room that is in a hurry takes it from there; here it is found at run time, which costs a few
// nanoseconds.
func (e *Entry[K, V]) Life() *Life { return any(&e.Value).(living).life() }
