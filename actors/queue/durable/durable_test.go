package durable

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestQ15_ItemsSurviveTheirProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config[string]{Path: filepath.Join(t.TempDir(), "queue"), Weights: map[string]int{"a": 2}}
		sys := roomtest.System(t)
		q, err := Add(sys, "test", cfg)
		require.NoError(t, err)
		for i, r := range []queue.Request{{Nice: 3, Flow: "a", Cost: 2}, {Flow: "b"}, {Nice: -4}} {
			require.NoError(t, q.EnqueueRequest(context.Background(), fmt.Sprint("item ", i), r))
		}
		put := time.Now()
		acked := dequeue(t, q, 1)
		require.NoError(t, q.Ack(context.Background(), acked[0].Receipt))
		held := dequeue(t, q, 1)
		require.Error(t, sys.Close(roomtest.EndedContext()), "one delivery was not acknowledged")

		time.Sleep(time.Hour)
		q, err = Add(roomtest.System(t), "test", cfg)
		require.NoError(t, err)
		list := dequeue(t, q, 10)
		require.Equal(t, []string{"item 1", "item 0"}, values(list))
		assert.Equal(t, held[0].Receipt.ID, list[0].Receipt.ID)
		assert.Equal(t, 2, list[0].Tries, "the one that was handed out has had a try")
		assert.Equal(t, 1, list[1].Tries)
		assert.True(t, put.Equal(list[1].At))
		assert.Equal(t, []any{"a", 3, 2, 2}, []any{list[1].Flow, list[1].Nice, list[1].Cost, list[1].Weight})
		require.NoError(t, q.Ack(context.Background(), receipts(list)...))
		assert.Zero(t, q.Len())
	})
}

func TestQ15_WhatIsNotAcknowledgedComesBackFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: 10 * time.Second})
		enqueue(t, q, 1, 2, 3)
		first := dequeue(t, q, 1)
		assert.Equal(t, 10*time.Second, time.Until(first[0].Until))
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		assert.Equal(t, 1, q.Info().Out)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(t, 0, q.Info().Out)
		list := dequeue(t, q, 2)
		assert.Equal(t, []int{1, 2}, values(list))
		assert.Equal(t, 2, list[0].Tries)

		var stale *StaleError
		require.ErrorAs(t, q.Ack(context.Background(), first[0].Receipt), &stale)
		assert.Equal(t, first[0].Receipt, stale.Receipt)
		assert.ErrorContains(t, stale, "handed out again")
		require.NoError(t, q.Ack(context.Background(), receipts(list)...))
		require.ErrorAs(t, q.Ack(context.Background(), list[0].Receipt), &stale, "twice")
	})
}

func TestQ15_ATakerThatWaitsGetsWhatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: time.Minute})
		enqueue(t, q, 1)
		dequeue(t, q, 1)
		start := time.Now()
		list := dequeue(t, q, 1)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.Equal(t, 2, list[0].Tries)
	})
}

func TestQ15_AnAckThatComesLateButInTimeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: time.Second})
		enqueue(t, q, 1)
		d := dequeue(t, q, 1)[0]
		time.Sleep(time.Minute)
		require.NoError(t, q.Ack(context.Background(), d.Receipt), "nobody else has it")
		assert.Zero(t, q.Len())
	})
}

func TestQ15_AfterItsTriesAnItemIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: time.Second, MaxTries: 3})
		enqueue(t, q, 7)
		var last Delivery[int]
		for try := range 3 {
			last = dequeue(t, q, 1)[0]
			assert.Equal(t, try+1, last.Tries)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		info := q.Info()
		assert.Equal(t, []int{0, 0, 1}, []int{info.Waiting, info.Out, info.Dead})
		dead, err := q.Dead(context.Background(), 10)
		require.NoError(t, err)
		require.Len(t, dead, 1)
		assert.Equal(t, 7, dead[0].Value)
		assert.Equal(t, 3, dead[0].Tries)
		assert.Contains(t, dead[0].Reason, "not acknowledged in time")
		assert.True(t, dead[0].Died.Equal(time.Now()))
		var stale *StaleError
		assert.ErrorAs(t, q.Ack(context.Background(), last.Receipt), &stale)
	})
}

