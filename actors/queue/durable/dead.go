package durable

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// DeadItem is an item of the dead-letter list.
type DeadItem[T any] struct {
	queue.Item[T]           // its Seq is its ID; its Value is zero if Err is not nil
	Died          time.Time // when it went to the list
	Reason        string    // why
	Err           error     // why it, or its value, cannot be read; nil if it can
	Raw           []byte    // what is on disk of a value that cannot be read
}

// Dead returns dead letters, up to limit, the oldest first. They are read from disk on the caller's goroutine.
func (q *Queue[T]) Dead(ctx context.Context, limit int) ([]DeadItem[T], error) {
	if err := ctx.Err(); err != nil {
		return nil, q.vault.fault(err)
	}
	if limit < 1 {
		return nil, q.vault.fault(fmt.Errorf("%w: limit is %d; it takes 1 or more", penstock.ErrInvalid, limit))
	}
	var list []DeadItem[T]
	err := q.vault.store.deadLetters(limit, func(id uint64, raw []byte) {
		list = append(list, q.deadItem(id, append([]byte(nil), raw...)))
	})
	if err != nil {
		return nil, q.vault.fault(err)
	}
	return list, nil
}

func (q *Queue[T]) deadItem(id uint64, raw []byte) (d DeadItem[T]) {
	d.Seq, d.Raw = id, raw
	u, err := decodeBurial(raw)
	if err != nil {
		d.Err = err
		return d
	}
	d.Tries, d.Died, d.Reason, d.Raw = u.tries, u.at, u.reason, u.item
	r, err := decodeRecord(u.item)
	if err != nil {
		d.Err = err
		return d
	}
	d.At, d.Flow, d.Nice, d.Cost, d.Raw = r.at, r.flow, r.nice, r.cost, r.value
	if d.Value, d.Err = q.decoded(r.value); d.Err == nil {
		d.Raw = nil
	}
	return d
}

// Requeue puts dead letters in line again, each as a new item with a new ID and no tries, at the end of its flow, but with
// the time at which it first came. All of them or, with a [*NotDeadError] or another, none. It returns when that is on disk.
func (q *Queue[T]) Requeue(ctx context.Context, ids ...uint64) error {
	_, err := q.deadWrite(ctx, requeue, ids, "requeue")
	return err
}

// PurgeDead ends dead letters, all of them if no ID is given, and returns how many, when that is on disk.
func (q *Queue[T]) PurgeDead(ctx context.Context, ids ...uint64) (int, error) {
	return q.deadWrite(ctx, purgeDead, ids, "purge")
}

func (q *Queue[T]) deadWrite(ctx context.Context, k kind, ids []uint64, op string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, q.vault.fault(err)
	}
	if k == requeue && len(ids) == 0 {
		return 0, nil
	}
	w, err := q.vault.deadWrite(k, ids)
	if err != nil {
		return 0, err
	}
	if err := q.vault.await(ctx, w, op); err != nil {
		return 0, err
	}
	return w.done, nil
}
