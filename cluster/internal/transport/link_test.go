package transport

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// stage is a node whose peer is played by the test, and whose clock stands still unless the test moves it.
type stage struct {
	t       *testing.T
	node    *Transport
	link    *link
	clock   atomic.Int64
	handled []*Request
	replies []func(uint32, []byte)
}

const theirLife = 77

func newStage(t *testing.T) *stage {
	s := &stage{t: t}
	s.clock.Store(int64(time.Hour))
	cfg := Config{
		Now: func() time.Duration { return time.Duration(s.clock.Load()) },
		Handle: func(r *Request, reply func(uint32, []byte)) {
			s.handled = append(s.handled, r)
			s.replies = append(s.replies, reply)
		},
	}
	s.node = newTransport(cfg.withDefaults())
	s.node.address = "127.0.0.1:8"
	s.node.engine = s.node.newEngine() // without the library's remote part: what is sent is a dead letter
	s.node.beats.Go(s.node.beat)
	t.Cleanup(func() {
		close(s.node.stop)
		s.node.hangUp()
		s.node.beats.Wait()
	})
	var err error
	s.link, err = s.node.link("127.0.0.1:9")
	require.NoError(t, err)
	return s
}

func (s *stage) pass(d time.Duration) { s.clock.Add(int64(d)) }

func (s *stage) now() int64 { return s.clock.Load() }

// hear has the peer say something, and the node handle it.
func (s *stage) hear(b *messages.Batch) {
	b.From = s.link.peer
	if b.Life == 0 {
		b.Life = theirLife
	}
	if b.To == 0 {
		b.To = s.node.life
	}
	s.node.receive(b)
}

// up has the peer answer a ping, with its own clock an hour behind.
func (s *stage) up() {
	s.pass(time.Millisecond)
	s.hear(&messages.Batch{Link: 1, Pong: &messages.Pong{Echo: uint64(s.now()), Clock: s.now() - int64(time.Hour)}})
	require.True(s.t, s.node.Up(s.link.peer))
}

// written is what the library's writer would get.
func (s *stage) written() *messages.Batch {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	return s.link.take(s.node.now())
}

// call begins a call and waits until it stands in line.
func (s *stage) call(ctx context.Context) chan error {
	ended := make(chan error, 1)
	waiting := s.node.Links()[0].Waiting
	go func() {
		_, err := s.node.Call(ctx, s.link.peer, 1, 2, []byte("x"))
		ended <- err
	}()
	require.Eventually(s.t, func() bool { return s.node.Links()[0].Waiting == waiting+1 }, time.Minute, time.Millisecond)
	return ended
}

func TestDeadlinesTravelInTheReceiversClock(t *testing.T) {
	s := newStage(t)
	s.up()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ended := s.call(ctx)
	s.pass(10 * time.Second)
	b := s.written()
	require.Len(t, b.Requests, 1)
	require.EqualValues(t, theirLife, b.To)
	require.Equal(t, s.now()-int64(time.Hour)-int64(10*time.Millisecond), b.Sent, "an hour behind, less a thousandth of the age of the answer")
	require.InDelta(t, (time.Hour - 10*time.Second).Microseconds(), b.Requests[0].Budget, 60e6)
	s.hear(&messages.Batch{Answers: []*messages.Answer{{Id: b.Requests[0].Id}}})
	require.NoError(t, <-ended)
	require.Equal(t, []uint64{b.Requests[0].Id}, s.written().Settled)
}

func TestWhatIsLateIsNotHandled(t *testing.T) {
	s := newStage(t)
	s.up()
	budget := func(d time.Duration) uint64 { return uint64(d.Microseconds()) }
	sent := s.now()
	s.pass(100 * time.Millisecond)
	s.hear(&messages.Batch{Sent: sent, Requests: []*messages.Request{
		{Id: 1, Budget: budget(100 * time.Millisecond)},
		{Id: 2, Budget: budget(101 * time.Millisecond)},
		{Id: 3},
		{Budget: budget(99 * time.Millisecond)}, // wants no answer
		{Budget: budget(time.Minute)},
	}})
	ids := func() (ids []uint64) {
		for _, r := range s.handled {
			ids = append(ids, r.ID)
		}
		return ids
	}
	require.Equal(t, []uint64{2, 3, 0}, ids())
	require.InDelta(t, time.Millisecond, time.Until(s.handled[0].Deadline), float64(time.Minute))
	require.True(t, s.handled[1].Deadline.IsZero())

	s.pass(patience - 100*time.Millisecond)
	s.hear(&messages.Batch{Sent: sent, Requests: []*messages.Request{{Id: 4}, {Id: 5, Budget: budget(time.Minute)}}})
	require.Len(t, s.handled, 3, "after a second its caller has been told that the link is down")
	for _, a := range s.written().Answers {
		require.Equal(t, messages.Refusal_REFUSAL_LATE, a.Refusal)
		require.Contains(t, []uint64{1, 4, 5}, a.Id)
	}
}

