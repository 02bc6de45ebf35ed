package pool

import (
	"sync/atomic"
	"time"
)

// gate is what callers may touch without a message: is there room, and may I wait for it? Everything in it but group is
// guarded by the group's lock.
type gate struct {
	group  atomic.Pointer[group]
	pool   *Pool
	cfg    Config // in force, with its defaults
	state  state
	jobs   jobs // that asked this pool, and run or wait
	idle   workers
	counts counts
	due    time.Time   // when the first of the jobs that run will have had its time, or sooner
	timer  *time.Timer // rings then; nil until a job has run
}

// counts are what has become of the jobs that asked a pool.
type counts struct {
	started  uint64
	waited   uint64 // of all, those that had to wait, whatever became of them then
	ended    [outcomes]uint64
	rejected [reasons]uint64
}

// open makes the gate of a new pool.
func (g *gate) open(p *Pool, cfg Config) {
	g.pool, g.cfg = p, cfg
	g.group.Store(newGroup(g))
	g.state.gate, g.state.far = g, p.member != ""
	g.settle(cfg)
}

// settle puts the limits of a configuration in force.
func (g *gate) settle(cfg Config) {
	g.cfg = cfg
	s := &g.state
	s.maxWorkers, s.maxMemory, s.maxStuck = cfg.MaxWorkers, cfg.MaxMemory, cfg.MaxStuck
	if s.maxStuck == 0 {
		s.maxStuck = cfg.MaxWorkers
	}
}

// admit lets a job in, or puts it in line. If it does neither, the error says why. waits reports whether it is in line.
func (g *gate) admit(j *job) (waits bool, err error) {
	grp := g.lock()
	defer grp.unlock()
	c := &j.claim
	at, why := c.pass()
	if why == accepted {
		g.jobs.add(j)
		g.letIn(j, j.asked)
		return false, nil
	}
	s := &g.state
	if why == Closed && at != s && g.pool.routes == nil {
		at, why = s, NoPools // they were closed since the delegate function named them
	}
	switch {
	case why == NoPools || why == Closed || why == Draining || !j.mayWait() || s.shut || c.hopeless():
	case s.waiting >= g.cfg.MaxWaiting:
		at, why = s, LineFull
	default:
		whole := c.climb(&grp.stir)
		if whole || len(c.places) > 0 {
			g.jobs.add(j)
			if whole { // somebody left just now
				g.letIn(j, j.asked)
				return false, nil
			}
			g.getInLine(j, j.asked)
			return true, nil
		}
		c.drop(&grp.stir)
	}
	g.counts.rejected[why]++
	return false, j.rejection(at, why, 0)
}

// getInLine makes the job one that waits.
func (g *gate) getInLine(j *job, now time.Time) {
	if !j.waited {
		j.waited = true
		g.counts.waited++
	}
	j.phase = waiting
	g.state.waiting++
	if most := j.mostWait(); most > 0 {
		j.late = time.AfterFunc(most-now.Sub(j.asked), j.expire)
	}
}

// letIn makes the job one that runs. Whoever calls it has begin called once the group is unlocked.
func (g *gate) letIn(j *job, now time.Time) {
	if j.phase == waiting {
		g.state.waiting--
		j.stopLate()
	}
	j.phase, j.began, j.deadline = running, now, now.Add(j.task.MaxTime)
	g.counts.started++
	j.embark(now)
	if g.pool != nil {
		j.worker = g.idle.take(g.pool.name)
	}
	g.expect(j.deadline)
}

// leave takes a job out whose function has returned, or that waited. g is the gate of the pool that was asked.
func (g *gate) leave(grp *group, j *job) {
	if j.phase == waiting {
		g.state.waiting--
	}
	j.stopLate()
	if j.stuck {
		j.stuck = false
		for _, s := range j.claim.holds() {
			s.stuck--
		}
	}
	holds := j.claim.holds()
	if j.worker != nil {
		g.idle.give(j.worker)
	}
	if g.pool == nil {
		g.rest() // under Guard there is no other job
	}
	j.phase = gone
	g.jobs.remove(j)
	j.claim.drop(&grp.stir)
	for _, s := range holds {
		grp.part(s)
	}
	grp.hush()
}

// letInWaiting lets in whoever has its turn at the pool, and returns those that can begin. The group is locked.
func (g *gate) letInWaiting(grp *group, ready []*job) []*job {
	now := g.pool.room.clock.Now()
	for {
		c, whole := g.state.advance(&grp.stir)
		if c == nil {
			return ready
		}
		switch asked := c.asked().gate; {
		case whole:
			asked.letIn(c.job, now)
			ready = append(ready, c.job)
		case len(c.places) == 0: // the pools above have been closed
			asked.turnAway(grp, c.job, &g.state, Closed, nil)
		}
	}
}

// expect has the timer ring at a deadline, if it would not before.
func (g *gate) expect(deadline time.Time) {
	switch {
	case g.timer == nil:
		g.timer = time.AfterFunc(deadline.Sub(g.now()), g.sweep)
	case g.due.IsZero() || deadline.Before(g.due):
		g.timer.Reset(deadline.Sub(g.now()))
	default:
		return
	}
	g.due = deadline
}

// sweep ends the jobs that have had their time. One timer for all of them is cheaper than one each: most jobs end long
// before, and it rings about as often as the longest MaxTime passes.
func (g *gate) sweep() {
	var late []*job
	grp := g.lock()
	now := g.now()
	g.due = time.Time{}
	for j := range g.jobs.all() {
		switch {
		case j.phase != running || j.how != pending:
		case j.deadline.After(now):
			g.expect(j.deadline)
		default:
			j.settle(timedOut, &TimeoutError{Node: j.node(), Pool: j.PoolName(), Task: j.task.Name, After: j.task.MaxTime})
			j.abort(grp)
			late = append(late, j)
		}
	}
	grp.unlock()
	for _, j := range late {
		j.tell()
	}
}

// rest stops the timer, for nothing runs any more that it could end.
func (g *gate) rest() {
	if g.timer != nil {
		g.timer.Stop()
		g.due = time.Time{}
	}
}

// reject counts a task that was rejected before it came to the gate, and desert one whose caller had given up by then.
func (g *gate) reject(why Reason) {
	grp := g.lock()
	defer grp.unlock()
	g.counts.rejected[why]++
}

func (g *gate) desert() {
	grp := g.lock()
	defer grp.unlock()
	g.counts.ended[abandoned]++
}

// isShut reports whether the pool lets nobody new in.
func (g *gate) isShut() bool {
	grp := g.lock()
	defer grp.unlock()
	return g.state.shut
}

// turnAway rejects a job that waits. The group is locked.
func (g *gate) turnAway(grp *group, j *job, at *state, why Reason, cause error) {
	err := j.rejection(at, why, g.now().Sub(j.asked))
	err.Cause = cause
	g.refuse(grp, j, err)
}

// refuse rejects a job that was to run or to wait. The group is locked.
func (g *gate) refuse(grp *group, j *job, err *RejectError) {
	g.counts.rejected[err.Reason]++
	g.leave(grp, j)
	j.settle(rejected, err)
	j.tell()
}
