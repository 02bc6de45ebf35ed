package durable

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What callers do under the queue's mutex.

// withdraw takes a write back that is not being written yet, and reports whether it could. The mutex is held.
func (v *vault) withdraw(w *write) bool {
	for i, p := range v.pending {
		if p == w {
			rest := append([]*write(nil), v.pending[i+1:]...) // the batch being written may share what lies before
			v.pending = append(v.pending[:i:i], rest...)
			return true
		}
	}
	return false
}

// await waits for a write, or for the end of ctx.
func (v *vault) await(ctx context.Context, w *write, op string) error {
	select {
	case err := <-w.reply:
		if err != nil {
			return v.fault(err)
		}
		return nil
	case <-ctx.Done():
	}
	v.mu.Lock()
	defer v.unlock()
	if v.withdraw(w) {
		v.undo(w, ctx.Err())
		v.call(v.room.clock.Now())
		return v.fault(fmt.Errorf("gave up waiting for %s, of which nothing was written: %w", op, ctx.Err()))
	}
	select {
	case err := <-w.reply: // it was quicker
		if err != nil {
			return v.fault(err)
		}
		return nil
	default:
		return &UnknownError{Queue: v.name, Op: op, Err: ctx.Err()}
	}
}

// enqueue has a record written.
func (v *vault) enqueue(ctx context.Context, r *record) error {
	body := r.encode()
	v.mu.Lock()
	s := &v.state
	switch {
	case v.refusal != nil:
		s.refused++
		defer v.mu.Unlock()
		return v.refusal
	case s.size() >= v.rules.maxSize:
		s.refused++
		defer v.mu.Unlock()
		return &FullError{Queue: v.name, Bound: v.rules.maxSize, Dead: s.dead}
	}
	w := &write{kind: put, items: []*item{s.admit(r)}, bodies: [][]byte{body}, reply: make(chan error, 1)}
	v.submit(w)
	v.mu.Unlock()
	return v.await(ctx, w, "enqueue")
}

// dequeue waits for items. It may return none: when what was to be handed out turned out to be damaged.
func (v *vault) dequeue(ctx context.Context, n int) ([]handed, error) {
	t, err := v.lineUp(n)
	if err != nil {
		return nil, err
	}
	select {
	case <-t.reply:
	case <-ctx.Done():
		if !v.leaveLine(t) {
			return nil, v.fault(fmt.Errorf("gave up waiting for an item: %w", ctx.Err()))
		}
	}
	return t.got, t.err
}

func (v *vault) lineUp(n int) (*taker, error) {
	v.mu.Lock()
	defer v.unlock()
	s := &v.state
	switch {
	case v.refusal != nil:
		return nil, v.refusal
	case s.takers.n >= v.rules.maxTakers:
		s.refused++
		return nil, &FullError{Queue: v.name, Bound: v.rules.maxTakers, Takers: true}
	}
	t := &taker{n: n, reply: make(chan struct{}, 1)}
	s.takers.push(t)
	v.call(v.room.clock.Now())
	return t, nil
}

// leaveLine lets a taker give up. What it got costs no try. It returns true if the taker has failed before it could give up.
func (v *vault) leaveLine(t *taker) (failed bool) {
	v.mu.Lock()
	defer v.unlock()
	now := v.room.clock.Now()
	if v.state.takers.remove(t) {
		return false
	}
	select {
	case <-t.reply:
		if t.err != nil {
			return true
		}
		v.release(now, t.write)
	default:
		if v.withdraw(t.write) {
			for _, x := range t.write.items {
				v.state.comeBack(now, x)
			}
		} else {
			t.write.gone = true
		}
	}
	v.call(now)
	return false
}

// finish begins the end of what somebody has by these receipts: kind is acknowledge, giveBack or bury. It returns the
// write, nil if there is nothing to write, and which receipts are stale.
func (v *vault) finish(k kind, receipts []Receipt, after time.Duration, reason string) (*write, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return nil, v.refusal
	}
	var stale []error
	var ended, spent []*item
	for _, r := range receipts {
		x, err := v.state.held(v.name, r)
		if err != nil {
			stale = append(stale, err)
			continue
		}
		v.state.leave(x)
		if k == giveBack && x.Tries >= v.rules.maxTries || k == bury {
			x.Value.reason = reason
			spent = append(spent, x)
		} else {
			ended = append(ended, x)
		}
	}
	var w *write
	if len(ended) > 0 {
		w = &write{kind: k, items: ended, after: after, reason: reason, reply: make(chan error, 1)}
		v.submit(w)
	}
	if len(spent) > 0 {
		b := &write{kind: bury, items: spent}
		if w == nil {
			b.reply = make(chan error, 1)
			w = b
		}
		v.submit(b)
	}
	return w, errors.Join(stale...)
}

// extend moves the end of what somebody has.
func (v *vault) extend(r Receipt, d time.Duration) error {
	v.mu.Lock()
	defer v.unlock()
	x, err := v.state.held(v.name, r)
	if err != nil {
		return err
	}
	now := v.room.clock.Now()
	v.state.leave(x)
	v.state.setOut(x, now.Add(d))
	v.call(now)
	return nil
}

// purge ends all that waits in line or is delayed.
func (v *vault) purge() (*write, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return nil, 0
	}
	var list []*item
	for _, x := range v.state.items {
		if x.Value.where == waiting || x.Value.where == delayed {
			list = append(list, x)
		}
	}
	if len(list) == 0 {
		return nil, 0
	}
	for _, x := range list {
		v.state.leave(x)
	}
	w := &write{kind: acknowledge, items: list, reply: make(chan error, 1)}
	v.submit(w)
	return w, len(list)
}

// deadWrite submits a write about dead letters.
func (v *vault) deadWrite(k kind, ids []uint64) (*write, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || k == requeue && v.refusal != nil {
		return nil, v.refusal
	}
	w := &write{kind: k, ids: ids, reply: make(chan error, 1)}
	if k == requeue {
		for range ids {
			v.state.nextID++
			w.newIDs = append(w.newIDs, v.state.nextID)
		}
		v.state.entering += len(ids)
	}
	v.submit(w)
	return w, nil
}
