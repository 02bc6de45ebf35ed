package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestAKilledPeerFailsItsCallersAtOnce(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	ended := make(chan error, 100)
	for range cap(ended) {
		go func() {
			_, err := node.Call(t.Context(), p.address, kindHold, 0, nil)
			ended <- err
		}()
	}
	require.Eventually(t, func() bool { return len(p.said("held")) == cap(ended) }, time.Minute, time.Millisecond)
	began := time.Now()
	p.Kill()
	for range cap(ended) {
		err := <-ended
		require.ErrorIs(t, err, ErrDown)
		var down *DownError
		require.ErrorAs(t, err, &down)
		require.False(t, down.NotSent)
	}
	took := time.Since(began)
	t.Logf("%d callers heard of it after %v", cap(ended), took)
	require.Less(t, took, 10*time.Second)

	began = time.Now()
	_, err := node.Call(t.Context(), p.address, kindEcho, 0, nil)
	require.ErrorIs(t, err, ErrDown)
	var down *DownError
	require.ErrorAs(t, err, &down)
	require.True(t, down.NotSent, "who comes later is refused")
	t.Logf("who came later was refused after %v", time.Since(began))

	again := startPeer(t, spec{Bind: p.address})
	began = time.Now()
	awaitUp(t, node, again.address)
	t.Logf("it serves %v after its return", time.Since(began))
}

func TestAFrozenPeerIsRefusedAndHandlesNothingLate(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{Hasty: true})
	node := open(t, hasty)
	awaitUp(t, node, p.address)
	p.Freeze()
	began := time.Now()
	others := make(chan error, 100) // of callers without a deadline
	for i := range cap(others) {
		go func() {
			_, err := node.Call(t.Context(), p.address, kindNumber, 0, binary.BigEndian.AppendUint64(nil, uint64(1000+i)))
			others <- err
		}()
	}
	number, failed := uint64(0), 0
	for {
		number++
		_, err := node.Call(within(t, 50*time.Millisecond), p.address, kindNumber, 0, binary.BigEndian.AppendUint64(nil, number))
		require.Error(t, err)
		if errors.Is(err, ErrDown) {
			break
		}
		failed++
		require.Less(t, time.Since(began), time.Minute)
	}
	t.Logf("refused after %v; %d calls had gone into its socket", time.Since(began), failed+cap(others))
	for range cap(others) {
		require.ErrorIs(t, <-others, ErrDown)
	}
	require.Eventually(t, func() bool { return node.Links()[0].Silence > 3*time.Second }, time.Minute, 10*time.Millisecond,
		"so that what is in the socket is late beyond doubt")
	p.thaw()
	began = time.Now()
	awaitUp(t, node, p.address)
	t.Logf("it serves %v after its return", time.Since(began))
	require.Eventually(t, func() bool {
		_, err := node.Call(t.Context(), p.address, kindNumber, 0, binary.BigEndian.AppendUint64(nil, 1<<40))
		return err == nil
	}, time.Minute, time.Millisecond)
	p.await("number", "1099511627776")
	for _, number := range p.said("number") {
		require.Equal(t, "1099511627776", number, "nothing of what was sent before was handled")
	}
	require.Empty(t, p.said("late"))
}

func TestRestartsLeaveNothing(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	before := runtime.NumGoroutine()
	t.Logf("%d goroutines before", before)
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		p.end()
		p = startPeer(t, spec{Bind: p.address})
		awaitUp(t, node, p.address)
	}
	for limit := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(limit); {
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	require.LessOrEqual(t, runtime.NumGoroutine(), before, "%s", stacks[:runtime.Stack(stacks, true)])
}

