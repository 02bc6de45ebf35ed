package stat

import "time"

// Info is what a buffer can tell about itself.
type Info struct {
	Keys      int           // that it has, those included that were stored and have been idle for less than Config.Idle
	Bytes     int64         // that they are reckoned as: see Config.MaxBytes
	Unflushed int           // keys that hold counts which are not in a flush yet
	Waiting   int           // flushes that wait for the sink, or for their back-off
	Running   int           // flushes that are with the sink
	Oldest    time.Duration // how long ago the oldest count that is not stored was counted; 0 if all is stored

	JournalBytes int   // of records that the journal holds; its file is larger
	JournalError error // of the journal's last write; nil if that worked

	Totals
}

// Totals are what a buffer has counted about itself since it was made.
type Totals struct {
	Flushes   uint64 // stored
	Deltas    uint64 // stored
	Failures  uint64 // attempts that failed
	Dropped   uint64 // deltas given to Config.Dropped after MaxAttempts
	Overflows uint64 // times that what was counted together did not fit into int64
	LastError error  // of the last attempt that failed; nil if none did
}

// Info tells the state of things. It looks at every key.
func (l *ledger[K, P, C]) Info() Info {
	select {
	case <-l.opened:
	default:
		return Info{}
	}
	info := Info{Keys: l.family.Len(), Bytes: l.bytes.Load()}
	now := l.clock.Elapsed()
	l.mu.Lock()
	oldest := l.oldest(now) // before and after the keys, because counts go from keys to flushes and back meanwhile
	l.mu.Unlock()
	for e := range l.family.All() {
		if t := &e.Value; l.form.isArmed(t) {
			info.Unflushed++
			oldest = min(oldest, max(time.Duration(t.since.Load()), 0))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	info.Waiting, info.Running = l.outbox.len()-l.outbox.running, l.outbox.running
	oldest = l.oldest(oldest)
	info.Oldest = max(now-oldest, 0)
	if j := l.journal; j != nil {
		info.JournalBytes, info.JournalError = j.bytes, j.err
	}
	info.Totals = l.counts
	return info
}

// oldest is when the oldest count in a flush was counted, or so if that is earlier. The mutex is held.
func (l *ledger[K, P, C]) oldest(so time.Duration) time.Duration {
	for _, list := range [][]*batch[K, P, C]{l.open[:], l.outbox.fresh, l.outbox.failed} {
		for _, b := range list {
			if b != nil {
				so = min(so, b.oldest)
			}
		}
	}
	for b := range l.flying {
		so = min(so, b.oldest)
	}
	return so
}
