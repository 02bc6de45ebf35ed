package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool/internal/proc"
)

// Cmd is a command that is to run in the process tier: see [Command]. The zero value of each field is its default.
type Cmd struct {
	Path  string   // of the program, or its name, which is looked up in PATH
	Args  []string // without the program's own name
	Stdin []byte   // what it reads. Default: nothing
	Env   []string // as os.Environ has it. Default nil: that of the pool's Processes
	Dir   string   // in which it runs. Default "": that of the pool's Processes
}

// Output is what a command wrote.
type Output struct {
	Stdout []byte // all of it: one that writes more than Processes.MaxOutput is killed
	Stderr []byte // the end of it, up to 4 KiB
}

// Command is a command with its arguments. Its Run is for [Run], [Async] or [Guard]:
//
//	out, err := pool.Run(ctx, p, pool.Task{Name: "convert", MaxMemory: 256 << 20}, pool.Command("convert", "-resize", "50%", "-", "png:-").Run)
func Command(name string, args ...string) *Cmd { return &Cmd{Path: name, Args: args} }

// Run runs the command in a process of its own, which leads a process group. The task's MaxMemory caps its data, from
// before its first instruction: all of it, not as for a [Func] what comes on top. It is RLIMIT_DATA, which each process
// that the command starts has for itself; Processes.Cgroup caps them together. What a command does that is refused memory is
// up to it: most end with an error, which is a [CrashError] here. When the task's time is over, it is killed, or the command
// itself ends, all of its process group is killed.
//
// Errors: a [CrashError] if it ends with another status than 0; one that says so if it cannot be started or writes too much.
func (c *Cmd) Run(ctx context.Context) (Output, error) {
	j, ok := JobOf(ctx)
	if !ok {
		return Output{}, fmt.Errorf("%w call of %q: a process is run by pool.Run, Async or Guard", penstock.ErrInvalid, c.Path)
	}
	j.Runs(Process)
	out, err := c.run(ctx, j)
	var crash *CrashError
	var memory *MemoryError
	if err != nil && ctx.Err() == nil && !errors.As(err, &crash) && !errors.As(err, &memory) {
		err = fmt.Errorf("%s: command %q: %w", taskOf(j.PoolName(), j.task.Name), c.Path, err)
	}
	return out, err
}

func (c *Cmd) run(ctx context.Context, j *Job) (out Output, err error) {
	var none children
	cs := &none
	if j.pool != nil {
		cs = &j.pool.children
	} else {
		none.configure(Processes{}, nil)
		defer none.launcher.Close()
	}
	cfg := &cs.cfg
	cmd, err := c.prepare(cfg, j.task.MaxMemory)
	if err != nil {
		return out, err
	}
	group, err := newCgroup(cfg)
	if err != nil {
		return out, err
	}
	if group != nil {
		defer group.Remove()
		if err := group.Cap(j.task.MaxMemory); err != nil {
			return out, err
		}
	}
	stderr := proc.NewTail(stderrKept)
	started := make(chan *proc.Process, 1)
	stdout := &proc.Bounded{Max: cfg.MaxOutput, Over: func() {
		p := <-started
		started <- p
		p.Kill()
	}}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	p, err := cs.launcher.Start(cmd, group, false)
	if err != nil {
		return out, err
	}
	started <- p
	stop := context.AfterFunc(ctx, p.Kill)
	<-p.Gone()
	if !stop() {
		return out, context.Cause(ctx)
	}
	var whole bool
	out.Stderr = []byte(stderr.String())
	if out.Stdout, whole = stdout.Bytes(); !whole {
		return Output{}, fmt.Errorf("it wrote more than Processes.MaxOutput, %d bytes", cfg.MaxOutput)
	}
	if exit := p.Exit(); exit.Code != 0 || group != nil && group.OutOfMemory() {
		return out, failure(j, exit, group, stderr)
	}
	return out, p.Exit().Err
}

// prepare makes the command that this binary is told to become.
func (c *Cmd) prepare(cfg *Processes, memory int64) (*exec.Cmd, error) {
	self, err := ownBinary(cfg)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath(c.Path)
	if err != nil {
		return nil, err
	}
	if cfg.Cgroup != "" || cfg.Uncapped || !proc.CanCap {
		memory = 0
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{c.Path}, c.Args...)
	env := environment(cfg)
	if c.Env != nil {
		env = slices.Clip(c.Env)
	}
	cmd.Env = append(env, childEnv+"=exec "+strconv.FormatInt(memory, 10)+" "+path)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = cfg.Dir, bytes.NewReader(c.Stdin), lastWords
	if c.Dir != "" {
		cmd.Dir = c.Dir
	}
	return cmd, nil
}
