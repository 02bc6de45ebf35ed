package pool

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

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

// server answers a child's calls, one at a time. The goroutine that reads a call also runs its function: to hand it on to
// another would cost more than all the rest.
type server struct {
	requests *bufio.Reader
	answers  *os.File
	stream   *stream
	memory   *memory
}

// serve answers calls until the parent is gone.
func serve() {
	requests, answers := openChannel()
	go func() {
		_ = proc.AwaitHangup(requestsFD)
		proc.KillOwnGroup() // the parent is gone, and what its functions do is of no use any more
	}()
	// Who stops a service often sends these to all of its processes: for a child, the parent decides.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM)
	startThreads()
	s := &server{requests: bufio.NewReader(requests), answers: answers, stream: newStream(), memory: newMemory()}
	s.say(sayHello, []byte(wireVersion))
	for {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				s.serveOne()
			}
		}()
		<-done // a function has ended its goroutine: another one goes on
	}
}

func (s *server) say(kind byte, payload []byte) {
	if err := proc.WriteFrame(s.answers, kind, payload); err != nil {
		proc.KillOwnGroup()
	}
}

// serveOne reads a call, runs its function and answers, whatever the function does.
func (s *server) serveOne() {
	kind, payload, err := proc.ReadFrame(s.requests, maxRequest)
	r := new(request)
	if err == nil && kind == sayCall {
		err = r.unmarshal(payload)
	}
	if err != nil || kind != sayCall {
		proc.KillOwnGroup() // the parent is gone, or it is no parent
	}
	answer, data := byte(sayGoexit), []byte(nil)
	defer func() {
		if reason := recover(); reason != nil {
			answer = sayPanic
			data, _ = json.Marshal(remotePanic{Value: fmt.Sprint(reason), Stack: debug.Stack()})
		}
		s.say(answer, append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(data)), r.id), data...))
	}()
	s.memory.allow(r.memory)
	if r.look && s.memory.worn() {
		answer = sayWorn
		return
	}
	answer, data = s.run(r)
}

// run runs the function that is asked for.
func (s *server) run(r *request) (answer byte, data []byte) {
	fn := registered.get(r.name)
	if fn == nil {
		return sayUnknown, []byte(r.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.time)
	defer cancel()
	stream := s.stream
	if r.alone {
		stream = newStream()
	}
	out, err := fn(ctx, stream, r)
	if travel := new(travelError); errors.As(err, &travel) {
		return sayBad, []byte(travel.Error())
	}
	if err != nil {
		return sayError, append([]byte{kindOf(err)}, err.Error()...)
	}
	if data, err = stream.encode(out, r.json); err != nil {
		return sayBad, fmt.Appendf(nil, "the result of %q: %v", r.name, err)
	}
	return sayValue, data
}

// startThreads has the runtime start the threads that it is going to need, and its collector, before the child says that it
// is ready: their stacks, of 8 MiB each in a binary with cgo, are then no part of what a call may take.
func startThreads() {
	runtime.GC()
	n := runtime.GOMAXPROCS(0) + 8
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

// memory has a child's garbage collector work hard before the child comes to its cap.
type memory struct {
	idle    int64 // what the runtime held when nothing had been asked
	objects int64 // of that, in objects
	allowed int64 // on top of it, by the last call
}

func newMemory() *memory {
	held, objects := memoryHeld()
	return &memory{idle: held, objects: objects}
}

// memoryHeld is what the runtime has mapped and not given back, and what of it is in objects, dead ones included.
func memoryHeld() (held, objects int64) {
	sample := []runtimemetrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}
	runtimemetrics.Read(sample)
	return int64(sample[0].Value.Uint64() - sample[1].Value.Uint64()), int64(sample[2].Value.Uint64())
}

// worn reports whether what earlier calls have left in memory takes more than a quarter of what this one may have.
func (m *memory) worn() bool {
	left := func() bool {
		_, objects := memoryHeld()
		return m.allowed > 0 && objects-m.objects > m.allowed/worn
	}
	if !left() {
		return false
	}
	runtime.GC()
	return left()
}

func (m *memory) allow(bytes int64) {
	if bytes > 0 && bytes != m.allowed {
		m.allowed = bytes
		debug.SetMemoryLimit(m.idle + bytes - bytes/16)
	}
}
