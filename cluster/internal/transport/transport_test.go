package transport

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestAnswers(t *testing.T) {
	if elsewhere(t) {
		return
	}
	ca := newAuthority(t)
	p := startPeer(t, spec{CA: ca})
	node := open(t, func(c *Config) { c.TLS = nodeOf(t, ca) })
	require.False(t, node.Up(p.address))
	a, err := node.Call(within(t, time.Minute), p.address, kindEcho, 7, []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, Answer{kindEcho, []byte("hello")}, a)
	require.True(t, node.Up(p.address))

	var wg sync.WaitGroup
	var good atomic.Int64
	began := time.Now()
	for caller := range 32 {
		wg.Go(func() {
			for i := range 200 {
				payload := binary.BigEndian.AppendUint64(nil, uint64(caller*1000+i))
				a, err := node.Call(within(t, time.Minute), p.address, kindEcho, 0, payload)
				if err == nil && string(a.Payload) == string(payload) {
					good.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 32*200, good.Load(), "each caller gets its own answer")
	t.Logf("%.0f calls a second", 32*200/time.Since(began).Seconds())
	info := node.Links()
	require.Len(t, info, 1)
	require.True(t, info[0].Up)
	require.Zero(t, info[0].Waiting)
}

func TestRefusals(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)

	var remote *RemoteError
	_, err := node.Call(within(t, time.Minute), p.address, kindPanic, 0, nil)
	require.ErrorAs(t, err, &remote)
	require.ErrorContains(t, err, "its handler panicked")
	require.True(t, remote.Begun())
	p.await("log", "panicked")

	_, err = node.Call(within(t, time.Minute), p.address, kindBig, 0, nil)
	require.ErrorContains(t, err, "the answer has 65537 bytes")
	_, err = node.Call(within(t, time.Minute), p.address, kindEcho, 0, make([]byte, MaxPayload+1))
	require.ErrorIs(t, err, penstock.ErrInvalid)
	a, err := node.Call(within(t, time.Minute), p.address, kindEcho, 0, make([]byte, MaxPayload))
	require.NoError(t, err)
	require.Len(t, a.Payload, MaxPayload)
	for _, bad := range []string{"", "nowhere", "127.0.0.1:0", "0.0.0.0:7", node.Address()} {
		_, err = node.Call(t.Context(), bad, kindEcho, 0, nil)
		require.ErrorIs(t, err, penstock.ErrInvalid, bad)
	}
}

func TestWhoGivesUpIsTakenBackAndThePeerIsTold(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{})
	node := open(t)
	awaitUp(t, node, p.address)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := node.Call(ctx, p.address, kindHold, 0, nil)
		ended <- err
	}()
	p.await("held", "")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	p.await("canceled", "")
	require.Zero(t, node.Links()[0].Waiting)
}

func TestWaitingIsBounded(t *testing.T) {
	if elsewhere(t) {
		return
	}
	p := startPeer(t, spec{Limit: 2})
	node := open(t, func(c *Config) { c.MaxPending = 3 })
	awaitUp(t, node, p.address)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = node.Call(ctx, p.address, kindHold, 0, nil) })
	}
	require.Eventually(t, func() bool { return len(p.said("held")) == 2 }, time.Minute, time.Millisecond)
	_, err := node.Call(within(t, time.Minute), p.address, kindEcho, 0, nil)
	require.ErrorIs(t, err, penstock.ErrFull, "the peer has two of this node's under way")
	var remote *RemoteError
	require.ErrorAs(t, err, &remote)
	require.False(t, remote.Begun())

	started := make(chan struct{})
	go func() {
		close(started)
		_, _ = node.Call(ctx, "127.0.0.1:9", kindHold, 0, nil) // another peer has nothing to do with it
	}()
	<-started
	cancel()
	wg.Wait()
	awaitUp(t, node, p.address)
}
