package postgres

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

func TestASQLThatIsWrongIsFoundBeforeItIsUsed(t *testing.T) {
	pool, schema := newPool(t)
	run(t, pool, createAccounts)
	bad := accounts
	bad.Select = "SELECT amount, version FROM accounts WHERE id = $1 AND note = $2"
	bad.Update = "UPDATE accounts SET amount = $2, note = $3, version = version + 1 WHERE id = $1 AND version = $4"
	bad.Insert = "INSERT INTO account (id) VALUES ($1)"
	_, err := NewResource(t.Context(), pool, bad)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, text := range []string{
		"Select has 2 parameters; it takes 1: 1 of the key",
		"Select returns 2 columns; it takes 4: 2 that Scan has places for, the version and the tokens",
		"Update has 4 parameters; it takes 5: 1 of the key, 2 of Values, the version and the tokens",
		"Update returns 0 columns; it takes 1: the new version, by RETURNING",
		`Insert: relation "account" does not exist`,
	} {
		require.ErrorContains(t, err, text)
	}
	for text, spoil := range map[string]func(of *store.Resource[string, *storetest.Account]){
		"Select: syntax error":           func(of *store.Resource[string, *storetest.Account]) { of.Select = "SELEKT" },
		"Select: cannot insert multiple": func(of *store.Resource[string, *storetest.Account]) { of.Select += "; DROP TABLE accounts" },
		"could not determine data type of param": func(of *store.Resource[string, *storetest.Account]) {
			of.Update = "UPDATE accounts SET amount = $2, note = $3, tokens = $5 WHERE id = $1 RETURNING 1"
		},
		"Insert has 5 parameters; it takes 4": func(of *store.Resource[string, *storetest.Account]) {
			of.Insert = "INSERT INTO accounts VALUES ($1, $2, $3, $4, $5) RETURNING version"
		},
		"Update is empty": func(of *store.Resource[string, *storetest.Account]) { of.Update = " " },
	} {
		bad := accounts
		spoil(&bad)
		_, err := NewResource(t.Context(), pool, bad)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	_, err = NewResource(t.Context(), poolOf(t, dsn(server)+"&synchronous_commit=off", schema), accounts)
	require.ErrorContains(t, err, "synchronous_commit is off, so that a crash of the server would lose saves")
	closed := poolOf(t, dsn(server), schema)
	closed.Close()
	_, err = NewResource(t.Context(), closed, accounts)
	require.Error(t, err)
	require.NotErrorIs(t, err, penstock.ErrInvalid, "nobody has looked")
}

// TestATableWithoutEpochs is one that was made by an earlier version.
func TestATableWithoutEpochs(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, createAccounts)
	newResource(t, pool, accounts) // as it was
	_, err := NewResource(t.Context(), pool, fenced())
	require.ErrorIs(t, err, penstock.ErrInvalid)
	const help = "ALTER TABLE … ADD COLUMN epoch bigint NOT NULL DEFAULT 0"
	for _, field := range []string{"Select: ", "Update: ", "Insert: "} {
		_, text, _ := strings.Cut(err.Error(), field)
		require.Contains(t, strings.Split(text, "\n")[0], help, field)
	}
	require.Equal(t, addEpochs, strings.Replace(help, "…", "accounts", 1))
	run(t, pool, addEpochs)
	newResource(t, pool, fenced())

	bad := accounts
	bad.Epoch = fenced().Epoch
	_, err = NewResource(t.Context(), pool, bad)
	require.ErrorContains(t, err, "the version, the tokens and the epoch")
}

// TestAnUpdateThatDoesOtherwiseStoresNothing has SQL that can be run, and would lose updates.
func TestAnUpdateThatDoesOtherwiseStoresNothing(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, createAccounts)
	for text, sql := range map[string]string{
		"Update returned version 1 after version 1; it must make it greater": "UPDATE accounts SET amount = $2, note = $3, tokens = $5 WHERE id = $1 AND version = $4 RETURNING version",
		"Update gave more than one row; it takes one or none":                "UPDATE accounts SET amount = $2, note = $3, tokens = $5, version = version + 1 WHERE id <> $1 || 'x' AND version = $4 RETURNING version",
		"cannot scan": "UPDATE accounts SET amount = $2, note = $3, tokens = $5, version = version + 1 WHERE id = $1 AND version = $4 RETURNING NULL::bigint",
	} {
		run(t, pool, "TRUNCATE accounts")
		run(t, pool, "INSERT INTO accounts VALUES ('a', 1, NULL, 1, ''), ('b', 1, NULL, 1, ''), ('c', 1, NULL, 1, '')")
		of := accounts
		of.Update = sql
		r := newResource(t, pool, of)
		a, err := r.Load(t.Context(), "a")
		require.NoError(t, err)
		a.Amount = 5
		for _, err := range []error{r.Save(t.Context(), "a", a), errors.Join(r.SaveMany(t.Context(), []string{"a", "z"}, []*storetest.Account{a, {Amount: 9}})...)} {
			require.ErrorContains(t, err, text)
			require.NotErrorIs(t, err, batch.ErrConflict)
		}
		got, err := read(t.Context(), pool, "SELECT id, amount FROM accounts")
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"a": 1, "b": 1, "c": 1, "z": 9}, got)
	}
}

