package pool

import (
	"time"

	"github.com/penstock-go/penstock"
)

// Info is what a pool can tell of itself.
type Info struct {
	Name       string
	MaxWorkers int
	Workers    int   // that are taken: by all that runs through the pool, those of pools that delegate to it included
	MaxMemory  int64 // in bytes
	Memory     int64 // that is taken, likewise
	MaxWaiting int
	Waiting    int // tasks that asked this pool and wait
	MaxStuck   int
	Stuck      int // functions that ignore the end of their context; they are among the workers
	Hosted     int // of the workers: taken by tasks that other nodes asked for
	Far        int // of the workers: taken by tasks that another node is asked for, and may run
	Draining   bool
	Closed     bool

	// What became of the tasks that asked this pool so far. Of them Waited had to wait, whatever became of them then.
	Started, Waited, Succeeded, Failed, Panicked, TimedOut, Killed, GaveUp uint64
	Rejected                                                               map[Reason]uint64

	// Jobs are all that run through the pool or wait for it, those that asked a pool below it included, in no order.
	Jobs []JobInfo
}

// JobInfo is what a pool can tell of a job.
type JobInfo struct {
	Ref     uint64
	Name    string // of its task
	Pool    string // that was asked
	From    string // the node that asked for it; empty if this one did
	Node    string // the node that is asked to run it, and may be doing so; empty if this one runs it
	Tier    Tier
	Memory  int64         // that it declared, in bytes
	Age     time.Duration // since it began or, if it waits, since it asked
	Waiting bool
	Worker  uint64 // as the label penstock.worker of profiles names it; 0 while it waits
	// Ended is why its context has ended, and what its caller was told, though its function has not returned; nil if not.
	Ended error
	// Stuck says that its function has not returned for longer than the pool's Grace since then, and Stack where it is:
	// its goroutine and those that it started, each line a call, the innermost first.
	Stuck bool
	Stack string
}

// Info tells what the pool holds and has been through. With stuck functions it has the runtime take a profile of all
// goroutines, which stops the program for a moment.
func (p *Pool) Info() Info {
	info := p.gate().info()
	if info.Stuck > 0 {
		where := stacks()
		for i := range info.Jobs {
			if j := &info.Jobs[i]; j.Stuck {
				j.Stack = where[j.Worker]
			}
		}
	}
	return info
}

func (g *gate) info() Info {
	grp := g.lock()
	defer grp.unlock()
	s, n := &g.state, &g.counts
	info := Info{
		Name: g.pool.name, MaxWorkers: s.maxWorkers, Workers: s.workers, MaxMemory: s.maxMemory, Memory: s.memory,
		MaxWaiting: g.cfg.MaxWaiting, Waiting: s.waiting, MaxStuck: s.maxStuck, Stuck: s.stuck, Draining: s.draining, Closed: s.shut,
		Started: n.started, Waited: n.waited, Succeeded: n.ended[succeeded], Failed: n.ended[failed], Panicked: n.ended[panicked],
		TimedOut: n.ended[timedOut], Killed: n.ended[killed], GaveUp: n.ended[abandoned], Rejected: make(map[Reason]uint64),
	}
	for why, n := range n.rejected {
		if n > 0 {
			info.Rejected[Reason(why)] = n
		}
	}
	now := g.now()
	for member := range grp.members {
		for j := range member.jobs.all() {
			if !j.claim.through(s) {
				continue
			}
			one := j.info(now)
			if info.Jobs = append(info.Jobs, one); one.Waiting {
				continue
			}
			if one.From != "" {
				info.Hosted++
			}
			if one.Node != "" {
				info.Far++
			}
		}
	}
	return info
}

func (j *job) info(now time.Time) JobInfo {
	since := j.began
	if j.phase == waiting {
		since = j.asked
	}
	info := JobInfo{
		Ref: j.ref, Name: j.task.Name, Pool: j.PoolName(), Tier: j.Tier(), Memory: j.task.MaxMemory, Age: now.Sub(since),
		Waiting: j.phase == waiting, Ended: j.err, Stuck: j.stuck, From: j.from,
	}
	if j.phase == running {
		info.Node = j.node()
	}
	if j.worker != nil {
		info.Worker = j.worker.number
	}
	return info
}

// Infos tells what every pool of the system holds, without the stacks of stuck functions, in no order.
func Infos(sys *penstock.System) []Info {
	var infos []Info
	if sys == nil {
		return nil
	}
	if m := penstock.LookupPart[room](sys); m != nil {
		for _, p := range m.All() {
			infos = append(infos, p.gate().info())
		}
	}
	return infos
}
