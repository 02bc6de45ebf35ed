package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/keys"
)

// maxArguments is how many bytes arguments, or a result, may have as they travel. What a node says to another has 64 KiB at most, with
// the names that it is about.
const maxArguments = 60 << 10

// Codec writes arguments or results for other nodes, and reads them. It is called from several goroutines at once.
type Codec[T any] struct {
	Encode func(value T) ([]byte, error)
	Decode func(wire []byte) (T, error)
}

// JSON is the codec of package encoding/json.
func JSON[T any]() Codec[T] {
	return Codec[T]{
		Encode: func(value T) ([]byte, error) { return json.Marshal(value) },
		Decode: func(wire []byte) (value T, err error) {
			err = json.Unmarshal(wire, &value)
			return value, err
		},
	}
}

// Codecs are those of an operation.
type Codecs[Args, Result any] struct {
	Args   Codec[Args]   // default: JSON
	Result Codec[Result] // default: JSON
}

// Operation is one that has a name, so that a processor's other nodes know it too. It is safe for concurrent use.
type Operation[K comparable, R, Args, Result any] struct {
	processor *Processor[K, R]
	name      string
	fn        func(R, Args) (Result, error)
	codecs    Codecs[Args, Result]
}

// Register makes an operation known to a processor by a name of 1 to 512 bytes of UTF-8. With Config.Clustered it runs at the node that
// owns the key, whichever it is called at: all nodes register it, right after NewProcessor, and before callers come. Arguments and
// results travel as JSON; [RegisterWith] takes other codecs. They have up to 60 KiB each.
//
// Like any operation fn must be quick, do no I/O and be replayable; it must not change its arguments.
//
// Errors: [penstock.ErrInvalid], naming everything that is wrong; [penstock.ErrExists]; [penstock.ErrClosed].
func Register[K comparable, R, Args, Result any](p *Processor[K, R], name string, fn func(value R, args Args) (Result, error)) (*Operation[K, R, Args, Result], error) {
	return RegisterWith(p, name, Codecs[Args, Result]{}, fn)
}

// RegisterWith is [Register] with codecs. Nodes of all versions must read what the others write.
func RegisterWith[K comparable, R, Args, Result any](
	p *Processor[K, R], name string, codecs Codecs[Args, Result], fn func(value R, args Args) (Result, error),
) (*Operation[K, R, Args, Result], error) {
	if p == nil {
		return nil, fmt.Errorf("%w operation %.64q: the batch processor is nil", penstock.ErrInvalid, name)
	}
	if codecs.Args.Encode == nil && codecs.Args.Decode == nil {
		codecs.Args = JSON[Args]()
	}
	if codecs.Result.Encode == nil && codecs.Result.Decode == nil {
		codecs.Result = JSON[Result]()
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(name != "" && len(name) <= keys.Max && utf8.ValidString(name), "its name has %d bytes; it takes 1 to %d of UTF-8", len(name), keys.Max)
	check(fn != nil, "its function is nil")
	check(codecs.Args.Encode != nil && codecs.Args.Decode != nil, "Args has only one function; it takes both or none")
	check(codecs.Result.Encode != nil && codecs.Result.Decode != nil, "Result has only one function; it takes both or none")
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w operation %.64q of batch processor %q: %w", penstock.ErrInvalid, name, p.name, err)
	}
	if p.closing.Load() {
		return nil, fmt.Errorf("operation %q of batch processor %q: %w", name, p.name, penstock.ErrClosed)
	}
	o := &Operation[K, R, Args, Result]{processor: p, name: name, fn: fn, codecs: codecs}
	if !p.known.add(name, o.bind) {
		return nil, fmt.Errorf("operation %q of batch processor %q: %w", name, p.name, penstock.ErrExists)
	}
	return o, nil
}

