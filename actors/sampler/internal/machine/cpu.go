package machine

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc.
const tick = 10 * time.Millisecond

// CPU is a reading of what may be used of the machine's processors, and of what has been used of it so far.
type CPU struct {
	At     time.Time
	Quotas []Quota // of the groups that have one, the own first
	CPUs   []int   // those that this process may run on, of the machine's
	All    int     // how many the machine has
	Busy   time.Duration
	Total  time.Duration // of CPUs; Busy is the part of it that they were at work
}

// Quota is a group's bound on CPU time.
type Quota struct {
	From string        // the file that says so
	CPUs float64       // CPU seconds a second
	Used time.Duration // by the whole group, if that can be seen; otherwise by this process
}

// ReadCPU reads the state of the processors now.
func (m Machine) ReadCPU(now time.Time) (CPU, error) {
	c := CPU{At: now}
	var err error
	if c.Quotas, err = m.quotas(); err != nil {
		return c, err
	}
	return c, m.readProcessors(&c)
}

// Limit is how many CPUs' time may be used, and what says so.
func (c CPU) Limit() (cpus float64, from string) {
	cpus, from = float64(len(c.CPUs)), "the machine's CPUs"
	if len(c.CPUs) < c.All {
		from = fmt.Sprintf("the affinity mask: %d of %d CPUs", len(c.CPUs), c.All)
	}
	if len(c.Quotas) > 0 {
		if q := slices.MinFunc(c.Quotas, func(a, b Quota) int { return cmp.Compare(a.CPUs, b.CPUs) }); q.CPUs < cpus {
			return q.CPUs, q.From
		}
	}
	return cpus, from
}

// Share is the share used, since an earlier reading, of the CPU time that may be used; false if the readings do not tell.
// The fullest of all quotas counts; and if the CPUs themselves are as tight as the quotas, how busy they were.
func (c CPU) Share(since CPU) (share float64, ok bool) {
	passed := c.At.Sub(since.At)
	tightest := math.Inf(1)
	for _, q := range c.Quotas {
		tightest = min(tightest, q.CPUs)
		i := slices.IndexFunc(since.Quotas, func(earlier Quota) bool { return earlier.From == q.From })
		if i < 0 || passed <= 0 {
			continue // the process has been put into another group meanwhile
		}
		used := max(0, q.Used-since.Quotas[i].Used)
		share, ok = max(share, used.Seconds()/(passed.Seconds()*q.CPUs)), true
	}
	total := c.Total - since.Total
	if tightest < float64(len(c.CPUs)) || total <= 0 || !slices.Equal(c.CPUs, since.CPUs) {
		return share, ok
	}
	busy := max(0, c.Busy-since.Busy)
	return max(share, min(1, busy.Seconds()/total.Seconds())), true
}

// quotas are the bounds of the own group and of those above it.
func (m Machine) quotas() (list []Quota, err error) {
	h, err := m.hierarchyOf("cpu")
	if err != nil {
		return nil, err
	}
	accounts := h
	if h.version == 1 {
		if accounts, err = m.hierarchyOf("cpuacct"); err != nil {
			return nil, err
		}
	}
	for _, dir := range h.groups() {
		q, there, err := m.quota(h.version, dir)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		counted := false
		if h.same(accounts) {
			account := path.Join(accounts.mount, strings.TrimPrefix(dir, h.mount))
			if q.Used, counted, err = m.groupTime(h.version, account); err != nil {
				return nil, err
			}
		}
		if !counted {
			if q.Used, err = m.ownTime(); err != nil {
				return nil, err
			}
		}
		list = append(list, q)
	}
	return list, nil
}

// quota is a group's bound, if it has one.
func (m Machine) quota(version int, dir string) (q Quota, there bool, err error) {
	var quota, period int64
	if version == 1 {
		q.From = path.Join(dir, "cpu.cfs_quota_us")
		if quota, there, err = m.number(q.From); err != nil || !there || quota <= 0 {
			return q, false, err
		}
		period, there, err = m.number(path.Join(dir, "cpu.cfs_period_us"))
	} else {
		q.From = path.Join(dir, "cpu.max")
		quota, period, there, err = m.max(q.From)
	}
	if err != nil || !there {
		return q, false, err
	}
	if quota <= 0 || period <= 0 {
		return q, false, fmt.Errorf("%s: a quota of %d µs in %d µs makes no sense", q.From, quota, period)
	}
	q.CPUs = float64(quota) / float64(period)
	return q, true, nil
}

