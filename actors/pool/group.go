package pool

import "sync"

// group is pools that delegate to one another, and the lock of all their accounts. A task takes of a whole chain of pools
// or of nothing, so a lock for each would have to be taken in one go anyway; and whoever shares a pool meets at its lock.
type group struct {
	mu      sync.Mutex
	members map[*gate]struct{} // guarded by mu
	stir    stir               // pools whose actors are to be woken when mu is unlocked; guarded by mu
	quieter chan struct{}      // closed when somebody leaves or is stuck; nil while nobody waits for that; guarded by mu
}

func newGroup(g *gate) *group {
	return &group{members: map[*gate]struct{}{g: {}}}
}

// lock locks the accounts of the gate's pool and of all that are connected with it.
func (g *gate) lock() *group {
	for {
		grp := g.group.Load()
		grp.mu.Lock()
		if g.group.Load() == grp {
			return grp
		}
		grp.mu.Unlock() // it has been joined to another meanwhile
	}
}

// unlock unlocks the group, and wakes the actors that may let somebody in.
func (grp *group) unlock() {
	if len(grp.stir) == 0 {
		grp.mu.Unlock()
		return
	}
	var few [4]*state
	woken := append(few[:0], grp.stir...)
	clear(grp.stir)
	grp.stir = grp.stir[:0]
	grp.mu.Unlock()
	for _, s := range woken {
		s.gate.pool.seat.Wake()
	}
}

// join makes one group of two gates' groups.
func (m *room) join(a, b *gate) {
	if a.group.Load() == b.group.Load() {
		return
	}
	m.joining.Lock()
	defer m.joining.Unlock()
	m.merge(a, b)
}

// merge is join under the lock that lets one joining be under way at a time.
func (m *room) merge(a, b *gate) {
	into, from := a.group.Load(), b.group.Load()
	if into == from {
		return
	}
	into.mu.Lock()
	from.mu.Lock()
	if len(into.members) < len(from.members) {
		into, from = from, into
	}
	defer into.unlock()
	defer from.mu.Unlock()
	for member := range from.members {
		into.members[member] = struct{}{}
		member.group.Store(into)
	}
	into.stir = append(into.stir, from.stir...)
	from.members, from.stir = nil, nil
	from.hush() // who waits there finds out that it is here now
}

// part gives a pool that has ended a group of its own, once nothing is taken of it any more. The group is locked.
func (grp *group) part(s *state) {
	if s.ended && s.workers == 0 {
		delete(grp.members, s.gate)
		s.gate.group.Store(newGroup(s.gate))
	}
}

// hush tells who waits for a pool to become quiet that there is less going on than before.
func (grp *group) hush() {
	if grp.quieter != nil {
		close(grp.quieter)
		grp.quieter = nil
	}
}

// awaits reports whether anybody waits, in any pool, who might come to need this one.
func (grp *group) awaits(s *state) bool {
	for member := range grp.members {
		for j := range member.jobs.all() {
			if j.phase == waiting && j.claim.mayNeed(s) {
				return true
			}
		}
	}
	return false
}
