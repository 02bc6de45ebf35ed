package pool

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/penstock-go/penstock/actors/pool/internal/proc"
)

// The environment by which a binary knows that it is a child: "serve", or "exec" with a cap and a path.
const childEnv = "PENSTOCK_POOL_CHILD"

// mainCalled says that this binary calls Main, so that its children will.
var mainCalled atomic.Bool

// Main makes a program that registers functions able to run them in children. It is the first statement of main, and of
// TestMain in tests. In a child it serves calls and never returns; otherwise it returns at once.
func Main() {
	mode, isChild := os.LookupEnv(childEnv)
	mainCalled.Store(true)
	if !isChild {
		return
	}
	_ = os.Unsetenv(childEnv) // what the child starts is none
	switch kind, rest, _ := strings.Cut(mode, " "); kind {
	case "serve":
		serve()
	case "exec":
		become(rest)
	}
	fmt.Fprintf(os.Stderr, "pool: a child cannot be what %s says: %q\n", childEnv, mode)
	os.Exit(1)
}

// become makes this process the command whose cap and path are given.
func become(what string) {
	limit, path, _ := strings.Cut(what, " ")
	bytes, err := strconv.ParseInt(limit, 10, 64)
	if err == nil {
		err = proc.CapAndExec(bytes, path, os.Args, os.Environ())
	}
	fmt.Fprintf(os.Stderr, "pool: %s: %v\n", path, err)
	os.Exit(cannotExec)
}

// cannotExec is the status of a child that could not become its command, as shells have it.
const cannotExec = 126

// The ends of the channel that a child is given.
const (
	requestsFD = 3
	answersFD  = 4
)

// serve answers calls until the parent is gone.
func serve() {
	requests, answers := openChannel()
	calls := make(chan *request)
	go func() {
		for {
			kind, payload, err := proc.ReadFrame(requests, maxRequest)
			r := new(request)
			if err == nil && kind == sayCall {
				err = r.unmarshal(payload)
			}
			if err != nil {
				proc.KillOwnGroup() // the parent is gone, or it is no parent
			}
			calls <- r
		}
	}()
	startThreads()
	s, memory := newStream(), newMemory()
	if err := proc.WriteFrame(answers, sayHello, []byte(wireVersion)); err != nil {
		proc.KillOwnGroup()
	}
	for r := range calls {
		memory.allow(r.memory)
		kind, data := answer(s, r)
		payload := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(data)), r.id)
		if err := proc.WriteFrame(answers, kind, append(payload, data...)); err != nil {
			proc.KillOwnGroup()
		}
	}
}

// startThreads has the runtime start the threads that it is going to need, and its collector, before the child says that it
// is ready: their stacks, of 8 MiB each in a binary with cgo, are then no part of what a call may take.
func startThreads() {
	runtime.GC()
	n := runtime.GOMAXPROCS(0) + 4
	var locked, done sync.WaitGroup
	locked.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread() // each needs a thread of its own, which stays when it is unlocked
			defer runtime.UnlockOSThread()
			locked.Done()
			locked.Wait()
		})
	}
	done.Wait()
}

// maxRequest bounds an argument: as much as a frame can hold.
const maxRequest = 1<<31 - 1

// answer runs the function that is asked for, on a goroutine of its own, which it may end.
func answer(s *stream, r *request) (kind byte, data []byte) {
	fn := registered.get(r.name)
	if fn == nil {
		return sayUnknown, []byte(r.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.time)
	defer cancel()
	done := make(chan struct{})
	kind = sayGoexit
	go func() {
		defer close(done)
		defer func() {
			if reason := recover(); reason != nil {
				kind = sayPanic
				data, _ = json.Marshal(remotePanic{Value: fmt.Sprint(reason), Stack: debug.Stack()})
			}
		}()
		kind, data = outcomeOf(fn(ctx, s, r))(s, r)
	}()
	<-done
	return kind, data
}

// outcomeOf says how what a function returned travels.
func outcomeOf(out any, err error) func(*stream, *request) (byte, []byte) {
	return func(s *stream, r *request) (byte, []byte) {
		if travel := new(travelError); errors.As(err, &travel) {
			return sayBad, []byte(travel.Error())
		}
		if err != nil {
			return sayError, append([]byte{kindOf(err)}, err.Error()...)
		}
		data, err := s.encode(out, r.json)
		if err != nil {
			return sayBad, fmt.Appendf(nil, "the result of %q: %v", r.name, err)
		}
		return sayValue, data
	}
}

// memory has a child's garbage collector work hard before the child comes to its cap.
type memory struct {
	idle    int64 // what the runtime held when nothing had been asked
	allowed int64 // on top of it, by the last call
}

func newMemory() *memory {
	sample := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(sample)
	return &memory{idle: int64(sample[0].Value.Uint64() - sample[1].Value.Uint64())}
}

func (m *memory) allow(bytes int64) {
	if bytes > 0 && bytes != m.allowed {
		m.allowed = bytes
		debug.SetMemoryLimit(m.idle + bytes - bytes/16)
	}
}