func TestWhatWasMeantForAnEarlierLifeIsDropped(t *testing.T) {
	s := newStage(t)
	s.hear(&messages.Batch{To: s.node.life + 2, Ping: 5, Sent: s.now(), Requests: []*messages.Request{{Id: 1}}})
	require.Empty(t, s.handled)
	require.EqualValues(t, 5, s.written().GetPong().GetEcho(), "but its ping is answered")
}

func TestTheSameRequestIsAnsweredTheSame(t *testing.T) {
	s := newStage(t)
	s.up()
	ask := func() { s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 1, Kind: 3}}}) }
	ask()
	ask()
	require.Len(t, s.handled, 1)
	require.Empty(t, s.written().Answers)
	s.replies[0](4, []byte("first"))
	s.replies[0](5, []byte("second"))
	ask()
	answers := s.written().Answers
	require.Len(t, answers, 2, "once when it was answered, and once because it was asked again")
	require.Same(t, answers[0], answers[1])
	require.EqualValues(t, 4, answers[0].Kind)
	require.Len(t, s.handled, 1)
}

func TestCancelsArrive(t *testing.T) {
	s := newStage(t)
	s.up()
	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 1}, {Id: 2}}})
	first := s.handled[0].Canceled()
	s.hear(&messages.Batch{Cancels: []uint64{1, 99}})
	<-first
	<-s.handled[0].Canceled()
	s.replies[0](1, nil)
	require.Empty(t, s.written().Answers, "nobody waits for it")
	require.Equal(t, 1, s.node.Links()[0].Running)
	s.link.broken()
	<-s.handled[1].Canceled()
	require.Zero(t, s.node.Links()[0].Running)
}

func TestAPeersNewLifeEndsTheOldOne(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 1}}})
	require.NotEmpty(t, s.written().Requests)
	s.hear(&messages.Batch{Life: theirLife + 1, Ping: 1})
	err := <-ended
	require.ErrorIs(t, err, ErrDown)
	require.ErrorIs(t, err, errReborn)
	<-s.handled[0].Canceled()
	require.False(t, s.node.Up(s.link.peer))
	s.hear(&messages.Batch{Life: theirLife + 1, Sent: s.now(), Requests: []*messages.Request{{Id: 1}}})
	require.Len(t, s.handled, 2, "the new life's first request has nothing to do with the old one's")
}

