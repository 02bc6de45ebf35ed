package supervisor

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSlowSubscriberBlocksNobody(t *testing.T) {
	var f feed
	slow, quick := f.subscribe(3), f.subscribe(100)
	for i := range 10 {
		f.publish(Event{ID: strconv.Itoa(i)}) // would hang here
	}
	assert.EqualValues(t, 7, slow.Dropped())
	assert.Zero(t, quick.Dropped())
	assert.Equal(t, "0", (<-slow.Events()).ID, "the oldest are kept")
	assert.Len(t, quick.Events(), 10)
}

func TestSubscriptionCloses(t *testing.T) {
	var f feed
	s, other := f.subscribe(0), f.subscribe(1)
	assert.Equal(t, 1, cap(s.events), "room for one at least")
	assert.True(t, f.wanted())
	s.Close()
	s.Close()
	_, more := <-s.Events()
	assert.False(t, more)
	f.publish(Event{})
	assert.Len(t, other.Events(), 1)
	f.close()
	f.close()
	s.Close()
	other.Close()
	assert.False(t, f.wanted())
	late := f.subscribe(5)
	_, more = <-late.Events()
	assert.False(t, more, "after the end there is nothing to come")
	late.Close()
	f.publish(Event{})
}

func TestG12_FeedUnderConcurrency(t *testing.T) {
	var f feed
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				f.publish(Event{})
			}
		})
		wg.Go(func() {
			for range 100 {
				s := f.subscribe(2)
				select {
				case <-s.Events():
				default:
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	require.False(t, f.wanted())
	require.Empty(t, f.mu.subscribers)
}
