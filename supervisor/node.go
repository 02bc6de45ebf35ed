package supervisor

import (
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// What a node is told.
type (
	// startChild asks for a child below the node; the answer goes to reply, which has room for it.
	startChild struct {
		props *actor.Props
		name  string
		ended chan<- struct{} // closed when the child has ended and the node knows it; nil if nobody wants to know
		reply chan<- startedChild
	}
	startedChild struct {
		pid *actor.PID
		err error
	}
	// childGaveUp says that a child of a spawner was given up.
	childGaveUp struct{ reason error }
)

// IgnoreDeadLetterLogging marks a halt that crosses with its actor's end: the engine need not say so.
func (halt) IgnoreDeadLetterLogging() {}

// node is an inner actor of the tree: the root, a kind, a family. It stops its children all at once, so that one that
// cannot stop holds up no other; the order among families is kept by [Tree.Close].
type node struct {
	logger   *slog.Logger
	children []offspring
	halting  bool
	ended    chan<- struct{}                        // closed when the node has ended; for the root, which nobody watches
	onGaveUp func(ctx actor.Context, m childGaveUp) // what a child's giving up means here; nil for root and kind
}

// offspring is a child of a node.
type offspring struct {
	pid   *actor.PID
	ended chan<- struct{}
}

func (n *node) Receive(ctx actor.Context) {
	defer n.contain(ctx)
	switch m := ctx.Message().(type) {
	case *startChild:
		n.start(ctx, m)
	case childGaveUp:
		n.onGaveUp(ctx, m)
	case halt:
		n.halt(ctx)
	case *actor.Terminated:
		n.bury(m.Who)
		n.haltIfAlone(ctx)
	case *actor.Stopped:
		if n.ended != nil {
			close(n.ended)
		}
	}
}

// contain keeps a panic from the engine: what it does about the root's would stop everything below.
func (n *node) contain(ctx actor.Context) {
	if reason := recover(); reason != nil {
		n.logger.Error("a node of the tree panicked and goes on", "actor", ctx.Self().Id, "panic", reason, "stack", string(debug.Stack()))
	}
}

// HandleFailure lets a spawner that panicked go on with its next message: its state is sound between messages, and
// starting it over would end everything below it.
func (n *node) HandleFailure(_ *actor.ActorSystem, engine actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	n.logger.Error("a spawner panicked and goes on", "actor", who.Id, "panic", reason)
	engine.ResumeChildren(who)
}

func (n *node) start(ctx actor.Context, m *startChild) {
	pid, err := ctx.SpawnNamed(m.props, m.name)
	if err == nil {
		n.children = append(n.children, offspring{pid, m.ended})
	}
	m.reply <- startedChild{pid, err}
}

// halt passes the word on once: each child lives until it gets it, so it never becomes a dead letter.
func (n *node) halt(ctx actor.Context) {
	if n.halting {
		return
	}
	n.halting = true
	for _, child := range n.children {
		ctx.Send(child.pid, halt{})
	}
	n.haltIfAlone(ctx)
}

func (n *node) bury(who *actor.PID) {
	i := slices.IndexFunc(n.children, func(child offspring) bool { return child.pid.Equal(who) })
	if i < 0 {
		return
	}
	if ended := n.children[i].ended; ended != nil {
		close(ended)
	}
	n.children = slices.Delete(n.children, i, i+1)
}

func (n *node) haltIfAlone(ctx actor.Context) {
	if n.halting && len(n.children) == 0 {
		ctx.Stop(ctx.Self())
	}
}

// escalation counts what a family's children could not get over.
type escalation struct {
	intensity Intensity
	gaveUps   record // children given up since the family last started over
	startOver record // times the family started over
}

// verdict is what a family does about a child that was given up.
type verdict uint8

const (
	carryOn verdict = iota
	beginAgain
	closeDown
)

func (e *escalation) judge(now time.Time) verdict {
	if _, ok := e.gaveUps.fail(now, e.intensity); ok {
		return carryOn
	}
	e.gaveUps = record{}
	if _, ok := e.startOver.fail(now, e.intensity); ok {
		return beginAgain
	}
	return closeDown
}
