package durable

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock/internal/boltfile"
)

// submit has a write written. The mutex is held.
func (v *vault) submit(w *write) {
	v.pending = append(v.pending, w)
	if !v.writing && !v.over {
		v.writing = true
		go v.commit()
	}
}

// commit is the committer: it writes batches until nothing is left to be written. What comes meanwhile collects for the next
// batch, so that any number of callers share a sync of the disk.
func (v *vault) commit() {
	for {
		boltfile.Gather(&v.mu, func() int { return len(v.pending) })
		b := v.batch()
		if b == nil {
			return
		}
		start := time.Now()
		err := v.store.commit(b)
		v.room.metrics.committed(v.name, len(b.writes), time.Since(start), err)
		if err != nil {
			v.room.logger.Error("a durable queue could not write", "queue", v.name, "writes", len(b.writes), "err", err)
		}
		v.settle(b, err)
	}
}

// batch takes what is written next; nil: nothing, and the committer ends.
func (v *vault) batch() *batch {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := &v.state
	if v.over {
		v.abandon()
	}
	if len(v.pending) == 0 {
		v.writing = false
		v.note()
		return nil
	}
	n, bytes := 0, 0
	for n < len(v.pending) && n < maxBatch && bytes < maxBatchBytes {
		bytes += v.pending[n].size()
		n++
	}
	b := &batch{writes: v.pending[:n:n], scrub: s.scrub, lastID: s.nextID, at: v.room.clock.Now()}
	v.pending = v.pending[n:]
	if len(v.pending) == 0 {
		v.pending = nil
	}
	s.scrub = nil
	return b
}

// abandon answers what will not be written any more.
func (v *vault) abandon() {
	for _, w := range v.pending {
		v.undo(w, v.refusal)
	}
	v.pending = nil
}

// settle does what follows from a batch, and tells those who wait for it.
func (v *vault) settle(b *batch, err error) {
	v.mu.Lock()
	defer v.unlock()
	now := v.room.clock.Now()
	v.state.commits++
	if err != nil {
		v.state.failed++
		v.state.scrub = append(b.scrub, v.state.scrub...)
		for _, w := range b.writes {
			if w.kind == put {
				for _, x := range w.items {
					v.state.scrub = append(v.state.scrub, x.Seq)
				}
			}
			v.undo(w, fmt.Errorf("it could not be written: %w", err))
		}
	} else {
		for _, w := range b.writes {
			v.done(now, w)
		}
	}
	v.call(now)
}

// done does what follows from a write. The mutex is held.
func (v *vault) done(now time.Time, w *write) {
	s := &v.state
	var answer error
	switch w.kind {
	case put:
		s.entering -= len(w.items)
		s.enqueued += uint64(len(w.items))
		for _, x := range w.items {
			s.enter(now, x)
		}
	case handOut:
		v.handedOut(now, w)
		return
	case acknowledge:
		s.acked += uint64(len(w.items))
		for _, x := range w.items {
			s.forget(x)
		}
	case giveBack:
		for _, x := range w.items {
			s.giveBack(now, x, w.after, w.reason)
		}
	case bury:
		s.dead += len(w.items)
		s.died += uint64(len(w.items))
		for _, x := range w.items {
			s.forget(x)
			v.room.logger.Warn("an item went to the dead-letter list", "queue", v.name, "id", x.Seq, "tries", x.Tries, "reason", x.Value.reason)
		}
	case requeue:
		s.entering -= len(w.ids)
		if answer = w.fault; answer == nil {
			s.dead -= w.done
			for i := range w.records {
				s.enter(now, s.item(w.newIDs[i], &w.records[i]))
			}
		}
	case purgeDead:
		s.dead -= w.done
	}
	w.answer(answer)
}

// undo does what follows from a write that was not written. The mutex is held.
func (v *vault) undo(w *write, reason error) {
	s, now := &v.state, v.room.clock.Now()
	switch w.kind {
	case put:
		s.entering -= len(w.items)
	case requeue:
		s.entering -= len(w.ids)
	case handOut:
		for _, x := range w.items {
			s.comeBack(now, x)
		}
		if w.taker != nil {
			w.taker.err = v.fault(reason)
			w.taker.reply <- struct{}{}
		}
	case acknowledge, giveBack:
		for _, x := range w.items {
			s.stay(x, now)
		}
	case bury:
		for _, x := range w.items {
			s.stay(x, now.Add(reburial))
		}
	}
	w.answer(reason)
}

// reburial is how long a queue waits to write a death again that could not be written.
const reburial = time.Second

func (w *write) answer(err error) {
	if w.reply != nil {
		w.reply <- err
	}
}

// handedOut gives a taker what was written to be its. The mutex is held.
func (v *vault) handedOut(now time.Time, w *write) {
	s := &v.state
	for i, x := range w.items {
		switch fault := w.faults[i]; {
		case fault == nil:
			s.handedOut(now, x)
			w.taker.got = append(w.taker.got, handed{item: *x, value: w.bodies[i]})
		case errors.Is(fault, errVanished):
			s.forget(x)
			v.room.logger.Error("an item has vanished", "queue", v.name, "id", x.Seq, "err", fault)
		default: // it was buried in the same transaction
			s.forget(x)
			s.dead++
			s.died++
			v.room.logger.Error("an item is damaged and went to the dead-letter list", "queue", v.name, "id", x.Seq, "err", fault)
		}
	}
	if w.gone {
		v.release(now, w)
		return
	}
	w.taker.reply <- struct{}{}
}

// release puts back what was handed out to a taker that had given up, as if it had not been. The mutex is held.
func (v *vault) release(now time.Time, w *write) {
	s := &v.state
	var list []*item
	for i, x := range w.items {
		if w.faults[i] == nil && x.Value.where == out {
			s.leave(x)
			x.Tries--
			s.delivered--
			s.comeBack(now, x)
			list = append(list, x)
		}
	}
	if len(list) > 0 {
		v.submit(&write{kind: takeBack, items: list})
	}
}
