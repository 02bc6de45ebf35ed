package sampler

import (
	"context"

	"github.com/penstock-go/penstock/actors/sampler/internal/machine"
)

// memory is how the memory that may be used is used.
type memory struct {
	machine machine.Machine
	fault   error // why there is none
}

// Memory gives a source for the share, of the memory that this process may use, that is used and cannot be reclaimed; from 0
// to 1. With a limit (cgroup version 2 or 1, the process's own group or any above it) it is what that group uses of it, less the
// file pages it does not need, and the fullest group counts. Without one it is the machine's memory, less what is available.
//
// Its thresholds are 0.8, 0.9 and 0.95. Where there is no Linux its error is [errors.ErrUnsupported].
func Memory() Source {
	m, err := machine.Here()
	return &memory{m, err}
}

// Sample implements [Source].
func (m *memory) Sample(context.Context) (float64, error) {
	if m.fault != nil {
		return 0, m.fault
	}
	bounds, err := m.machine.ReadMemory()
	if err != nil {
		return 0, err
	}
	return machine.Fullest(bounds).Share(), nil
}

// Thresholds are the default of [Config.Thresholds].
func (m *memory) Thresholds() []float64 { return []float64{0.8, 0.9, 0.95} }
