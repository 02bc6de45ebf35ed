package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

const (
	slicesBar   = 3_000_000 // permits a second, of all nodes together
	slicesIDs   = 4         // which the callers of a node share
	triesAtOnce = 64        // between two looks at the clock
)

// tries is a caller who waits only when nothing is lent, and counts what passes without.
func (n *node) tries(caller int) func(context.Context, int) error {
	b := n.family.Bucket(n.theirs[caller%slicesIDs])
	return func(ctx context.Context, _ int) error {
		passed := int64(0)
		for range triesAtOnce {
			switch d := b.TryAcquire(bucket.Request{}); {
			case d.Allowed:
				passed++
			case d.Err != nil:
				return d.Err
			default:
				if _, err := b.Acquire(ctx, bucket.Request{}); err != nil {
					return err
				}
			}
		}
		n.passed.Add(passed)
		return nil
	}
}

// clusterSlices has three processes pass buckets that other nodes own, by what is lent to them.
func clusterSlices(ctx context.Context, s scale) ([]line, error) {
	sums, err := clusterRounds(ctx, s, []string{"try"})
	if err != nil {
		return nil, err
	}
	var rates []float64
	tries, passed := int64(0), int64(0)
	for _, sum := range sums["try"] {
		rates = append(rates, float64(sum.passed)/sum.took.Seconds())
		tries, passed = tries+sum.calls*triesAtOnce, passed+sum.passed
	}
	m := median(rates)
	return []line{{
		what: fmt.Sprintf("%d processes, TryAcquire of buckets that others own, lent slices: permits a second, all together", clusterNodes),
		ours: fmt.Sprintf("%.0f", m), bar: fmt.Sprintf("≥ %d", slicesBar), met: m >= slicesBar, allocs: -1,
		note: fmt.Sprintf("%.0f to %.0f; %.1f %% of all calls passed at once, the others waited; %d rounds", slices.Min(rates), slices.Max(rates), 100*float64(passed)/float64(max(tries, 1)), s.rounds),
	}}, nil
}

// clusterAlone compares a clustered family, on the only node there is, with one that is not clustered.
func clusterAlone(ctx context.Context, s scale) (lines []line, err error) {
	dir, err := os.MkdirTemp("", "penstock-bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h, err := openPlenty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	leave, err := h.join(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	clustered, err := bucket.NewFamily(h.sys, "clustered", bucket.Config{
		Limits: []limit.Limit{{Events: plenty, Per: time.Second}}, MaxBuckets: 1, Idle: time.Hour, Clustered: true,
	})
	if err != nil {
		return nil, err
	}
	b := clustered.Bucket(one)
	if err := poll(ctx, time.Minute, func() bool { return b.TryAcquire(bucket.Request{}).Allowed }); err != nil { // it assumes the worst at first
		return nil, err
	}
	ours := tryAcquire("TryAcquire, clustered, owned by this node", b)
	theirs := tryAcquire("TryAcquire, not clustered", h.family.Bucket(one))
	l, err := comparison(ctx, s, "pass, held handle, clustered on its only node, against not clustered", 1, ours, theirs, 0)
	return []line{l}, err
}

// join makes the house the only node of a cluster, and returns when it owns all.
func (h *house) join(ctx context.Context, dir string) (leave func() error, err error) {
	signer, err := authority.New()
	if err != nil {
		return nil, err
	}
	mutual, err := signer.Node()
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(filepath.Join(dir, "leases.db"))
	if err != nil {
		return nil, err
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	n, err := cluster.Join(ctx, h.sys, cluster.Config{Name: "alone", Bind: "127.0.0.1:0", TLS: mutual, Leases: leases, Lease: clusterLease})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	err = poll(ctx, time.Minute, func() bool { i := n.Info(); return i.Owned == i.Shards })
	return func() error { return errors.Join(n.Leave(context.WithoutCancel(ctx)), db.Close()) }, err
}
