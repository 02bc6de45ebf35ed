package fleet

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/puppet"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Play is a node's life.
func Play(s *puppet.Strings) error {
	var o Order
	if err := s.Hear(&o); err != nil {
		return err
	}
	n, err := o.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n.callers.start(ctx, o, n.family)
	told := make(chan string)
	go func() {
		for {
			var what string
			if err := s.Hear(&what); err != nil {
				close(told)
				return
			}
			told <- what
		}
	}()
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.Tell(n.report()); err != nil {
				return err
			}
		case what, ok := <-told:
			if !ok {
				return nil // the master is gone
			}
			if what == leave {
				n.callers.drain()
				err = n.close()
			} else {
				cancel()
				n.callers.drain()
			}
			r := n.report()
			r.Last = true
			if err = errors.Join(err, s.Tell(r)); err != nil || what == leave {
				return err
			}
			ticker.Stop()
		}
	}
}

// node is what the process has.
type node struct {
	order   Order
	db      *sql.DB
	sys     *penstock.System
	cluster *cluster.Node
	family  *bucket.Family
	callers *callers
}

func (o Order) open() (n *node, err error) {
	ctx := context.Background()
	n = &node{order: o, callers: newCallers(o)}
	if n.db, err = sqlite.Open(o.File); err != nil {
		return nil, err
	}
	leases, err := sqlite.NewLeases(ctx, n.db, store.LeaseTable{})
	if err != nil {
		return nil, err
	}
	mutual, err := o.Authority.Node()
	if err != nil {
		return nil, err
	}
	if n.sys, err = penstock.New(penstock.WithName(o.Name)); err != nil {
		return nil, err
	}
	bind := o.Bind
	if bind == "" {
		bind = "127.0.0.1:0"
	}
	n.cluster, err = cluster.Join(ctx, n.sys, cluster.Config{
		Name: o.Name, Bind: bind, Advertise: o.Advertise, TLS: mutual, Leases: leases, Lease: o.Lease,
	})
	if err != nil {
		return nil, err
	}
	n.family, err = bucket.NewFamily(n.sys, "api", bucket.Config{
		Limits: []limit.Limit{o.Limit}, Slack: o.Slack, Clustered: !o.Alone,
	})
	return n, err
}

// close leaves the cluster, which lets the others know what was granted, and ends everything.
func (n *node) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*n.order.Lease)
	defer cancel()
	return errors.Join(n.cluster.Leave(ctx), n.sys.Close(ctx), n.db.Close())
}

func (n *node) report() Report {
	r := n.callers.report()
	info := n.cluster.Info()
	r.Member, r.Members = info.Serving, len(info.Members)
	for _, id := range n.order.IDs {
		if _, mine := n.cluster.Epoch(n.cluster.Shard(id)); mine {
			r.Owned = append(r.Owned, id)
		}
	}
	return r
}
