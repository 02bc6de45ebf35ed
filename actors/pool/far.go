package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

// maxTravel is how many bytes an argument or a result may have that goes to another node: the message of 64 KiB holds names, too.
const maxTravel = 60 << 10

// At is the pool of this name at another node, which has it with Config.Clustered. It can stand wherever a pool can: in
// Config.DelegateTo, among those that Config.Delegate names, and as the pool that [Run] is given. The node need not be there yet.
// Asked for twice, it is the same. See "Pools of other nodes" above for what it can run.
//
// To this node it is a pool without limits, or with those that [Pool.SetMaxWorkers] and its like set: they say how much this node sends
// there. What the other node has room for it says itself, when it is asked. [Pool.Kill], [Pool.Flush] and [Pool.Info] are about the
// tasks of this node. [Get] finds it as name@member.
//
// Errors: [penstock.ErrInvalid] if the system is no node of a cluster, for a bad name, and if the member is this node; [penstock.ErrExists] if
// a pool of this node is called name@member; [penstock.ErrClosed].
func At(sys *penstock.System, member, name string) (*Pool, error) {
	m, err := roomOf(sys)
	if err != nil {
		return nil, err
	}
	if !validName(name) || !validName(member) {
		return nil, fmt.Errorf("%w pool %.64q at node %.64q: both names take 1 to %d bytes of UTF-8", penstock.ErrInvalid, name, member, maxName)
	}
	full := name + "@" + member
	p, err := m.add(&Pool{name: full, there: name, member: member}, Config{MaxWorkers: maxWorkers, MaxMemory: math.MaxInt64}.withDefaults())
	if !errors.Is(err, penstock.ErrExists) {
		return p, err
	}
	if seat, ok := m.Lookup(full); ok && seat.Member().member == member {
		return seat.Member(), nil
	}
	return nil, err
}

// travellers are the functions that MayTravel was told of, by their code.
var travellers sync.Map

// MayTravel says that what runs this function asks another node, if the pool that was chosen is one of another node. It is told of what
// [Func.With] makes, and its like in package wasm. All functions that were made at the same place of the program have the same code, and
// differ in what they hold.
func MayTravel(fn any) {
	code := reflect.ValueOf(fn).Pointer()
	if _, known := travellers.Load(code); !known {
		travellers.Store(code, struct{}{})
	}
}

func travels(fn any) bool {
	_, ok := travellers.Load(reflect.ValueOf(fn).Pointer())
	return ok
}

// leadFar reports whether one of the ways leads to another node.
func leadFar(routes []route) bool {
	for _, r := range routes {
		if r[len(r)-1].far {
			return true
		}
	}
	return false
}

func isFar(r route) bool { return r[len(r)-1].far }

// passable are the ways that the job can go. One that has come from another node goes to no third one, so that none goes in a circle.
func (p *Pool) passable(j *job, routes []route) ([]route, error) {
	if j.from == "" && travels(j.self.function()) {
		j.claim.trip = &trip{routes: routes}
		return routes, nil
	}
	near := slices.DeleteFunc(slices.Clone(routes), isFar)
	if len(near) > 0 {
		return near, nil
	}
	why, at := Unregistered, routes[0][len(routes[0])-1]
	if j.from != "" {
		why, at = NoPools, nil
	}
	p.gate().reject(why)
	return nil, j.rejection(at, why, 0)
}

// trip is what a job knows that may go to pools of other nodes.
type trip struct {
	routes  []route  // all of them
	refused []*state // pools that have said no
	full    []*state // of them, those that had no room just then
	waits   bool     // it asks to be let wait there
}

// open are the ways that nobody has refused.
func (t *trip) open() []route {
	return slices.DeleteFunc(slices.Clone(t.routes), func(r route) bool { return slices.Contains(t.refused, r[len(r)-1]) })
}

// lines are the ways on which to wait: here, or if there is none at the first of the other nodes' pools that was full.
func (t *trip) lines(c *claim) []route {
	near := slices.DeleteFunc(slices.Clone(t.routes), func(r route) bool { return isFar(r) || !c.possible(r) })
	if len(near) > 0 {
		return near
	}
	for _, r := range t.routes {
		if slices.Contains(t.full, r[len(r)-1]) {
			t.waits = true
			return []route{r}
		}
	}
	return nil
}

// refusal is the word of another node that a task was not run.
type refusal struct{ why *RejectError }

func (r *refusal) Error() string { return r.why.Error() }

// hadNoRoom reports whether it might be different later.
func (e *RejectError) hadNoRoom() bool {
	return e.Reason == NoWorkers || e.Reason == NoMemory || e.Reason == TooManyStuck || e.Reason == Draining
}

// elsewhere has a job that another node has refused try its other ways, or get in line. It reports whether the job is taken care of: it
// is not if it has ended meanwhile.
func (g *gate) elsewhere(j *job, no *RejectError) bool {
	grp := g.lock()
	defer grp.unlock()
	if j.how != pending {
		return false
	}
	c, t, now := &j.claim, j.claim.trip, g.now()
	holds := c.holds()
	last := holds[len(holds)-1]
	t.refused = append(t.refused, last)
	if no.hadNoRoom() {
		t.full = append(t.full, last)
	}
	g.counts.started--
	g.idle.give(j.worker)
	j.worker, j.far = nil, nil
	c.drop(&grp.stir)
	for _, s := range holds {
		grp.part(s)
	}
	grp.hush()
	no.Waited = now.Sub(j.asked)
	if !t.waits && g.another(grp, j, now) {
		return true
	}
	c.routes = t.routes
	g.refuse(grp, j, no)
	return true
}

