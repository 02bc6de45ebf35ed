package store

import "errors"

var (
	// ErrMissing says that a key has no row, and that a [Resource] has no Insert to make one.
	ErrMissing = errors.New("store: there is no such row")
	// ErrUnknown says that the connection or the context ended while a save was committed, and that it could not be found out
	// whether it was. Who runs it again may do it twice.
	ErrUnknown = errors.New("store: it is not known whether it was saved")
)

// Resource says in SQL how a value is loaded from its row and saved to it, and keeps writers from overwriting one another by a
// version: a save is done only if the row has the version that was loaded. Select, Update, Scan and Version are
// required. Parameters are $1, $2 … in PostgreSQL, and these or ?1, ?2 … or ? in SQLite.
//
//	store.Resource[string, *Wallet]{
//		Select:  "SELECT balance, version, tokens FROM wallets WHERE id = $1",
//		Update:  "UPDATE wallets SET balance = $2, version = version + 1, tokens = $4 WHERE id = $1 AND version = $3 RETURNING version",
//		Insert:  "INSERT INTO wallets (id, balance, version, tokens) VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING RETURNING version",
//		Scan:    func(w *Wallet) []any { return []any{&w.Balance} },
//		Version: func(w *Wallet) *int64 { return &w.Version },
//		Tokens:  func(w *Wallet) *string { return &w.Tokens },
//	}
//
// Functions must be quick, and may be called from several goroutines at once. What they panic with is the key's error, a
// penstock.PanicError.
type Resource[K comparable, R any] struct {
	// Select reads a key's row, one at most. Its parameters are the key's values; its columns are Scan's, the version,
	// the tokens if there are Tokens, and the epoch if there is Epoch.
	Select string
	// Update writes the row if it has the version that was loaded, gives it a greater one, and returns that: one row, or none if
	// the version is another. Its parameters are the key's values, Values', the version that was loaded, and the tokens if there
	// are Tokens, and the epoch if there is Epoch.
	Update string
	// Insert makes the row of a key that has none, with a version of 1 or more, and returns that version. Its parameters are the
	// key's values, Values', the tokens if there are Tokens, and the epoch if there is Epoch. ON CONFLICT DO NOTHING spares an error when somebody else was
	// quicker; without it the error is looked into. Default: none, and a key without a row is [ErrMissing]
	Insert string
	// Key gives a key's values. Default: the key itself
	Key func(key K) []any
	// New makes the value of a key, into which its row is scanned, or which is what a key without a row is loaded as. R must be
	// something that functions can change: a pointer, or a map. It must take the zero key. Default, for a pointer: a new zero value
	New func(key K) R
	// Scan gives pointers to the places of Select's columns, in their order, as Scan of pgx and database/sql take them.
	Scan func(value R) []any
	// Values gives what Update and Insert write. Default: Scan's places, whose pointers are followed
	Values func(value R) []any
	// Version is where a value keeps the version it was loaded with, or was saved as: 1 or more, and 0 if there is no row yet.
	// Only adapters change it.
	Version func(value R) *int64
	// Tokens is where a value keeps its row's tokens, a text of up to 111 bytes: random ones of the last eight saves. With them
	// a save finds out, when its commit's answer was lost, whether it was stored, though others have saved since; without
	// them it is then [ErrUnknown] unless it was not stored. Only adapters change them and their column, which must not be NULL.
	// Default: none
	Tokens func(value R) *string
	// Epoch is where a value keeps its row's epoch, for a processor that is Clustered: under which a key's owner wrote it last, and 0 if
	// that was outside a cluster. Load and Save under an older one are refused, with a batch.ErrStaleEpoch. Outside a cluster a save
	// leaves it as it is. Versions alone keep two owners from overwriting one another; with an epoch the old one writes nothing more
	// after the new one has. Only adapters change it and its column, which must not be NULL: a table gets it by
	// ALTER TABLE … ADD COLUMN epoch bigint NOT NULL DEFAULT 0. Default: none
	Epoch func(value R) *int64
}
