package stat_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// A buffer of last values over a table that adds them up would store nonsense without a word.
func TestASinkOfAnotherKindIsRefused(t *testing.T) {
	ctx := context.Background()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "counts.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	sys := roomtest.System(t)
	for merge, kind := range map[store.Merge]stat.Kind{store.Sum: stat.KindSum, store.Max: stat.KindMax, store.Last: stat.KindLast} {
		counts := store.Counts[string]{Table: "t_" + string(kind), Keys: []string{"key"}, Merge: merge}
		require.NoError(t, sqlite.CreateTables(ctx, db, counts))
		sink, err := sqlite.New(ctx, db, counts)
		require.NoError(t, err)
		cfg := stat.Config[string]{Sink: sink}
		_, errs := stat.NewBuffer(sys, "sum of "+string(kind), cfg)
		_, errm := stat.NewMax(sys, "max of "+string(kind), cfg)
		_, errl := stat.NewLast(sys, "last of "+string(kind), cfg)
		for of, err := range map[stat.Kind]error{stat.KindSum: errs, stat.KindMax: errm, stat.KindLast: errl} {
			if of == kind {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, penstock.ErrInvalid)
			require.ErrorContains(t, err, "keeps a "+string(kind))
		}
	}
}
