package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/backoff"
)

// settle is how long it is tried to find out what became of a save, if the context does not end before.
const settle = 30 * time.Second

// save is a value that is to be saved.
type save[K comparable, R any] struct {
	index int
	value R
	order string // the key's values
	write Write
	doubt bool // an attempt wrote it, and perhaps committed
	err   error

	own, loaded, all string // tokens
	keys             []any
	under            epoch // of its owner
	epoch            int64 // that the row gets
}

// Save saves a value. The error is a [batch.ErrConflict] if somebody else has written the row since it was loaded.
func (e *Engine[K, R]) Save(ctx context.Context, key K, value R) error {
	return e.SaveMany(ctx, []K{key}, []R{value})[0]
}

// SaveMany saves many values: an error, or nil, for each key, in their order.
func (e *Engine[K, R]) SaveMany(ctx context.Context, keys []K, values []R) []error {
	errs := make([]error, len(keys))
	if len(keys) != len(values) {
		return e.all("save", keys, fmt.Errorf("%w: %d keys and %d values", penstock.ErrInvalid, len(keys), len(values)))
	}
	epochs, err := e.epochs(ctx, len(keys))
	if err != nil {
		return e.all("save", keys, err)
	}
	saves := make([]*save[K, R], 0, len(keys))
	for i, key := range keys {
		s := &save[K, R]{index: i, value: values[i], under: epochs.of(i)}
		if errs[i] = Protect(func() error { return e.prepare(s, key) }); errs[i] == nil {
			saves = append(saves, s)
		}
	}
	// In the order of their keys, the same in every process: those who write the same rows take their locks in the same order,
	// so none waits for one who waits for it.
	slices.SortStableFunc(saves, func(a, b *save[K, R]) int { return strings.Compare(a.order, b.order) })
	e.run(ctx, saves)
	for _, s := range saves {
		if errs[s.index] = s.err; s.err == nil {
			errs[s.index] = Protect(func() error { e.keep(s); return nil })
		}
	}
	for i, key := range keys {
		errs[i] = e.wrap("save", key, errs[i])
	}
	return errs
}

// prepare makes the statement of a save.
func (e *Engine[K, R]) prepare(s *save[K, R], key K) error {
	s.keys = e.of.Key(key)
	s.order = fmt.Sprint(s.keys...)
	version := *e.of.Version(s.value)
	s.write = Write{SQL: e.of.Update, what: "Update", after: version}
	switch {
	case version < 0:
		return fmt.Errorf("%w: the value's version is %d; it takes the one it was loaded with", penstock.ErrInvalid, version)
	case version == 0 && e.of.Insert == "":
		return fmt.Errorf("%w: the value's version is 0, which is that there is no row yet, and there is no Insert", store.ErrMissing)
	case version == 0:
		s.write.SQL, s.write.what = e.of.Insert, "Insert"
	}
	s.write.Args = append(append([]any(nil), s.keys...), e.of.Values(s.value)...)
	if version > 0 {
		s.write.Args = append(s.write.Args, version)
	}
	if e.of.Tokens != nil {
		s.loaded = *e.of.Tokens(s.value)
		s.own, s.all = tokens(s.loaded)
		s.write.Args = append(s.write.Args, s.all)
	}
	if e.of.Epoch != nil {
		s.epoch = *e.of.Epoch(s.value)
		if s.under.behind(s.epoch) {
			return s.under.stale(s.epoch)
		}
		if s.under.is {
			s.epoch = s.under.number
		}
		s.write.Args = append(s.write.Args, s.epoch)
	}
	return nil
}

// keep notes in a value what its row has now.
func (e *Engine[K, R]) keep(s *save[K, R]) {
	*e.of.Version(s.value) = s.write.Version
	if e.of.Tokens != nil {
		*e.of.Tokens(s.value) = s.all
	}
	if e.of.Epoch != nil {
		*e.of.Epoch(s.value) = s.epoch
	}
}

