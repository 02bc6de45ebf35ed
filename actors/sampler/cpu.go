package sampler

import (
	"context"
	"time"

	"github.com/penstock-go/penstock/actors/sampler/internal/machine"
)

// cpu is how the processors' time that may be used is used.
type cpu struct {
	machine machine.Machine
	fault   error // why there is none
	last    machine.CPU
	share   float64 // as of the last sample
}

// CPU gives a source for the share, of the CPU time that this process may use, that was used since the last sample, or since
// CPU was called; from 0 to 1, and for moments above. Who used it does not matter: what others take is not there for us.
//
// With a quota (cgroup version 2 or 1, the process's own group or any above it) it is what that group used of it, and the
// fullest quota counts. With none that is tighter than the CPUs themselves, it is the busy part of the CPUs that the
// affinity mask allows, which are all of the machine's if nobody set one. GOMAXPROCS has no part in it. Where a quota's
// group does not show its use, as when version 1 has cpu and cpuacct in different places, only this process's is counted.
//
// Its thresholds are 0.8, 0.9 and 1, as in jobs. Where there is no Linux its error is [errors.ErrUnsupported].
func CPU() Source {
	m, err := machine.Here()
	return newCPU(m, err)
}

func newCPU(m machine.Machine, fault error) *cpu {
	c := &cpu{machine: m, fault: fault}
	if fault == nil {
		c.last, _ = m.ReadCPU(time.Now()) // its error comes again
	}
	return c
}

// Sample implements [Source].
func (c *cpu) Sample(context.Context) (float64, error) {
	if c.fault != nil {
		return 0, c.fault
	}
	reading, err := c.machine.ReadCPU(time.Now())
	if err != nil {
		return 0, err
	}
	if share, ok := reading.Share(c.last); ok {
		c.share = share
	}
	c.last = reading
	return c.share, nil
}

// Thresholds are the default of [Config.Thresholds].
func (c *cpu) Thresholds() []float64 { return []float64{0.8, 0.9, 1} }
