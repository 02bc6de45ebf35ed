package durable

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// Queue is a passive queue on disk. Make it with [Add]. It is safe for concurrent use.
type Queue[T any] struct {
	vault  *vault
	encode func(T) ([]byte, error)
	decode func([]byte) (T, error)
}

// Delivery is an item that was handed out. Who took it has it until Until, and then at the latest acknowledges it, gives it
// back or extends it; else it is handed out again. Its Seq is its ID, its Tries how often it has been handed out.
type Delivery[T any] struct {
	queue.Item[T]
	Receipt Receipt
	Until   time.Time
}

// Receipt names one handing out of one item.
type Receipt struct {
	ID  uint64 // of the item, unique in its file for ever
	Try int
}

// Add opens a durable queue: what its file holds is in it at once. Its name, 1 to 512 bytes of UTF-8, is unique among the
// system's durable queues. What an earlier process had handed out waits again, at its place; what that was the last try of,
// and what is damaged, is in the dead-letter list. The error is [penstock.ErrInvalid], and names every bad field and the
// values it takes, [penstock.ErrExists], [penstock.ErrClosed], or why the file cannot be used; then nothing has been started.
func Add[T any](sys *penstock.System, name string, cfg Config[T]) (*Queue[T], error) {
	if sys == nil {
		return nil, fmt.Errorf("%w durable queue %q: the system is nil; it takes one from penstock.New", penstock.ErrInvalid, name)
	}
	if err := errors.Join(checkName(name), cfg.validate()); err != nil {
		return nil, fmt.Errorf("%w durable queue %q: %w", penstock.ErrInvalid, name, err)
	}
	r, err := roomOf(sys)
	if err != nil {
		return nil, err
	}
	if _, taken := r.Lookup(name); taken { // before its file is waited for in vain
		return nil, fmt.Errorf("%w: durable queue %q", penstock.ErrExists, name)
	}
	cfg = cfg.withDefaults()
	q := &Queue[T]{encode: cfg.Encode, decode: cfg.Decode}
	q.vault, err = openVault(r, name, cfg.Path, cfg.LockTimeout, cfg.Line, &rules{
		visibility: cfg.Visibility, maxTime: cfg.MaxTime, maxTries: cfg.MaxTries,
		maxSize: cfg.MaxSize, maxTakers: cfg.MaxTakers, maxItem: cfg.MaxItem, weights: cfg.Weights,
	})
	if err != nil {
		return nil, fmt.Errorf("durable queue %q: %w", name, err)
	}
	q.vault.handle = q
	if err := r.Add(name, func(s *seat) *vault { q.vault.seat = s; return q.vault }); err != nil {
		return nil, fmt.Errorf("durable queue %q: %w", name, errors.Join(err, q.vault.store.close()))
	}
	return q, nil
}

// Get finds a durable queue by its name; false if there is none, or its items are of another type.
func Get[T any](sys *penstock.System, name string) (*Queue[T], bool) {
	s, ok := roomIn(sys).Lookup(name)
	if !ok {
		return nil, false
	}
	q, ok := s.Member().handle.(*Queue[T])
	return q, ok
}

// Delete ends a durable queue and reports whether there was one. Who waits in it is told that it was deleted, which is an
// [penstock.ErrClosed]. Its file stays, with all that is in it, and is closed when Delete returns.
func Delete(sys *penstock.System, name string) bool {
	r := roomIn(sys)
	s, ok := r.Lookup(name)
	if !ok {
		return false
	}
	removed := s.Remove(fmt.Errorf("deleted: %w", penstock.ErrClosed))
	if err := s.Member().close(); err != nil {
		r.logger.Error("a durable queue's file could not be closed", "queue", name, "err", err)
	}
	return removed
}

// Name is the queue's name.
func (q *Queue[T]) Name() string { return q.vault.name }

// Enqueue puts an item in and returns when it is on disk. When ctx ends first, the error says whether that is certain: it is
// an [*UnknownError] if the item may be on disk. Others: a [*FullError]; [penstock.ErrInvalid] for an item that cannot be
// encoded or is too large; [penstock.ErrClosed]; what the disk said, and then the item is not in.
func (q *Queue[T]) Enqueue(ctx context.Context, item T) error {
	return q.EnqueueRequest(ctx, item, queue.Request{})
}

// EnqueueRequest puts an item in at the place that r gives it: the more urgent go first, flows share by weight.
func (q *Queue[T]) EnqueueRequest(ctx context.Context, item T, r queue.Request) error {
	v := q.vault
	if err := ctx.Err(); err != nil {
		return v.fault(err)
	}
	if err := checkRequest(r); err != nil {
		return v.fault(err)
	}
	value, err := q.encoded(item)
	if err != nil {
		return v.fault(err)
	}
	return v.enqueue(ctx, &record{at: v.room.clock.Now(), nice: r.Nice, cost: max(r.Cost, 1), flow: r.Flow, value: value})
}

func checkRequest(r queue.Request) error {
	switch {
	case r.Nice < queue.MinNice || r.Nice > queue.MaxNice:
		return fmt.Errorf("%w request: Nice is %d; it takes %d to %d", penstock.ErrInvalid, r.Nice, queue.MinNice, queue.MaxNice)
	case r.Cost < 0 || r.Cost > maxCount:
		return fmt.Errorf("%w request: Cost is %d; it takes 1 to %d, or 0 for 1", penstock.ErrInvalid, r.Cost, maxCount)
	case len(r.Flow) > maxFlow || !utf8.ValidString(r.Flow):
		return fmt.Errorf("%w request: Flow is %.32q; it takes up to %d bytes of UTF-8", penstock.ErrInvalid, r.Flow, maxFlow)
	}
	return nil
}

