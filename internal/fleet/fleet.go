package fleet

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-go/penstock/internal/puppet"
)

// Node is a node's process, as its master sees it.
type Node struct {
	Name string

	proc  *puppet.Puppet
	heard chan struct{} // closed when it says nothing any more

	mu      sync.Mutex
	sum     Report
	waits   []time.Duration
	changed chan struct{} // closed at the next report, and made anew
}

// Start starts a node.
func Start(o Order) (*Node, error) {
	p, err := puppet.Start(Part, o)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", o.Name, err)
	}
	n := &Node{Name: o.Name, proc: p, heard: make(chan struct{}), changed: make(chan struct{})}
	go n.listen()
	return n, nil
}

func (n *Node) listen() {
	defer close(n.heard)
	for {
		var r Report
		if err := n.proc.Hear(&r); err != nil {
			return
		}
		n.mu.Lock()
		n.waits = append(n.waits, r.Waits...)
		n.sum = r
		close(n.changed)
		n.changed = make(chan struct{})
		n.mu.Unlock()
	}
}

// Sum is what it said last.
func (n *Node) Sum() Report {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sum
}

// TakeWaits are the waits of what was answered since the call before.
func (n *Node) TakeWaits() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := n.waits
	n.waits = nil
	return taken
}

// Await waits until what it says is ok.
func (n *Node) Await(patience time.Duration, ok func(Report) bool) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		n.mu.Lock()
		sum, changed := n.sum, n.changed
		n.mu.Unlock()
		if ok(sum) {
			return nil
		}
		select {
		case <-changed:
		case <-n.heard:
			if sum = n.Sum(); ok(sum) {
				return nil
			}
			return fmt.Errorf("node %s has ended; it said last: %+v", n.Name, sum)
		case <-t.C:
			return fmt.Errorf("node %s does not come to it within %v; it said last: %+v", n.Name, patience, sum)
		}
	}
}

// Stop has its callers end, and returns what became of all calls.
func (n *Node) Stop(patience time.Duration) (Report, error) { return n.tell(stop, patience) }

// Leave has it end its callers, leave the cluster and end.
func (n *Node) Leave(patience time.Duration) (Report, error) {
	r, err := n.tell(leave, patience)
	if err == nil {
		err = n.proc.Close(patience)
	}
	return r, err
}

func (n *Node) tell(what string, patience time.Duration) (Report, error) {
	if err := n.proc.Tell(what); err != nil {
		return n.Sum(), fmt.Errorf("node %s: %w", n.Name, err)
	}
	err := n.Await(patience, func(r Report) bool { return r.Last })
	return n.Sum(), err
}

// Kill kills it, whatever it does.
func (n *Node) Kill() {
	n.proc.Kill()
	<-n.heard
}

// Signal sends it a signal, such as SIGSTOP.
func (n *Node) Signal(s syscall.Signal) { n.proc.Signal(s) }

// Pid is its process.
func (n *Node) Pid() int { return n.proc.Pid() }
