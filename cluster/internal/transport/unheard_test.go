package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/messages"
)

// unheard has a request answered, and says on a channel that nobody heard it.
func (s *stage) unheard(id uint64) chan struct{} {
	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: id}}})
	ch := make(chan struct{}, 2)
	r := s.handled[len(s.handled)-1]
	r.ReplyOr(1, []byte("answer"), func() { ch <- struct{}{} })
	return ch
}

func TestG3_AnAnswerThatNobodyHearsIsTakenBack(t *testing.T) {
	s := newStage(t)
	s.up()
	after := s.unheard(1)
	s.hear(&messages.Batch{Cancels: []uint64{1}})
	<-after
	s.hear(&messages.Batch{Cancels: []uint64{1}})

	together := s.unheard(2) // it came when its caller had just gone, who says both in one go
	s.hear(&messages.Batch{Cancels: []uint64{2}, Settled: []uint64{2}})
	<-together

	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 3}}})
	before := make(chan struct{}, 1)
	s.hear(&messages.Batch{Cancels: []uint64{3}})
	s.handled[len(s.handled)-1].ReplyOr(1, nil, func() { before <- struct{}{} })
	<-before

	long := make(chan struct{}, 2)
	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 4}}})
	s.handled[len(s.handled)-1].ReplyOr(1, make([]byte, MaxPayload+1), func() { long <- struct{}{} })
	<-long

	lost := s.unheard(5)
	s.link.broken()
	s.up()
	require.Empty(t, lost, "it may be asked for again")
	s.hear(&messages.Batch{Cancels: []uint64{5}})
	<-lost
	require.Empty(t, after, "it is said once")
}

func TestAnAnswerThatWasHeardIsNotTakenBack(t *testing.T) {
	s := newStage(t)
	s.up()
	ch := s.unheard(1)
	s.hear(&messages.Batch{Settled: []uint64{1}})
	s.hear(&messages.Batch{Cancels: []uint64{1}})
	kept := s.unheard(2)
	s.link.mu.Lock()
	s.link.books[theirLife].expire(s.node.now() + memory + time.Second)
	s.link.mu.Unlock()
	s.hear(&messages.Batch{Cancels: []uint64{2}})
	s.link.broken()
	require.Empty(t, ch)
	require.Empty(t, kept, "whoever says so after so long is not believed")
}
