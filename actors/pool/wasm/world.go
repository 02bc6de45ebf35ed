package wasm

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
)

// program is what a command is started with; the zero program is no command.
type program struct {
	args   []string
	stdin  []byte
	stdout *output // nil if it is no command
}

// world is what an instance sees of the world outside.
func (i *instance) world(p *program) wazero.ModuleConfig {
	cfg := &i.module.cfg
	w := wazero.NewModuleConfig().WithName("").WithStdout(&i.printed).WithStderr(&i.printed).WithStartFunctions(initialize)
	i.printed.instance = i
	if p.stdout != nil {
		p.stdout.instance = i
		w = w.WithStartFunctions().WithArgs(p.args...).WithStdin(bytes.NewReader(p.stdin)).WithStdout(p.stdout)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Env)) {
		w = w.WithEnv(name, cfg.Env[name])
	}
	if len(cfg.Dirs) > 0 {
		dirs := wazero.NewFSConfig()
		for _, path := range slices.Sorted(maps.Keys(cfg.Dirs)) {
			dirs = dirs.WithFSMount(files{cfg.Dirs[path], i}, path)
		}
		w = w.WithFSConfig(dirs)
	}
	if cfg.Clock {
		w = w.WithSysWalltime().WithSysNanotime().WithNanosleep(func(ns int64) { i.sleep(time.Duration(ns)) })
	}
	random := io.Reader(mathrand.NewChaCha8([32]byte{}))
	if cfg.Random {
		random = rand.Reader
	}
	return w.WithRandSource(piecemeal{random, i})
}

// sleep ends at once when the call has to stop.
func (i *instance) sleep(d time.Duration) {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.call.ctx.Done():
	case <-i.module.stop:
	}
	i.check()
}

// check is for what an instance may have the host do for long by one call. It panics when the call has to stop.
func (i *instance) check() { i.module.stopIfDue(i.call.ctx) }

// piecemeal reads no more at once than takes microseconds.
type piecemeal struct {
	from     io.Reader
	instance *instance
}

func (p piecemeal) Read(b []byte) (int, error) {
	p.instance.check()
	return p.from.Read(b[:min(len(b), page)])
}

// output keeps what a command writes to its standard output, up to a bound.
type output struct {
	instance *instance
	bytes    []byte
	max      int
}

func (o *output) Write(b []byte) (int, error) {
	o.instance.check()
	if len(b) > o.max-len(o.bytes) {
		panic(errTooLong)
	}
	o.bytes = append(o.bytes, b...)
	return len(b), nil
}

// printed keeps the beginning and the end of what an instance writes during a call: a panic's message comes first in Go,
// last elsewhere.
type printed struct {
	instance   *instance
	head, tail []byte
	left       int // how much between them was not kept
}

const printedHalf = 2 << 10 // bytes

func (p *printed) Write(b []byte) (int, error) {
	p.instance.check()
	n := len(b)
	head := min(n, printedHalf-len(p.head))
	p.head = append(p.head, b[:head]...)
	b = b[head:]
	if over := len(b) - printedHalf; over > 0 {
		p.left += over
		b = b[over:]
	}
	if over := len(p.tail) + len(b) - printedHalf; over > 0 {
		p.left += over
		p.tail = append(p.tail[:0], p.tail[over:]...)
	}
	p.tail = append(p.tail, b...)
	return n, nil
}

func (p *printed) String() string {
	s := string(p.head)
	if p.left > 0 {
		s += fmt.Sprintf("\n… %d bytes …\n", p.left)
	}
	return strings.ToValidUTF8(s+string(p.tail), "\uFFFD")
}

func (p *printed) reset() { p.head, p.tail, p.left = p.head[:0], p.tail[:0], 0 }
