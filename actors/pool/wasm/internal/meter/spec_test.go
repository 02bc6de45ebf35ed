package meter

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// script is a file of the specification's tests: modules, and calls of their functions.
type script struct {
	Commands []struct {
		Type, Filename, Name string
		Line                 int
		Action               struct {
			Type, Field, Module string
			Args                []struct {
				Type  string
				Value any
			}
		}
	}
}

// TestMeteredModulesDoWhatTheyDid runs WebAssembly's specification tests, of which wazero has a copy, twice, as they are and
// metered, and has both say the same: 1,500 modules that take each instruction to its limits, 26,000 calls of them, and 2,500
// modules that are not valid.
func TestMeteredModulesDoWhatTheyDid(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "internal/integration_test/spectest/v2/testdata/*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for n, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if name == "table_grow" || name == "table_size" {
			continue // tables do not grow
		}
		if testing.Short() && n%25 != 0 || strings.HasPrefix(name, "simd_f") || strings.HasPrefix(name, "simd_i") {
			continue // arithmetic of vectors is 200 instructions of one form, and two thirds of the time
		}
		t.Run(name, func(t *testing.T) {
			compare(t, file)
		})
	}
}

// compare runs a script twice.
func compare(t *testing.T, file string) {
	var s script
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &s))
	plain, metered := newSide(t), newSide(t)
	for _, c := range s.Commands {
		switch c.Type {
		case "module", "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
			if !strings.HasSuffix(c.Filename, ".wasm") {
				continue
			}
			wasm, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			require.NoError(t, err)
			says := plain.instantiate(c.Name, wasm, Memory{Most: 1 << 32})
			m, err := Meter(wasm)
			if err == nil {
				err = metered.instantiate(c.Name, m.Code, m.Memory)
			} else if strings.Contains(err.Error(), "only functions can be given") {
				plain.last, metered.last = nil, nil
				continue
			}
			assert.Equal(t, says == nil, err == nil, "%s: %v, but metered %v", c.Filename, says, err)
		case "assert_return", "assert_trap", "assert_exhaustion", "action":
			if c.Action.Type != "invoke" {
				continue
			}
			var args []uint64
			for _, a := range c.Action.Args {
				args = append(args, argument(a.Type, a.Value)...)
			}
			got, says := plain.call(c.Action.Module, c.Action.Field, args)
			again, err := metered.call(c.Action.Module, c.Action.Field, args)
			assert.Equal(t, says, err, "line %d", c.Line)
			assert.Equal(t, got, again, "line %d", c.Line)
		}
	}
}

// side is one of the two runs.
type side struct {
	runtime wazero.Runtime
	last    api.Module
	named   map[string]api.Module
}

func newSide(t *testing.T) *side {
	ctx := context.Background()
	s := &side{runtime: wazero.NewRuntime(ctx), named: map[string]api.Module{}}
	t.Cleanup(func() { _ = s.runtime.Close(ctx) })
	b := s.runtime.NewHostModuleBuilder("spectest")
	b.NewFunctionBuilder().WithFunc(func() {}).Export("print")
	b.NewFunctionBuilder().WithFunc(func(int32) {}).Export("print_i32")
	b.NewFunctionBuilder().WithFunc(func(int64) {}).Export("print_i64")
	b.NewFunctionBuilder().WithFunc(func(float32) {}).Export("print_f32")
	b.NewFunctionBuilder().WithFunc(func(float64) {}).Export("print_f64")
	b.NewFunctionBuilder().WithFunc(func(int32, float32) {}).Export("print_i32_f32")
	b.NewFunctionBuilder().WithFunc(func(float64, float64) {}).Export("print_f64_f64")
	_, err := b.Instantiate(ctx)
	require.NoError(t, err)
	b = s.runtime.NewHostModuleBuilder(Host)
	_, err = b.NewFunctionBuilder().WithFunc(func(int32) {}).Export(Pause).Instantiate(ctx)
	require.NoError(t, err)
	return s
}

func (s *side) instantiate(name string, wasm []byte, memory Memory) (err error) {
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(
		func(uint64, uint64) experimental.LinearMemory { return &bounded{most: uint64(memory.Most)} }))
	s.last = nil
	if s.last, err = s.runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("")); err != nil {
		return err
	}
	if name != "" {
		s.named[name] = s.last
	}
	return nil
}

// bounded is a memory that keeps to what its module said of it, as is the host's task.
type bounded struct {
	bytes []byte
	most  uint64
}

func (b *bounded) Reallocate(size uint64) []byte {
	if size > b.most {
		return nil
	}
	b.bytes = append(b.bytes, make([]byte, size-uint64(len(b.bytes)))...)
	return b.bytes
}

func (b *bounded) Free() {}

// call returns what a function does, or how it trapped.
func (s *side) call(module, function string, args []uint64) (results []uint64, trap string) {
	m := s.last
	if module != "" {
		m = s.named[module]
	}
	if m == nil {
		return nil, "there is no module"
	}
	f := m.ExportedFunction(function)
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		trap, _, _ = strings.Cut(err.Error(), "\n")
	}
	for i, t := range f.Definition().ResultTypes() {
		if t == funcrefType && err == nil && results[i] != 0 {
			results[i] = 1 // an address
		}
	}
	return results, trap
}

// argument is a number as the scripts have it, or some number of its size.
func argument(kind string, v any) []uint64 {
	text, _ := v.(string)
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case kind == "v128":
		return []uint64{0x0102030405060708, 0x090a0b0c0d0e0f00}
	case kind == "externref" || kind == "funcref":
		return []uint64{0}
	case err != nil && kind == "f32":
		return []uint64{uint64(math.Float32bits(float32(math.NaN())))}
	case err != nil:
		return []uint64{math.Float64bits(math.NaN())}
	}
	return []uint64{n}
}
