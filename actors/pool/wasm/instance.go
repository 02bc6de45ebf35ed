package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// instance is a module's memory, globals and open files. It serves one call at a time.
type instance struct {
	module    *Module
	call      *call // that it serves
	memory    memory
	wasm      api.Module
	functions map[string]api.Function // those that have been called; each has a stack
	printed   printed
	files     int // that are open
	calls     int
	spoiled   bool // it can serve no other call
}

// call is one use of an instance. It lives as long as its context's owner waits for it.
type call struct {
	ctx      context.Context
	module   *Module
	function string
	job      *pool.Job // nil if it is nobody's task
	limit    int64     // of its memory, in bytes
}

// newCall finds out what a call may take.
func (m *Module) newCall(ctx context.Context, function string) *call {
	c := &call{ctx: ctx, module: m, function: function, limit: m.cfg.MaxMemory}
	if m.memory.Has {
		c.limit = min(c.limit, m.memory.Most)
	}
	if job, ok := pool.JobOf(ctx); ok {
		job.Runs(pool.Wasm)
		c.job, c.limit = job, min(c.limit, job.Task().MaxMemory)
	}
	return c
}

// names are those of the call's pool and task, as errors have them.
func (c *call) names() (in, task string) {
	if c.job == nil {
		return "", c.function
	}
	return c.job.PoolName(), c.job.Task().Name
}

func (c *call) outOfMemory(detail string) error {
	in, task := c.names()
	return &pool.MemoryError{Pool: in, Task: task, Tier: pool.Wasm, Limit: c.limit, Detail: c.module.fault(errors.New(detail)).Error()}
}

// pages is the limit in whole pages, in bytes.
func (c *call) pages() uint64 { return uint64(c.limit) / page * page }

// take finds an idle instance that fits into the call's memory, or starts one.
func (m *Module) take(c *call) (*instance, error) {
	limit := c.pages()
	m.mu.Lock()
	for at := len(m.mu.idle) - 1; at >= 0; at-- {
		if i := m.mu.idle[at]; uint64(cap(i.memory.bytes)) <= limit {
			m.mu.idle = slices.Delete(m.mu.idle, at, at+1)
			m.mu.Unlock()
			i.call, i.memory.limit, i.memory.refused = c, limit, false
			i.printed.reset()
			return i, nil
		}
	}
	m.mu.Unlock()
	return m.startInstance(c, &program{})
}

// give keeps an instance for the next call, or ends it. It rather ends the one that was not used for longest: that may be too
// large for the calls that come now.
func (m *Module) give(i *instance) {
	i.call = nil
	i.calls++
	if !i.spoiled && !m.cfg.Fresh && i.calls < m.cfg.MaxCalls {
		if i = m.keep(i); i == nil {
			return
		}
	}
	_ = i.wasm.Close(context.Background()) // what can fail is the closing of files that were only read
}

// keep returns the instance that is too much; nil if none is.
func (m *Module) keep(i *instance) *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return i
	}
	m.mu.idle = append(m.mu.idle, i)
	if len(m.mu.idle) <= m.cfg.MaxIdle {
		return nil
	}
	i = m.mu.idle[0]
	m.mu.idle = slices.Delete(m.mu.idle, 0, 1)
	return i
}

// startInstance makes an instance, and has it initialise itself.
func (m *Module) startInstance(c *call, p *program) (*instance, error) {
	i := &instance{module: m, call: c, functions: map[string]api.Function{}}
	i.memory.limit = c.pages()
	if m.memory.Least > int64(i.memory.limit) {
		return nil, c.outOfMemory(fmt.Sprintf("its memory begins with %d bytes", m.memory.Least))
	}
	m.mu.Lock()
	m.mu.started++
	m.mu.Unlock()
	wasm, err := m.runtime.InstantiateModule(experimental.WithMemoryAllocator(c.ctx, &i.memory), m.compiled, i.world(p))
	if err == nil && wasm.IsClosed() {
		err = sys.NewExitError(0)
	}
	if err != nil {
		return nil, i.failure(err)
	}
	i.wasm = wasm
	return i, nil
}

// invoke calls one of the instance's functions.
func (i *instance) invoke(name string, args ...uint64) ([]uint64, error) {
	f, ok := i.functions[name]
	if !ok {
		f = i.wasm.ExportedFunction(name)
		i.functions[name] = f
	}
	results, err := f.Call(i.call.ctx, args...)
	if err != nil {
		return nil, i.failure(err)
	}
	return results, nil
}

// failure tells what an error of wazero's means.
func (i *instance) failure(err error) error {
	c := i.call
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	text, stack, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n\t")
	if _, trap, ok := strings.Cut(text, "wasm error: "); ok {
		text = trap
	}
	trap := &TrapError{
		Module: i.module.cfg.Name, Function: c.function, Trap: Trap(text),
		Stack: strings.ReplaceAll(stack, "\n\t", "\n"), Stderr: i.printed.String(),
	}
	var exit *sys.ExitError
	exited := errors.As(err, &exit)
	switch {
	case errors.Is(err, errStopped):
		return i.module.fault(errCondemned)
	case errors.Is(err, errTooLong):
		return i.unusable("it has more than %d bytes", i.module.cfg.MaxOutput)
	case errors.Is(err, errStack):
		trap.Trap = StackOverflow
		return trap
	case strings.HasSuffix(text, recovered): // a function of the host's
		return &penstock.PanicError{Value: err, Stack: []byte(stack)}
	case i.memory.refused && !(exited && exit.ExitCode() == 0):
		return c.outOfMemory(says("it was refused more, and then: "+text, trap.Stderr))
	case exited:
		in, task := c.names()
		return &pool.CrashError{Pool: in, Task: task, ExitCode: int(exit.ExitCode()), Stderr: trap.Stderr}
	}
	return trap
}

// recovered is how wazero ends the text of a panic that is not its own.
const recovered = " (recovered by wazero)"

func (i *instance) unusable(format string, args ...any) error {
	return &AnswerError{Module: i.module.cfg.Name, Function: i.call.function, Why: fmt.Sprintf(format, args...)}
}
