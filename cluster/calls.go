package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store/lease"
)

// call makes a call to the store, and takes in what it answers.
func (n *Node) call(do step, me lease.Member, take []int, give []lease.Shard) {
	ctx, cancel := context.WithTimeout(n.life, n.state.rules.patience())
	defer cancel()
	asked := n.own.now()
	var (
		view  lease.View
		taken []lease.Shard
		err   = errGoexit // unless the store returns
	)
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason}
		}
		n.answered(do, asked, view, taken, err)
		n.seat.Wake()
	}()
	switch do {
	case doRenew:
		view, err = n.cfg.Leases.Renew(ctx, me, n.cfg.Lease)
	case doTake:
		taken, err = n.cfg.Leases.Take(ctx, me, take)
	case doGive:
		err = n.cfg.Leases.Give(ctx, me, give)
	case doLeave:
		err = n.cfg.Leases.Leave(ctx, me)
	}
}

var errGoexit = errors.New("cluster: the store of leases called runtime.Goexit")

func (n *Node) answered(do step, asked time.Duration, view lease.View, taken []lease.Shard, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.own.now()
	n.metrics.called(do, now-asked, err)
	was := n.state.phase
	switch {
	case err != nil:
		n.failed(do, now, err)
	case do == doRenew:
		n.state.renewed(asked, now, view)
	case do == doTake:
		n.state.took(now, taken)
	case do == doGive:
		n.state.gave(now)
	case do == doLeave:
		n.state.left()
	}
	n.mirror()
	if was == joining && n.state.phase == member {
		n.logger.Info("the node has a lease", "incarnation", n.state.me.Incarnation, "members", len(view.Members))
		n.tell(Event{Kind: Joined})
		select {
		case <-n.joined:
		default:
			close(n.joined)
		}
	}
	if n.state.phase == gone {
		n.over(penstock.ErrClosed)
	}
}

func (n *Node) failed(do step, now time.Duration, err error) {
	lost := n.state.lost
	n.state.refused(now, err, rand.Text())
	switch {
	case n.state.lost > lost:
		n.tell(Event{Kind: Lost})
		n.logger.Error("the node has lost its lease: what it owned may be owned by others", "err", err)
	case n.state.failed == 1 && !errors.Is(err, lease.ErrNameTaken):
		n.logger.Warn("the store of leases does not answer", "call", do.String(), "err", err)
	}
}
