package cluster

import (
	"context"
	"slices"
	"strings"
	"time"
)

// routes are who is asked about what, as of a moment. They are only ever replaced.
type routes struct {
	owners  []Owner       // by shard
	members []Owner       // by their names; without epochs
	changed chan struct{} // closed when there are others
}

func (r *routes) owner(shard int) Owner { return r.owners[shard] }

func (r *routes) member(name string) (Owner, bool) {
	i, ok := slices.BinarySearchFunc(r.members, name, func(m Owner, name string) int { return strings.Compare(m.Name, name) })
	if !ok {
		return Owner{}, false
	}
	return r.members[i], true
}

// name is a member's name as it came, without a copy of it.
func (r *routes) name(came []byte) string {
	for i := range r.members {
		if string(came) == r.members[i].Name {
			return r.members[i].Name
		}
	}
	return string(came)
}

func (r *routes) others(me string) (names []string) {
	for _, m := range r.members {
		if m.Name != me {
			names = append(names, m.Name)
		}
	}
	return names
}

// await waits for other routes, though not for long.
func (r *routes) await(ctx context.Context, most time.Duration) error {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-r.changed:
	case <-t.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// route replaces the routes by what the state knows. A node that has lost its lease, or leaves, goes on with what it knew: the others are
// where they were. The mutex is held.
func (n *Node) route() {
	before := n.routes.Load()
	if before != nil && n.state.phase != member {
		return
	}
	now := &routes{owners: make([]Owner, n.cfg.Shards), changed: make(chan struct{})}
	for i := range now.owners {
		now.owners[i], _ = n.state.owner(i)
	}
	for _, m := range n.state.view.Members {
		now.members = append(now.members, Owner{Name: m.Name, Address: m.Address})
	}
	if before != nil && slices.Equal(before.owners, now.owners) && slices.Equal(before.members, now.members) {
		return
	}
	n.routes.Store(now)
	if before == nil {
		return
	}
	close(before.changed)
	if slices.Equal(before.members, now.members) || n.wire == nil {
		return
	}
	for _, m := range before.members {
		if !slices.ContainsFunc(now.members, func(o Owner) bool { return o.Address == m.Address }) {
			n.wire.Forget(m.Address)
		}
	}
	others := now.others(n.name)
	for _, p := range n.ports {
		p.tellMembers(others)
	}
}
