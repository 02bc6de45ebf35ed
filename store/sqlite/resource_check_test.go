package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

func TestASQLThatIsWrongIsFoundBeforeItIsUsed(t *testing.T) {
	db := openNew(t)
	run(t, db, createAccounts)
	bad := accounts
	bad.Select = "SELECT amount, version FROM accounts WHERE id = ? AND note = ?"
	bad.Update = "UPDATE accounts SET amount = ?2, note = ?3, version = version + 1 WHERE id = ?1 AND version = ?4"
	bad.Insert = "INSERT INTO account (id) VALUES (?)"
	_, err := NewResource(t.Context(), db, bad)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, text := range []string{
		"Select has 2 parameters; it takes 1: 1 of the key",
		"Select returns 2 columns; it takes 4: 2 that Scan has places for, the version and the tokens",
		"Update has 4 parameters; it takes 5: 1 of the key, 2 of Values, the version and the tokens",
		"Update returns 0 columns; it takes 1: the new version, by RETURNING",
		"Insert: SQL logic error: no such table: account",
	} {
		require.ErrorContains(t, err, text)
	}
	for text, spoil := range map[string]func(of *store.Resource[string, *storetest.Account]){
		"Select: SQL logic error: near": func(of *store.Resource[string, *storetest.Account]) { of.Select = "SELEKT" },
		"Insert has 5 parameters; it takes 4": func(of *store.Resource[string, *storetest.Account]) {
			of.Insert = "INSERT INTO accounts VALUES ($1, $2, $3, $4, $5) RETURNING version"
		},
		"Insert returns 2 columns": func(of *store.Resource[string, *storetest.Account]) {
			of.Insert = "INSERT INTO accounts VALUES (?, ?, ?, 1, ?) RETURNING version, id"
		},
		"Update is empty": func(of *store.Resource[string, *storetest.Account]) { of.Update = " " },
	} {
		bad := accounts
		spoil(&bad)
		_, err := NewResource(t.Context(), db, bad)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
	bad = accounts
	bad.Select += "; DELETE FROM accounts; INSERT INTO accounts VALUES ('x', 1, '', 1, '')"
	_, _ = NewResource(t.Context(), db, bad)
	got, err := read(t.Context(), db, "SELECT id, amount FROM accounts")
	require.NoError(t, err)
	require.Empty(t, got, "what comes after a semicolon was done")
	run(t, db, "BEGIN; ROLLBACK") // no transaction was left open

	off := openNew(t)
	run(t, off, "PRAGMA journal_mode = off")
	run(t, off, createAccounts)
	_, err = NewResource(t.Context(), off, accounts)
	require.ErrorContains(t, err, "journal_mode is off")
	closed, err := Open(filepath.Join(t.TempDir(), "x"))
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = NewResource(t.Context(), closed, accounts)
	require.Error(t, err)
	require.NotErrorIs(t, err, penstock.ErrInvalid, "nobody has looked")
}

// TestATableWithoutEpochs is one that was made by an earlier version.
func TestATableWithoutEpochs(t *testing.T) {
	db := openNew(t)
	run(t, db, createAccounts)
	newResource(t, db, accounts) // as it was
	_, err := NewResource(t.Context(), db, fenced())
	require.ErrorIs(t, err, penstock.ErrInvalid)
	const help = "ALTER TABLE … ADD COLUMN epoch bigint NOT NULL DEFAULT 0"
	for _, field := range []string{"Select: ", "Update: ", "Insert: "} {
		_, text, _ := strings.Cut(err.Error(), field)
		require.Contains(t, strings.Split(text, "\n")[0], help, field)
	}
	require.Equal(t, addEpochs, strings.Replace(help, "…", "accounts", 1))
	run(t, db, addEpochs)
	newResource(t, db, fenced())

	bad := accounts
	bad.Epoch = fenced().Epoch
	_, err = NewResource(t.Context(), db, bad)
	require.ErrorContains(t, err, "the version, the tokens and the epoch")
}

// TestAnUpdateThatDoesOtherwiseStoresNothing has SQL that can be run, and would lose updates.
func TestAnUpdateThatDoesOtherwiseStoresNothing(t *testing.T) {
	db := openNew(t)
	run(t, db, createAccounts)
	for text, update := range map[string]string{
		"Update returned version 1 after version 1; it must make it greater": "UPDATE accounts SET amount = ?2, note = ?3, tokens = ?5 WHERE id = ?1 AND version = ?4 RETURNING version",
		"Update gave more than one row; it takes one or none":                "UPDATE accounts SET amount = ?2, note = ?3, tokens = ?5, version = version + 1 WHERE id <> ?1 || 'x' AND version = ?4 RETURNING version",
		"converting NULL to int64":                                           "UPDATE accounts SET amount = ?2, note = ?3, tokens = ?5, version = version + 1 WHERE id = ?1 AND version = ?4 RETURNING NULL",
	} {
		run(t, db, "DELETE FROM accounts; INSERT INTO accounts VALUES ('a', 1, NULL, 1, ''), ('b', 1, NULL, 1, ''), ('c', 1, NULL, 1, '')")
		of := accounts
		of.Update = update
		r := newResource(t, db, of)
		a, err := r.Load(t.Context(), "a")
		require.NoError(t, err)
		a.Amount = 5
		for _, err := range []error{r.Save(t.Context(), "a", a), errors.Join(r.SaveMany(t.Context(), []string{"a", "z"}, []*storetest.Account{a, {Amount: 9}})...)} {
			require.ErrorContains(t, err, text)
			require.NotErrorIs(t, err, batch.ErrConflict)
		}
		got, err := read(t.Context(), db, "SELECT id, amount FROM accounts")
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"a": 1, "b": 1, "c": 1, "z": 9}, got)
	}
}

