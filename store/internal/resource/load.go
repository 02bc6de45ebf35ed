package resource

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock/store"
)

// Load loads a key's value.
func (e *Engine[K, R]) Load(ctx context.Context, key K) (R, error) {
	values, errs := e.LoadMany(ctx, []K{key})
	return values[0], errs[0]
}

// LoadMany loads many keys' values: a value or an error for each, in their order.
func (e *Engine[K, R]) LoadMany(ctx context.Context, keys []K) ([]R, []error) {
	values, errs := make([]R, len(keys)), make([]error, len(keys))
	epochs, err := e.epochs(ctx, len(keys))
	if err != nil {
		return values, e.all("load", keys, err)
	}
	reads := make([]*Read, 0, len(keys))
	of := make([]int, 0, len(keys)) // the keys of reads
	for i, key := range keys {
		read := &Read{}
		errs[i] = Protect(func() error {
			values[i] = e.of.New(key)
			read.Args, read.Dest = e.of.Key(key), e.places(values[i])
			return nil
		})
		if errs[i] == nil {
			reads, of = append(reads, read), append(of, i)
		}
	}
	if len(reads) > 0 {
		e.db.Load(ctx, e.of.Select, reads)
	}
	for n, read := range reads {
		i := of[n]
		if errs[i] = read.Err; errs[i] == nil {
			errs[i] = Protect(func() error { return e.found(values[i], read.Found, epochs.of(i)) })
		}
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = e.wrap("load", keys[i], err)
			values[i] = *new(R)
		}
	}
	return values, errs
}

// found is called with a value whose row was read, or which has none.
func (e *Engine[K, R]) found(value R, found bool, under epoch) error {
	version := e.of.Version(value)
	switch {
	case found && *version < 1:
		return fmt.Errorf("the row's version is %d; it takes 1 or more, since 0 is that there is no row yet", *version)
	case found && e.of.Epoch != nil && under.behind(*e.of.Epoch(value)):
		return under.stale(*e.of.Epoch(value))
	case found:
		return nil
	case e.of.Insert == "":
		return store.ErrMissing
	}
	*version = 0
	if e.of.Tokens != nil {
		*e.of.Tokens(value) = ""
	}
	if e.of.Epoch != nil {
		*e.of.Epoch(value) = 0
	}
	return nil
}