// run does saves, and does not return before each of them has its error or is stored.
//
// A transaction that perhaps was committed is run again. That is safe, for a row has the version that was loaded only if it was not;
// and it is certain, for if it was sent and is still to come, either it is waited for or its statements find another version.
// Who was in doubt and finds another version looks whose it is.
func (e *Engine[K, R]) run(ctx context.Context, open []*save[K, R]) {
	var limit time.Time
	for try := 1; len(open) > 0; try++ {
		outcome, err := e.attempt(ctx, open)
		if outcome == Faulty && len(open) > 1 {
			for _, part := range split(open) {
				e.run(ctx, part)
			}
			return
		}
		open = e.sift(ctx, open, outcome, err)
		if len(open) == 0 {
			return
		}
		if limit.IsZero() {
			limit = time.Now().Add(settle)
		}
		ended := backoff.Wait(ctx, try)
		if ended == nil && outcome != Busy && time.Now().After(limit) {
			ended = fmt.Errorf("after %v", settle)
		}
		if ended != nil {
			for _, s := range open {
				s.fail(errors.Join(ended, err))
			}
			return
		}
	}
}

func (e *Engine[K, R]) attempt(ctx context.Context, open []*save[K, R]) (outcome Outcome, err error) {
	writes := make([]*Write, len(open))
	for i, s := range open {
		s.write.Written, s.write.Err = false, nil
		writes[i] = &s.write
	}
	return e.db.Save(ctx, writes)
}

// split makes parts of saves of which one is faulty: that one and those before it, and halves of the others, so that it does not
// take a transaction of all for each if all are.
func split[K comparable, R any](saves []*save[K, R]) (parts [][]*save[K, R]) {
	for i, s := range saves {
		if s.write.Err != nil {
			parts, saves = append(parts, saves[:i], saves[i:i+1]), saves[i+1:]
			break
		}
	}
	half := len(saves) / 2
	return append(parts, saves[:half], saves[half:])
}

// fail ends a save with the error of an attempt.
func (s *save[K, R]) fail(err error) {
	if s.err = err; s.doubt {
		s.err = fmt.Errorf("%w: %w", errUnknown, err)
	}
}

// sift gives those saves their errors of which it is known what became of them, and returns the others.
func (e *Engine[K, R]) sift(ctx context.Context, open []*save[K, R], outcome Outcome, err error) (left []*save[K, R]) {
	var doubtful []*save[K, R]
	for _, s := range open {
		switch {
		case outcome == Busy:
			left = append(left, s)
		case outcome == Failed && s.doubt:
			left = append(left, s)
		case outcome == Failed:
			s.err = err
		case outcome == Stored && s.write.Written:
		case outcome == Unknown && s.write.Written:
			s.doubt = true
			left = append(left, s)
		case s.doubt:
			doubtful = append(doubtful, s)
		case s.write.Err != nil:
			s.err = s.write.Err
		case outcome == Faulty:
			s.err = err
		default:
			s.err = batch.ErrConflict
		}
	}
	e.duplicates(ctx, open)
	left = append(left, e.lookUp(ctx, doubtful)...)
	e.overtaken(ctx, open)
	return left
}

// duplicates finds the Inserts that failed because somebody else was quicker.
func (e *Engine[K, R]) duplicates(ctx context.Context, saves []*save[K, R]) {
	for _, s := range saves {
		if s.write.after > 0 || s.err == nil || !e.db.IsDuplicate(s.err) {
			continue
		}
		read := &Read{Args: s.keys, Dest: make([]any, e.Counts.row())}
		if e.db.Load(ctx, e.of.Select, []*Read{read}); read.Err == nil && read.Found {
			s.err = fmt.Errorf("%w: %w", batch.ErrConflict, s.err)
		}
	}
}

// lookUp reads the tokens of rows that saves in doubt found changed. It returns those that could not be read.
func (e *Engine[K, R]) lookUp(ctx context.Context, saves []*save[K, R]) (left []*save[K, R]) {
	if len(saves) == 0 {
		return nil
	}
	reads, now := make([]*Read, len(saves)), make([]string, len(saves))
	for i, s := range saves {
		reads[i] = &Read{Args: s.keys, Dest: make([]any, e.Counts.row())}
		if e.Counts.Tokens > 0 {
			reads[i].Dest[e.Counts.Scan+1] = &now[i]
		}
	}
	if e.Counts.Tokens > 0 {
		e.db.Load(ctx, e.of.Select, reads)
	}
	for i, s := range saves {
		v := unclear
		switch {
		case reads[i].Err != nil:
			left = append(left, s)
			continue
		case reads[i].Found:
			v = judge(s.own, s.loaded, now[i])
		}
		switch v {
		case stored:
		case notStored:
			s.err = batch.ErrConflict
		default:
			s.err = fmt.Errorf("%w: the answer to its commit was lost, and the row has been written by then", errUnknown)
		}
	}
	return left
}
