package main

import (
	"sync"
	"time"
)

// book is what was asked for and how it ended.
type book struct {
	mu struct {
		sync.Mutex
		rows         [kindCount]poolRow
		read, zipped int64
	}
	answers [kindCount]*waits
}

func newBook() *book {
	b := new(book)
	for k := range b.answers {
		b.answers[k] = newWaits()
		b.mu.rows[k] = poolRow{Name: kinds[k].name, Tier: kinds[k].tier.String(), Must: kinds[k].ends, Endings: make(map[ending]int)}
	}
	return b
}

// note takes down how one errand ended.
func (b *book) note(k kind, d digest, how ending, err error, took time.Duration) {
	b.answers[k].add(took)
	b.mu.Lock()
	defer b.mu.Unlock()
	row := &b.mu.rows[k]
	row.Asked++
	row.Endings[how]++
	switch {
	case err == nil:
		b.mu.read += d.Read
		b.mu.zipped += d.Zipped
	case how != row.Must && row.Other == "":
		row.Other = err.Error()
	case how == row.Must && row.Error == "":
		row.Error = err.Error()
	}
}
