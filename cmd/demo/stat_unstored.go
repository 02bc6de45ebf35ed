package main

import "time"

// unstored is the most that was counted and not stored, each figure at its own moment.
type unstored struct {
	Keys    int           `json:"keys"`    // whose counts were in no flush yet
	Flushes int           `json:"flushes"` // that waited for the sink, or were with it
	Oldest  time.Duration `json:"oldest_ns"`
}

// unstoredEvery is how often it is looked at; that looks at every key.
const unstoredEvery = 20 * time.Millisecond

// unstoredWatch finds the largest backlog of both buffers together.
type unstoredWatch struct {
	end  chan struct{}
	most chan unstored
}

func watchUnstored(t *tallying) unstoredWatch {
	w := unstoredWatch{end: make(chan struct{}), most: make(chan unstored)}
	go func() {
		ticker := time.NewTicker(unstoredEvery)
		defer ticker.Stop()
		var most unstored
		for {
			select {
			case <-ticker.C:
				most = most.or(t.unstored())
			case <-w.end:
				w.most <- most
				return
			}
		}
	}()
	return w
}

// stop ends the watch and returns the most.
func (w unstoredWatch) stop() unstored {
	close(w.end)
	return <-w.most
}

func (t *tallying) unstored() unstored {
	hits, clients := t.hits.Info(), t.clients.Info()
	return unstored{
		Keys:    hits.Unflushed + clients.Unflushed,
		Flushes: hits.Waiting + hits.Running + clients.Waiting + clients.Running,
		Oldest:  max(hits.Oldest, clients.Oldest),
	}
}

func (u unstored) or(o unstored) unstored {
	return unstored{Keys: max(u.Keys, o.Keys), Flushes: max(u.Flushes, o.Flushes), Oldest: max(u.Oldest, o.Oldest)}
}
