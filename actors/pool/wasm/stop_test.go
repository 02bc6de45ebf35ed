package wasm

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"github.com/penstock-go/penstock/actors/pool"
)

// endless is a guest that says that it has arrived, and then does for seconds or more what each of its functions does.
func endless() guest {
	const poll, arrive = 0, 1 // imports
	const much, subscription, event, events = 1 << 20, 64, 128, 192
	g := guest{
		imports: []imported{
			{module: wasi, name: "poll_oneoff", params: "iiii", results: "i"},
			{module: "env", name: "arrive"},
		},
		memory:  []uint32{32},
		tables:  []uint32{1},
		entries: []uint32{arrive},
		funcs: []fn{
			{name: "loop", locals: "i", code: code(do(arrive),
				loop, get(0), 1, add, tee(0), -1, less, againIf(0), end)},
			{params: "i", results: "i", code: code( // function 3: fib
				get(0), 2, less, "\x04\x7f", get(0), otherwise, get(0), 1, sub, do(3), get(0), 2, sub, do(3), add, end)},
			{name: "recursion", code: code(do(arrive), 43, do(3), drop)},
			{name: "fill", locals: "i", code: code(do(arrive), // so few turns that the loop's own code is no reason to pause
				loop, 0, 7, 2*much, fill, get(0), 1, add, tee(0), 1500, less, againIf(0), end)},
			{name: "host", locals: "i", code: code(
				loop, do(arrive), get(0), 1, add, tee(0), 1000, less, againIf(0), end)},
			{name: "indirect", locals: "i", code: code(
				loop, 0, doAt(arrive), get(0), 1, add, tee(0), 1000, less, againIf(0), end)},
			{name: "sleep", code: code( // a subscription to the clock: relative, of nanoseconds
				subscription, 0, store, subscription+24, long(int64(10*time.Second)), "\x37\x03\x00",
				do(arrive), subscription, event, 1, events, do(poll), drop)},
		},
	}
	g.funcs = append(g.funcs, fn{name: "nothing"})
	const levels = 32
	first := len(g.imports) + len(g.funcs)
	for n := range levels { // each calls the next one twice: no loop, no recursion
		f := fn{code: code(do(first+n+1), do(first+n+1))}
		if n == 0 {
			f.name, f.code = "straight", code(do(arrive), f.code)
		}
		g.funcs = append(g.funcs, f)
	}
	g.funcs = append(g.funcs, fn{})
	return g
}

// compileEndless compiles it. arrived gets a value at each arrival.
func compileEndless(t testing.TB, cfg Config) (m *Module, arrived chan struct{}) {
	arrived = make(chan struct{})
	cfg.Imports = map[string]func(wazero.HostModuleBuilder){"env": func(b wazero.HostModuleBuilder) {
		b.NewFunctionBuilder().WithFunc(func() { arrived <- struct{}{} }).Export("arrive")
	}}
	return compile(t, endless(), cfg), arrived
}

// What is stopped here would end by itself after a second or some, so that a stop that does not work fails instead of hanging.
func TestP5_WhateverItDoesIsStopped(t *testing.T) {
	m, arrived := compileEndless(t, Config{Clock: true})
	for _, function := range []string{"loop", "recursion", "straight", "fill", "host", "indirect", "sleep"} {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error)
		begin := time.Now()
		go func() { _, err := m.Call(function)(ctx); done <- err }()
		<-arrived
		cancel(why)
		for more := 0; ; more++ {
			select {
			case <-arrived:
				assert.Zero(t, more, "%s: not even the host is called any more", function)
				continue
			case err := <-done:
				assert.Equal(t, why, err, "%s: the caller is told the cause", function)
			}
			break
		}
		assert.Less(t, time.Since(begin), 5*time.Second, "%s: the sleep takes ten", function)
		assert.Equal(t, Info{Started: m.Info().Started}, m.Info(), "%s: what was stopped is not used again", function)
	}
}

func TestP5_ReadingManyRandomNumbersIsStopped(t *testing.T) {
	for _, cfg := range []Config{{}, {Random: true}} {
		ctx, cancel := context.WithCancel(context.Background())
		i := &instance{module: compile(t, sample(), cfg), call: &call{ctx: ctx}}
		source := piecemeal{from: readerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }), instance: i}
		assert.PanicsWithValue(t, errStopped, func() { _, _ = io.ReadFull(source, make([]byte, 1<<20)) })
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestP5_ADeadlineStopsATask(t *testing.T) {
	p := newPool(t, pool.Config{MaxWorkers: 1, MaxWaiting: 1})
	m := compile(t, sample(), Config{})
	_, err := pool.Run(context.Background(), p, pool.Task{Name: "spin", MaxTime: time.Millisecond}, m.Call("spin", 1<<32-1))
	var late *pool.TimeoutError
	require.ErrorAs(t, err, &late)
	assert.Equal(t, "spin", late.Task)
	got, err := pool.Run(context.Background(), p, pool.Task{}, m.Call("add", 1, 1))
	require.NoError(t, err, "it has given its worker back")
	assert.Equal(t, []uint64{2}, got)
	assert.Equal(t, Info{Idle: 1, Started: 2, Memory: page}, m.Info())
}

func TestG10_AKillStopsATaskAndGivesItsWorkerBack(t *testing.T) {
	p := newPool(t, pool.Config{MaxWorkers: 1, MaxWaiting: 1})
	m, arrived := compileEndless(t, Config{})
	cause := errors.New("enough")
	for _, function := range []string{"loop", "recursion", "straight"} {
		f, err := pool.Async(context.Background(), p, pool.Task{Name: function}, m.Call(function))
		require.NoError(t, err)
		<-arrived
		assert.Equal(t, 1, p.Kill(function, cause))
		_, err = f.Await(context.Background())
		var killed *pool.KilledError
		require.ErrorAs(t, err, &killed)
		assert.ErrorIs(t, err, cause)
	}
	_, err := pool.Run(context.Background(), p, pool.Task{}, func(context.Context) (struct{}, error) { return struct{}{}, nil })
	require.NoError(t, err, "the one worker is free")
	assert.Zero(t, m.Info().Running)
}

func TestP5_AContextThatHasEndedRunsNothing(t *testing.T) {
	m := compile(t, sample(), Config{})
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	_, err := m.Call("add", 1, 1)(ctx)
	assert.Equal(t, why, err)
	_, err = Compile(ctx, sample().encode(), Config{})
	assert.ErrorIs(t, err, why)
	assert.Zero(t, m.Info().Started)
}

func TestP5_AStartThatDoesNotEndIsStopped(t *testing.T) {
	g := endless()
	g.start = len(g.imports) // the loop
	arrived := make(chan struct{})
	m := compile(t, g, Config{Imports: map[string]func(wazero.HostModuleBuilder){"env": func(b wazero.HostModuleBuilder) {
		b.NewFunctionBuilder().WithFunc(func() { arrived <- struct{}{} }).Export("arrive")
	}}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { _, err := m.Call("loop")(ctx); done <- err }()
	<-arrived
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
}
