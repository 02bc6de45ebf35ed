package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/lease"
)

var (
	a1 = lease.Member{Name: "a", Incarnation: "1"}
	a2 = lease.Member{Name: "a", Incarnation: "2"}
	b1 = lease.Member{Name: "b", Incarnation: "1", Address: "b:1"}
)

func renew(t testing.TB, l *Leases, m lease.Member, ttl time.Duration) lease.View {
	t.Helper()
	v, err := l.Renew(t.Context(), m, ttl)
	require.NoError(t, err)
	return v
}

func take(t testing.TB, l *Leases, m lease.Member, shards ...int) []lease.Shard {
	t.Helper()
	took, err := l.Take(t.Context(), m, shards)
	require.NoError(t, err)
	return took
}

func requireLost(t testing.TB, l *Leases, m lease.Member) {
	t.Helper()
	_, err := l.Renew(t.Context(), m, time.Minute)
	require.ErrorIs(t, err, lease.ErrLost)
}

// moved is a client whose clock can be set.
func moved(t testing.TB, path string) (*Leases, *time.Duration) {
	l := newLeases(t, openFile(t, path), store.LeaseTable{})
	now := time.Hour
	l.clock.now = func() time.Duration { return now }
	return l, &now
}

func TestG11_AnotherBootEndsAllLeases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	before := newLeases(t, openFile(t, path), store.LeaseTable{})
	renew(t, before, a1, time.Hour)
	epoch := take(t, before, a1, 1)[0].Epoch

	after := newLeases(t, openFile(t, path), store.LeaseTable{})
	after.clock = leaseClock{boot: "another", now: func() time.Duration { return time.Second }} // which counts from the start again
	require.Equal(t, []lease.Member{a2}, renew(t, after, a2, time.Hour).Members)
	require.Greater(t, take(t, after, a2, 1)[0].Epoch, epoch)

	// No process outlives its machine: two machines have opened the file.
	for range 2 {
		_, err := before.Renew(t.Context(), a1, time.Hour)
		require.ErrorContains(t, err, "processes of one machine only")
		require.NotErrorIs(t, err, lease.ErrLost)
	}
	require.Len(t, renew(t, after, a2, time.Hour).Shards, 1)
}

func TestG11_TheMachinesClock(t *testing.T) {
	c, err := machineClock()
	require.NoError(t, err)
	require.NotEmpty(t, c.boot)
	same, err := machineClock()
	require.NoError(t, err)
	require.Equal(t, c.boot, same.boot)
	first := c.now()
	require.Positive(t, first)
	require.GreaterOrEqual(t, same.now(), first)
}

// TestG11_AClockThatIsSetBackRevivesNobody is for systems whose only shared clock can be set.
func TestG11_AClockThatIsSetBackRevivesNobody(t *testing.T) {
	l, now := moved(t, filepath.Join(t.TempDir(), "leases.db"))
	renew(t, l, a1, time.Minute)
	take(t, l, a1, 1)
	*now += time.Minute
	requireLost(t, l, a1)
	*now -= time.Minute
	requireLost(t, l, a1)
	require.Empty(t, renew(t, l, b1, time.Minute).Shards)
	require.Len(t, take(t, l, b1, 1), 1)
}

func TestG11_EndedIncarnationsAreRememberedForAnHour(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	l, now := moved(t, path)
	require.NoError(t, l.Leave(t.Context(), a1), "it has not joined")
	renew(t, l, a2, time.Minute)
	*now += time.Minute
	for range 59 {
		other, there := moved(t, path)
		*there = *now
		requireLost(t, other, a1)
		requireLost(t, other, a2)
		*now += time.Minute
	}
	count := func() (n int) {
		require.NoError(t, l.db.QueryRow("SELECT count(*) FROM penstock_leases").Scan(&n))
		return n
	}
	require.Equal(t, 3, count())
	*now += time.Minute
	renew(t, l, b1, time.Minute)
	require.Equal(t, 2, count(), "they are not forgotten")
}

func TestG11_EpochsGrowThoughTheTableIsLost(t *testing.T) {
	db := openNew(t)
	l := newLeases(t, db, store.LeaseTable{})
	renew(t, l, a1, time.Minute)
	epoch := take(t, l, a1, 1)[0].Epoch
	for time.Now().UnixMilli() <= epoch { // which is of this millisecond
		runtime.Gosched()
	}
	run(t, db, "DROP TABLE penstock_leases")
	l = newLeases(t, db, store.LeaseTable{})
	renew(t, l, a2, time.Minute)
	require.Greater(t, take(t, l, a2, 1)[0].Epoch, epoch)
	run(t, db, "UPDATE penstock_leases SET epoch = 1 << 50 WHERE name = ''") // which is in the far future
	require.EqualValues(t, 1<<50+1, take(t, l, a2, 2)[0].Epoch)
	run(t, db, "DELETE FROM penstock_leases")
	_, err := l.Take(t.Context(), a2, []int{1})
	require.ErrorIs(t, err, lease.ErrLost)
}

func TestG11_ClustersShareATable(t *testing.T) {
	db := openNew(t)
	one, other := newLeases(t, db, store.LeaseTable{Cluster: "one"}), newLeases(t, db, store.LeaseTable{Cluster: "other"})
	renew(t, one, a1, time.Minute)
	renew(t, other, a2, time.Minute)
	require.Len(t, take(t, one, a1, 1, 2), 2)
	require.Len(t, take(t, other, a2, 1, 2), 2)
	require.NoError(t, one.Leave(t.Context(), a2))
	v := renew(t, other, a2, time.Minute)
	require.Equal(t, []lease.Member{a2}, v.Members)
	require.Len(t, v.Shards, 2)
	third := newLeases(t, db, store.LeaseTable{Table: `main.my "leases"`})
	require.Equal(t, []lease.Member{b1}, renew(t, third, b1, time.Minute).Members)
}

func TestG11_LeasesAreMadeByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		db := openFile(t, path)
		wg.Go(func() { _, errs[i] = NewLeases(context.Background(), db, store.LeaseTable{}) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestG11_BadTablesOfLeases(t *testing.T) {
	db := openNew(t)
	_, err := NewLeases(t.Context(), db, store.LeaseTable{Table: "main.", Cluster: "\xff"})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "Table")
	require.ErrorContains(t, err, "Cluster")
	_, err = NewLeases(t.Context(), db, store.LeaseTable{Table: "nowhere.leases"})
	require.Error(t, err)
	run(t, db, "CREATE TABLE other (cluster TEXT, name TEXT)")
	_, err = NewLeases(t.Context(), db, store.LeaseTable{Table: "other"})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, `"incarnation"`)
	run(t, db, "PRAGMA journal_mode = memory")
	_, err = NewLeases(t.Context(), db, store.LeaseTable{})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "journal_mode")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = NewLeases(ended, db, store.LeaseTable{})
	require.ErrorIs(t, err, context.Canceled)
}
