// Package sqlite keeps counts, and the values of batches, in a SQLite database, through modernc.org/sqlite, which is pure Go.
//
//	db, err := sqlite.Open("counts.db")
//	views := store.Counts[string]{Table: "views", Keys: []string{"page"}}
//	err = sqlite.CreateTables(ctx, db, views)
//	sink, err := sqlite.New(ctx, db, views)
//	err = sink.Flush(ctx, stat.Flush[string]{ID: "1", Deltas: []stat.Delta[string]{{Key: "/", N: 3}}})
//
// What it guarantees is said in package store: a flush is stored once, whatever is cut where (G8). With the settings of [Open]
// a flush that was answered with nil survives kill −9 and the loss of power, if the disk does what fsync asks.
//
// Any number of flushes, sinks and processes may write to one file; SQLite lets one write at a time, and the others wait until
// their contexts end.
//
// # Tables
//
// [CreateTables] makes these, with the key columns' types as Split's values are. Tables that are there are left as they are.
//
//	CREATE TABLE views (page TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (page)) WITHOUT ROWID;
//	CREATE TABLE penstock_flushes (id TEXT NOT NULL, counts TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (id, counts)) WITHOUT ROWID;
//	CREATE INDEX penstock_flushes_at ON penstock_flushes (at);
//
// The count's column must be declared INTEGER, or anything with INT in it. [store.Counts.Updated] becomes seconds since 1970
// if its column is, and UTC as "2006-01-02 15:04:05" otherwise, which is also how a [time.Time] in a key is written. Both
// tables must be in one file: in WAL mode SQLite does not commit to two of them atomically.
//
// A column may compare its values in its own way, COLLATE NOCASE for one. Keys that are the same to it share a row.
//
// # Values
//
// [NewResource] makes the load and save functions of a batch of SQL with a version column. Its table is the user's own, for example
//
//	CREATE TABLE wallets (id TEXT PRIMARY KEY, balance INTEGER NOT NULL, version INTEGER NOT NULL, tokens TEXT NOT NULL DEFAULT '');
//
// A commit takes the time of the disk, whether one value is saved in it or a hundred: SaveMany is what a busy batch wants.
package sqlite
