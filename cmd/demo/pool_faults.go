package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/actors/pool"
)

// What runs in a child process, which is this program once more: see main.
var (
	inChildFile  = pool.Register("demo.file", newDigester().file)
	inChildSpin  = pool.Register("demo.spin", spin)
	inChildEat   = pool.Register("demo.eat", eat)
	inChildExit3 = pool.Register("demo.exit3", exit3)
)

// ample is how long something may take that ends by itself, on a machine however busy.
const ample = 15 * time.Second

// errOperator is why an operator kills.
var errOperator = errors.New("the operator had enough of it")

// task is what a customer says of an errand.
func (w *works) task(e errand) pool.Task {
	t := pool.Task{Name: kinds[e.kind].name, MaxMemory: kinds[e.kind].memory, MaxTime: ample}
	if kinds[e.kind].ends == timedOut {
		t.MaxTime = w.act.patience
	}
	return t
}

// function is what does an errand.
func (w *works) function(e errand) work {
	switch e.kind {
	case file:
		return func(ctx context.Context) (digest, error) { return w.digester.file(ctx, e.path) }
	case childFile:
		return inChildFile.With(e.path)
	case deaf:
		return w.snag.deaf
	case endless:
		return calculate
	case panics:
		return followNil
	case goexits:
		return leave
	case spins:
		return inChildSpin.With("")
	case killed:
		return w.killedAfter(inChildSpin.With(""))
	case eats:
		return inChildEat.With("")
	case exits:
		return inChildExit3.With("")
	}
	panic(fmt.Sprintf("there is no function of kind %d", e.kind))
}

// killedAfter has the job that fn runs as killed, as an operator would who sees it in a list of what runs.
func (w *works) killedAfter(fn work) work {
	return func(ctx context.Context) (digest, error) {
		j, ok := pool.JobOf(ctx)
		if !ok {
			return digest{}, errors.New("it does not know which job it is")
		}
		operator := time.AfterFunc(w.act.patience, func() { j.Pool().KillRef(j.Ref(), errOperator) })
		defer operator.Stop()
		return fn(ctx)
	}
}

// snag is what functions get stuck at.
type snag struct {
	stuck atomic.Int64
	free  chan struct{}
}

func newSnag() *snag { return &snag{free: make(chan struct{})} }

// deaf does not return before the snag is released, whatever becomes of its context.
func (s *snag) deaf(context.Context) (digest, error) {
	s.stuck.Add(1)
	<-s.free
	return digest{}, nil
}

// count is how many have ever been stuck.
func (s *snag) count() int { return int(s.stuck.Load()) }

// release lets all go.
func (s *snag) release() { close(s.free) }

func calculate(ctx context.Context) (d digest, err error) {
	for ctx.Err() == nil {
		d.Hash = sha256.Sum256(d.Hash[:])
	}
	return d, ctx.Err()
}

func followNil(context.Context) (digest, error) {
	var found map[string]*digest
	return *found["what is not there"], nil
}

func leave(context.Context) (digest, error) {
	runtime.Goexit()
	return digest{}, nil
}

func spin(context.Context, string) (digest, error) {
	for x := uint64(1); ; {
		x = 3*x + 1
	}
}

// meal is a part of what was eaten, and what was eaten before.
type meal struct {
	before *meal
	bytes  []byte
}

func eat(context.Context, string) (digest, error) {
	for eaten := new(meal); ; {
		eaten = &meal{before: eaten, bytes: bytes.Repeat([]byte{1}, 1<<20)} // written to, so that it is there
	}
}

func exit3(context.Context, string) (digest, error) {
	os.Exit(3)
	return digest{}, nil
}