func TestQ15_GivingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		sys := roomtest.System(t)
		q, err := Add(sys, "test", Config[int]{Path: path, MaxTries: 3})
		require.NoError(t, err)
		enqueue(t, q, 1, 2)
		d := dequeue(t, q, 1)[0]
		require.NoError(t, q.Nack(context.Background(), d.Receipt, 0, nil))
		var stale *StaleError
		require.ErrorAs(t, q.Ack(context.Background(), d.Receipt), &stale)
		require.ErrorContains(t, stale, "given back")

		d = dequeue(t, q, 1)[0]
		require.Equal(t, 1, d.Value, "it is the first again")
		require.NoError(t, q.Nack(context.Background(), d.Receipt, time.Hour, errors.New("no network")))
		require.ErrorAs(t, q.Extend(d.Receipt, time.Second), &stale)
		other := dequeue(t, q, 2)
		require.Equal(t, []int{2}, values(other), "it is not to be had")
		require.NoError(t, q.Ack(context.Background(), other[0].Receipt))
		assert.Equal(t, 1, q.Info().Delayed)

		time.Sleep(20 * time.Minute)
		require.NoError(t, sys.Close(context.Background()))
		q, err = Add(roomtest.System(t), "test", Config[int]{Path: path, MaxTries: 3})
		require.NoError(t, err)
		start := time.Now()
		d = dequeue(t, q, 1)[0]
		assert.Equal(t, 40*time.Minute, time.Since(start), "the delay outlives the process")
		assert.Equal(t, 3, d.Tries)
		require.NoError(t, q.Nack(context.Background(), d.Receipt, time.Hour, errors.New("no network again")))
		dead, err := q.Dead(context.Background(), 1)
		require.NoError(t, err)
		require.Len(t, dead, 1, "that was its last try")
		assert.Equal(t, "no network again", dead[0].Reason)
	})
}

func TestQ15_ExtendingAndBurying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: time.Second})
		enqueue(t, q, 1)
		d := dequeue(t, q, 1)[0]
		for range 5 {
			time.Sleep(900 * time.Millisecond)
			require.NoError(t, q.Extend(d.Receipt, time.Second))
		}
		require.NoError(t, q.Extend(d.Receipt, 10*time.Millisecond), "it can be shortened")
		start := time.Now()
		d = dequeue(t, q, 1)[0]
		assert.Equal(t, 10*time.Millisecond, time.Since(start))
		require.NoError(t, q.Bury(context.Background(), d.Receipt, errors.New("hopeless")))
		dead, err := q.Dead(context.Background(), 1)
		require.NoError(t, err)
		require.Len(t, dead, 1)
		assert.Equal(t, "hopeless", dead[0].Reason)
		assert.ErrorIs(t, q.Extend(d.Receipt, -1), penstock.ErrInvalid)
	})
}

func TestQ15_DeadLettersAreRequeuedOrPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{MaxSize: 5})
		put := time.Now()
		enqueue(t, q, 1, 2, 3, 4)
		time.Sleep(time.Minute)
		for _, d := range dequeue(t, q, 3) {
			require.NoError(t, q.Bury(context.Background(), d.Receipt, nil))
		}
		enqueue(t, q, 5)
		var full *FullError
		require.ErrorAs(t, q.Enqueue(context.Background(), 6), &full, "dead letters count")
		assert.Equal(t, FullError{Queue: "test", Bound: 5, Dead: 3}, *full)
		assert.ErrorIs(t, full, penstock.ErrFull)

		dead, err := q.Dead(context.Background(), 2)
		require.NoError(t, err)
		require.Len(t, dead, 2)
		var not *NotDeadError
		require.ErrorAs(t, q.Requeue(context.Background(), dead[0].Seq, 99), &not)
		assert.EqualValues(t, 99, not.ID)
		assert.Equal(t, 3, q.Info().Dead, "all or none")
		require.NoError(t, q.Requeue(context.Background(), dead[1].Seq))
		n, err := q.PurgeDead(context.Background(), dead[0].Seq, 99)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		list := dequeue(t, q, 10)
		assert.Equal(t, []int{4, 5, 2}, values(list))
		assert.Equal(t, 1, list[2].Tries)
		assert.True(t, put.Equal(list[2].At))
		n, err = q.PurgeDead(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		dead, err = q.Dead(context.Background(), 10)
		require.NoError(t, err)
		assert.Empty(t, dead)
		assert.Zero(t, q.Info().Dead)
	})
}

func TestQ15_PurgeEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{})
		enqueue(t, q, 1, 2, 3)
		d := dequeue(t, q, 1)[0]
		n, err := q.Purge(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Equal(t, 1, q.Len())
		require.NoError(t, q.Nack(context.Background(), d.Receipt, time.Hour, nil))
		n, err = q.Purge(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		n, err = q.Purge(context.Background())
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

func TestQ10_WhatNobodyTookInTimeIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		sys := roomtest.System(t)
		cfg := Config[int]{Path: path, MaxTime: time.Minute}
		q, err := Add(sys, "test", cfg)
		require.NoError(t, err)
		enqueue(t, q, 1)
		time.Sleep(30 * time.Second)
		enqueue(t, q, 2)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.Equal(t, []int{1, 1}, []int{q.Info().Waiting, q.Info().Dead})
		require.NoError(t, sys.Close(context.Background()))
		time.Sleep(30 * time.Second)
		q, err = Add(roomtest.System(t), "test", cfg)
		require.NoError(t, err)
		synctest.Wait()
		dead, err := q.Dead(context.Background(), 10)
		require.NoError(t, err)
		require.Len(t, dead, 2)
		assert.Equal(t, "nobody took it within 1m0s", dead[1].Reason)
	})
}

