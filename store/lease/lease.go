// Package lease is what nodes agree on in a store that people already trust: who is there, and who owns which shard. It is the port
// of package cluster; adapters are store/sqlite, store/postgres and store/etcd, and store/storetest proves any other.
package lease

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrLost says that a member's lease has ended, or never was: what it owned may be somebody else's by now. It comes back
	// with another incarnation.
	ErrLost = errors.New("lease: it is lost")
	// ErrNameTaken says that a living member has the name. A node that was restarted finds its own name taken until the lease
	// of its former life has ended.
	ErrNameTaken = errors.New("lease: a living member has this name")
)

// Store is where the nodes of a cluster agree on who owns which shard. A member has one lease, which it renews, and owns shards
// for as long as that lives. Time is the store's own: no clock of a member's machine is compared with another one.
//
// What an adapter guarantees, of all processes that use the same store:
//
//   - A shard has one living owner at most.
//   - Whoever takes a shard gets an epoch that is larger than every earlier one of that shard, for ever: also after all members
//     have left, and also if it owned the shard before.
//   - A lease lives at least as long as was asked for, from the moment that Renew was called, and ends that long after
//     Renew has returned, or as much later as the adapter says. An older call that arrives late never makes it shorter.
//   - A lease that has ended stays ended.
//   - A call that fails has been done whole, or not at all; which of both is not known, unless the error is ErrLost or
//     ErrNameTaken: then nothing was changed.
//
// It is safe for concurrent use, by members of several processes and by several of one process; an incarnation has one client. Errors other than
// [ErrLost], [ErrNameTaken] and penstock.ErrInvalid mean that the store is not there, and that the call may be made again.
type Store interface {
	// Renew makes the member's lease live for ttl from now, 100 ms to 1 h, and tells who is there. The first Renew of an
	// incarnation joins; it is ErrNameTaken while another incarnation of the name lives. A later one is ErrLost when the
	// lease has ended meanwhile.
	Renew(ctx context.Context, m Member, ttl time.Duration) (View, error)
	// Take makes the member the owner of those of the shards that no living member owns, itself included, and returns them
	// with their epochs, by their numbers. It is ErrLost if the member's lease has ended.
	Take(ctx context.Context, m Member, shards []int) ([]Shard, error)
	// Give gives up those of the shards that the member owns, with these epochs. They are free at once; others are left alone: a call
	// that is carried out late takes nothing away that was taken since. To give up what is not owned, or after the lease has ended, is
	// no error.
	Give(ctx context.Context, m Member, shards []Shard) error
	// Leave ends the member's lease, and frees all that it owns. To leave twice, or without having joined, is no error.
	Leave(ctx context.Context, m Member) error
}

// Member is a node, in one of its lives.
type Member struct {
	Name        string // 1 to 512 bytes of UTF-8 without a NUL, the same in all its lives
	Incarnation string // 1 to 64 bytes of UTF-8 without a NUL, drawn anew for each of them
	Address     string // where the others reach it, up to 512 bytes of UTF-8 without a NUL
}

// View is what there was at a moment.
type View struct {
	Members []Member // that live, by their names
	Shards  []Shard  // that they own, by their numbers
}

// Shard is one that is owned.
type Shard struct {
	Number int    // 0 to 65,535
	Owner  string // the member's name
	Epoch  int64  // 1 or more
}
