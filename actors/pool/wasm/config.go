package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"

	"github.com/penstock-go/penstock/actors/pool/wasm/internal/meter"
)

// Config says what a module may use, and how its instances are kept. The zero Config gives it 64 MiB of memory and nothing of
// the world outside.
type Config struct {
	// Name is what errors call the module, and what a command has as its name. Default "module"
	Name string
	// MaxMemory is how large the memory of an instance may be, in bytes; a pool's Task.MaxMemory may be less, and holds then.
	// Memory is in pages of 65,536 bytes: what does not fill a page is not given. Default 64 MiB
	MaxMemory int64
	// MaxStack is how large the call stack of an instance may be, in bytes, by an estimate: the real one may be three times as
	// large. Beyond it the call ends with the trap StackOverflow. Default 1 MiB
	MaxStack int64
	// MaxInput is how long the input of Bytes and Main may be, in bytes. Default 1 MiB
	MaxInput int
	// MaxOutput is how long the output of Bytes and Main may be, in bytes. Default 1 MiB
	MaxOutput int
	// MaxIdle is how many instances are kept for the next calls; each keeps its memory. Default GOMAXPROCS
	MaxIdle int
	// MaxCalls is how many calls an instance serves; then it is replaced. Default 1,000
	MaxCalls int
	// Fresh has each call get an instance of its own, so that no call can see what another has left behind. It is safer
	// and slower. Default false: instances are reused
	Fresh bool
	// Imports define the functions that the module may import from the host, by the names of the modules that it imports
	// them from. They run on the call's goroutine and get its context; they must return when it ends, and a panic is
	// reported to the caller. Default nil
	Imports map[string]func(wazero.HostModuleBuilder)
	// Dirs are what the module sees of file systems, by the paths that it sees them at. They cannot be written. An instance
	// may have 64 files and directories open. Default nil
	Dirs map[string]fs.FS
	// Env is the module's environment. Default nil
	Env map[string]string
	// Clock lets the module read the clock and sleep. Default false: its clock begins in 2022 and advances by a millisecond
	// each time that it is read, and sleep returns at once
	Clock bool
	// Random gives the module random numbers. Default false: in each instance they are the same
	Random bool
	// Served lets the pools of this process run it for other nodes, whose modules have the same Name and the same code: see pool.At. What the
	// configurations say besides may differ; that of where it runs holds. No other module of the process that is Served has its name.
	// Default false
	Served bool
	// CacheDir is a directory, made if there is none, in which compiled code is kept, so that another process need not
	// compile the module again. What is in it is run as it is: nobody else should be able to write there. Default "": none
	CacheDir string
}

const (
	page      = 1 << 16 // bytes, of which memories are made
	maxMemory = 1 << 32
	maxStack  = 16 << 20 // of three times as much wazero itself says that it is an overflow
	maxLength = 1 << 30
	maxCount  = 1<<31 - 1
	maxName   = 512 // bytes
)

func (c Config) withDefaults() Config {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	if c.Name == "" {
		c.Name = "module"
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = 64 << 20
	}
	if c.MaxStack == 0 {
		c.MaxStack = 1 << 20
	}
	def(&c.MaxInput, 1<<20)
	def(&c.MaxOutput, 1<<20)
	def(&c.MaxIdle, runtime.GOMAXPROCS(0))
	def(&c.MaxCalls, 1_000)
	return c
}

// validate names every bad field and the values it takes.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(len(c.Name) <= maxName && !strings.ContainsRune(c.Name, 0), "Name has %d bytes or a zero byte; it takes up to %d bytes without", len(c.Name), maxName)
	check(c.MaxMemory == 0 || c.MaxMemory >= page && c.MaxMemory <= maxMemory, "MaxMemory is %d; it takes %d to %d bytes, or 0 for 64 MiB", c.MaxMemory, page, int64(maxMemory))
	check(c.MaxStack == 0 || c.MaxStack >= page && c.MaxStack <= maxStack, "MaxStack is %d; it takes %d to %d bytes, or 0 for 1 MiB", c.MaxStack, page, maxStack)
	check(c.MaxInput >= 0 && c.MaxInput <= maxLength, "MaxInput is %d; it takes 1 to %d bytes, or 0 for 1 MiB", c.MaxInput, maxLength)
	check(c.MaxOutput >= 0 && c.MaxOutput <= maxLength, "MaxOutput is %d; it takes 1 to %d bytes, or 0 for 1 MiB", c.MaxOutput, maxLength)
	check(c.MaxIdle >= 0 && c.MaxIdle <= maxCount, "MaxIdle is %d; it takes 1 to %d, or 0 for GOMAXPROCS", c.MaxIdle, maxCount)
	check(c.MaxCalls >= 0 && c.MaxCalls <= maxCount, "MaxCalls is %d; it takes 1 to %d, or 0 for 1,000", c.MaxCalls, maxCount)
	for name, define := range c.Imports {
		check(name != "" && name != wasi && name != meter.Host, "Imports[%q]: it takes any name but \"\", %q and %q", name, wasi, meter.Host)
		check(define != nil, "Imports[%q] is nil; it takes a function", name)
	}
	for path, dir := range c.Dirs {
		check(path != "" && !strings.ContainsRune(path, 0), "Dirs[%q]: it takes a path, such as \"/\"", path)
		check(dir != nil, "Dirs[%q] is nil; it takes a file system", path)
	}
	for name, value := range c.Env {
		check(name != "" && !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(value, 0),
			"Env[%q]: it takes a name without = and zero bytes, and a value without zero bytes", name)
	}
	return errors.Join(errs...)
}