// Do has the operation run on the key's resource, in a batch with others, and returns when the batch was saved, or with the error that
// kept it from that: as [Do] does, and on several nodes at the key's owner, wherever that is. Key, arguments and result travel; errors
// arrive as a [cluster.RemoteError] whose class is known again if it is one of package penstock's, of this package, or a context's. A
// panic is a [penstock.PanicError] of its text.
//
// When ctx ends, an operation that has not begun is dropped; one that has goes on. At the owner the call waits for it, elsewhere it
// does not, and the error is a [cluster.ErrUnknown]. So it is when the owner's answer is lost for good. It is never asked for again
// then: it has run once, or not at all. If the key moves before it is saved, it is as if it had not run, and the new owner is asked.
//
// Further errors: [penstock.ErrInvalid] also for arguments that cannot be encoded, or have over 60 KiB; [cluster.ErrAway];
// [ErrUnregistered]; [ErrUnsent], after which it is stored; [ErrStaleEpoch], after which it is not.
func (o *Operation[K, R, Args, Result]) Do(ctx context.Context, key K, args Args) (Result, error) {
	p := o.processor
	if p.peers == nil {
		result, _, err := o.here(ctx, key, args)
		return result, err
	}
	var none Result
	text, shard, err := p.peers.place(key)
	if err != nil {
		return none, err
	}
	body, err := o.call(text, args)
	if err != nil {
		return none, err
	}
	for {
		if p.peers.epoch(shard) != 0 {
			result, moved, err := o.here(ctx, key, args)
			if moved {
				continue
			}
			return result, err
		}
		wire, err := p.peers.ask(ctx, p.peers.id(text), body)
		if errors.Is(err, cluster.ErrMine) {
			continue
		}
		var result Result
		if err == nil {
			result, err = o.read(wire)
		}
		if ended := ctx.Err(); ended != nil && errors.Is(err, ErrCancelled) && !errors.Is(err, ended) { // the owner was the first to notice
			err = fmt.Errorf("%w: %w", err, ended)
		}
		if err != nil {
			return none, fmt.Errorf("operation %q of batch processor %q: key %q: %w", o.name, p.name, text, err)
		}
		return result, nil
	}
}

// here runs the operation at this node.
func (o *Operation[K, R, Args, Result]) here(ctx context.Context, key K, args Args) (result Result, moved bool, err error) {
	p := o.processor
	op := p.spare.Get().(*operation[R])
	op.fn = func(value R) (err error) {
		result, err = o.fn(value, args)
		return err
	}
	var none Result
	if moved, err = p.try(ctx, nil, key, op); err != nil {
		return none, moved, err
	}
	return result, false, nil
}

// call is what the owner of a key is told. Arguments that it could not be are refused at the owner too, so that a mistake does not wait
// for a second node.
func (o *Operation[K, R, Args, Result]) call(key string, args Args) (wire []byte, err error) {
	var arguments []byte
	err = protect(func() (err error) {
		arguments, err = o.codecs.Args.Encode(args)
		return err
	})
	switch {
	case err != nil:
		err = fmt.Errorf("they cannot be encoded: %w", err)
	case len(arguments) > maxArguments:
		err = fmt.Errorf("they have %d bytes; they may have up to %d", len(arguments), maxArguments)
	default:
		return call{operation: o.name, key: key, arguments: arguments}.wire()
	}
	return nil, fmt.Errorf("%w arguments of operation %q of batch processor %q: %w", penstock.ErrInvalid, o.name, o.processor.name, err)
}

// read reads what the owner has answered.
func (o *Operation[K, R, Args, Result]) read(wire []byte) (result Result, err error) {
	a, err := readAnswer(wire)
	if err != nil {
		return result, err
	}
	err = protect(func() (err error) {
		result, err = o.codecs.Result.Decode(a)
		return err
	})
	if err != nil {
		err = fmt.Errorf("%w: it cannot be read: %w", ErrUnsent, err)
	}
	return result, err
}

// bind is a served.
func (o *Operation[K, R, Args, Result]) bind(arguments []byte) (fn func(R) error, encode func() ([]byte, error), err error) {
	var args Args
	err = protect(func() (err error) {
		args, err = o.codecs.Args.Decode(arguments)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	var result Result
	fn = func(value R) (err error) {
		result, err = o.fn(value, args)
		return err
	}
	return fn, func() (wire []byte, err error) {
		err = protect(func() (err error) {
			wire, err = o.codecs.Result.Encode(result)
			return err
		})
		return wire, err
	}, nil
}

// protect makes an error of a panic.
func protect(fn func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	return fn()
}
