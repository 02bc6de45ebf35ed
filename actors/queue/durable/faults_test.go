package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// disk is what stands between a queue and its file: it can hold commits up, and make them fail.
type disk struct {
	hold    chan struct{} // a commit waits for it, if it is not nil
	fail    atomic.Bool
	halfway atomic.Bool // it fails after the commit came through
}

var errDisk = errors.New("input/output error")

// between puts the disk between a queue and its file. Nothing may be being written.
func (d *disk) between(q interface{ file() *store }) {
	s := q.file()
	through := s.update
	s.update = func(fn func(*bbolt.Tx) error) error {
		if d.hold != nil {
			<-d.hold
		}
		if d.fail.Load() {
			return errDisk
		}
		err := through(fn)
		if d.halfway.Load() {
			return errDisk
		}
		return err
	}
}

func (q *Queue[T]) file() *store { return q.vault.store }

func TestG3_ContextsEndAtEveryMomentOfACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{})
		d := &disk{hold: make(chan struct{})}
		d.between(q)
		enqueued := make(chan error, 2)
		put := func(ctx context.Context, x int) { enqueued <- q.Enqueue(ctx, x) }
		go put(roomtest.Within(t, time.Second), 1) // is being written when it gives up
		synctest.Wait()
		go put(roomtest.Within(t, time.Minute), 2) // waits to be written when it gives up
		synctest.Wait()
		time.Sleep(time.Second)
		err := <-enqueued
		var unknown *UnknownError
		require.ErrorAs(t, err, &unknown)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Minute)
		err = <-enqueued
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, errors.As(err, &unknown), "it is certain")
		close(d.hold)
		synctest.Wait()
		assert.Equal(t, 1, q.Len(), "the first came through")
		assert.Equal(t, []int{1}, values(dequeue(t, q, 5)))
	})
}

func TestG3_WhoGivesUpWhileItsTryIsCountedIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		sys := roomtest.System(t)
		q, err := Add(sys, "test", Config[int]{Path: path})
		require.NoError(t, err)
		enqueue(t, q, 1, 2)
		synctest.Wait()
		d := &disk{hold: make(chan struct{})}
		d.between(q)
		_, err = q.Dequeue(roomtest.Within(t, time.Second), 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(d.hold)
		synctest.Wait()
		require.Equal(t, []int{2, 0}, []int{q.Info().Waiting, q.Info().Out})
		list := dequeue(t, q, 1)
		assert.Equal(t, Receipt{ID: 1, Try: 1}, list[0].Receipt)

		d.hold = make(chan struct{}) // again, and it is not being written yet
		acked := make(chan error)
		go func() { acked <- q.Ack(context.Background(), list[0].Receipt) }()
		synctest.Wait()
		_, err = q.Dequeue(roomtest.Within(t, time.Second), 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, q.Info().Waiting)
		close(d.hold)
		require.NoError(t, <-acked)

		require.NoError(t, sys.Close(context.Background()))
		q, err = Add(roomtest.System(t), "test", Config[int]{Path: path})
		require.NoError(t, err)
		assert.Equal(t, Receipt{ID: 2, Try: 1}, dequeue(t, q, 1)[0].Receipt, "nor on disk")
	})
}

