package stat

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/boltfile"
)

// journal is a ledger's journal. Its records say what the ledger holds, as of some moment not long before; so they are written
// in the order in which they were made, in groups. All but dirty and waking is guarded by the ledger's mutex.
type journal[K, P comparable, C any] struct {
	ledger *ledger[K, P, C]
	cfg    Journal[P]
	file   *journalFile // used by the writer alone, while there is one

	dirty  atomic.Pointer[note[K, P, C]] // the list of those that have something to be recorded
	waking atomic.Bool                   // the timer is set
	timer  *time.Timer

	entries []journalEntry           // to be written, in order
	flushes map[*batch[K, P, C]]bool // that are recorded or are to be, and not settled
	durable int                      // IncrementDurable calls that are on their way
	calm    chan struct{}            // closed when the buffer closes and there are none of them
	writing bool                     // there is a writer
	last    bool                     // it is to write everything whole, and to end
	ended   chan struct{}            // closed when it has
	whole   int                      // bytes of records when they were written whole
	rewrite int                      // bytes of records that the file has at least before it is written anew
	bytes   int                      // of records in the file
	err     error                    // of the last write; nil if it worked
}

// journalEntry is what is written together, and what follows. done, if there is one, is called with the ledger's mutex held;
// it reports whether the entry is to be written again after an error, as those without one are.
type journalEntry struct {
	data    []byte
	done    func(err error) (again bool)
	durable *durableWrite // what is not in the ledger before it is written; else nil
}

func newJournal[K, P comparable, C any](l *ledger[K, P, C], cfg Journal[P], file *journalFile) *journal[K, P, C] {
	j := &journal[K, P, C]{
		ledger: l, cfg: cfg, file: file,
		flushes: make(map[*batch[K, P, C]]bool),
		rewrite: minRewrite,
		calm:    make(chan struct{}),
		ended:   make(chan struct{}),
	}
	j.timer = time.AfterFunc(time.Hour, j.wake)
	j.timer.Stop()
	return j
}

// name is a key as it is in the file. It is an error if it would not be found again there: JSON leaves out fields that are not
// exported, so that two keys could be one.
func (j *journal[K, P, C]) name(key K) ([]byte, error) {
	known := j.ledger.form.known(key)
	name, err := j.cfg.Encode(known)
	if err != nil {
		return nil, fmt.Errorf("%w key: it cannot be written to the journal: %w", penstock.ErrInvalid, err)
	}
	if again, err := j.cfg.Decode(name); err != nil || again != known {
		return nil, fmt.Errorf("%w key %v: in the journal it is %q, which is read as %v (error: %v); Journal.Encode and Decode take what keeps keys apart",
			penstock.ErrInvalid, known, name, again, err)
	}
	return name, nil
}

// wind sets the timer, if it is not set.
func (j *journal[K, P, C]) wind() {
	if j.waking.CompareAndSwap(false, true) {
		j.timer.Reset(j.cfg.Every)
	}
}

// wake is the timer: what was counted is recorded.
func (j *journal[K, P, C]) wake() {
	j.ledger.mu.Lock()
	defer j.ledger.mu.Unlock()
	j.waking.Store(false) // before the list is taken: who comes later sets the timer again
	var data []byte
	for n := j.dirty.Swap(nil); n != nil; {
		below := n.below
		n.below = nil
		n.listed.Store(false) // before the cell is read: what is added after that lists it again
		data = j.note(data, n)
		n = below
	}
	if len(data) > 0 {
		j.entries = append(j.entries, journalEntry{data: data})
	}
	j.start()
}

// note appends a record of what a key's cell holds beyond what is recorded.
func (j *journal[K, P, C]) note(data []byte, n *note[K, P, C]) []byte {
	if more, ok := j.ledger.form.unrecorded(n.tally, &n.recorded); ok {
		return appendCount(data, n.name, more)
	}
	return data
}

// vanished has it recorded that what was recorded of a key has come to nothing.
func (j *journal[K, P, C]) vanished(n *note[K, P, C]) {
	if n.n != 0 {
		j.entries = append(j.entries, journalEntry{data: appendCount(nil, n.name, -n.n)})
		n.recorded = recorded{}
		j.wind()
	}
}

// seal has a flush recorded, which may then go to the sink.
func (j *journal[K, P, C]) seal(b *batch[K, P, C]) {
	j.flushes[b] = true
	j.entries = append(j.entries, journalEntry{data: j.flush(b, false), done: func(err error) bool {
		if err != nil {
			return true
		}
		if !j.ledger.over {
			j.ledger.outbox.add(b)
		}
		return false
	}})
	j.start()
}