// TestOneKeysErrorIsItsOwn has errors that come at other times: when it is sent, from a trigger, and at the COMMIT.
func TestOneKeysErrorIsItsOwn(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, `CREATE TABLE owners (id int PRIMARY KEY); INSERT INTO owners VALUES (1);
		CREATE TABLE accounts (id text PRIMARY KEY, amount int NOT NULL, owner int REFERENCES owners DEFERRABLE INITIALLY DEFERRED, version bigint NOT NULL);
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.amount = 7 THEN RAISE 'seven'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER t BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION refuse();`)
	type account struct{ amount, owner, version int64 }
	r := newResource(t, pool, store.Resource[string, *account]{
		Select:  "SELECT amount, owner, version FROM accounts WHERE id = $1",
		Update:  "UPDATE accounts SET amount = $2, owner = $3, version = version + 1 WHERE id = $1 AND version = $4 RETURNING version",
		Insert:  "INSERT INTO accounts VALUES ($1, $2, $3, 1) ON CONFLICT DO NOTHING RETURNING version",
		Scan:    func(a *account) []any { return []any{&a.amount, &a.owner} },
		Version: func(a *account) *int64 { return &a.version },
	})
	keys := []string{"a", "b", "c", "d", "e", "f"}
	values := []*account{{amount: 1, owner: 1}, {amount: math.MaxInt64, owner: 1}, {amount: 2, owner: 2}, {amount: 3, owner: 1}, {amount: 7, owner: 1}, {amount: 4, owner: 1}}
	errs := r.SaveMany(t.Context(), keys, values)
	for i, text := range []string{"", "greater than maximum value for int4", "violates foreign key constraint", "", "seven", ""} {
		if text == "" {
			require.NoError(t, errs[i])
			continue
		}
		require.ErrorContains(t, errs[i], text)
		require.NotErrorIs(t, errs[i], batch.ErrConflict)
		require.NotErrorIs(t, errs[i], store.ErrUnknown)
	}
	got, err := read(t.Context(), pool, "SELECT id, amount FROM accounts")
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"a": 1, "d": 3, "f": 4}, got)

	ints := newResource(t, pool, store.Resource[string, *account]{
		Select: "SELECT amount, version FROM accounts WHERE amount = $1", Update: "UPDATE accounts SET owner = $2 WHERE amount = $1 AND version = $3 RETURNING 2",
		Key: func(k string) []any {
			if k == "none" {
				return []any{"no number"}
			}
			return []any{len(k)}
		},
		Scan: func(a *account) []any { return []any{&a.amount} }, Version: func(a *account) *int64 { return &a.version },
	})
	loaded, errs := ints.LoadMany(t.Context(), []string{"1", "none", "333"})
	require.NoError(t, errs[0])
	require.ErrorContains(t, errs[1], "no number")
	require.NoError(t, errs[2])
	require.EqualValues(t, 3, loaded[2].amount)

	run(t, pool, "DROP TABLE accounts")
	for _, err := range append(r.SaveMany(t.Context(), keys, values), r.Save(t.Context(), "a", values[0])) {
		require.ErrorContains(t, err, `relation "accounts" does not exist`)
	}
	_, errs = r.LoadMany(t.Context(), keys)
	for _, err := range errs {
		require.ErrorContains(t, err, `relation "accounts" does not exist`)
	}
}

// TestResourcesOfOtherTypes has a key of two columns and values that pgx makes JSON, arrays, UUIDs and times of.
func TestResourcesOfOtherTypes(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, `CREATE TABLE carts (shop int, customer uuid, lines jsonb NOT NULL, tags text[], at timestamptz, version int NOT NULL, PRIMARY KEY (shop, customer))`)
	type key struct {
		shop     int
		customer [16]byte
	}
	type cart struct {
		lines   map[string]int
		tags    []string
		at      time.Time
		version int64
	}
	r := newResource(t, pool, store.Resource[key, *cart]{
		Select: "SELECT lines, tags, at, version FROM carts WHERE shop = $1 AND customer = $2",
		Update: "UPDATE carts SET lines = $3, tags = $4, at = $5, version = version + 1 WHERE shop = $1 AND customer = $2 AND version = $6 RETURNING version",
		Insert: "INSERT INTO carts VALUES ($1, $2, $3, $4, $5, (random() * 1e6)::int + 1) ON CONFLICT DO NOTHING RETURNING version",
		Key:    func(k key) []any { return []any{k.shop, k.customer} },
		New:    func(k key) *cart { return &cart{lines: map[string]int{"welcome": k.shop}} },
		Scan: func(c *cart) []any {
			return []any{&c.lines, &c.tags, &c.at}
		},
		Version: func(c *cart) *int64 { return &c.version },
	})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.Local)
	keys := []key{{1, [16]byte{1}}, {2, [16]byte{1}}, {1, [16]byte{2}}}
	for range 2 {
		values, errs := r.LoadMany(t.Context(), keys)
		require.NoError(t, errors.Join(errs...))
		for i, c := range values {
			require.Equal(t, keys[i].shop, c.lines["welcome"])
			c.lines["tea"], c.tags, c.at = i, []string{"a", `"b"`}, at
		}
		require.NoError(t, errors.Join(r.SaveMany(t.Context(), keys, values)...))
	}
	c, err := r.Load(t.Context(), keys[2])
	require.NoError(t, err)
	require.Equal(t, map[string]int{"welcome": 1, "tea": 2}, c.lines)
	require.Equal(t, []string{"a", `"b"`}, c.tags)
	require.True(t, at.Equal(c.at))
}
