package wasm

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock"
)

func TestG6_CloseLetsNobodyInAndCanBeRepeated(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m, err := Compile(context.Background(), sample().encode(), Config{Name: "closed"})
	require.NoError(t, err)
	_, err = m.Call("count")(context.Background())
	require.NoError(t, err)
	late := m.Call("count")
	for range 3 {
		require.NoError(t, m.Close(context.Background()))
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, m.Close(ended), "what is closed has nothing left to stop")
	_, err = late(context.Background())
	assert.ErrorIs(t, err, penstock.ErrClosed)
	assert.ErrorContains(t, err, `wasm module "closed"`)
	_, err = m.Bytes("none", nil)(context.Background())
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.Equal(t, Info{Started: 1}, m.Info())
}

func TestG6_CloseBeforeUse(t *testing.T) {
	m, err := Compile(context.Background(), sample().encode(), Config{})
	require.NoError(t, err)
	require.NoError(t, m.Close(context.Background()))
}

func TestG4_CloseWaitsForCalls(t *testing.T) {
	m, arrived := compileEndless(t, Config{})
	called, closed := make(chan error), make(chan error)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, err := m.Call("loop")(ctx); called <- err }()
	<-arrived
	go func() { closed <- m.Close(context.Background()) }()
	for { // until Close has been called: then calls are refused
		if _, err := m.Call("nothing")(context.Background()); err != nil {
			require.ErrorIs(t, err, penstock.ErrClosed)
			break
		}
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Fatal("a call still runs")
	default:
	}
	cancel()
	assert.ErrorIs(t, <-called, context.Canceled)
	require.NoError(t, <-closed)
}

func TestG4_CloseStopsWhatIsNotDoneInTime(t *testing.T) {
	m, arrived := compileEndless(t, Config{Name: "endless"})
	called := make(chan error)
	for _, function := range []string{"loop", "recursion", "fill"} {
		go func() { _, err := m.Call(function)(context.Background()); called <- err }()
		<-arrived
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	err := m.Close(ended)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, `wasm module "endless": 3 calls had to be stopped`)
	for range 3 {
		err := <-called
		assert.ErrorIs(t, err, penstock.ErrClosed)
		assert.ErrorContains(t, err, "what still ran was stopped")
	}
	require.NoError(t, m.Close(context.Background()), "and then all is released")
}

func TestG6_CloseUnderLoadLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for range 10 {
		m, err := Compile(context.Background(), sample().encode(), Config{})
		require.NoError(t, err)
		var wg sync.WaitGroup
		working := make(chan struct{}, 8)
		for range 8 {
			wg.Go(func() {
				for n := 0; ; n++ {
					_, err := m.Call("add", 1, 1)(context.Background())
					if n == 0 {
						working <- struct{}{}
					}
					if err != nil {
						assert.ErrorIs(t, err, penstock.ErrClosed)
						return
					}
				}
			})
		}
		for range 8 {
			<-working
		}
		for range 3 {
			wg.Go(func() { assert.NoError(t, m.Close(context.Background())) })
		}
		wg.Wait()
		assert.Zero(t, m.Info().Running)
	}
}
