package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

// Task says what a function may take. The zero Task has no name, a minute, and 10 MiB.
type Task struct {
	// Name is what [Pool.Kill] and Info call it; several may have one name. At most 512 bytes of UTF-8. Default ""
	Name string
	// MaxTime is how long it may take, from its start; then its context ends and its caller gets a [TimeoutError].
	// Default 60s
	MaxTime time.Duration
	// MaxMemory is what it takes of the pool's MaxMemory while it runs, in bytes. The wasm and the process tier enforce it;
	// a goroutine's memory cannot be capped. Default 10 MiB
	MaxMemory int64
	// Nice is the urgency of a task that has to wait, as Unix has it: -20 (most urgent) to 19. Default 0
	Nice int
	// Param is given to the pool's Delegate function. Default nil
	Param any
}

const (
	defaultTime   = time.Minute
	defaultMemory = 10 << 20
	maxName       = 512 // bytes
	minNice       = -20
	maxNice       = 19
)

// ready fills in what the task leaves out, and names every bad field.
func (t *Task) ready() error {
	if t.MaxTime == 0 {
		t.MaxTime = defaultTime
	}
	if t.MaxMemory == 0 {
		t.MaxMemory = defaultMemory
	}
	if t.MaxTime > 0 && t.MaxMemory > 0 && uint(t.Nice-minNice) <= maxNice-minNice && (t.Name == "" || validName(t.Name)) {
		return nil
	}
	return t.faults()
}

func (t *Task) faults() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(t.Name == "" || validName(t.Name), "Name is %d bytes long or not UTF-8; it takes up to %d bytes of UTF-8", len(t.Name), maxName)
	check(t.MaxTime > 0, "MaxTime is %v; it takes more than 0", t.MaxTime)
	check(t.MaxMemory > 0, "MaxMemory is %d; it takes 1 to %d bytes", t.MaxMemory, int64(math.MaxInt64))
	check(t.Nice >= minNice && t.Nice <= maxNice, "Nice is %d; it takes %d to %d", t.Nice, minNice, maxNice)
	return fmt.Errorf("%w task: %w", penstock.ErrInvalid, errors.Join(errs...))
}

func validName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name)
}

// Job is what a function can know of the task that it runs as. A tier of its own asks it for its limits, and says that it
// is one. Its methods may be called by any goroutine.
type Job struct {
	pool     *Pool // nil under Guard
	task     Task
	ref      uint64
	tier     atomic.Uint32
	from     string        // the node that asked for it; empty if this one did
	patience time.Duration // how long it may wait for room: of one that another node asked for, or that another one is asked for
	far      *Pool         // of the node that runs it for this one; nil if this one does. It changes only while its function does not run
}

type jobKey struct{}

// JobOf finds the job whose context ctx is, or comes from.
func JobOf(ctx context.Context) (*Job, bool) {
	j, ok := ctx.Value(jobKey{}).(*Job)
	return j, ok
}

// Task is the task as it runs, with its defaults filled in.
func (j *Job) Task() Task { return j.task }

// Ref is the job's number, which no other job of the process has. [Pool.KillRef] takes it.
func (j *Job) Ref() uint64 { return j.ref }

// Pool is the pool that was asked to run it; nil under [Guard].
func (j *Job) Pool() *Pool { return j.pool }

// PoolName is the name of the pool that was asked to run it, as errors have it; empty under [Guard].
func (j *Job) PoolName() string {
	if j.pool == nil {
		return ""
	}
	return j.pool.name
}

// Runs says which tier runs the job now. [Info] tells it.
func (j *Job) Runs(in Tier) { j.tier.Store(uint32(in)) }

// Tier is which tier runs the job.
func (j *Job) Tier() Tier { return Tier(j.tier.Load()) }
