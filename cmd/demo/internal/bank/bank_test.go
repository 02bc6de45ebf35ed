package bank

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

const server = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable&connect_timeout=5"

// banks runs a test with each kind of database.
func banks(t *testing.T, test func(t *testing.T, b *Bank)) {
	t.Run("SQLite", func(t *testing.T) {
		b, err := OpenSQLite(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, b.Close()) }()
		test(t, b)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		b, err := OpenPostgres(t.Context(), server)
		if err != nil {
			t.Skip("needs a server: PostgreSQL at localhost:5432")
		}
		defer func() { require.NoError(t, b.Close()) }()
		test(t, b)
	})
}

func movers(t *testing.T, b *Bank) map[string]Mover {
	sys, err := penstock.New(penstock.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sys.Close(context.Background())) })
	batched, err := NewBatched(sys, b)
	require.NoError(t, err)
	return map[string]Mover{"each": NewEach(b), "batched": batched}
}

// TestMoversAgree: both do the same, and each sees what the other has done.
func TestMoversAgree(t *testing.T) {
	banks(t, func(t *testing.T, b *Bank) {
		m := movers(t, b)
		id := int64(0)
		for name, mover := range m {
			left, err := mover.Move(t.Context(), Transfer{ID: id + 1, Payer: 1, Payee: 2, Amount: 400})
			require.NoError(t, err, name)
			require.Equal(t, Opening-400, int(left), name)
			_, err = mover.Move(t.Context(), Transfer{ID: id + 2, Payer: 1, Payee: 3, Amount: 601})
			require.ErrorIs(t, err, ErrPoor, name)
			left, err = mover.Move(t.Context(), Transfer{ID: id + 3, Payer: 2, Payee: 1, Amount: 400})
			require.NoError(t, err, name)
			require.Equal(t, Opening, int(left), name)
			id += 3
		}
		a, err := b.Audit(t.Context())
		require.NoError(t, err)
		require.Equal(t, Wallets, a.Wallets)
		require.Equal(t, int64(Wallets*Opening), a.Sum)
		require.Equal(t, 4, a.Transfers)
		require.Empty(t, a.Wrong)
		var ids []int64
		for transfer, err := range b.Transfers(t.Context()) {
			require.NoError(t, err)
			ids = append(ids, transfer.ID)
		}
		require.Equal(t, []int64{1, 3, 4, 6}, ids)
	})
}

// TestManyAtOnce: whoever is answered is in the database, once, and who is refused is not. The same wallets are paid from in
// both directions, so transfers that lock them in their own order would wait for one another.
func TestManyAtOnce(t *testing.T) {
	banks(t, func(t *testing.T, b *Bank) {
		for name, mover := range movers(t, b) {
			var id, moved atomic.Int64
			if name == "each" {
				id.Store(1 << 40)
			}
			before, err := b.Audit(t.Context())
			require.NoError(t, err)
			var wg sync.WaitGroup
			for w := range 16 {
				wg.Go(func() {
					for i := range 20 {
						_, err := mover.Move(t.Context(), Transfer{ID: id.Add(1), Payer: 1 + (w+i)%2, Payee: 2 - (w+i)%2, Amount: 300})
						if err == nil {
							moved.Add(1)
						} else if !errors.Is(err, ErrPoor) {
							t.Errorf("%s: %v", name, err)
						}
					}
				})
			}
			wg.Wait()
			after, err := b.Audit(t.Context())
			require.NoError(t, err)
			require.Equal(t, int(moved.Load()), after.Transfers-before.Transfers, name)
			require.Equal(t, int64(Wallets*Opening), after.Sum, name)
			require.Empty(t, after.Wrong, name)
		}
	})
}

// TestABookThatSomebodyElseHasSaved is loaded again, and what was moved meanwhile is not overwritten.
func TestABookThatSomebodyElseHasSaved(t *testing.T) {
	banks(t, func(t *testing.T, b *Bank) {
		first, second := movers(t, b)["batched"], movers(t, b)["batched"]
		for i := range int64(6) {
			mover := first
			if i%2 == 1 {
				mover = second
			}
			left, err := mover.Move(t.Context(), Transfer{ID: i + 1, Payer: 7, Payee: 8, Amount: 10})
			require.NoError(t, err)
			require.Equal(t, Opening-10*(i+1), left)
		}
		a, err := b.Audit(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(7), a.Version, "of six saves, since 1")
		require.Equal(t, 6, b.Commits())
		require.Empty(t, a.Wrong)
	})
}

// TestATransferThatCannotBeNoted changes no wallet.
func TestATransferThatCannotBeNoted(t *testing.T) {
	banks(t, func(t *testing.T, b *Bank) {
		for name, mover := range movers(t, b) {
			one := Transfer{ID: 1, Payer: 1, Payee: 2, Amount: 1}
			_, _ = mover.Move(t.Context(), one)
			_, err := mover.Move(t.Context(), one)
			require.Error(t, err, name)
		}
		a, err := b.Audit(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, a.Transfers)
		require.Empty(t, a.Wrong)
	})
}

func TestAuditFindsWhatIsWrong(t *testing.T) {
	banks(t, func(t *testing.T, b *Bank) {
		for _, change := range []string{
			"UPDATE wallets SET balance = balance + 1 WHERE id = 3", "DELETE FROM wallets WHERE id = 200",
			"INSERT INTO transfers (id, payer, payee, amount) VALUES (9, 5, 6, 70)",
		} {
			_, err := b.db.Exec(change)
			require.NoError(t, err)
		}
		a, err := b.Audit(t.Context())
		require.NoError(t, err)
		require.Equal(t, Wallets-1, a.Wallets)
		require.Equal(t, int64((Wallets-1)*Opening+1), a.Sum)
		require.Equal(t, []Wallet{{3, Opening + 1, Opening}, {5, Opening, Opening - 70}, {6, Opening, Opening + 70}}, a.Wrong)
	})
}

// TestCloseLeavesNothing in the file system, or in the server.
func TestCloseLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b, err := OpenSQLite(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Close())
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	require.NoError(t, err)
	require.Empty(t, left)

	p, err := OpenPostgres(t.Context(), server)
	if err != nil {
		t.Skip("needs a server: PostgreSQL at localhost:5432")
	}
	var schema string
	require.NoError(t, p.db.QueryRow("SELECT current_schema()").Scan(&schema))
	require.NoError(t, p.Close())
	db, err := sql.Open("pgx", server)
	require.NoError(t, err)
	defer db.Close()
	var n int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema).Scan(&n))
	require.Zero(t, n)
}

func TestOpenFailures(t *testing.T) {
	_, err := OpenPostgres(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=2")
	require.Error(t, err)
	_, err = OpenPostgres(t.Context(), "no url")
	require.Error(t, err)
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	_, err = OpenSQLite(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestValidate(t *testing.T) {
	require.NoError(t, Transfer{ID: 1, Payer: 1, Payee: Wallets, Amount: 1}.Validate())
	err := Transfer{ID: 0, Payer: 0, Payee: 0, Amount: Wallets*Opening + 1}.Validate()
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, says := range []string{"id is 0; it takes 1 or more", "payer is 0; it takes 1 to 200", "payee is 0; it takes 1 to 200, and not the payer", "amount is 200001; it takes 1 to 200000"} {
		require.ErrorContains(t, err, says)
	}
	require.ErrorContains(t, Transfer{ID: 1, Payer: 3, Payee: 3, Amount: 1}.Validate(), "payee is 3")
}
