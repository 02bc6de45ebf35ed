package machine

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
)

// Memory is a bound on memory, and what is used of it that cannot be reclaimed.
type Memory struct {
	From  string // the file that says so
	Used  int64  // bytes, also by others that are bound by it
	Limit int64  // bytes
}

// Share is how much of the bound is used.
func (m Memory) Share() float64 { return float64(m.Used) / float64(m.Limit) }

// ReadMemory reads the bounds of the own group and of those above it, the own first, and the machine's last.
func (m Machine) ReadMemory() ([]Memory, error) {
	machine, err := m.meminfo()
	if err != nil {
		return nil, err
	}
	h, err := m.hierarchyOf("memory")
	if err != nil {
		return nil, err
	}
	var list []Memory
	for _, dir := range h.groups() {
		bounds, err := m.groupMemory(h.version, dir)
		if err != nil {
			return nil, err
		}
		for _, b := range bounds {
			if b.Limit < machine.Limit { // others bind nobody, whatever number stands for "no limit"
				list = append(list, b)
			}
		}
	}
	return append(list, machine), nil
}

// Tightest is the smallest of the bounds.
func Tightest(list []Memory) Memory {
	return slices.MinFunc(list, func(a, b Memory) int { return cmp.Compare(a.Limit, b.Limit) })
}

// Fullest is the bound of which the largest share is used; the machine's, the last, only if there is no other.
func Fullest(list []Memory) Memory {
	return slices.MaxFunc(list[:max(1, len(list)-1)], func(a, b Memory) int { return cmp.Compare(a.Share(), b.Share()) })
}

// groupMemory is the bounds that a group has.
func (m Machine) groupMemory(version int, dir string) (list []Memory, err error) {
	limit, usage, inactive := "memory.max", "memory.current", "inactive_file"
	if version == 1 {
		limit, usage, inactive = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	used, there, err := m.number(path.Join(dir, usage))
	if err != nil || !there {
		return nil, err // the root of the groups has no usage, nor a limit
	}
	stat := path.Join(dir, "memory.stat")
	reclaimable, _, err := m.field(stat, inactive)
	if err != nil {
		return nil, err
	}
	used = max(0, used-reclaimable)

	b := Memory{From: path.Join(dir, limit), Used: used}
	if b.Limit, there, err = m.bytesOrMax(b.From); err != nil {
		return nil, err
	}
	if there {
		list = append(list, b)
	}
	if version == 1 { // what binds the groups above that cannot be seen from here
		above := Memory{From: stat, Used: used}
		if above.Limit, there, err = m.field(stat, "hierarchical_memory_limit"); err != nil {
			return nil, err
		}
		if there && above.Limit < b.Limit {
			list = append(list, above)
		}
	}
	return list, nil
}

// bytesOrMax reads a bound, for which "max" is none.
func (m Machine) bytesOrMax(file string) (n int64, there bool, err error) {
	text, there, err := m.readIfAny(file)
	switch {
	case !there:
		return math.MaxInt64, false, err
	case strings.TrimSpace(text) == "max":
		return math.MaxInt64, false, nil
	}
	if n, err = parse(file, text); err == nil && n <= 0 {
		err = fmt.Errorf("%s: a limit of %d bytes leaves nothing", file, n)
	}
	return n, err == nil, err
}

// meminfo is the machine's memory.
func (m Machine) meminfo() (Memory, error) {
	const file = "/proc/meminfo"
	b := Memory{From: file}
	total, there, err := m.field(file, "MemTotal:")
	if err != nil {
		return b, err
	}
	if !there || total <= 0 {
		return b, fmt.Errorf("%s does not say MemTotal", file)
	}
	available, there, err := m.field(file, "MemAvailable:")
	if err != nil {
		return b, err
	}
	if !there {
		return b, fmt.Errorf("%s does not say MemAvailable", file)
	}
	b.Limit, b.Used = total*1024, max(0, total-available)*1024
	return b, nil
}