// owned is an account of somebody, who must be there when it is committed.
type owned struct {
	amount, owner, version int64
	note                   any
}

func newOwned(t *testing.T, db *sql.DB) *Resource[string, *owned] {
	run(t, db, `PRAGMA foreign_keys = ON; CREATE TABLE owners (id INTEGER PRIMARY KEY); INSERT INTO owners VALUES (1);
		CREATE TABLE accounts (id TEXT PRIMARY KEY, amount INTEGER, owner INTEGER REFERENCES owners DEFERRABLE INITIALLY DEFERRED, note, version INTEGER);
		CREATE TRIGGER a BEFORE INSERT ON accounts WHEN new.amount = 7 BEGIN SELECT RAISE(ROLLBACK, 'seven'); END;
		CREATE TRIGGER b AFTER INSERT ON accounts WHEN new.amount = 8 BEGIN SELECT RAISE(FAIL, 'eight'); END`)
	return newResource(t, db, store.Resource[string, *owned]{
		Select:  "SELECT amount, owner, version FROM accounts WHERE id = ?",
		Update:  "UPDATE accounts SET amount = ?2, owner = ?3, note = ?4, version = version + 1 WHERE id = ?1 AND version = ?5 RETURNING version",
		Insert:  "INSERT INTO accounts VALUES (?, ?, ?, ?, 1) ON CONFLICT DO NOTHING RETURNING version",
		Scan:    func(a *owned) []any { return []any{&a.amount, &a.owner} },
		Values:  func(a *owned) []any { return []any{a.amount, a.owner, a.note} },
		Version: func(a *owned) *int64 { return &a.version },
	})
}

// TestOneKeysErrorIsItsOwn has errors that come at other times, some of which end the whole transaction, or leave behind half of a
// statement.
func TestOneKeysErrorIsItsOwn(t *testing.T) {
	db := openNew(t)
	r := newOwned(t, db)
	keys := []string{"a", "b", "c", "d", "e", "f", "g"}
	values := []*owned{
		{amount: 1, owner: 1}, {amount: 8, owner: 1}, {amount: 2, owner: 2}, {amount: 3, owner: 1}, {amount: 7, owner: 1},
		{amount: 4, owner: 1}, {amount: 5, owner: 1, note: struct{}{}},
	}
	errs := r.SaveMany(t.Context(), keys, values)
	for i, text := range []string{"", "eight", "FOREIGN KEY", "", "seven", "", "unsupported type"} {
		if text == "" {
			require.NoError(t, errs[i])
			continue
		}
		require.ErrorContains(t, errs[i], text)
		require.NotErrorIs(t, errs[i], batch.ErrConflict)
		require.NotErrorIs(t, errs[i], store.ErrUnknown)
	}
	got, err := read(t.Context(), db, "SELECT id, amount FROM accounts")
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"a": 1, "d": 3, "f": 4}, got)
}

// TestAFullDiskIsNobodysConflict fills the file.
func TestAFullDiskIsNobodysConflict(t *testing.T) {
	db := openNew(t)
	r := newOwned(t, db)
	var pages int
	require.NoError(t, db.QueryRow("PRAGMA page_count").Scan(&pages))
	run(t, db, "PRAGMA max_page_count = "+strconv.Itoa(pages))
	var keys []string
	var values []*owned
	for i := range 200 {
		keys, values = append(keys, strconv.Itoa(i)), append(values, &owned{owner: 1, note: strings.Repeat("x", 1000)})
	}
	for _, err := range r.SaveMany(t.Context(), keys, values) {
		require.ErrorContains(t, err, "full")
		require.NotErrorIs(t, err, batch.ErrConflict)
		require.NotErrorIs(t, err, store.ErrUnknown)
	}
	got, err := read(t.Context(), db, "SELECT id, amount FROM accounts")
	require.NoError(t, err)
	require.Empty(t, got)
	run(t, db, "PRAGMA max_page_count = 10000")
	require.NoError(t, errors.Join(r.SaveMany(t.Context(), keys, values)...))
}
