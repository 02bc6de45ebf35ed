package supervisor

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSlowSubscriberBlocksNobody(t *testing.T) {
	var f Feed[Event]
	slow, quick := f.Subscribe(3), f.Subscribe(100)
	for i := range 10 {
		f.Publish(Event{ID: strconv.Itoa(i)}) // would hang here
	}
	assert.EqualValues(t, 7, slow.Dropped())
	assert.Zero(t, quick.Dropped())
	assert.Equal(t, "0", (<-slow.Events()).ID, "the oldest are kept")
	assert.Len(t, quick.Events(), 10)
}

func TestSubscriptionCloses(t *testing.T) {
	var f Feed[Event]
	s, other := f.Subscribe(0), f.Subscribe(1)
	assert.Equal(t, 1, cap(s.events), "room for one at least")
	assert.True(t, f.Wanted())
	s.Close()
	s.Close()
	_, more := <-s.Events()
	assert.False(t, more)
	f.Publish(Event{})
	assert.Len(t, other.Events(), 1)
	f.Close()
	f.Close()
	s.Close()
	other.Close()
	assert.False(t, f.Wanted())
	late := f.Subscribe(5)
	_, more = <-late.Events()
	assert.False(t, more, "after the end there is nothing to come")
	late.Close()
	f.Publish(Event{})
}

func TestG12_FeedUnderConcurrency(t *testing.T) {
	var f Feed[Event]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				f.Publish(Event{})
			}
		})
		wg.Go(func() {
			for range 100 {
				s := f.Subscribe(2)
				select {
				case <-s.Events():
				default:
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	require.False(t, f.Wanted())
	require.Empty(t, f.mu.subscribers)
}