// flush is a flush's record; alone if nothing is said of what was recorded before.
func (j *journal[K, P, C]) flush(b *batch[K, P, C], alone bool) []byte {
	data := appendFlush(nil, b.id, len(b.tallies))
	for i, t := range b.tallies { // each has one delta
		before := t.note.taken.n
		if alone {
			before = 0
		}
		data = appendDelta(data, t.note.name, b.deltas[i].N, before)
	}
	return data
}

// settled has it recorded that a flush is no concern any more, together with what follows from that. There is no hurry: until
// it is written, the flush would only be repeated.
func (j *journal[K, P, C]) settled(b *batch[K, P, C], more []byte) {
	if j.flushes[b] {
		delete(j.flushes, b)
		j.entries = append(j.entries, journalEntry{data: append(appendSettled(nil, b.id), more...)})
		j.wind()
	}
}

// start has a writer at work, if there is something to write.
func (j *journal[K, P, C]) start() {
	if !j.writing && len(j.entries) > 0 && !j.last {
		j.writing = true
		go j.write()
	}
}

// finish writes everything that the ledger holds, and closes the file. Nothing may be added any more.
func (j *journal[K, P, C]) finish() error {
	j.ledger.mu.Lock()
	j.last = true
	j.timer.Stop()
	if !j.writing {
		j.writing = true
		go j.write()
	}
	j.ledger.mu.Unlock()
	<-j.ended
	err := j.file.close()
	if j.err != nil {
		return j.err
	}
	return err
}

const (
	writePause = 250 * time.Millisecond // after a write that failed
	minRewrite = 4 << 20                // a journal's rewrite
	rewriteBy  = 4                      // the file is not written anew before it has this many times what it had then
)

// write is the writer: it writes groups until nothing is left to be written. What comes meanwhile is the next group, so any
// number of callers share a sync of the disk.
func (j *journal[K, P, C]) write() {
	for again := true; again; {
		boltfile.Gather(&j.ledger.mu, func() int { return len(j.entries) })
		again = j.writeGroup()
	}
}

// writeGroup writes what has collected, and reports whether there may be more.
func (j *journal[K, P, C]) writeGroup() (again bool) {
	l := j.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	group, last := j.entries, j.last
	j.entries = nil
	if len(group) == 0 && !last {
		j.writing = false
		return false
	}
	whole := last || j.file.size >= max(j.rewrite, rewriteBy*j.whole)
	records := j.records(group, whole)
	l.mu.Unlock()
	err := j.file.write(records, whole)
	l.mu.Lock()
	j.bytes = j.file.size
	if whole && err == nil {
		j.whole = j.bytes
	}
	j.wrote(group, err, last)
	l.finish()
	if last {
		close(j.ended)
		return false
	}
	if err != nil {
		l.mu.Unlock()
		j.pause()
		l.mu.Lock()
	}
	return true
}

// records are those of a group, or all that say what the ledger holds with them.
func (j *journal[K, P, C]) records(group []journalEntry, whole bool) (list [][]byte) {
	if whole {
		for _, b := range j.ledger.open { // its record, which is still to come, will say that this is in it
			if b == nil {
				continue
			}
			for _, t := range b.tallies {
				if t.note.taken.has {
					list = append(list, appendCount(nil, t.note.name, t.note.taken.n))
				}
			}
		}
		for e := range j.ledger.family.All() {
			if n := e.Value.note; n.has {
				list = append(list, appendCount(nil, n.name, n.n))
			}
		}
		for b := range j.flushes {
			list = append(list, j.flush(b, true))
		}
	}
	for _, e := range group {
		if !whole || e.durable != nil {
			list = append(list, e.data)
		}
	}
	return list
}

// wrote does what follows from a write.
func (j *journal[K, P, C]) wrote(group []journalEntry, err error, last bool) {
	if err != nil {
		j.ledger.logger.Error("a stat buffer's journal could not be written", slog.Int("entries", len(group)), slog.Any("err", err))
	}
	j.err = err
	var left []journalEntry
	for _, e := range group {
		again := err != nil
		if e.done != nil {
			again = e.done(err)
		}
		if again && !last {
			left = append(left, e)
		}
	}
	j.entries = append(left, j.entries...)
}

func (j *journal[K, P, C]) pause() {
	t := time.NewTimer(writePause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-j.ledger.life.Done():
	}
}
