package sampler

import (
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock/actors/sampler/internal/machine"
)

// LimitsInfo is what this process may really use, and what says so.
type LimitsInfo struct {
	CPUs       float64 // CPU seconds a second: the tightest of quotas, affinity mask and machine
	CPUsFrom   string
	Memory     int64 // bytes: the tightest of groups and machine; 0 if it is not known
	MemoryFrom string
	GoLimit    int64 // GOMEMLIMIT in bytes; 0 if there is none
}

// Limits tells what this process may really use. Where there is no Linux it knows of no quota and of no memory, and the error is
// [errors.ErrUnsupported]; the rest is valid all the same.
func Limits() (LimitsInfo, error) {
	info := LimitsInfo{CPUs: float64(runtime.NumCPU()), CPUsFrom: "the Go runtime", GoLimit: goLimit()}
	m, err := machine.Here()
	if err != nil {
		return info, err
	}
	reading, err := m.ReadCPU(time.Now())
	if err != nil {
		return info, err
	}
	info.CPUs, info.CPUsFrom = reading.Limit()
	bounds, err := m.ReadMemory()
	if err != nil {
		return info, err
	}
	tightest := machine.Tightest(bounds)
	info.Memory, info.MemoryFrom = tightest.Limit, tightest.From
	return info, nil
}

func goLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return limit
	}
	return 0
}
