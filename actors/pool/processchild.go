package pool

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool/internal/proc"
)

const (
	stderrKept = 4 << 10 // bytes of a child's standard error, for who wants to know why it crashed
	// worn is which part of what a call may take the leftovers of earlier ones may have.
	worn = 4
	// lastWords is how long a child that has closed its channel has to end by itself, so that it can be told why.
	lastWords = 3 * time.Second
)

// child is a process of this binary that serves calls, one at a time.
type child struct {
	cfg      *Processes
	process  *proc.Process
	cgroup   *proc.Cgroup // nil unless it has one
	requests *os.File
	answers  *os.File
	in       *bufio.Reader // of answers
	data     *proc.Data    // nil if it is not capped by its data
	stream   *stream
	stderr   *proc.Tail
	born     time.Time
	calls    int
	idle     int64 // bytes of data that it had when it was ready
	grown    int64 // bytes of data that it had more than that before this call
	capped   int64 // bytes of data that it may have now
	timer    *time.Timer
}

// childNumbers tells the cgroups of a process's children apart.
var childNumbers atomic.Uint64

// startChild starts a child and waits until it is ready.
func startChild(ctx context.Context, l *proc.Launcher, cfg *Processes) (*child, error) {
	self, err := ownBinary(cfg)
	if err != nil {
		return nil, err
	}
	c := &child{cfg: cfg, stream: newStream(), stderr: proc.NewTail(stderrKept), born: time.Now()}
	cmd := exec.Command(self)
	cmd.Env, cmd.Dir = append(environment(cfg), childEnv+"=serve"), cfg.Dir
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = cfg.Output, c.stderr, lastWords
	theirs, err := c.connect()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = theirs
	if c.cgroup, err = newCgroup(cfg); err == nil {
		c.process, err = l.Start(cmd, c.cgroup, true) // it notices that its channel is closed
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		c.disconnect()
		return nil, fmt.Errorf("starting a child: %w", err)
	}
	if err := c.greet(ctx); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// ownBinary is where this program is, if it may be started again as its own child, or to become a command.
func ownBinary(cfg *Processes) (string, error) {
	if !mainCalled.Load() {
		return "", fmt.Errorf("%w use of the process tier: this program does not call pool.Main, by which it becomes a child", penstock.ErrInvalid)
	}
	if !proc.CanCap && !cfg.Uncapped {
		return "", fmt.Errorf("the memory of a process cannot be capped on %s, and Processes.Uncapped is false: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return os.Executable()
}

func environment(cfg *Processes) []string {
	if cfg.Env == nil {
		return os.Environ()
	}
	return cfg.Env[:len(cfg.Env):len(cfg.Env)]
}

func newCgroup(cfg *Processes) (*proc.Cgroup, error) {
	if cfg.Cgroup == "" {
		return nil, nil
	}
	name := "penstock-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(childNumbers.Add(1), 10)
	return proc.NewCgroup(cfg.Cgroup, name)
}

// connect makes the channel, and returns the child's ends of it.
func (c *child) connect() (theirs []*os.File, err error) {
	fromUs, toThem, err := blockingPipe()
	if err != nil {
		return nil, err
	}
	toUs, fromThem, err := blockingPipe()
	if err != nil {
		_ = fromUs.Close()
		_ = toThem.Close()
		return nil, err
	}
	c.requests, c.answers, c.in = toThem, toUs, bufio.NewReader(toUs)
	return []*os.File{fromUs, fromThem}, nil
}

func (c *child) disconnect() {
	_ = c.requests.Close()
	_ = c.answers.Close()
	_ = c.data.Close()
	if c.cgroup != nil {
		_ = c.cgroup.Remove()
	}
}

// end ends the child, and returns when nothing is left of it.
func (c *child) end() {
	c.process.Kill()
	<-c.process.Gone()
	c.disconnect()
}

// greet waits for the child's hello.
func (c *child) greet(ctx context.Context) error {
	late := fmt.Errorf("the child was not ready after %v: is pool.Main the first statement of main?", c.cfg.StartTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.StartTimeout, late)
	defer cancel()
	stop := context.AfterFunc(ctx, c.process.Kill)
	kind, payload, err := proc.ReadFrame(c.in, len(wireVersion))
	if !stop() {
		return context.Cause(ctx)
	}
	switch {
	case err != nil:
		c.process.Kill()
		<-c.process.Gone()
		return fmt.Errorf("the child ended before it was ready (%w): is pool.Main the first statement of main? %s", err, c.stderr)
	case kind != sayHello || string(payload) != wireVersion:
		return fmt.Errorf("the child said %q, not %q: was the binary replaced?", payload, wireVersion)
	}
	if c.cgroup == nil && proc.CanCap && !c.cfg.Uncapped {
		if c.data, err = proc.DataOf(c.process.Pid()); err != nil {
			return err
		}
		if c.idle, err = c.data.Bytes(); err != nil {
			return err
		}
	}
	return nil
}

// errWorn is a call that was not made: another child must be asked.
var errWorn = errors.New("earlier calls have left too much in the child's memory")

// fits reports whether the child may serve a call that may take so much: it must not be old, and must not have more mapped
// than the cap allows, or there would be none. What of that is in use only the child can tell: see errWorn.
func (c *child) fits(memory int64) bool {
	if c.calls >= c.cfg.MaxCalls || time.Since(c.born) > c.cfg.MaxAge {
		return false
	}
	select {
	case <-c.process.Gone():
		return false
	default:
	}
	if c.data == nil {
		return true
	}
	now, err := c.data.Bytes() // it never gives address space back
	c.grown = now - c.idle
	return err == nil && now > 0 && now-c.idle <= memory
}

// allow caps what the child may take from now on.
func (c *child) allow(memory int64) error {
	switch {
	case c.cgroup != nil:
		return c.cgroup.Cap(memory)
	case c.data == nil:
		return nil
	}
	limit := c.idle + memory
	if limit < c.idle { // it overflows: as good as none
		limit = 1<<63 - 1
	}
	if limit == c.capped {
		return nil
	}
	c.capped = limit
	return proc.CapData(c.process.Pid(), limit)
}

// call has the child run a function, and reads the answer into out. fine reports whether the child can be used again;
// otherwise it has ended.
func (c *child) call(ctx context.Context, j *Job, name string, asJSON bool, in, out any) (fine bool, err error) {
	defer func() {
		if !fine {
			c.end()
		}
	}()
	c.calls++
	memory := j.task.MaxMemory
	var data []byte
	raw, alone := in.(encoded)
	if data = raw; !alone {
		data, err = c.stream.encode(in, asJSON)
	}
	if err != nil {
		return false, fmt.Errorf("%s: the argument of %q: %w", taskOf(j.PoolName(), j.task.Name), name, err)
	}
	if err := c.allow(memory); err != nil {
		return false, fmt.Errorf("%s: %w", taskOf(j.PoolName(), j.task.Name), err)
	}
	left := time.Duration(1<<63 - 1)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	r := request{
		id: uint64(c.calls), json: asJSON, alone: alone, look: memory > 0 && c.grown > memory/worn, time: left, memory: memory, name: name, data: data,
	}
	stop := context.AfterFunc(ctx, c.process.Kill)
	kind, payload, err := c.exchange(&r)
	if !stop() {
		return false, context.Cause(ctx)
	}
	if err != nil {
		return false, c.explain(j, err)
	}
	return c.understand(ctx, j, &r, kind, payload, out)
}

// exchange sends the request and waits for its answer.
func (c *child) exchange(r *request) (kind byte, payload []byte, err error) {
	if err := proc.WriteFrame(c.requests, sayCall, r.marshal()); err != nil {
		return 0, nil, err
	}
	kind, payload, err = proc.ReadFrame(c.in, c.cfg.MaxOutput+8)
	if err != nil {
		return 0, nil, err
	}
	if len(payload) < 8 || binary.BigEndian.Uint64(payload) != r.id {
		return 0, nil, errors.New("it answered a call that it was not asked")
	}
	return kind, payload[8:], nil
}

// explain says why there was no answer.
func (c *child) explain(j *Job, cause error) error {
	task := taskOf(j.PoolName(), j.task.Name)
	if tooLong := new(proc.TooLongError); errors.As(cause, &tooLong) {
		return fmt.Errorf("%s: its answer of %d bytes is longer than Processes.MaxOutput, %d", task, tooLong.Length-8, c.cfg.MaxOutput)
	}
	if errors.Is(cause, proc.ErrGarbage) {
		return fmt.Errorf("%s: the child's answer is no answer: %w", task, cause)
	}
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	select {
	case <-c.process.Gone():
	case <-patience.C:
		return fmt.Errorf("%s: the child closed its channel without an answer (%w)", task, cause)
	}
	exit := c.process.Exit()
	err := failure(j, exit, c.cgroup, c.stderr)
	if _, memory := err.(*MemoryError); !memory && exit.Code == 0 && !errors.Is(cause, io.EOF) {
		return fmt.Errorf("%s: the child ended in the middle of its answer: %w", task, cause)
	}
	return err
}

// failure is the error of a process that ended without what was wanted of it.
func failure(j *Job, exit proc.Exit, cgroup *proc.Cgroup, stderr *proc.Tail) error {
	if exit.OutOfMemory(stderr) || cgroup != nil && cgroup.OutOfMemory() {
		return &MemoryError{Pool: j.PoolName(), Task: j.task.Name, Tier: Process, Limit: j.task.MaxMemory}
	}
	return &CrashError{Pool: j.PoolName(), Task: j.task.Name, ExitCode: exit.Code, Signal: exit.Signal, Stderr: stderr.String()}
}

// understand reads an answer.
func (c *child) understand(ctx context.Context, j *Job, r *request, kind byte, payload []byte, out any) (fine bool, err error) {
	task := taskOf(j.PoolName(), j.task.Name)
	switch kind {
	case sayValue:
		if raw, ok := out.(*encoded); ok {
			*raw = payload
			return true, nil
		}
		if err := c.stream.decode(payload, out, r.json); err != nil {
			return false, fmt.Errorf("%s: the result of %q: %w", task, r.name, err)
		}
		return true, nil
	case sayError:
		if len(payload) > 0 {
			if deadline, ok := ctx.Deadline(); ok && payload[0] == deadlineError && time.Until(deadline) <= 0 {
				<-ctx.Done() // it is due: who has run out of time gets the same error, whoever noticed first
				return true, context.Cause(ctx)
			}
			return true, &RemoteError{Func: r.name, Message: string(payload[1:]), kind: ofKind(payload[0])}
		}
	case sayPanic:
		var p remotePanic
		if err := json.Unmarshal(payload, &p); err == nil {
			return true, &penstock.PanicError{Value: p.Value, Stack: p.Stack}
		}
	case sayGoexit:
		return true, ErrGoexit
	case sayWorn:
		return false, errWorn
	case sayUnknown:
		return true, fmt.Errorf("%w call: no function %q is registered in the child", penstock.ErrInvalid, r.name)
	case sayBad:
		return false, fmt.Errorf("%s: %s", task, payload) // the stream may have stopped in the middle of it
	}
	return false, fmt.Errorf("%s: the child's answer is of no known kind: %q", task, kind)
}
