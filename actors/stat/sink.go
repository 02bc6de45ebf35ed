package stat

import (
	"context"
	"errors"
)

// Delta is what was counted for a key: a sum of increments, the largest value, or the last one, as the buffer's type says.
type Delta[K comparable] struct {
	Key K
	N   int64
}

// Flush is what a sink is to store, all of it or nothing. Each key is in it once.
//
// After an error nobody knows whether it was stored, because a connection may break between a commit and its answer. So the
// same flush comes again, with the same ID and the same deltas, until the sink has accepted it. A sink that remembers IDs
// together with what it stored, in one transaction, stores everything once.
type Flush[K comparable] struct {
	// ID is up to 64 bytes of ASCII, and no other flush has it, of any buffer anywhere: it is made of a random text for each life of a
	// buffer and the number of the flush in that life, and for Clustered buffers begins with the node's name, as much of it as ASCII has
	ID     string
	Deltas []Delta[K]
}

// Sink is where a buffer's counts go. Flush is called by several goroutines at once, with different flushes; it returns nil
// when everything was stored, now or before, and an error that wraps [ErrNotStored] when it is certain that nothing was.
// It must not keep or change f.Deltas. When its context ends it should return soon. A panic is as good as an error.
type Sink[K comparable] interface {
	Flush(ctx context.Context, f Flush[K]) error
}

// Kind is what a buffer's deltas are: sums, or values of which one is kept.
type Kind string

// The kinds of buffers. A histogram's deltas are sums.
const (
	KindSum  Kind = "sum"
	KindMax  Kind = "max"
	KindLast Kind = "last"
)

// Keeper is a sink that knows what it does with a delta of a key that it has stored before: it adds it up, or keeps the larger
// one, or the last. A buffer of another kind refuses it. Sinks of package store are Keepers; others need not be.
type Keeper interface{ Keeps() Kind }

// ErrNotStored says that nothing of a flush was stored, by this attempt or an earlier one, and nothing of it will be: its deltas go back to be counted on, and
// come again later in flushes of other IDs. A sink wraps it in errors of which it is certain.
var ErrNotStored = errors.New("stat: not stored")

// FlushFunc is a sink that stores one key at a time, as stat_buffer's handle_flush does. A buffer gives it each key in a
// flush of its own, so what was stored for one key does not come again because of another. [FlushID] tells it the ID, for
// functions that can store it together with the count.
type FlushFunc[K comparable] func(ctx context.Context, key K, n int64) error

// Flush calls the function for each delta, until one fails.
func (fn FlushFunc[K]) Flush(ctx context.Context, f Flush[K]) error {
	ctx = context.WithValue(ctx, flushID{}, f.ID)
	for _, d := range f.Deltas {
		if err := fn(ctx, d.Key, d.N); err != nil {
			return err
		}
	}
	return nil
}

type flushID struct{}

// FlushID is the ID of the flush that a [FlushFunc] was called for: when it is called again for the same one, it is the same.
// It is empty in other contexts.
func FlushID(ctx context.Context) string {
	id, _ := ctx.Value(flushID{}).(string)
	return id
}