// max reads cpu.max: a quota or "max", and a period.
func (m Machine) max(file string) (quota, period int64, there bool, err error) {
	text, there, err := m.readIfAny(file)
	if !there {
		return 0, 0, false, err
	}
	words := strings.Fields(text)
	if len(words) != 2 {
		return 0, 0, false, fmt.Errorf("%s: %q is not a quota and a period", file, strings.TrimSpace(text))
	}
	if words[0] == "max" {
		return 0, 0, false, nil
	}
	if quota, err = parse(file, words[0]); err != nil {
		return 0, 0, false, err
	}
	period, err = parse(file, words[1])
	return quota, period, err == nil, err
}

// groupTime is the CPU time that a group has used.
func (m Machine) groupTime(version int, dir string) (used time.Duration, there bool, err error) {
	if version == 1 {
		ns, there, err := m.number(path.Join(dir, "cpuacct.usage"))
		return time.Duration(ns), there, err
	}
	us, there, err := m.field(path.Join(dir, "cpu.stat"), "usage_usec")
	return time.Duration(us) * time.Microsecond, there, err
}

// ownTime is the CPU time that this process has used.
func (m Machine) ownTime() (time.Duration, error) {
	const file = "/proc/self/stat"
	text, err := m.read(file)
	if err != nil {
		return 0, err
	}
	words := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name before it may hold anything
	if len(words) < 13 {
		return 0, fmt.Errorf("%s: %q has too few fields", file, text)
	}
	user, err := parse(file, words[11])
	if err != nil {
		return 0, err
	}
	system, err := parse(file, words[12])
	return time.Duration(user+system) * tick, err
}

// readProcessors reads which CPUs may be used and how busy they have been.
func (m Machine) readProcessors(c *CPU) error {
	const file = "/proc/stat"
	text, err := m.read(file)
	if err != nil {
		return err
	}
	mask, err := m.affinity()
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		name, ok := strings.CutPrefix(line, "cpu")
		if !ok || len(words) < 5 || name[0] == ' ' {
			continue
		}
		cpu, err := strconv.Atoi(words[0][len("cpu"):])
		if err != nil {
			return fmt.Errorf("%s: %q is not a CPU", file, words[0])
		}
		c.All++
		if mask != nil && !slices.ContainsFunc(mask, func(r span) bool { return r.first <= cpu && cpu <= r.last }) {
			continue
		}
		c.CPUs = append(c.CPUs, cpu)
		busy, total, err := times(file, words[1:])
		if err != nil {
			return err
		}
		c.Busy += busy
		c.Total += total
	}
	if len(c.CPUs) == 0 {
		return fmt.Errorf("%s lists none of the CPUs that this process may run on", file)
	}
	return nil
}

// times adds up a CPU's times: user, nice, system, idle, iowait, irq, softirq, steal. The two after them are contained
// in the first two. What another virtual machine has stolen is as good as used.
func times(file string, words []string) (busy, total time.Duration, err error) {
	for i, word := range words[:min(len(words), 8)] {
		n, err := parse(file, word)
		if err != nil {
			return 0, 0, err
		}
		total += time.Duration(n) * tick
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
	}
	return busy, total, nil
}

// span is CPUs that follow each other.
type span struct{ first, last int }

// affinity is the CPUs that the process may run on; nil if the kernel does not say. They may include some that the machine
// does not have.
func (m Machine) affinity() (list []span, err error) {
	const file = "/proc/self/status"
	text, _, err := m.readIfAny(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(line, "Cpus_allowed_list:")
		if !ok {
			continue
		}
		for part := range strings.SplitSeq(strings.TrimSpace(value), ",") {
			first, last, isSpan := strings.Cut(part, "-")
			if !isSpan {
				last = first
			}
			from, err1 := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("%s: %q is not a list of CPUs", file, strings.TrimSpace(value))
			}
			list = append(list, span{from, to})
		}
	}
	return list, nil
}