func TestQ9_TheOrderIsTheLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Line: queue.LineConfig{Order: queue.LIFO}})
		enqueue(t, q, 1, 2, 3)
		assert.Equal(t, []int{3, 2, 1}, values(dequeue(t, q, 3)))
	})
}

func TestG5_BoundsAreToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{MaxTakers: 1, MaxItem: 3})
		done := make(chan error)
		go func() { _, err := q.Dequeue(roomtest.Within(t, time.Second), 1); done <- err }()
		synctest.Wait()
		_, err := q.Dequeue(context.Background(), 1)
		var full *FullError
		require.ErrorAs(t, err, &full)
		assert.True(t, full.Takers)
		assert.ErrorIs(t, <-done, context.DeadlineExceeded)
		assert.ErrorIs(t, q.Enqueue(context.Background(), 1234), penstock.ErrInvalid, "four bytes")
		assert.NoError(t, q.Enqueue(context.Background(), 123))
	})
}

func TestConfigurationNamesEveryBadField(t *testing.T) {
	sys := roomtest.System(t)
	_, err := Add(sys, "", Config[int]{
		LockTimeout: -1, Visibility: -1, MaxTries: -1, MaxSize: -1, MaxTakers: -1, MaxTime: -1, MaxItem: -1,
		Weights: map[string]int{"x": -3}, Line: queue.LineConfig{Order: 7}, Encode: func(int) ([]byte, error) { return nil, nil },
	})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, field := range []string{
		"name", "Path", "LockTimeout", "Visibility", "MaxTries", "MaxSize", "MaxTakers", "MaxTime", "MaxItem", "Weights", "Line", "Decode",
	} {
		assert.ErrorContains(t, err, field)
	}
	_, err = Add[int](nil, "x", Config[int]{})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	for _, name := range []string{strings.Repeat("x", 513), "\xff"} {
		_, err = Add(sys, name, Config[int]{Path: "x"})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
	}
	_, err = Add(sys, "x", Config[int]{Path: filepath.Join(t.TempDir(), "no", "such", "folder")})
	assert.ErrorContains(t, err, "no such file or directory")
	assert.Empty(t, Infos(sys))

	q := newQueue(t, Config[func()]{})
	assert.ErrorIs(t, q.Enqueue(context.Background(), func() {}), penstock.ErrInvalid, "it cannot be encoded")
	assert.ErrorIs(t, q.EnqueueRequest(context.Background(), nil, queue.Request{Nice: 30}), penstock.ErrInvalid)
	assert.ErrorIs(t, q.EnqueueRequest(context.Background(), nil, queue.Request{Cost: -1}), penstock.ErrInvalid)
	assert.ErrorIs(t, q.EnqueueRequest(context.Background(), nil, queue.Request{Flow: "\xff"}), penstock.ErrInvalid)
	_, err = q.Dequeue(context.Background(), 0)
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorIs(t, q.Nack(context.Background(), Receipt{}, -1, nil), penstock.ErrInvalid)
	_, err = q.Dead(context.Background(), 0)
	assert.ErrorIs(t, err, penstock.ErrInvalid)
}

func TestQ1_QueuesAreAddedFoundAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, ok := Get[int](sys, "a")
		assert.False(t, ok, "before there is any")
		assert.False(t, Delete(sys, "a"))
		cfg := Config[int]{Path: filepath.Join(t.TempDir(), "queue")}
		q, err := Add(sys, "a", cfg)
		require.NoError(t, err)
		assert.Equal(t, "a", q.Name())
		_, err = Add(sys, "a", cfg)
		assert.ErrorIs(t, err, penstock.ErrExists)
		same, ok := Get[int](sys, "a")
		assert.True(t, ok)
		assert.Same(t, q, same)
		_, ok = Get[string](sys, "a")
		assert.False(t, ok)
		enqueue(t, q, 1)
		d := dequeue(t, q, 1)[0]
		done := make(chan error)
		go func() { _, err := q.Dequeue(context.Background(), 1); done <- err }()
		synctest.Wait()
		require.True(t, Delete(sys, "a"))
		err = <-done
		assert.ErrorIs(t, err, penstock.ErrClosed)
		assert.ErrorContains(t, err, "deleted")
		assert.ErrorIs(t, q.Enqueue(context.Background(), 1), penstock.ErrClosed)
		assert.ErrorIs(t, q.Ack(context.Background(), d.Receipt), penstock.ErrClosed)
		assert.False(t, Delete(sys, "a"))

		q, err = Add(sys, "a", cfg)
		require.NoError(t, err, "name and file are free at once")
		assert.Equal(t, []int{1}, values(dequeue(t, q, 1)), "what was in it is in the file")
		assert.Len(t, Infos(sys), 1)
	})
}

func TestAFileInUseIsToldClearly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue")
		newQueue(t, Config[int]{Path: path})
		start := time.Now()
		_, err := Add(roomtest.System(t), "test", Config[int]{Path: path, LockTimeout: 3 * time.Second})
		require.ErrorContains(t, err, "is in use by somebody else or another process")
		assert.InDelta(t, 3, time.Since(start).Seconds(), 0.1)
	})
}
