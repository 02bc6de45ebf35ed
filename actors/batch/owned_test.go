package batch

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/cluster"
)

// TestG11_WhatWasLoadedUnderAnotherEpochIsNotUsed keeps a resource, loses the key and owns it again before anybody looks.
func TestG11_WhatWasLoadedUnderAnotherEpochIsNotUsed(t *testing.T) {
	r := &rules{min: time.Millisecond, max: time.Second, grace: time.Second, keep: time.Hour, load: true}
	for _, again := range []int64{1, 3} {
		var s state[int64]
		require.Empty(t, s.own(1))
		s.value, s.has, s.until, s.under = 1, true, time.Hour, 1
		require.Empty(t, s.own(again))
		s.add(&operation[int64]{}, 0, r)
		do, _ := s.next(0, r, false)
		if again == 1 {
			require.Equal(t, nothing, do, "it collects, with what it has")
			require.True(t, s.has)
		} else {
			require.Equal(t, load, do, "what it has is of another epoch")
			require.False(t, s.has)
			require.EqualValues(t, 3, s.batch.epoch)
		}
	}
}

// TestG11_TheStateWorksUnderOneEpoch owns and loses a key at random. A batch runs on what was loaded under its own epoch, begins under the
// epoch of then, and nobody waits at a node that does not own the key.
func TestG11_TheStateWorksUnderOneEpoch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rules{min: time.Millisecond, max: time.Second, grace: time.Hour, load: true, keep: time.Duration(rapid.IntRange(0, 1).Draw(t, "keep")) * 5 * time.Millisecond}
		var s state[int64] // of which epoch it was loaded
		var now time.Duration
		var waiting, refused, done, epoch int64
		finish := func() { // as the end of a batch does
			done += int64(len(s.batch.ops))
			s.keep(now, r)
			s.end()
		}
		look := func() {
			gone := s.own(epoch)
			refused += int64(len(gone))
			if len(gone) > 0 && epoch != 0 {
				t.Fatalf("%d are refused at the owner", len(gone))
			}
			before := s.batch
			do, _ := s.next(now, r, false)
			if before == nil && s.batch != nil && (s.batch.epoch != epoch || epoch == 0) {
				t.Fatalf("a batch begins under epoch %d, and it is %d", s.batch.epoch, epoch)
			}
			if s.batch == nil && epoch == 0 && (len(s.waiting) > 0 || s.has) {
				t.Fatalf("%d wait at a node that is not the owner, which has a resource: %v", len(s.waiting), s.has)
			}
			switch do {
			case load:
				s.batch.phase = loading
			case work:
				if s.value != s.batch.epoch {
					t.Fatalf("a batch of epoch %d has a resource of epoch %d", s.batch.epoch, s.value)
				}
				if s.batch.epoch == epoch && rapid.Bool().Draw(t, "saved") {
					finish()
				} else { // as a lost one
					done += int64(len(s.batch.ops))
					s.drop()
					s.end()
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				epoch = int64(rapid.IntRange(0, 3).Draw(t, "epoch"))
			case 1:
				s.add(&operation[int64]{line: nowhere}, now, r)
				waiting++
			case 2:
				now += time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * time.Millisecond
			case 3:
				if s.batch != nil && s.batch.phase == loading {
					s.value, s.has, s.until, s.under = s.batch.epoch, true, forever, s.batch.epoch
					s.batch.phase = collecting
				}
			}
			if rapid.Bool().Draw(t, "look") {
				look()
			}
			if in := int64(len(s.waiting)); waiting != refused+done+in {
				t.Fatalf("%d came, %d were refused, %d done, and %d wait", waiting, refused, done, in)
			}
		}
	})
}

// TestEpochsGoWithTheirKeys has keys of several shards in one load and one save.
func TestEpochsGoWithTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t)
		var mu sync.Mutex
		seen := make(map[string][]int64)
		most := 0
		note := func(ctx context.Context, keys []string) {
			mu.Lock()
			defer mu.Unlock()
			epochs, ok := cluster.Epochs(ctx)
			require.True(t, ok)
			require.Len(t, epochs, len(keys))
			most = max(most, len(keys))
			for i, key := range keys {
				seen[key] = append(seen[key], epochs[i])
			}
		}
		n := g.start("a", func(cfg *Config[string, *ledger]) {
			cfg.Load, cfg.Save, cfg.Shards = nil, nil, 1
			cfg.LoadMany = func(ctx context.Context, keys []string) ([]*ledger, []error) {
				time.Sleep(10 * time.Millisecond)
				note(ctx, keys)
				values := make([]*ledger, len(keys))
				for i := range values {
					values[i] = new(ledger)
				}
				return values, make([]error, len(keys))
			}
			cfg.SaveMany = func(ctx context.Context, keys []string, _ []*ledger) []error {
				note(ctx, keys)
				return make([]error, len(keys))
			}
		})
		g.give("a")
		keys := []string{"a", "b", "c", "d", "e", "f"}
		var callers sync.WaitGroup
		for i, key := range keys {
			callers.Go(func() {
				_, err := n.note.Do(context.Background(), key, i)
				require.NoError(t, err)
			})
		}
		callers.Wait()
		require.Greater(t, most, 1)
		epochs := make(map[int64]bool)
		for _, key := range keys {
			epoch, mine := n.Epoch(n.Shard("test/" + key))
			require.True(t, mine)
			require.Equal(t, []int64{epoch, epoch}, seen[key])
			epochs[epoch] = true
		}
		require.Greater(t, len(epochs), 1)
	})
}