// TestQ15_ADiskThatFailsIsTold has writes of every kind fail. Whose write it was is told, and the queue goes on when the disk
// does.
func TestQ15_ADiskThatFailsIsTold(t *testing.T) {
	for _, how := range []string{"before", "after"} {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue")
			sys := roomtest.System(t)
			q, err := Add(sys, "test", Config[int]{Path: path, Visibility: time.Minute})
			require.NoError(t, err)
			var d disk
			d.between(q)
			bad := &d.fail
			if how == "after" {
				bad = &d.halfway
			}
			ctx := context.Background()
			enqueue(t, q, 1, 2, 3)
			held := dequeue(t, q, 1)[0]
			synctest.Wait()

			bad.Store(true)
			assert.ErrorIs(t, q.Enqueue(ctx, 4), errDisk)
			_, err = q.Dequeue(ctx, 1)
			assert.ErrorIs(t, err, errDisk)
			assert.ErrorIs(t, q.Ack(ctx, held.Receipt), errDisk)
			assert.ErrorIs(t, q.Nack(ctx, held.Receipt, 0, nil), errDisk)
			_, err = q.Purge(ctx)
			assert.ErrorIs(t, err, errDisk)
			info := q.Info()
			assert.Equal(t, []int{3, 0}, []int{q.Len(), info.Writing})
			assert.EqualValues(t, 5, info.Failed)
			bad.Store(false)

			if how == "after" { // what failed to be purged and acknowledged came through after all: it vanishes, and is not lost twice
				enqueue(t, q, 5)
				time.Sleep(2 * time.Minute)
				list := dequeue(t, q, 5)
				assert.Equal(t, []int{5}, values(list))
				assert.Equal(t, 1, q.Len())
				return
			}
			require.NoError(t, q.Ack(ctx, held.Receipt), "it is still its taker's")
			enqueue(t, q, 5)
			require.Equal(t, []int{2, 3, 5}, values(dequeue(t, q, 5)))
			_ = sys.Close(roomtest.EndedContext())
			q, err = Add(roomtest.System(t), "test", Config[int]{Path: path})
			require.NoError(t, err)
			assert.Equal(t, []int{2, 3, 5}, values(dequeue(t, q, 5)), "on disk too")
		})
	}
}

func TestQ15_WhatFailedToBeWrittenDoesNotComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		sys := roomtest.System(t)
		q, err := Add(sys, "test", Config[int]{Path: path})
		require.NoError(t, err)
		var d disk
		d.between(q)
		d.halfway.Store(true)
		require.ErrorIs(t, q.Enqueue(context.Background(), 1), errDisk)
		d.halfway.Store(false)
		enqueue(t, q, 2)
		require.NoError(t, sys.Close(context.Background()))
		q, err = Add(roomtest.System(t), "test", Config[int]{Path: path})
		require.NoError(t, err)
		assert.Equal(t, []int{2}, values(dequeue(t, q, 5)))
	})
}

func TestQ15_ADeathThatCouldNotBeWrittenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: time.Second, MaxTries: 1})
		var d disk
		d.between(q)
		enqueue(t, q, 1)
		dequeue(t, q, 1)
		d.fail.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Zero(t, q.Info().Dead)
		d.fail.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []int{1, 0, 0}, []int{q.Info().Dead, q.Info().Out, q.Info().Waiting})
	})
}

// TestQ15_AFullDiskIsToldAndGotOver uses bbolt's own bound of the file, which fails as a full disk does.
func TestQ15_AFullDiskIsToldAndGotOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[[]byte]{})
		db := q.vault.store.db
		enqueue(t, q, make([]byte, 1000))
		db.MaxSize = 1 << 20
		n, err := 1, error(nil)
		for ; err == nil; n++ {
			err = q.Enqueue(context.Background(), make([]byte, 100_000))
		}
		require.ErrorContains(t, err, "maximum size")
		require.Equal(t, n-1, q.Len())
		db.MaxSize = 0
		enqueue(t, q, make([]byte, 100_000))
		list := dequeue(t, q, n+1)
		require.Len(t, list, n)
		require.NoError(t, q.Ack(context.Background(), receipts(list)...))
	})
}