// TestAnswersThatWereLostFailTheirCallers has the peer lose its connection to the node, which has not noticed anything.
func TestAnswersThatWereLostFailTheirCallers(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	id := s.written().Requests[0].Id
	s.hear(&messages.Batch{Link: 2})
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	require.ErrorIs(t, down, errLostLink)
	require.False(t, down.NotSent)
	require.True(t, s.node.Up(s.link.peer), "it is there")

	again := make(chan error, 1)
	go func() {
		_, err := s.node.Retry(t.Context(), down)
		again <- err
	}()
	require.Eventually(t, func() bool { return s.node.Links()[0].Waiting == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, id, s.written().Requests[0].Id)
	s.hear(&messages.Batch{Link: 2, Answers: []*messages.Answer{{Id: id}}})
	require.NoError(t, <-again)
	require.Empty(t, s.written().Settled, "the first of the two may still be on its way, so the peer must not forget")
}

func TestWhoDoesNotAskAgainIsTakenBack(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	id := s.written().Requests[0].Id
	unsent := s.call(t.Context())
	s.link.broken()
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	require.False(t, down.NotSent)
	require.ErrorAs(t, <-unsent, &down)
	require.True(t, down.NotSent)
	require.Empty(t, s.written().Requests)
	s.up()
	s.pass(grace)
	require.Eventually(t, func() bool { // the node looks by itself
		cancels := s.written().Cancels
		return len(cancels) == 1 && cancels[0] == id
	}, time.Minute, time.Millisecond)
}

// TestAnAnswerThatComesBeforeItIsAskedForAgain has the peer come back with the answer, while somebody waits for it to ask again.
func TestAnAnswerThatComesBeforeItIsAskedForAgain(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	id := s.written().Requests[0].Id
	s.link.broken()
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	again := make(chan error, 1)
	go func() {
		_, err := s.node.Retry(t.Context(), down)
		again <- err
	}()
	require.Eventually(t, func() bool { return s.node.Links()[0].Waiting == 1 }, time.Minute, time.Millisecond)
	s.hear(&messages.Batch{Answers: []*messages.Answer{{Id: id}}})
	require.NoError(t, <-again)
	s.up()
	b := s.written()
	require.Empty(t, b.Requests)
	require.Empty(t, b.Settled)
	require.Empty(t, b.Cancels)
}

func TestWhoWaitsForTheReturnAsksAgain(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	id := s.written().Requests[0].Id
	s.link.broken()
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	again := make(chan error, 1)
	go func() {
		_, err := s.node.Retry(t.Context(), down)
		again <- err
	}()
	require.Eventually(t, func() bool { return s.node.Links()[0].Waiting == 1 }, time.Minute, time.Millisecond)
	require.Empty(t, s.written().Requests)
	s.up()
	require.Equal(t, id, s.written().Requests[0].Id)
	s.hear(&messages.Batch{Answers: []*messages.Answer{{Id: id, Refusal: messages.Refusal_REFUSAL_LATE}}})
	require.Equal(t, id, s.written().Requests[0].Id, "what was late may have been the first copy")
	s.link.broken()
	require.ErrorAs(t, <-again, &down)
	require.False(t, down.NotSent)
}

func TestItCanBeTooLateToAskAgain(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	s.written()
	s.link.broken()
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	s.pass(memory)
	s.up()
	_, err := s.node.Retry(t.Context(), down)
	require.ErrorIs(t, err, errForgotten)
	require.ErrorIs(t, err, ErrDown)
}

func TestForget(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	s.node.Forget(s.link.peer)
	require.Error(t, <-ended)
	require.Empty(t, s.node.Links())
	s.node.Forget(s.link.peer)
}

// TestG11_ARetryAfterBeingForgottenIsNotBegun: the node has forgotten the peer, which has not noticed and asks again what it asked before.
func TestG11_ARetryAfterBeingForgottenIsNotBegun(t *testing.T) {
	s := newStage(t)
	s.up()
	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 4}, {Id: 5}}})
	require.Len(t, s.handled, 2)
	s.replies[1](1, []byte("done"))
	s.relink()
	s.hear(&messages.Batch{Sent: s.now(), Requests: []*messages.Request{{Id: 5}, {Id: 4}, {Id: 6}}})
	require.Len(t, s.handled, 3, "the sixth is new")
	require.EqualValues(t, 6, s.handled[2].ID)
	for i, a := range s.written().Answers {
		require.Equal(t, messages.Refusal_REFUSAL_FORGOTTEN, a.Refusal, "%d", i)
	}
	s.hear(&messages.Batch{Life: theirLife + 1, Sent: s.now(), Requests: []*messages.Request{{Id: 1}}})
	require.Len(t, s.handled, 4, "another life's is new")
}

// TestG11_IDsAreUsedOnce: else a peer that has not noticed that it was forgotten would give the answers of earlier requests.
func TestG11_IDsAreUsedOnce(t *testing.T) {
	s := newStage(t)
	s.up()
	ended := s.call(t.Context())
	sent := s.written()
	s.relink()
	err := <-ended
	down := new(DownError)
	require.ErrorAs(t, err, &down)
	require.ErrorIs(t, err, penstock.ErrClosed)
	require.False(t, down.NotSent, "it may have been done")
	_, err = s.node.Retry(t.Context(), down)
	require.ErrorIs(t, err, ErrDown, "nobody knows any more whether it was")

	s.call(t.Context())
	again := s.written()
	require.Len(t, again.Requests, 1)
	require.Greater(t, again.Requests[0].Id, sent.Requests[0].Id)
	s.link.close()
}

// relink has the node forget the peer and meet it again.
func (s *stage) relink() {
	s.node.Forget(s.link.peer)
	var err error
	s.link, err = s.node.link(s.link.peer)
	require.NoError(s.t, err)
	s.up()
}

// TestWhoWasForgottenIsTold has a peer that was stopped for so long that it was forgotten, and did not notice: what it asked has been
// cancelled, so it must see that it was lost, or its calls would wait for ever.
func TestWhoWasForgottenIsTold(t *testing.T) {
	s := newStage(t)
	s.up()
	s.link.broken()
	before := s.link.losses
	s.node.Forget(s.link.peer)
	again, err := s.node.link(s.link.peer)
	require.NoError(t, err)
	require.NotSame(t, s.link, again)
	require.Greater(t, again.losses, before)
	require.Zero(t, again.info().Losses)
}
