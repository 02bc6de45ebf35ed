package pool

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says how much may run in a pool at once. The zero Config lets 100 tasks run, with 10 GiB between them, and refuses
// at once what has no room.
type Config struct {
	// MaxWorkers is how many tasks may run at once. Default 100
	MaxWorkers int
	// MaxMemory is how much the tasks that run may declare (Task.MaxMemory), all together, in bytes. Default 10 GiB
	MaxMemory int64
	// DelegateTo is a bigger pool that this one shares with others: a task takes from the limits of both, and of those that
	// the bigger one delegates to in turn. It may be a pool of another node, see [At]. Default nil: the pool stands by itself
	DelegateTo *Pool
	// Delegate names, for each task, the pools that may carry it besides this one, by the task's Param. They are tried in
	// their order until one has room; closed ones are passed by. They may be pools of other nodes, see [At]. Not together with
	// DelegateTo. It runs on a goroutine of its own and may be called by many at once. Default nil
	Delegate func(param any) []*Pool
	// PoolTimeout is how long Delegate may take to answer; then the task is rejected. Default 1s
	PoolTimeout time.Duration
	// MaxWaiting is how many tasks may wait for room, here or in the pools above, the more urgent before the less. Default
	// 0: who has no room is rejected at once. The pool that is asked decides; those above only have limits
	MaxWaiting int
	// MaxWait is how long a task may wait for room; then it is rejected. Default 0: as long as its context lets it
	MaxWait time.Duration
	// MaxStuck is how many functions that ignore the end of their context are tolerated; while there are as many, nothing
	// new is let in. Default 0: as many as there are workers
	MaxStuck int
	// Grace is how long a function may take to return once its context has ended, before it counts as stuck. Default 100ms
	Grace time.Duration
	// Clustered lets the pools of other nodes delegate to this one, under its name: see [At]. What they ask for is a task like any
	// other; its Param is nil. The system must be a node: see cluster.Join. It cannot be changed. Default false
	Clustered bool
	// Processes says how the children of the process tier are kept
	Processes Processes
}

const (
	maxWorkers = math.MaxInt32
	maxWaiting = math.MaxInt32
	maxWait    = 366 * 24 * time.Hour
)

func (c Config) withDefaults() Config {
	if c.MaxWorkers == 0 {
		c.MaxWorkers = 100
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = 10 << 30
	}
	if c.PoolTimeout == 0 {
		c.PoolTimeout = time.Second
	}
	if c.Grace == 0 {
		c.Grace = 100 * time.Millisecond
	}
	return c
}

// validate names every bad field and the values it takes. c may have its defaults or not.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.MaxWorkers >= 0 && c.MaxWorkers <= maxWorkers, "MaxWorkers is %d; it takes 1 to %d, or 0 for 100", c.MaxWorkers, maxWorkers)
	check(c.MaxMemory >= 0, "MaxMemory is %d; it takes 1 to %d bytes, or 0 for 10 GiB", c.MaxMemory, int64(math.MaxInt64))
	check(c.DelegateTo == nil || c.Delegate == nil, "DelegateTo and Delegate are both set; it takes one of them")
	check(c.PoolTimeout >= 0 && c.PoolTimeout <= maxWait, "PoolTimeout is %v; it takes more than 0 up to %v, or 0 for 1s", c.PoolTimeout, maxWait)
	check(c.MaxWaiting >= 0 && c.MaxWaiting <= maxWaiting, "MaxWaiting is %d; it takes 0 to %d", c.MaxWaiting, maxWaiting)
	check(c.MaxWait >= 0 && c.MaxWait <= maxWait, "MaxWait is %v; it takes 0 to %v", c.MaxWait, maxWait)
	check(c.MaxStuck >= 0 && c.MaxStuck <= maxWorkers, "MaxStuck is %d; it takes 1 to %d, or 0 for as many as there are workers", c.MaxStuck, maxWorkers)
	check(c.Grace >= 0 && c.Grace <= maxWait, "Grace is %v; it takes more than 0 up to %v, or 0 for 100ms", c.Grace, maxWait)
	c.Processes.validate(check)
	return errors.Join(errs...)
}
