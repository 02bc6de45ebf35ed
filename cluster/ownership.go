package cluster

import (
	"math"
	"sync/atomic"
	"time"
)

// ownership is what a node owns, as callers ask for it: without a lock.
//
// A shard is served while its epoch is there and the lease lives. Who loses the lease takes all epochs away before there is another
// lease, and who asks reads the lease before the epoch: so no epoch of one lease is ever seen with the end of another one.
type ownership struct {
	until  atomic.Int64   // the lease's end by this machine's clock, less a margin
	epochs []atomic.Int64 // by shard; 0: not owned
	now    func() time.Duration
}

func newOwnership(shards int, now func() time.Duration) *ownership {
	o := &ownership{epochs: make([]atomic.Int64, shards), now: now}
	o.until.Store(math.MinInt64)
	return o
}

// epoch is the shard's, if it is owned now.
func (o *ownership) epoch(shard int) (epoch int64, ok bool) {
	until := o.until.Load()
	epoch = o.epochs[shard].Load()
	return epoch, epoch != 0 && int64(o.now()) < until // the clock last: it is what a pause moves on
}
