package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/storetest"
)

// ledger is the most naive store of leases there is. Broken ones are made of it, by the bug in it.
type ledger struct {
	bug      string
	mu       sync.Mutex
	start    time.Time
	advanced time.Duration
	lives    map[lease.Member]*tenancy // with no address
	epochs   map[int]int64
	last     map[int]string // owners
	away     bool
}

type tenancy struct {
	me    lease.Member
	until time.Duration
	owns  map[int]int64
}

func (l *ledger) now() time.Duration { return time.Since(l.start) + l.advanced }

func (l *ledger) has(bug string) bool { return l.bug == bug }

var errAway = errors.New("away")

// enter begins a call.
func (l *ledger) enter(ctx context.Context, bad error) (leave func(), err error) {
	if bad != nil && !l.has("takes anything") {
		return nil, bad
	}
	if err := ctx.Err(); err != nil && !l.has("heedless") {
		return nil, err
	}
	l.mu.Lock()
	if l.away {
		l.mu.Unlock()
		if l.has("guesses") {
			return nil, lease.ErrLost
		}
		return nil, errAway
	}
	return l.mu.Unlock, nil
}

func key(m lease.Member) lease.Member { return lease.Member{Name: m.Name, Incarnation: m.Incarnation} }

func (l *ledger) alive(t *tenancy) bool { return t != nil && l.now() < t.until }

func (l *ledger) living() (list []*tenancy) {
	for _, t := range l.lives {
		if l.alive(t) || l.has("the dead are seen") {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *tenancy) int { return cmp.Compare(a.me.Name, b.me.Name) })
	if l.has("no order") {
		slices.Reverse(list)
	}
	return list
}

func (l *ledger) Renew(ctx context.Context, m lease.Member, ttl time.Duration) (lease.View, error) {
	leave, err := l.enter(ctx, lease.CheckRenew(m, ttl))
	if err != nil {
		return lease.View{}, err
	}
	defer leave()
	t := l.lives[key(m)]
	taken := slices.ContainsFunc(l.living(), func(t *tenancy) bool { return t.me.Name == m.Name && t.me.Incarnation != m.Incarnation })
	switch {
	case l.alive(t):
	case t != nil && l.has("renews what nobody took") && len(t.owns) > 0 && !taken && t.until > 0:
	case t != nil && !l.has("revives"):
		if l.has("the name is asked first") && taken {
			return lease.View{}, lease.ErrNameTaken
		}
		return lease.View{}, lease.ErrLost
	case taken && !l.has("twins"):
		return lease.View{}, lease.ErrNameTaken
	default:
		t = &tenancy{me: m, owns: map[int]int64{}}
		l.lives[key(m)] = t
	}
	if l.has("renews without looking again") {
		l.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		l.mu.Lock()
	}
	until := l.now() + ttl
	switch {
	case l.has("never shorter"):
		until = max(until, t.until)
	case l.has("never longer") && t.until > 0:
		until = min(until, t.until)
	case l.has("ends early"):
		until -= ttl / 2
	case l.has("ends late"):
		until += ttl / 2
	}
	t.until = until
	return l.view(), nil
}

func (l *ledger) view() (v lease.View) {
	for _, t := range l.living() {
		v.Members = append(v.Members, t.me)
		for shard, epoch := range t.owns {
			v.Shards = append(v.Shards, lease.Shard{Number: shard, Owner: t.me.Name, Epoch: epoch})
		}
	}
	slices.SortFunc(v.Shards, func(a, b lease.Shard) int { return a.Number - b.Number })
	return v
}