func (q *Queue[T]) encoded(item T) (value []byte, err error) {
	defer caught(&err)
	value, err = q.encode(item)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w item: %w", penstock.ErrInvalid, err)
	case len(value) > q.vault.rules.maxItem:
		return nil, fmt.Errorf("%w item: it has %d bytes; it takes up to %d", penstock.ErrInvalid, len(value), q.vault.rules.maxItem)
	}
	return value, nil
}

func (q *Queue[T]) decoded(value []byte) (item T, err error) {
	defer caught(&err)
	return q.decode(value)
}

// Dequeue hands up to n items out, in their order. It waits until there is one; those who wait are served in the order of
// their coming. It returns when it is on disk that they were handed out once more, so that an item that kills the process
// has that counted. When ctx ends first its error is returned, and nothing has been handed out or counted. Other errors: a
// [*FullError] if as many wait as may, [penstock.ErrInvalid] for an n below 1, [penstock.ErrClosed], what the disk said, and
// why the queue's actor was given up, if it was.
func (q *Queue[T]) Dequeue(ctx context.Context, n int) ([]Delivery[T], error) {
	v := q.vault
	if n < 1 {
		return nil, v.fault(fmt.Errorf("%w: n is %d; it takes 1 or more", penstock.ErrInvalid, n))
	}
	if err := ctx.Err(); err != nil {
		return nil, v.fault(err)
	}
	for {
		got, err := v.dequeue(ctx, n)
		if err != nil {
			return nil, err
		}
		if deliveries := q.deliver(got); len(deliveries) > 0 {
			return deliveries, nil
		}
	}
}

// deliver decodes what was handed out. What cannot be decoded goes to the dead-letter list.
func (q *Queue[T]) deliver(got []handed) []Delivery[T] {
	list := make([]Delivery[T], 0, len(got))
	for i := range got {
		x := &got[i].item
		value, err := q.decoded(got[i].value)
		receipt := Receipt{ID: x.Seq, Try: x.Tries}
		if err != nil {
			_, _ = q.vault.finish(bury, []Receipt{receipt}, 0, brief(fmt.Errorf("it could not be decoded: %w", err)))
			continue
		}
		list = append(list, Delivery[T]{
			Item: queue.Item[T]{
				Value: value, At: x.At, Deadline: x.Deadline, Flow: x.Flow, Seq: x.Seq,
				Nice: x.Nice, Weight: x.Weight, Cost: x.Cost, Tries: x.Tries,
			},
			Receipt: receipt, Until: x.Value.until,
		})
	}
	return list
}

// Ack acknowledges what was handed out: it is done, and never comes again. It returns when that is on disk. The errors of
// those that were not the caller's any more are [*StaleError]s, joined; the others are acknowledged all the same. An item
// that came back, and was not handed out again yet, can still be acknowledged. When ctx ends first the error is an
// [*UnknownError] if they may be acknowledged; what the disk said means that they are still the caller's.
func (q *Queue[T]) Ack(ctx context.Context, receipts ...Receipt) error {
	return q.finish(ctx, acknowledge, receipts, 0, "", "acknowledge")
}

// Nack gives back what was handed out, to be handed out again after delay; or, if this was its last try, has it go to the
// dead-letter list. reason, which may be nil, is kept with it. It returns when that is on disk; errors are those of Ack.
func (q *Queue[T]) Nack(ctx context.Context, r Receipt, delay time.Duration, reason error) error {
	if delay < 0 || delay > maxSpan {
		return q.vault.fault(fmt.Errorf("%w: delay is %v; it takes 0 to %v", penstock.ErrInvalid, delay, maxSpan))
	}
	return q.finish(ctx, giveBack, []Receipt{r}, delay, brief(reason), "give back")
}

// Bury has what was handed out go to the dead-letter list at once, because no other try would help. Errors are those of Ack.
func (q *Queue[T]) Bury(ctx context.Context, r Receipt, reason error) error {
	return q.finish(ctx, bury, []Receipt{r}, 0, brief(reason), "bury")
}

func (q *Queue[T]) finish(ctx context.Context, k kind, receipts []Receipt, delay time.Duration, reason, op string) error {
	if err := ctx.Err(); err != nil {
		return q.vault.fault(err)
	}
	w, err := q.vault.finish(k, receipts, delay, reason)
	if w == nil {
		return err
	}
	return errors.Join(err, q.vault.await(ctx, w, op))
}

// Extend has what was handed out be the caller's for d from now. The error is a [*StaleError], or [penstock.ErrInvalid] for
// a bad d.
func (q *Queue[T]) Extend(r Receipt, d time.Duration) error {
	if d <= 0 || d > maxSpan {
		return q.vault.fault(fmt.Errorf("%w: d is %v; it takes a positive duration up to %v", penstock.ErrInvalid, d, maxSpan))
	}
	return q.vault.extend(r, d)
}

// Purge ends everything that waits, and returns how many that were, when that is on disk. What is handed out stays with who
// has it; dead letters stay too.
func (q *Queue[T]) Purge(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, q.vault.fault(err)
	}
	w, n := q.vault.purge()
	if w == nil {
		return 0, nil
	}
	return n, q.vault.await(ctx, w, "purge")
}
