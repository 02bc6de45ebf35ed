package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool/wasm/internal/meter"
)

// Module is a compiled module, and its instances. Make it with [Compile], and close it. It is safe for concurrent use: each
// call has an instance to itself.
type Module struct {
	cfg      Config
	runtime  wazero.Runtime
	cache    wazero.CompilationCache // nil if there is none
	compiled wazero.CompiledModule
	memory   meter.Memory
	exports  map[string]api.FunctionDefinition
	digest   [sha256.Size]byte // of its code

	mu struct {
		sync.Mutex
		idle    []*instance // the one that was used last is last, and the next to be used
		running int         // calls
		started uint64      // instances, ever
		closed  bool
	}
	stop     chan struct{} // closed when what runs must stop
	stopping sync.Once
	over     chan struct{} // closed when nothing is left
	closeErr error         // valid once over is closed
}

// Compile reads a module and makes it ready for calls; see [Config]. It takes as long as a compiler does, seconds for a
// large module, and stops when ctx ends. The error is [penstock.ErrInvalid] for a bad configuration, a module that is not valid
// WebAssembly 2.0, one that imports what it is not given, and one whose memory begins larger than MaxMemory;
// [penstock.ErrExists] for one that is Served if another one has its name.
func Compile(ctx context.Context, code []byte, cfg Config) (*Module, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%w configuration of wasm module %.64q: %w", penstock.ErrInvalid, cfg.Name, err)
	}
	m := &Module{cfg: cfg.withDefaults(), stop: make(chan struct{}), over: make(chan struct{})}
	if err := m.compile(ctx, code); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", penstock.ErrInvalid, err)
		} else {
			err = context.Cause(ctx)
		}
		return nil, m.fault(errors.Join(err, m.release(ctx)))
	}
	if m.digest = sha256.Sum256(code); m.cfg.Served {
		if err := m.serve(); err != nil {
			return nil, errors.Join(err, m.release(ctx))
		}
	}
	return m, nil
}

func (m *Module) compile(ctx context.Context, code []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	metered, err := meter.Meter(code)
	if err != nil {
		return err
	}
	if m.memory = metered.Memory; m.memory.Least > m.cfg.MaxMemory {
		return fmt.Errorf("its memory begins with %d bytes; MaxMemory is %d", m.memory.Least, m.cfg.MaxMemory)
	}
	cfg := wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	if m.cfg.CacheDir != "" {
		if m.cache, err = wazero.NewCompilationCacheWithDir(m.cfg.CacheDir); err != nil {
			return fmt.Errorf("CacheDir: %w", err)
		}
		cfg = cfg.WithCompilationCache(m.cache)
	}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, cfg)
	workers := max(2, runtime.GOMAXPROCS(0)) // a single one does not look at ctx
	m.compiled, err = m.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, workers), metered.Code)
	if err != nil {
		return err
	}
	m.exports = m.compiled.ExportedFunctions()
	return m.link(ctx)
}

// Name is the module's name.
func (m *Module) Name() string { return m.cfg.Name }

// Info is what a module can tell.
type Info struct {
	Running int    // calls
	Idle    int    // instances that wait for a call
	Memory  int64  // what the idle ones keep, in bytes
	Started uint64 // instances so far
}

// Info tells how the module is used.
func (m *Module) Info() Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := Info{Running: m.mu.running, Idle: len(m.mu.idle), Started: m.mu.started}
	for _, i := range m.mu.idle {
		n.Memory += int64(cap(i.memory.bytes))
	}
	return n
}

// Close lets no more calls in, waits for those that run, and releases what the module holds. If ctx ends first they are
// stopped; Close does not wait for that and returns ctx's error, and the last of them releases the rest. Later calls
// wait for the same end.
func (m *Module) Close(ctx context.Context) error {
	m.mu.Lock()
	ends := !m.mu.closed && m.mu.running == 0
	m.mu.closed = true
	m.mu.Unlock()
	served.CompareAndDelete(m.cfg.Name, m)
	if ends {
		m.end(ctx)
	}
	select {
	case <-m.over:
		return m.closeErr
	case <-ctx.Done():
	}
	n := m.Info().Running
	if n == 0 { // the last one is about to release the rest
		<-m.over
		return m.closeErr
	}
	m.stopping.Do(func() { close(m.stop) })
	return m.fault(fmt.Errorf("%d calls had to be stopped: %w", n, ctx.Err()))
}

// enter counts a call in.
func (m *Module) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return m.fault(penstock.ErrClosed)
	}
	m.mu.running++
	return nil
}

// leave counts a call out.
func (m *Module) leave() {
	m.mu.Lock()
	m.mu.running--
	ends := m.mu.closed && m.mu.running == 0
	m.mu.Unlock()
	if ends {
		m.end(context.Background())
	}
}

// end releases everything, when the module is closed and nothing runs any more.
func (m *Module) end(ctx context.Context) {
	m.mu.Lock()
	m.mu.idle = nil
	m.mu.Unlock()
	if err := m.release(ctx); err != nil {
		m.closeErr = m.fault(err)
	}
	close(m.over)
}

// release closes the runtime, and with it all instances.
func (m *Module) release(ctx context.Context) (err error) {
	if m.runtime != nil {
		err = m.runtime.Close(ctx)
	}
	if m.cache != nil {
		err = errors.Join(err, m.cache.Close(ctx))
	}
	return err
}

func (m *Module) fault(err error) error { return fmt.Errorf("wasm module %q: %w", m.cfg.Name, err) }
