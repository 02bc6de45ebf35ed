package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/penstock-go/penstock/actors/pool/wasm/internal/meter"
)

const (
	wasi       = "wasi_snapshot_preview1"
	initialize = "_initialize" // what a module for many calls exports to be called first
	start      = "_start"      // what a command exports
)

// link defines what the module imports, and names everything that it is not given.
func (m *Module) link(ctx context.Context) error {
	_, err := m.runtime.NewHostModuleBuilder(meter.Host).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) { m.pause(ctx, uint32(stack[0])) }),
			[]api.ValueType{api.ValueTypeI32}, nil).
		Export(meter.Pause).Instantiate(ctx)
	if err != nil {
		return err
	}
	ctx = experimental.WithFunctionListenerFactory(ctx, turnstile{m})
	given := map[string]map[string]api.FunctionDefinition{}
	var errs []error
	for _, f := range m.compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		if from == meter.Host && name == meter.Pause {
			continue
		}
		functions, known := given[from]
		if !known {
			if functions, err = m.define(ctx, from); err != nil {
				return fmt.Errorf("what Imports[%q] defines: %w", from, err)
			}
			given[from] = functions
		}
		switch g, ok := functions[name]; {
		case !ok:
			errs = append(errs, fmt.Errorf("it imports %s.%s, which it is not given", from, name))
		case !slices.Equal(f.ParamTypes(), g.ParamTypes()) || !slices.Equal(f.ResultTypes(), g.ResultTypes()):
			errs = append(errs, fmt.Errorf("it imports %s.%s as %s; it is %s", from, name, signature(f), signature(g)))
		}
	}
	return errors.Join(errs...)
}

// define instantiates a module of the host's. It returns what is in it; nothing if there is no such module.
func (m *Module) define(ctx context.Context, name string) (map[string]api.FunctionDefinition, error) {
	define := m.cfg.Imports[name]
	if name == wasi {
		define = defineWASI
	}
	if define == nil {
		return nil, nil
	}
	b := m.runtime.NewHostModuleBuilder(name)
	define(b)
	host, err := b.Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	return host.ExportedFunctionDefinitions(), nil
}

// defineWASI is WASI but for the renumbering of files, which lets a guest have the host allocate 16 GiB.
func defineWASI(b wazero.HostModuleBuilder) {
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	const notSupported = 58
	b.NewFunctionBuilder().WithFunc(func(_, _ uint32) uint32 { return notSupported }).Export("fd_renumber")
}

// pause is called by instances all the time, and the place where they are stopped.
func (m *Module) pause(ctx context.Context, stack uint32) {
	m.stopIfDue(ctx)
	if int64(stack) > m.cfg.MaxStack {
		panic(errStack)
	}
}

func (m *Module) stopIfDue(ctx context.Context) {
	if m.due(ctx) {
		panic(errStopped)
	}
}

// due reports whether a call has to stop.
func (m *Module) due(ctx context.Context) bool {
	select {
	case <-m.stop:
		return true
	default:
		return ctx.Err() != nil
	}
}

// turnstile is what every call of a function of the host's goes through, so that many long ones cannot delay a stop.
type turnstile struct{ module *Module }

var _ experimental.FunctionListener = turnstile{}

// NewFunctionListener implements experimental.FunctionListenerFactory.
func (t turnstile) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener {
	return t
}

// Before implements experimental.FunctionListener.
func (t turnstile) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	t.module.stopIfDue(ctx)
}

// After implements experimental.FunctionListener.
func (turnstile) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort implements experimental.FunctionListener.
func (turnstile) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// signature is a function's type in words: "(i32, i64) → (i32)".
func signature(f api.FunctionDefinition) string {
	return typeList(f.ParamTypes()) + " → " + typeList(f.ResultTypes())
}

func typeList(types []api.ValueType) string {
	names := make([]string, len(types))
	for i, t := range types {
		switch t {
		case 0x7b:
			names[i] = "v128"
		case 0x70:
			names[i] = "funcref"
		default:
			names[i] = api.ValueTypeName(t)
		}
	}
	return "(" + strings.Join(names, ", ") + ")"
}
