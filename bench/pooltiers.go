package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/actors/pool/wasm"
)

const (
	wasmBar     = 10_000.0  // ns for a call on a warm instance
	processBar  = 100_000.0 // ns for a call of a warm child
	wasmStopBar = 5 * time.Millisecond
	goneBar     = 50 * time.Millisecond
	capMore     = 8 << 20 // that a child may come to have, as the documentation says
	tierCap     = 64 << 20
	kills       = 50
)

// guest is a module that exports add(i32, i32) → i32; spin(), which never returns; and eat(), which takes memory, page by
// page, until it is refused, and then traps.
var guest = []byte{
	0, 'a', 's', 'm', 1, 0, 0, 0,
	1, 10, 2, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 0, // types: (i32, i32) → i32; () → ()
	3, 4, 3, 0, 1, 1, // functions
	5, 3, 1, 0, 1, // one memory, of at least a page
	7, 20, 3, 3, 'a', 'd', 'd', 0, 0, 4, 's', 'p', 'i', 'n', 0, 1, 3, 'e', 'a', 't', 0, 2,
	10, 33, 3,
	7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b,
	7, 0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b, // loop br 0
	15, 0, 0x03, 0x40, 0x41, 1, 0x40, 0, 0x41, 0x7f, 0x47, 0x0d, 0, 0x00, 0x0b, 0x0b, // loop: grow by 1, again unless -1; unreachable
}

func poolWasm(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	p, err := pool.New(h.sys, "bench", pool.Config{})
	if err != nil {
		return nil, err
	}
	m, err := wasm.Compile(ctx, guest, wasm.Config{Name: "guest", MaxMemory: tierCap})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close(ctx)) }()
	task := pool.Task{Name: "guest", MaxMemory: tierCap}
	a, err := alone(ctx, s, 1, calling("pool.Run of an exported function", func() error {
		_, err := pool.Run(ctx, p, task, m.Call("add", 1, 2))
		return err
	}))
	if err != nil {
		return nil, err
	}
	ns := median(a.ns)
	lines = append(lines, line{
		what: "wasm, call on a warm instance, through a pool", ours: time.Duration(ns).String(), allocs: a.allocs,
		bar: fmt.Sprintf("≤ %v", time.Duration(wasmBar)), met: ns <= wasmBar, note: fmt.Sprintf("%d rounds", s.rounds),
	})
	stop, err := untilFree(ctx, p, func() error {
		f, err := pool.Async(ctx, p, task, m.Call("spin"))
		if err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond) // so that it is in its loop
		f.Kill(nil)
		return nil
	})
	if err != nil {
		return nil, err
	}
	lines = append(lines, stop.line("wasm, from a kill in a loop until its worker is free (longest)", wasmStopBar))
	eaten, err := grows(ctx, func() error {
		_, err := pool.Run(ctx, p, task, m.Call("eat"))
		return err
	})
	if err != nil {
		return nil, err
	}
	eaten.what = "wasm, a module that takes memory without end"
	return append(lines, eaten), nil
}

// benchSpin never returns. It leaves its process's number in a file.
var benchSpin = pool.Register("bench/spin", func(_ context.Context, mark string) (int, error) {
	if err := leave(mark, os.Getpid()); err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		if n < 0 {
			return n, nil
		}
	}
})

// benchEat takes memory without end. It leaves in a file how many MiB it has.
var benchEat = pool.Register("bench/eat", func(_ context.Context, mark string) (int, error) {
	var held [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
		if err := leave(mark, len(held)); err != nil {
			return 0, err
		}
	}
})

var benchAdd = pool.Register("bench/add", func(_ context.Context, terms [2]int) (int, error) { return terms[0] + terms[1], nil })

func leave(mark string, n int) error { return os.WriteFile(mark, []byte(strconv.Itoa(n)), 0o600) }

func read(mark string) int {
	text, _ := os.ReadFile(mark)
	n, _ := strconv.Atoi(string(text))
	return n
}

func poolProcess(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	p, err := pool.New(h.sys, "bench", pool.Config{})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "penstock-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	a, err := alone(ctx, s, 1, calling("pool.Run of a registered function", func() error {
		_, err := pool.Run(ctx, p, pool.Task{}, benchAdd.With([2]int{1, 2}))
		return err
	}))
	if err != nil {
		return nil, err
	}
	ns := median(a.ns)
	lines = append(lines, line{
		what: "process, round trip to a warm child, through a pool", ours: time.Duration(ns).String(), allocs: a.allocs,
		bar: fmt.Sprintf("≤ %v", time.Duration(processBar)), met: ns <= processBar, note: fmt.Sprintf("%d rounds; gob", s.rounds),
	})
	round := 0
	gone, err := untilFree(ctx, p, func() error {
		round++
		mark := filepath.Join(dir, strconv.Itoa(round))
		f, err := pool.Async(ctx, p, pool.Task{}, benchSpin.With(mark))
		if err != nil {
			return err
		}
		for read(mark) == 0 {
			time.Sleep(time.Millisecond)
		}
		f.Kill(nil)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range round {
		if err := syscall.Kill(-read(filepath.Join(dir, strconv.Itoa(i+1))), 0); !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("a process group is still there: %w", err)
		}
	}
	lines = append(lines, gone.line("process, from a kill until its group is gone and reaped (longest)", goneBar))
	mark := filepath.Join(dir, "eaten")
	eaten, err := grows(ctx, func() error {
		_, err := pool.Run(ctx, p, pool.Task{MaxMemory: tierCap}, benchEat.With(mark))
		return err
	})
	if err != nil {
		return nil, err
	}
	had := read(mark)
	eaten.what = fmt.Sprintf("process, a child that takes memory without end: had %d of %d MiB", had, tierCap>>20)
	eaten.met = eaten.met && had<<20 >= tierCap*9/10 && had<<20 <= tierCap+capMore
	eaten.bar = fmt.Sprintf("%d–%d MiB, heap flat", tierCap*9/10>>20, (tierCap+capMore)>>20)
	return append(lines, eaten), nil
}

// took is how long something took, each time.
type took []time.Duration

func (t took) line(what string, bar time.Duration) line {
	slices.Sort(t)
	longest := t[len(t)-1]
	return line{
		what: what, ours: longest.String(), bar: "≤ " + bar.String(), met: longest <= bar, allocs: -1,
		note: fmt.Sprintf("median %v of %d", t[len(t)/2], len(t)),
	}
}

// untilFree measures how long after a kill the pool has its worker back.
func untilFree(ctx context.Context, p *pool.Pool, killed func() error) (t took, err error) {
	for range kills {
		if err := killed(); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := p.Drain(ctx); err != nil {
			return nil, err
		}
		t = append(t, time.Since(began))
		p.Resume()
	}
	return t, nil
}

// grows runs a task that takes memory without end, and measures what that does to this process's heap.
func grows(ctx context.Context, run func() error) (line, error) {
	var before, after runtime.MemStats
	var memory *pool.MemoryError
	if err := run(); !errors.As(err, &memory) {
		return line{}, fmt.Errorf("it did not run out of memory: %w", err)
	}
	const times = 5
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range times {
		if err := run(); !errors.As(err, &memory) {
			return line{}, fmt.Errorf("it did not run out of memory: %w", err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 10
	return line{
		ours: fmt.Sprintf("%+d KiB", grown), bar: "heap flat", met: grown < 1024, allocs: -1,
		note: fmt.Sprintf("this process's heap after %d more of them, each stopped by its cap of %d MiB: %v", times, tierCap>>20, memory),
	}, ctx.Err()
}