// another lets the job in on another way, or puts it in line. The group is locked.
func (g *gate) another(grp *group, j *job, now time.Time) bool {
	c, t := &j.claim, j.claim.trip
	if c.routes = t.open(); len(c.routes) > 0 {
		if _, why := c.pass(); why == accepted {
			g.letIn(j, now)
			go j.main()
			return true
		}
	}
	s := &g.state
	if !j.mayWait() || s.shut || s.draining || s.waiting >= g.cfg.MaxWaiting {
		return false
	}
	if most := j.mostWait(); most > 0 && now.Sub(j.asked) >= most {
		return false
	}
	if c.routes = t.lines(c); len(c.routes) == 0 {
		return false
	}
	whole := c.climb(&grp.stir)
	switch {
	case whole:
		g.letIn(j, now)
		go j.main()
	case len(c.places) > 0:
		g.getInLine(j, now)
	default:
		c.drop(&grp.stir)
		return false
	}
	return true
}

// mayWait reports whether the job may get in line. Of one that another node asked for, that node says so as well.
func (j *job) mayWait() bool { return j.gate.cfg.MaxWaiting > 0 && (j.from == "" || j.patience > 0) }

// mostWait is how long the job may wait in all; 0: as long as its caller does.
func (j *job) mostWait() time.Duration {
	most := j.gate.cfg.MaxWait
	if j.from != "" && (most == 0 || j.patience < most) {
		most = j.patience
	}
	return most
}

// embark notes where the job runs that is being let in. Its time begins when it has its room, so there is more if it is to wait for that at
// another node, which begins to count when it lets it in. The group is locked.
func (j *job) embark(now time.Time) {
	if j.claim.trip == nil {
		return
	}
	holds := j.claim.holds()
	j.far, j.patience = nil, 0
	if last := holds[len(holds)-1]; last.far {
		j.far = last.gate.pool
		if j.claim.trip.waits {
			j.patience = maxWait
			if most := j.mostWait(); most > 0 {
				j.patience = max(most-now.Sub(j.asked), 1)
			}
			j.deadline = j.deadline.Add(j.patience)
		}
	}
}

// node is the other node that was asked last; empty if this one runs the job.
func (j *job) node() string {
	if j.far == nil {
		return ""
	}
	return j.far.member
}

// callFar has another node run a registered function.
func callFar(ctx context.Context, j *Job, name string, asJSON bool, in, out any) error {
	data, err := encodeAlone(in, asJSON)
	if err != nil {
		return fmt.Errorf("%s: the argument of %q: %w", taskOf(j.PoolName(), j.task.Name), name, err)
	}
	value, err := j.Travel(ctx, Work{Tier: Process, Name: name, JSON: asJSON, Input: data})
	if own, ok := err.(*RemoteError); ok {
		own.Func = name
	}
	if err != nil {
		return err
	}
	if err := encoded(value).decode(out, asJSON); err != nil {
		return fmt.Errorf("%s: the result of %q: %w", taskAt(j.far.member, j.far.there, j.task.Name), name, err)
	}
	return nil
}

// Far reports whether a pool of another node is to run the job: see [Job.Travel].
func (j *Job) Far() bool { return j.far != nil }

// Travel asks the other node to run the job, and waits for what comes of it. A tier of its own calls it, once, if [Job.Far] says so, and
// returns its error as it is.
func (j *Job) Travel(ctx context.Context, w Work) ([]byte, error) {
	p := j.far
	no := func(why Reason, cause error) error {
		return &refusal{&RejectError{Node: p.member, Pool: p.there, Task: j.task.Name, Reason: why, Need: j.task.MaxMemory, Cause: cause}}
	}
	if n := w.size(); n > maxTravel {
		return nil, no(TooLarge, fmt.Errorf("its argument has %d bytes; it takes up to %d", n, maxTravel))
	}
	body, err := (&errand{task: j.task, wait: j.patience, work: w}).wire()
	if err != nil {
		return nil, err
	}
	answer, err := p.link.port.AskMemberOnce(ctx, p.member, body)
	if at, bounded := ctx.Deadline(); err != nil && bounded && !time.Now().Before(at) {
		<-ctx.Done() // it is due: who has run out of time gets the same error, whoever noticed first
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	switch {
	case err == nil:
		return understood(answer, p, &j.task)
	case errors.Is(err, cluster.ErrUnknown):
		return nil, &LostError{Node: p.member, Pool: p.there, Task: j.task.Name, Cause: err}
	case errors.Is(err, cluster.ErrAway), errors.Is(err, penstock.ErrFull), errors.Is(err, penstock.ErrClosed):
		return nil, no(Away, err)
	}
	return nil, fmt.Errorf("%s: %w", taskAt(p.member, p.there, j.task.Name), err)
}

// fate is what became of a job whose node has told of it.
func fate(err error) outcome {
	switch err.(type) {
	case *TimeoutError:
		return timedOut
	case *KilledError:
		return killed
	}
	return failed
}
