package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/internal/cutter"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

// cutBench is a resource behind a proxy, and one beside it.
type cutBench struct {
	t       *testing.T
	proxy   *cutter.Proxy
	behind  *Resource[string, *storetest.Account]
	beside  *Resource[string, *storetest.Account]
	want    map[string]int64
	meddle  atomic.Pointer[func()] // is called once, before the next connection through the proxy is made
	meddled atomic.Int64
}

func newCutBench(t *testing.T, of store.Resource[string, *storetest.Account]) (*cutBench, *pgxpool.Pool) {
	direct, schema := newPool(t)
	run(t, direct, createAccounts)
	proxy, err := cutter.Listen(server)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	b := &cutBench{t: t, proxy: proxy, want: make(map[string]int64), beside: newResource(t, direct, of)}
	cfg, err := pgxpool.ParseConfig(dsn(proxy.Addr()))
	require.NoError(t, err)
	cfg.ConnConfig.RuntimeParams["search_path"] = store.Quote(schema)
	cfg.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
		if meddle := b.meddle.Swap(nil); meddle != nil {
			b.meddled.Add(1)
			(*meddle)()
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b.behind = newResource(t, pool, of)
	return b, direct
}

// add adds to some rows as a batch would: again after a conflict, and not again after any other error.
func (b *cutBench) add(ctx context.Context, r *Resource[string, *storetest.Account], keys []string, arm cutter.Moment) (unknown int) {
	for len(keys) > 0 {
		values, errs := r.LoadMany(ctx, keys)
		require.NoError(b.t, errors.Join(errs...))
		for _, a := range values {
			a.Amount++
		}
		b.proxy.Arm(arm)
		arm = cutter.Never
		var again []string
		for i, err := range r.SaveMany(ctx, keys, values) {
			switch {
			case errors.Is(err, batch.ErrConflict):
				again = append(again, keys[i])
			case errors.Is(err, store.ErrUnknown):
				unknown++
			default:
				require.NoError(b.t, err)
				b.want[keys[i]]++
			}
		}
		keys = again
	}
	return unknown
}

// TestG9_CutAroundTheCommit cuts each save's connection before its COMMIT reaches the server, or between the COMMIT and its
// answer. Before it is known what became of it, somebody else saves the same rows up to seven times. No addition is
// lost, and none is done twice.
func TestG9_CutAroundTheCommit(t *testing.T) {
	b, direct := newCutBench(t, accounts)
	for n := range 100 {
		var keys []string
		for _, k := range rand.Perm(6)[:1+rand.IntN(6)] {
			keys = append(keys, fmt.Sprint("key ", k))
		}
		others := rand.IntN(8)
		if n%3 == 0 {
			others = 0
		}
		meddle := func() {
			for range others {
				require.Zero(t, b.add(t.Context(), b.beside, keys[:1+rand.IntN(len(keys))], cutter.Never))
			}
		}
		before := b.meddled.Load()
		b.meddle.Store(&meddle)
		require.Zero(t, b.add(t.Context(), b.behind, keys, cutter.Moment(1+n%2)))
		require.Equal(t, before+1, b.meddled.Load(), "the connection was not cut")
	}
	got, err := read(t.Context(), direct, "SELECT id, amount FROM accounts")
	require.NoError(t, err)
	require.Equal(t, b.want, got)
	require.Equal(t, 50, b.proxy.Cuts(cutter.Before))
	require.Equal(t, 50, b.proxy.Cuts(cutter.After))
}

// TestG9_WhatCannotBeKnown has others save so often that the tokens do not go back far enough, or none, and goes through what can be
// known without tokens.
func TestG9_WhatCannotBeKnown(t *testing.T) {
	without := store.Resource[string, *storetest.Account]{
		Select: "SELECT amount, version FROM accounts WHERE id = $1",
		Update: "UPDATE accounts SET amount = $2, version = version + 1 WHERE id = $1 AND version = $3 RETURNING version",
		Insert: "INSERT INTO accounts (id, amount, version, tokens) VALUES ($1, $2, 1, '') ON CONFLICT DO NOTHING RETURNING version",
		Scan:   func(a *storetest.Account) []any { return []any{&a.Amount} }, Version: accounts.Version,
	}
	for _, c := range []struct {
		name    string
		of      store.Resource[string, *storetest.Account]
		cut     cutter.Moment
		others  int
		unknown int
	}{
		{"with tokens, others seven times", accounts, cutter.After, 7, 0},
		{"with tokens, others eight times", accounts, cutter.After, 8, 1},
		{"with tokens, others eight times before it", accounts, cutter.Before, 8, 1},
		{"without, not stored", without, cutter.Before, 0, 0},
		{"without, stored", without, cutter.After, 0, 1},
		{"without, not stored, others", without, cutter.Before, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, direct := newCutBench(t, c.of)
			for _, key := range []string{"new", "old"} {
				if key == "old" {
					require.Zero(t, b.add(t.Context(), b.beside, []string{key}, cutter.Never))
				}
				meddle := func() {
					for range c.others {
						require.Zero(t, b.add(t.Context(), b.beside, []string{key}, cutter.Never))
					}
				}
				b.meddle.Store(&meddle)
				require.Equal(t, c.unknown, b.add(t.Context(), b.behind, []string{key}, c.cut))
				if c.unknown > 0 && c.cut == cutter.After {
					b.want[key]++ // it was stored, which nobody but the test knows
				}
			}
			got, err := read(t.Context(), direct, "SELECT id, amount FROM accounts")
			require.NoError(t, err)
			require.Equal(t, b.want, got)
		})
	}
}

// TestG9_AServerThatIsGone cuts a commit, and then there is nobody to ask.
func TestG9_AServerThatIsGone(t *testing.T) {
	b, _ := newCutBench(t, accounts)
	value, err := b.behind.Load(t.Context(), "a")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refuse := func() {
		b.proxy.Refuse(true)
		cancel()
	}
	b.meddle.Store(&refuse)
	b.proxy.Arm(cutter.After)
	err = b.behind.Save(ctx, "a", value)
	require.ErrorIs(t, err, store.ErrUnknown)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, batch.ErrConflict)
	_, err = b.behind.Load(t.Context(), "a")
	require.Error(t, err)
	err = b.behind.Save(t.Context(), "a", value)
	require.Error(t, err, "no server")
	require.NotErrorIs(t, err, store.ErrUnknown, "it has not come to a COMMIT")
	b.proxy.Refuse(false)
	require.ErrorIs(t, b.behind.Save(t.Context(), "a", value), batch.ErrConflict)
}
