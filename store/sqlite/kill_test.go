package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/internal/victim"
)

// life is what a victim is told: the file, and the number of its round.
type life struct {
	Path  string
	Round int
}

func TestMain(m *testing.M) {
	victim.Main(work)
	os.Exit(m.Run())
}

// seeded is the flush of an ID. Both processes make the same one of it, since all that is random in it comes from the ID.
func seeded(id string) stat.Flush[string] {
	var seed [32]byte
	copy(seed[:], id)
	random := rand.New(rand.NewChaCha8(seed))
	f := stat.Flush[string]{ID: id}
	for _, k := range random.Perm(50)[:1+random.IntN(50)] {
		f.Deltas = append(f.Deltas, stat.Delta[string]{Key: fmt.Sprint("key ", k), N: random.Int64N(1000) - 300})
	}
	return f
}

// work flushes as fast as it can, from several places, for ever. It says "?id" before it flushes and
// "+id" when the flush after it was stored too: so a kill always finds some that are stored and not acknowledged.
func work(l life) error {
	db, err := Open(l.Path)
	if err != nil {
		return err
	}
	sink, err := New(context.Background(), db, views)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			before := ""
			for i := 0; ; i++ {
				f := seeded(fmt.Sprint(l.Round, "/", caller, "/", i))
				victim.Say("?", f.ID)
				victim.Must(sink.Flush(context.Background(), f))
				if before != "" {
					victim.Say("+", before)
				}
				before = f.ID
			}
		})
	}
	wg.Wait()
	return nil
}

// TestG8_KillNine kills a process at random moments of its flushing. All that it was told was stored is, and what was in flight
// is stored once when it comes again.
func TestG8_KillNine(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	path := filepath.Join(t.TempDir(), "counts.db")
	require.NoError(t, CreateTables(t.Context(), openFile(t, path), views))
	want := make(map[string]int64)
	var acknowledged, inFlight, stored int
	for round := range rounds {
		asked, done := killOne(t, path, round)
		db := openFile(t, path)
		remembered := ids(t, db)
		for id := range done {
			require.True(t, remembered[id], "round %d: flush %s was acknowledged, and is lost", round, id)
		}
		sink := newSink(t, db, views)
		for id := range asked {
			if !done[id] {
				inFlight++
				if remembered[id] {
					stored++
				}
			}
			require.NoError(t, sink.Flush(t.Context(), seeded(id)), "again")
			for _, d := range seeded(id).Deltas {
				want[d.Key] += d.N
			}
		}
		acknowledged += len(done)
		require.Equal(t, want, counts(t, db), "round %d", round)
		var sound string
		require.NoError(t, db.QueryRow("PRAGMA integrity_check").Scan(&sound))
		require.Equal(t, "ok", sound)
	}
	require.NotZero(t, acknowledged)
	require.NotZero(t, stored, "of %d in flight", inFlight)
	require.Less(t, stored, inFlight, "each kill came between two flushes")
	t.Logf("%d rounds: %d flushes were acknowledged; of %d in flight %d were stored", rounds, acknowledged, inFlight, stored)
}

// killOne runs a child and kills it after a random number of acknowledgements.
func killOne(t *testing.T, path string, round int) (asked, done map[string]bool) {
	child := victim.Start(t, life{path, round})
	asked, done = make(map[string]bool), make(map[string]bool)
	last := 1 + rand.IntN(200)
	for line := range child.Lines() {
		switch id := line[1:]; line[0] {
		case '?':
			asked[id] = true
		case '+':
			done[id] = true
		}
		if len(done) == last {
			child.Kill()
		}
	}
	require.True(t, child.Killed(), "the child ended by itself")
	child.Wait()
	return asked, done
}

// ids are the flushes that are remembered.
func ids(t *testing.T, db *sql.DB) map[string]bool {
	remembered, err := read(t.Context(), db, "SELECT id, 1 FROM penstock_flushes")
	require.NoError(t, err)
	set := make(map[string]bool)
	for id := range remembered {
		set[id] = true
	}
	return set
}
