package wasm

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"github.com/penstock-go/penstock"
)

func TestBadConfigurationNamesEveryField(t *testing.T) {
	_, err := Compile(context.Background(), sample().encode(), Config{
		Name: strings.Repeat("x", 513), MaxMemory: 1, MaxStack: 1, MaxInput: -1, MaxOutput: -1, MaxIdle: -1, MaxCalls: -1,
		Imports: map[string]func(wazero.HostModuleBuilder){"penstock": func(wazero.HostModuleBuilder) {}, "env": nil},
		Dirs:    map[string]fs.FS{"/": nil, "": os.DirFS(".")},
		Env:     map[string]string{"A=B": "", "": "", "C": "\x00"},
	})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	for _, says := range []string{
		"Name has 513 bytes", "MaxMemory is 1; it takes 65536 to 4294967296 bytes, or 0 for 64 MiB", "MaxStack is 1; it takes 65536 to 16777216",
		"MaxInput is -1", "MaxOutput is -1", "MaxIdle is -1", "MaxCalls is -1", `Imports["penstock"]: it takes any name but`, `Imports["env"] is nil`,
		`Dirs["/"] is nil`, `Dirs[""]: it takes a path`, `Env["A=B"]: it takes a name without =`, `Env[""]`, `Env["C"]`,
	} {
		assert.ErrorContains(t, err, says)
	}
}

func TestWhatIsNoModuleIsRefused(t *testing.T) {
	valid := sample().encode()
	imports := func(from, name string) []byte {
		return guest{imports: []imported{{from, name, "", ""}}}.encode()
	}
	for says, wasm := range map[string][]byte{
		`it does not begin with "\x00asm"`:                                           nil,
		`begin with "\x00asm" and version 1`:                                         []byte("\x00asm\x02\x00\x00\x00"),
		`section 10: it ends too early`:                                              valid[:len(valid)-1],
		`invalid function[0]`:                                                        guest{funcs: []fn{{results: "i"}}}.encode(),
		`it imports env.log, which it is not given`:                                  imports("env", "log"),
		`it imports other.log, which it is not given`:                                imports("other", "log"),
		`it imports wasi_snapshot_preview1.none, which`:                              imports(wasi, "none"),
		`it imports wasi_snapshot_preview1.fd_close as () → (); it is (i32) → (i32)`: imports(wasi, "fd_close"),
		`it imports a memory, env.memory; only functions can be given`:               []byte("\x00asm\x01\x00\x00\x00\x02\x0f\x01\x03env\x06memory\x02\x00\x01"),
	} {
		m, err := Compile(context.Background(), wasm, Config{Name: "bad", Imports: map[string]func(wazero.HostModuleBuilder){
			"env": func(b wazero.HostModuleBuilder) { b.NewFunctionBuilder().WithFunc(func() {}).Export("print") },
		}})
		assert.Nil(t, m, says)
		assert.ErrorIs(t, err, penstock.ErrInvalid, says)
		assert.ErrorContains(t, err, says)
		assert.ErrorContains(t, err, `wasm module "bad"`)
	}
	_, err := Compile(context.Background(), imports("env", "print"), Config{Imports: map[string]func(wazero.HostModuleBuilder){
		"env": func(b wazero.HostModuleBuilder) { b.NewFunctionBuilder().WithFunc(func(complex64) {}).Export("print") },
	}})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorContains(t, err, `what Imports["env"] defines: `)
}

func TestCompiledCodeIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		m := compile(t, sample(), Config{CacheDir: dir})
		got, err := m.Call("add", 1, 2)(context.Background())
		require.NoError(t, err)
		assert.Equal(t, []uint64{3}, got)
	}
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files++
		}
		return err
	}))
	assert.Equal(t, 1, files)

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Compile(context.Background(), sample().encode(), Config{CacheDir: file})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorContains(t, err, "CacheDir: ")
}