func (l *ledger) Take(ctx context.Context, m lease.Member, shards []int) (took []lease.Shard, err error) {
	leave, err := l.enter(ctx, lease.Check(m, 0, shards))
	if err != nil {
		return nil, err
	}
	defer leave()
	me := l.lives[key(m)]
	if !l.alive(me) && !(me != nil && l.has("the dead take")) {
		return nil, lease.ErrLost
	}
	owned := map[int]bool{}
	for _, t := range l.lives {
		for shard := range t.owns {
			switch {
			case l.alive(t):
				owned[shard] = !l.has("steals") && !(l.has("takes its own") && t == me)
			case !l.has("the dead give nothing back"):
				delete(t.owns, shard)
			default:
				owned[shard] = true
			}
		}
	}
	if l.has("slow") {
		l.mu.Unlock()
		time.Sleep(100 * time.Microsecond)
		l.mu.Lock()
	}
	for _, shard := range shards {
		if owned[shard] && l.has("all or none") {
			return nil, nil
		}
		if owned[shard] {
			continue
		}
		owned[shard] = true
		if !l.has("epochs stay with their owner") || l.last[shard] != m.Name {
			l.epochs[shard]++
		}
		l.last[shard] = m.Name
		me.owns[shard] = l.epochs[shard]
		took = append(took, lease.Shard{Number: shard, Owner: m.Name, Epoch: l.epochs[shard]})
	}
	if !l.has("no order") {
		slices.SortFunc(took, func(a, b lease.Shard) int { return a.Number - b.Number })
	}
	return took, nil
}

func (l *ledger) Give(ctx context.Context, m lease.Member, shards []lease.Shard) error {
	leave, err := l.enter(ctx, lease.CheckGive(m, shards))
	if err != nil {
		return err
	}
	defer leave()
	me := l.lives[key(m)]
	for _, t := range l.lives {
		if t != me && !l.has("gives others'") {
			continue
		}
		for _, s := range shards {
			if t.owns[s.Number] == s.Epoch || l.has("gives late") {
				delete(t.owns, s.Number)
			}
		}
	}
	return nil
}

func (l *ledger) Leave(ctx context.Context, m lease.Member) error {
	leave, err := l.enter(ctx, lease.Check(m, 0, nil))
	if err != nil {
		return err
	}
	defer leave()
	t := l.lives[key(m)]
	switch {
	case t == nil:
	case l.has("leaving is forgotten"):
		delete(l.lives, key(m))
	case !l.has("nobody leaves"):
		t.until, t.owns = 0, map[int]int64{}
	}
	if l.has("the last one turns off the light") && len(l.living()) == 0 {
		l.epochs = map[int]int64{}
	}
	return nil
}

func openLedger(bug string, advances bool) func(t testing.TB) storetest.LeasesBackend {
	return func(testing.TB) storetest.LeasesBackend {
		l := &ledger{bug: bug, start: time.Now(), lives: map[lease.Member]*tenancy{}, epochs: map[int]int64{}, last: map[int]string{}}
		set := func(do func()) {
			l.mu.Lock()
			defer l.mu.Unlock()
			do()
		}
		b := storetest.LeasesBackend{
			Leases: func() lease.Store { return l },
			Cut: func() func() {
				set(func() { l.away = true })
				return func() { set(func() { l.away = false }) }
			},
		}
		if advances {
			b.Advance = func(d time.Duration) { set(func() { l.advanced += d }) }
		}
		return b
	}
}

func TestTheNaiveLeasesPass(t *testing.T) {
	t.Run("its clock can be moved", func(t *testing.T) { storetest.Leases(t, openLedger("", true)) })
	t.Run("its clock must be waited for", func(t *testing.T) { storetest.Leases(t, openLedger("", false)) })
}

// TestBrokenLeasesFail proves the suite itself.
func TestBrokenLeasesFail(t *testing.T) {
	for _, bug := range []string{
		"takes anything", "heedless", "guesses", "the dead are seen", "no order", "renews what nobody took", "revives", "the name is asked first",
		"twins", "never shorter", "never longer", "ends early", "ends late", "the dead take", "steals", "takes its own", "the dead give nothing back",
		"epochs stay with their owner", "slow", "all or none", "gives others'", "gives late", "leaving is forgotten", "nobody leaves",
		"the last one turns off the light", "renews without looking again",
	} {
		assert.True(t, roomtest.Fails(t, storetest.LeaseCases(), openLedger(bug, true)), "leases that have the bug %q passed", bug)
	}
	for _, bug := range []string{"renews what nobody took", "revives", "never shorter", "ends early", "ends late", "the dead take"} {
		assert.True(t, roomtest.Fails(t, storetest.LeaseCases(), openLedger(bug, false)), "leases that have the bug %q and cannot be hurried passed", bug)
	}
}
