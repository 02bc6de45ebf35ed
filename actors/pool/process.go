package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/penstock-go/penstock"
)

// Func is a function that runs in a child process: see [Register].
type Func[In, Out any] struct {
	name string
	json bool
}

// Register makes fn callable in children of this binary. It is called before [Main], such as for a package's variable, and
// in parent and child alike. Arguments and results travel as encoding/gob has them, or as JSON with [WithJSON]. It panics if
// the name, 1 to 512 bytes of UTF-8, is taken or bad, or if fn is nil.
//
//	var resize = pool.Register("resize", func(ctx context.Context, in Picture) (Picture, error) { … })
//
//	func main() {
//		pool.Main()
//		…
//		small, err := pool.Run(ctx, p, pool.Task{MaxMemory: 64 << 20}, resize.With(large))
//	}
func Register[In, Out any](name string, fn func(context.Context, In) (Out, error), opts ...FuncOption) *Func[In, Out] {
	f := Named[In, Out](name, opts...)
	if !validName(name) {
		panic(fmt.Sprintf("pool: Register: the name is %d bytes long or not UTF-8; it takes 1 to %d bytes of UTF-8", len(name), maxName))
	}
	if fn == nil {
		panic(fmt.Sprintf("pool: Register: function %q is nil", name))
	}
	registered.add(name, func(ctx context.Context, s *stream, r *request) (any, error) {
		var in In
		if err := s.decode(r.data, &in, r.json); err != nil {
			return nil, &travelError{fmt.Errorf("the argument of %q: %w", name, err)}
		}
		out, err := fn(ctx, in)
		return &out, err
	})
	return f
}

// Named is a function that is registered under this name elsewhere in the binary. Calling a name that is not is an error.
func Named[In, Out any](name string, opts ...FuncOption) *Func[In, Out] {
	var o funcOptions
	for _, opt := range opts {
		opt(&o)
	}
	return &Func[In, Out]{name: name, json: o.json}
}

// FuncOption changes how a function is called.
type FuncOption func(*funcOptions)

type funcOptions struct{ json bool }

// WithJSON has arguments and results travel as JSON, for types that gob does not take.
func WithJSON() FuncOption { return func(o *funcOptions) { o.json = true } }

// With is the call of the function with this argument, for [Run], [Async] or [Guard]: in a child process whose memory is
// capped by the task's MaxMemory, and which is killed when the task's time is over or it is killed.
//
// The cap is on what the child takes beyond what it had when it was new. The Go runtime takes memory in pieces of 4 MiB, so a
// child may come to have up to 8 MiB more or less, and for caps below 16 MiB these pieces are most of what counts; its
// garbage collector works hard before that. A child that wants more ends, with a [MemoryError]. The cap holds off mistakes, not
// malice: a function could lift it.
//
// The child's context ends with the task's time. Errors come back as text, in a [RemoteError], which knows only
// context.Canceled and context.DeadlineExceeded again; a panic as a [penstock.PanicError]; a child that ended without an
// answer as a [CrashError].
func (f *Func[In, Out]) With(in In) func(context.Context) (Out, error) {
	fn := func(ctx context.Context) (out Out, err error) {
		j, ok := JobOf(ctx)
		if !ok {
			return out, fmt.Errorf("%w call of %q: a child process is run by pool.Run, Async or Guard", penstock.ErrInvalid, f.name)
		}
		j.Runs(Process)
		if j.far != nil {
			err = callFar(ctx, j, f.name, f.json, &in, &out)
		} else {
			err = callChild(ctx, j, f.name, f.json, &in, &out)
		}
		return out, err
	}
	MayTravel(fn)
	return fn
}

// RemoteError is an error that a function in a child returned, as text.
type RemoteError struct {
	Node    string // that ran it for this one; empty if this one did
	Func    string
	Message string
	kind    error // context.Canceled, context.DeadlineExceeded or nil
}

func (e *RemoteError) Error() string { return e.Message }

// Unwrap returns context.Canceled or context.DeadlineExceeded if the error was one; otherwise nil.
func (e *RemoteError) Unwrap() error { return e.kind }

// travelError is a value that does not travel between processes.
type travelError struct{ err error }

func (e *travelError) Error() string { return e.err.Error() }

// functions are those that were registered, by their names: the same in parent and child.
type functions struct {
	mu     sync.Mutex
	byName map[string]remoteFunc
}

// remoteFunc runs a registered function in the child.
type remoteFunc func(context.Context, *stream, *request) (any, error)

// registered is the one thing that is global: a child is told a name, and must find what its parent means by it.
var registered functions

func (f *functions) add(name string, fn remoteFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byName == nil {
		f.byName = make(map[string]remoteFunc)
	}
	if f.byName[name] != nil {
		panic(fmt.Sprintf("pool: Register: function %q is registered twice", name))
	}
	f.byName[name] = fn
}

func (f *functions) get(name string) remoteFunc {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byName[name]
}

// kindOf is how an error is told apart on the way, and back.
func kindOf(err error) byte {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return deadlineError
	case errors.Is(err, context.Canceled):
		return canceledError
	}
	return plainError
}

func ofKind(kind byte) error {
	switch kind {
	case deadlineError:
		return context.DeadlineExceeded
	case canceledError:
		return context.Canceled
	}
	return nil
}
