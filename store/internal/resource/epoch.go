package resource

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/store"
)

// epoch is under which epoch a key's owner loads or saves, if that is in a cluster.
//
// A row's epoch is that of its last save, and each save changes the version. So whoever holds the row's version also knows its epoch, and
// who has another version writes nothing: comparing with the epoch that was loaded is enough, and Update need not ask for it again.
//
// A load does not raise the row's epoch, which would be a write for each. An old owner that has loaded before the new one may save
// after the new one has loaded. That is not lost and loses nothing: it finds its version or nothing is stored, and the new owner's save
// then has a conflict, loads what is there and runs its batch again. From the new owner's first save on, the old one is refused.
type epoch struct {
	number int64
	is     bool
}

// behind reports whether a row has a later one.
func (e epoch) behind(row int64) bool { return e.is && row > e.number }

func (e epoch) stale(row int64) error {
	return fmt.Errorf("%w: it was written under epoch %d, after epoch %d", batch.ErrStaleEpoch, row, e.number)
}

// epochs are those of a list of keys: one for all, one for each, or none.
type epochs struct {
	one  epoch
	each []int64
}

func (e epochs) of(i int) epoch {
	if e.each != nil {
		return epoch{e.each[i], true}
	}
	return e.one
}

// epochs are what the context says.
func (e *Engine[K, R]) epochs(ctx context.Context, keys int) (of epochs, err error) {
	if e.of.Epoch == nil {
		return of, nil
	}
	if each, ok := cluster.Epochs(ctx); ok {
		if len(each) != keys {
			return of, fmt.Errorf("%w: %d keys and %d epochs of cluster.WithEpochs", penstock.ErrInvalid, keys, len(each))
		}
		return epochs{each: each}, nil
	}
	of.one.number, of.one.is = cluster.Epoch(ctx)
	return of, nil
}

// all is the same error for all keys.
func (e *Engine[K, R]) all(what string, keys []K, err error) []error {
	errs := make([]error, len(keys))
	for i, key := range keys {
		errs[i] = e.wrap(what, key, err)
	}
	return errs
}

// overtaken finds the conflicts with a later owner, who has written the row.
func (e *Engine[K, R]) overtaken(ctx context.Context, saves []*save[K, R]) {
	if e.of.Epoch == nil {
		return
	}
	var reads []*Read
	var of []*save[K, R]
	now := make([]int64, len(saves))
	for i, s := range saves {
		if s.under.is && errors.Is(s.err, batch.ErrConflict) {
			read := &Read{Args: s.keys, Dest: make([]any, e.Counts.row())}
			read.Dest[e.Counts.row()-1] = &now[i]
			reads, of = append(reads, read), append(of, s)
		}
	}
	if len(reads) == 0 {
		return
	}
	e.db.Load(ctx, e.of.Select, reads)
	for i, read := range reads {
		row := *read.Dest[e.Counts.row()-1].(*int64)
		if read.Err == nil && read.Found && of[i].under.behind(row) {
			of[i].err = of[i].under.stale(row)
		}
	}
}

// unknown is a [store.ErrUnknown] that other nodes know too.
type unknown struct{ error }

func (unknown) Is(target error) bool { return target == cluster.ErrUnknown }
func (u unknown) Unwrap() error      { return u.error }

var errUnknown = unknown{store.ErrUnknown}
