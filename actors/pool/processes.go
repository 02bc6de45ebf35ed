package pool

import (
	"errors"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/penstock-go/penstock/actors/pool/internal/proc"
)

// Processes says how a pool keeps the children of its process tier. The zero Processes will do.
type Processes struct {
	// MaxIdle is how many children are kept warm for the next call. [NoIdle]: none. Default: GOMAXPROCS
	MaxIdle int
	// IdleTime is how long a warm child is kept without a call. Default 1m
	IdleTime time.Duration
	// MaxCalls is how many calls a child serves before another takes its place, which is started shortly before. Default 10,000
	MaxCalls int
	// MaxAge is how old a child may become before another takes its place. Default 1h
	MaxAge time.Duration
	// MaxOutput is how much a call may answer, and a command write to its standard output, in bytes. Default 16 MiB
	MaxOutput int
	// StartTimeout is how long a child may take until it is ready: what a program does before main is part of it. Default 10s
	StartTimeout time.Duration
	// Env are the environment of children, as os.Environ has it. Default nil: this process's
	Env []string
	// Dir is the directory in which children run. Default "": this process's
	Dir string
	// Output is where goes what functions in children print; it must be safe for concurrent use. Default nil: nowhere
	Output io.Writer
	// Cgroup is a directory of the cgroup file system, version 2, that has been delegated to this process: each child then
	// gets a group of its own there, which caps the memory of all its processes together and catches what leaves its process
	// group. Default "": RLIMIT_DATA caps the data of each process by itself
	Cgroup string
	// Uncapped lets children run without a cap on their memory. Where there is none, outside Linux, they do not run
	// otherwise. Default false
	Uncapped bool
}

// NoIdle as Processes.MaxIdle keeps no child warm: each call gets a new one.
const NoIdle = -1

func (c Processes) withDefaults() Processes {
	switch c.MaxIdle {
	case 0:
		c.MaxIdle = runtime.GOMAXPROCS(0)
	case NoIdle:
		c.MaxIdle = 0
	}
	if c.IdleTime == 0 {
		c.IdleTime = time.Minute
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = 10_000
	}
	if c.MaxAge == 0 {
		c.MaxAge = time.Hour
	}
	if c.MaxOutput == 0 {
		c.MaxOutput = 16 << 20
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = 10 * time.Second
	}
	return c
}

func (c Processes) validate(check func(ok bool, format string, args ...any)) {
	check(c.MaxIdle >= NoIdle && c.MaxIdle <= maxWorkers, "Processes.MaxIdle is %d; it takes 1 to %d, NoIdle, or 0 for GOMAXPROCS", c.MaxIdle, maxWorkers)
	check(c.IdleTime >= 0 && c.IdleTime <= maxWait, "Processes.IdleTime is %v; it takes more than 0 up to %v, or 0 for 1m", c.IdleTime, maxWait)
	check(c.MaxCalls >= 0, "Processes.MaxCalls is %d; it takes 1 or more, or 0 for 10,000", c.MaxCalls)
	check(c.MaxAge >= 0, "Processes.MaxAge is %v; it takes more than 0, or 0 for 1h", c.MaxAge)
	check(c.MaxOutput >= 0 && c.MaxOutput <= math.MaxInt32, "Processes.MaxOutput is %d; it takes 1 to %d bytes, or 0 for 16 MiB", c.MaxOutput, math.MaxInt32)
	check(c.StartTimeout >= 0 && c.StartTimeout <= maxWait, "Processes.StartTimeout is %v; it takes more than 0 up to %v, or 0 for 10s", c.StartTimeout, maxWait)
	if c.Cgroup != "" {
		err := proc.CheckCgroup(c.Cgroup)
		check(err == nil, "Processes.Cgroup: %w", err)
		check(proc.CanCap, "Processes.Cgroup is set: %w", errors.ErrUnsupported)
	}
}