func TestRetryIsNotHandledTwice(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	ended := make(chan error, 1)
	go func() {
		_, err := node.Call(t.Context(), p.address, kindLate, 0, binary.BigEndian.AppendUint64(nil, 500))
		ended <- err
	}()
	require.Eventually(t, func() bool { return node.Links()[0].Waiting == 1 }, time.Minute, time.Millisecond)
	awaitUp(t, node, p.address) // so that it has gone out
	found, _ := node.links.Load(p.address)
	l := found.(*link)
	l.mu.Lock()
	l.fail(errBroken) // as when a connection breaks
	l.mu.Unlock()
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	require.False(t, down.NotSent)
	a, err := node.Retry(within(t, time.Minute), down)
	require.NoError(t, err)
	require.EqualValues(t, 1, binary.BigEndian.Uint64(a.Payload), "it was handled once")
	_, err = node.Retry(within(t, time.Minute), down)
	require.ErrorIs(t, err, ErrDown, "it has its answer")
	_, err = node.Retry(t.Context(), &DownError{})
	require.ErrorIs(t, err, penstock.ErrInvalid)
}

func TestRetryWaitsForTheReturnOfAFrozenPeer(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{Hasty: true})
	node := open(t, hasty)
	awaitUp(t, node, p.address)
	p.Freeze()
	_, err := node.Call(t.Context(), p.address, kindOnce, 0, nil)
	var down *DownError
	require.ErrorAs(t, err, &down)
	ended := make(chan error, 1)
	go func() {
		a, err := node.Retry(context.Background(), down)
		for errors.As(err, &down) { // on a slow machine it may be lost again
			a, err = node.Retry(context.Background(), down)
		}
		if err == nil && binary.BigEndian.Uint64(a.Payload) != 1 {
			err = errors.New("it was handled more than once")
		}
		ended <- err
	}()
	p.thaw()
	require.NoError(t, <-ended)
}

func TestRetryDoesNotGoToANewLife(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	ended := make(chan error, 1)
	go func() {
		_, err := node.Call(t.Context(), p.address, kindHold, 0, nil)
		ended <- err
	}()
	p.await("held", "")
	p.end()
	var down *DownError
	require.ErrorAs(t, <-ended, &down)
	again := startPeer(t, spec{Bind: p.address})
	_, err := node.Retry(within(t, time.Minute), down)
	require.ErrorIs(t, err, ErrDown)
	require.ErrorContains(t, err, "it has started anew")
	require.Empty(t, again.said("held"))
}

func TestCloseLeavesNothing(t *testing.T) { // goleak looks when all tests are done, and here
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	ended := make(chan error, 2)
	go func() {
		_, err := node.Call(t.Context(), p.address, kindHold, 0, nil)
		ended <- err
	}()
	p.await("held", "")
	go func() {
		_, err := node.Call(t.Context(), "127.0.0.1:9", kindHold, 0, nil) // nobody is there: it is being dialled
		ended <- err
	}()
	require.Eventually(t, func() bool { return len(node.Links()) == 2 }, time.Minute, time.Millisecond)
	began := time.Now()
	closeNode(t, node)
	t.Logf("closed in %v", time.Since(began))
	for range 2 {
		require.ErrorIs(t, <-ended, penstock.ErrClosed)
	}
	closeNode(t, node)
	_, err := node.Call(t.Context(), p.address, kindEcho, 0, nil)
	require.ErrorIs(t, err, penstock.ErrClosed)
	require.ErrorIs(t, node.Send(p.address, kindEcho, 0, nil), penstock.ErrClosed)
	p.await("canceled", "")
}

// TestABurstIsNotLost sends more at once than the library takes by itself.
func TestABurstIsNotLost(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	calls := 4000
	if testing.Short() {
		calls = 1000
	}
	ended := make(chan error, calls)
	for range calls {
		go func() {
			a, err := node.Call(t.Context(), p.address, kindEcho, 0, make([]byte, 8<<10))
			if err == nil && len(a.Payload) != 8<<10 {
				err = errors.New("the answer was cut")
			}
			ended <- err
		}()
	}
	for range calls {
		require.NoError(t, <-ended)
	}
}