func TestQ15_DamagedRecordsAreSetAsideAndTheRestIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		sys := roomtest.System(t)
		q, err := Add(sys, "test", Config[int]{Path: path})
		require.NoError(t, err)
		enqueue(t, q, 1, 2, 3, 4, 5)
		dequeue(t, q, 5)
		_ = sys.Close(roomtest.EndedContext())

		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			items, turns, dead := tx.Bucket(itemsBucket), tx.Bucket(turnsBucket), tx.Bucket(deadBucket)
			torn := append([]byte(nil), items.Get(keyOf(2))...)
			torn[len(torn)-1] ^= 1
			return errors.Join(
				items.Put(keyOf(2), torn), items.Put(keyOf(3), nil), items.Put([]byte("odd"), []byte("?")),
				turns.Put(keyOf(4), []byte("junk")), turns.Put(keyOf(77), []byte("of nobody")),
				dead.Put([]byte("odd too"), []byte("?")), dead.Put(keyOf(1000), []byte("?")),
			)
		}))
		require.NoError(t, db.Close())

		q, err = Add(roomtest.System(t), "test", Config[int]{Path: path})
		require.NoError(t, err)
		list := dequeue(t, q, 5)
		assert.Equal(t, []int{1, 4, 5}, values(list))
		assert.Equal(t, []int{2, 1, 2}, []int{list[0].Tries, list[1].Tries, list[2].Tries})
		dead, err := q.Dead(context.Background(), 10)
		require.NoError(t, err)
		require.Len(t, dead, 4)
		for _, d := range dead {
			assert.Error(t, d.Err)
		}
		assert.Contains(t, dead[0].Reason, "damaged")
		assert.NotEmpty(t, dead[0].Raw)
		assert.Error(t, q.Requeue(context.Background(), dead[0].Seq), "it is as damaged as before")
		enqueue(t, q, 6)
		last := dequeue(t, q, 1)[0]
		assert.Greater(t, last.Receipt.ID, uint64(1000), "no ID is given away twice")
		n, err := q.PurgeDead(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 5, n)
	})
}

func TestQ15_WhatCannotBeDecodedIsDeadAndDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		sys := roomtest.System(t)
		words, err := Add(sys, "test", Config[string]{Path: path})
		require.NoError(t, err)
		enqueue(t, words, "one", "2")
		require.True(t, Delete(sys, "test"))
		numbers, err := Add(sys, "test", Config[int]{Path: path, Encode: func(int) ([]byte, error) { return []byte("3"), nil }, Decode: func(b []byte) (int, error) {
			if len(b) > 1 {
				panic("too long")
			}
			return 3, nil
		}})
		require.NoError(t, err)
		done := make(chan []Delivery[int])
		go func() { list, _ := numbers.Dequeue(context.Background(), 5); done <- list }()
		synctest.Wait()
		enqueue(t, numbers, 3)
		assert.Equal(t, []int{3}, values(<-done), "who waits goes on waiting")
		synctest.Wait()
		dead, err := numbers.Dead(context.Background(), 10)
		require.NoError(t, err)
		require.Len(t, dead, 2)
		var panicked *penstock.PanicError
		assert.ErrorAs(t, dead[0].Err, &panicked)
		assert.Equal(t, `"one"`, string(dead[0].Raw))
		assert.Contains(t, dead[0].Reason, "could not be decoded")
	})
}

func TestAFileThatIsNoQueueIsAnError(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{"text": []byte("hello"), "zeros": make([]byte, 64<<10)} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err := Add(roomtest.System(t), "test", Config[int]{Path: path})
		assert.ErrorContains(t, err, path)
	}
	path := filepath.Join(dir, "torn")
	q := newQueue(t, Config[int]{Path: path})
	for i := range 100 {
		enqueue(t, q, i)
	}
	require.NoError(t, q.vault.room.Close(context.Background()))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	whole = whole[:1<<18] // the file grows in steps; all that is used is in the first part
	damaged := 0
	for page := 2; page < 12; page++ { // behind the two pages that say where the others are
		torn := slices.Clone(whole)
		for i := range 4096 {
			torn[page*4096+i] ^= 0xa5
		}
		path := filepath.Join(dir, fmt.Sprint("page ", page))
		require.NoError(t, os.WriteFile(path, torn, 0o600))
		again, err := Add(roomtest.System(t), "test", Config[int]{Path: path})
		if err == nil {
			assert.Equal(t, 100, again.Info().Waiting, "it is a page that is not in use")
			continue
		}
		damaged++
		assert.ErrorContains(t, err, "damaged")
		require.NoError(t, os.WriteFile(path, whole, 0o600))
		_, err = Add(roomtest.System(t), "test", Config[int]{Path: path})
		assert.NoError(t, err, "the file was let go")
	}
	assert.NotZero(t, damaged)
	short := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(short, whole[:3*4096], 0o600))
	_, err = Add(roomtest.System(t), "test", Config[int]{Path: short})
	assert.ErrorContains(t, err, short)
}
