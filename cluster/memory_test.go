package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock/store/lease"
)

// book is a naive store of leases. It is told the time.
type book struct {
	members map[string]bookMember
	owners  map[int]string // names of incarnations
	epochs  map[int]int64
	ended   map[string]bool // incarnations
}

type bookMember struct {
	lease.Member
	until time.Duration
}

func newBook() *book {
	return &book{members: make(map[string]bookMember), owners: make(map[int]string), epochs: make(map[int]int64), ended: make(map[string]bool)}
}

func (b *book) tick(now time.Duration) {
	for name, m := range b.members {
		if now >= m.until {
			b.end(name)
		}
	}
}

func (b *book) end(name string) {
	inc := b.members[name].Incarnation
	delete(b.members, name)
	b.ended[inc] = true
	for shard, owner := range b.owners {
		if owner == inc {
			delete(b.owners, shard)
		}
	}
}

func (b *book) renew(now time.Duration, m lease.Member, ttl time.Duration) (v lease.View, err error) {
	b.tick(now)
	was, lives := b.members[m.Name]
	switch {
	case lives && was.Incarnation != m.Incarnation:
		return v, lease.ErrNameTaken
	case !lives && b.ended[m.Incarnation]:
		return v, lease.ErrLost
	}
	b.members[m.Name] = bookMember{m, max(was.until, now+ttl)}
	return b.view(), nil
}

func (b *book) view() (v lease.View) {
	for _, m := range b.members {
		v.Members = append(v.Members, m.Member)
		for shard, owner := range b.owners {
			if owner == m.Incarnation {
				v.Shards = append(v.Shards, lease.Shard{Number: shard, Owner: m.Name, Epoch: b.epochs[shard]})
			}
		}
	}
	slices.SortFunc(v.Members, func(a, b lease.Member) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Shards, func(a, b lease.Shard) int { return a.Number - b.Number })
	return v
}

func (b *book) lives(m lease.Member) bool { return b.members[m.Name].Incarnation == m.Incarnation }

func (b *book) take(now time.Duration, m lease.Member, shards []int) (taken []lease.Shard, err error) {
	b.tick(now)
	if !b.lives(m) {
		return nil, lease.ErrLost
	}
	for _, shard := range shards {
		if _, owned := b.owners[shard]; !owned {
			b.owners[shard] = m.Incarnation
			b.epochs[shard]++
			taken = append(taken, lease.Shard{Number: shard, Owner: m.Name, Epoch: b.epochs[shard]})
		}
	}
	return taken, nil
}

func (b *book) give(now time.Duration, m lease.Member, shards []lease.Shard) {
	b.tick(now)
	for _, s := range shards {
		if b.owners[s.Number] == m.Incarnation && b.epochs[s.Number] == s.Epoch {
			delete(b.owners, s.Number)
		}
	}
}

func (b *book) leave(now time.Duration, m lease.Member) {
	b.tick(now)
	if b.lives(m) {
		b.end(m.Name)
	}
}

// memory is a book that goroutines use, and that can be away.
type memory struct {
	mu    sync.Mutex
	book  *book
	begin time.Time
	away  map[string]bool // for these members; "" is all
	calls int
}

func newMemory() *memory {
	return &memory{book: newBook(), begin: time.Now(), away: make(map[string]bool)}
}

var errAway = errors.New("the store is away")

func (m *memory) now() time.Duration { return time.Since(m.begin) + time.Hour }

func (m *memory) cut(name string, away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away[name] = away
}

// count is how many calls there were.
func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *memory) do(who lease.Member, fn func(now time.Duration) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.away[""] || m.away[who.Name] {
		return errAway
	}
	return fn(m.now())
}

func (m *memory) Renew(_ context.Context, who lease.Member, ttl time.Duration) (v lease.View, err error) {
	err = m.do(who, func(now time.Duration) (err error) {
		v, err = m.book.renew(now, who, ttl)
		return err
	})
	return v, err
}

func (m *memory) Take(_ context.Context, who lease.Member, shards []int) (taken []lease.Shard, err error) {
	err = m.do(who, func(now time.Duration) (err error) {
		taken, err = m.book.take(now, who, shards)
		return err
	})
	return taken, err
}

func (m *memory) Give(_ context.Context, who lease.Member, shards []lease.Shard) error {
	return m.do(who, func(now time.Duration) error {
		m.book.give(now, who, shards)
		return nil
	})
}

func (m *memory) Leave(_ context.Context, who lease.Member) error {
	return m.do(who, func(now time.Duration) error {
		m.book.leave(now, who)
		return nil
	})
}
