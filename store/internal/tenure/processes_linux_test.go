package tenure_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/tenure"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/postgres"
	"github.com/penstock-go/penstock/store/sqlite"
)

const (
	server       = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable&connect_timeout=10&pool_max_conns=4"
	nodes        = 3
	nodeShards   = 12
	processLease = 400 * time.Millisecond
)

// node is what a process is told.
type node struct{ Kind, Where, Name string }

func TestMain(m *testing.M) {
	victim.Main(node.live)
	os.Exit(m.Run())
}

// open opens the store of a process.
func (n node) open(ctx context.Context) (lease.Store, error) {
	if n.Kind == "sqlite" {
		db, err := sqlite.Open(n.Where)
		if err != nil {
			return nil, err
		}
		return sqlite.NewLeases(ctx, db, store.LeaseTable{})
	}
	pool, err := pgxpool.New(ctx, server)
	if err != nil {
		return nil, err
	}
	return postgres.NewLeases(ctx, pool, store.LeaseTable{Table: n.Where})
}

// clock is one that all processes of the machine share, and the stores know nothing of.
func clock() time.Duration {
	var t unix.Timespec
	victim.Must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &t))
	return time.Duration(t.Nano())
}

// live has one lease after the other, for ever. It says what it owns when it has it, and until when it owns it before it does: "t" takes,
// "u" owns until then, "g" gives all up.
func (n node) live() error {
	ctx := context.Background()
	leases, err := n.open(ctx)
	if err != nil {
		return err
	}
	for {
		me := lease.Member{Name: n.Name, Incarnation: rand.Text()}
		err := n.life(ctx, leases, me)
		if err != nil && !errors.Is(err, lease.ErrLost) && !errors.Is(err, lease.ErrNameTaken) {
			return err
		}
		time.Sleep(mrand.N(processLease / 8))
	}
}

func (n node) life(ctx context.Context, leases lease.Store, me lease.Member) error {
	var owned []lease.Shard
	for {
		called := clock()
		if _, err := leases.Renew(ctx, me, processLease); err != nil {
			return err
		}
		victim.Say("u", fmt.Sprint(me.Incarnation, " ", int64(called+processLease)))
		took, err := leases.Take(ctx, me, mrand.Perm(nodeShards)[:1+mrand.IntN(nodeShards)])
		for _, s := range took {
			victim.Say("t", fmt.Sprint(me.Incarnation, " ", int64(clock()), " ", s.Number, " ", s.Epoch))
		}
		if err != nil {
			return err
		}
		owned = append(owned, took...)
		switch mrand.IntN(12) {
		case 0, 1, 2:
			victim.Say("g", fmt.Sprint(me.Incarnation, " ", int64(clock())))
			if err := leases.Give(ctx, me, owned); err != nil {
				return err
			}
			owned = nil
		case 3:
			victim.Say("g", fmt.Sprint(me.Incarnation, " ", int64(clock())))
			return leases.Leave(ctx, me)
		case 4, 5: // a pause, after which the lease may have ended
			time.Sleep(processLease - 20*time.Millisecond + mrand.N(40*time.Millisecond))
		default:
			time.Sleep(mrand.N(processLease / 4))
		}
	}
}

// book is what all processes have said.
type book struct {
	mu      sync.Mutex
	lives   map[string]*bookedLife // by incarnation
	tenures []*tenure.Tenure
}

type bookedLife struct {
	until time.Duration
	owns  []*tenure.Tenure
}

// note takes in a line.
func (b *book) note(owner, line string) error {
	var incarnation string
	var at time.Duration
	var shard int
	var epoch int64
	fields := []any{&incarnation, &at, &shard, &epoch}
	if _, err := fmt.Sscan(line[1:], fields[:map[byte]int{'u': 2, 't': 4, 'g': 2}[line[0]]]...); err != nil {
		return fmt.Errorf("line %q: %w", line, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lives[incarnation]
	if l == nil {
		l = &bookedLife{}
		b.lives[incarnation] = l
	}
	switch line[0] {
	case 't':
		l.owns = append(l.owns, &tenure.Tenure{Shard: shard, Epoch: epoch, Owner: owner, From: at, Until: l.until})
		b.tenures = append(b.tenures, l.owns[len(l.owns)-1])
		return nil
	case 'u':
		l.until = at
	}
	for _, t := range l.owns {
		t.Until = at
	}
	if line[0] == 'g' {
		l.owns = nil
	}
	return nil
}

// TestG11_LeasesOfProcesses has several processes take, renew and give up, some of which are killed at random moments, and compares
// what they owned by a clock that they share.
func TestG11_LeasesOfProcesses(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		run(t, node{Kind: "sqlite", Where: filepath.Join(t.TempDir(), "leases.db")})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		pool, err := pgxpool.New(t.Context(), server)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		if pool.Ping(t.Context()) != nil {
			t.Skip("needs a server: PostgreSQL at localhost:5432")
		}
		table := "penstock_leases_" + strings.ToLower(rand.Text())
		t.Cleanup(func() {
			_, err := pool.Exec(context.Background(), "DROP TABLE "+table)
			require.NoError(t, err)
		})
		run(t, node{Kind: "postgres", Where: table})
	})
}

func run(t *testing.T, spec node) {
	kills, each := int64(15), 40
	if testing.Short() {
		kills, each = 5, 25
	}
	b := &book{lives: map[string]*bookedLife{}}
	var killed atomic.Int64
	errs := make([]error, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		n := spec
		n.Name = fmt.Sprint("node ", i)
		wg.Go(func() {
			for errs[i] == nil && killed.Load() < kills {
				errs[i] = b.watch(victim.Start(t, n), n.Name, 1+mrand.IntN(each), func() bool { return killed.Load() >= kills })
				killed.Add(1)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	var all []tenure.Tenure
	owners := map[string]int{}
	for _, t := range b.tenures {
		all = append(all, *t)
		owners[t.Owner]++
	}
	require.NoError(t, tenure.Overlaps(all))
	require.Len(t, owners, nodes, "one of them never owned anything")
	t.Logf("%d processes were killed; in %d lives they owned shards %d times", killed.Load(), len(b.lives), len(all))
}

// watch notes what a process says, and kills it when it has taken so many shards, or all is over.
func (b *book) watch(child *victim.Process, name string, last int, over func() bool) error {
	for line := range child.Lines() {
		if err := b.note(name, line); err != nil {
			return err
		}
		if line[0] == 't' {
			last--
		}
		if last == 0 || over() {
			child.Kill()
		}
	}
	child.Wait()
	if !child.Killed() {
		return fmt.Errorf("%s ended by itself", name)
	}
	return nil
}
