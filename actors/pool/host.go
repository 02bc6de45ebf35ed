package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
)

// errGone is why a job of another node is ended that nobody waits for any more.
var errGone = errors.New("the node that asked for it has given it up, or is gone")

// hear answers what another node asks.
func (l *link) hear(from string, body []byte, c caller) {
	go func() {
		value, err := l.host(from, body, c.Canceled())
		answer, err := proto.Marshal(endOf(value, err))
		if err == nil {
			c.Reply(answer)
		}
	}()
}

// host runs what another node asks for, as a job like any other, and ends it when gone says that nobody waits for it.
func (l *link) host(from string, body []byte, gone <-chan struct{}) ([]byte, error) {
	e, err := readErrand(body)
	if err != nil {
		return nil, err
	}
	p := l.served.Load()
	if p == nil {
		return nil, &RejectError{Pool: l.name, Task: e.task.Name, Reason: Closed, Need: e.task.MaxMemory}
	}
	fn, err := e.work.function()
	if err != nil {
		return nil, err
	}
	if fn == nil {
		p.gate().reject(Unregistered)
		return nil, &RejectError{Pool: p.name, Task: e.task.Name, Reason: Unregistered, Need: e.task.MaxMemory}
	}
	j := &call[[]byte]{fn: fn}
	j.from, j.patience = from, e.wait
	j.done, j.shared = make(chan struct{}), true
	if err := j.ask(context.Background(), p, e.task, false, j); err != nil {
		return nil, err
	}
	select {
	case <-j.done:
	case <-gone:
		j.cut(abandoned, fmt.Errorf("%s: %w", taskOf(p.name, e.task.Name), errGone))
		<-j.done
	}
	if j.err != nil {
		return nil, j.err // its function may not have returned
	}
	return j.value, nil
}

// function is what does the work; nil if this node does not know how.
func (w Work) function() (func(context.Context) ([]byte, error), error) {
	if w.Tier != Process {
		return hosts.find(w)
	}
	if registered.get(w.Name) == nil {
		return nil, nil
	}
	return func(ctx context.Context) ([]byte, error) {
		j, _ := JobOf(ctx)
		j.Runs(Process)
		var out encoded
		err := callChild(ctx, j, w.Name, w.JSON, encoded(w.Input), &out)
		return out, err
	}, nil
}

// Host is how a tier of its own runs what other nodes ask for. It returns nil if it knows no such work, and an error if it cannot be done.
type Host func(Work) (func(context.Context) ([]byte, error), error)

// HostBy has a tier of its own run what other nodes ask this process for. It is called by package wasm.
func HostBy(tier Tier, h Host) { hosts.byTier.Store(tier, h) }

// hosts are those of the process, for like registered functions they are the program's.
var hosts struct{ hostTable }

type hostTable struct{ byTier sync.Map }

func (t *hostTable) find(w Work) (func(context.Context) ([]byte, error), error) {
	h, ok := t.byTier.Load(w.Tier)
	if !ok {
		return nil, nil
	}
	fn, err := h.(Host)(w)
	if err != nil {
		return nil, fmt.Errorf("%w work: %w", penstock.ErrInvalid, err)
	}
	return fn, nil
}
