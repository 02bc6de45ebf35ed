package transport

import (
	"sync"
	"time"
)

// bygone is what must not be forgotten of links that are: the peer may not have noticed, and asks and answers as if there had been one link.
type bygone struct {
	mu     sync.Mutex
	losses uint64           // how often their peers were lost. A new link begins with more, so that its peer learns that what it asked was lost
	last   uint64           // the highest ID of a request. A new link begins with higher ones: an ID is used once in the node's life
	floors map[uint64]floor // by the peers' lives
}

// floor is up to which ID the requests of a life may have been begun.
type floor struct {
	id uint64
	at time.Duration // when it was noted
}

// add notes what a link knows that is about to be forgotten. The link's lock is held.
func (b *bygone) add(now time.Duration, l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.losses += l.losses
	b.last = max(b.last, l.last)
	for life, f := range b.floors {
		if now-f.at > 2*memory { // whoever asks again does so sooner
			delete(b.floors, life)
		}
	}
	for life, book := range l.books {
		b.floors[life] = floor{id: max(book.highest(), b.floors[life].id), at: now}
	}
}

// begin is how the losses and the IDs of a new link begin.
func (b *bygone) begin() (losses, last uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.losses + 1, b.last
}

// floor is up to which ID a life's requests may have been begun.
func (b *bygone) floor(life uint64) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.floors[life].id
}
