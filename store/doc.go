// Package store keeps counts and values in SQL databases, so that they can be trusted with money. It holds what the adapters
// share: the description of a user's table of counts ([Counts]) and what a flush does to it, and of the rows that a batch loads and
// saves ([Resource]). The adapters are store/sqlite and store/postgres; store/storetest proves them, and any other.
//
//	db, err := sqlite.Open("counts.db")
//	views := store.Counts[string]{Table: "views", Keys: []string{"page"}}
//	err = sqlite.CreateTables(ctx, db, views) // or make them yourself
//	sink, err := sqlite.New(ctx, db, views)   // a stat.Sink[string]
//
//	wallets, err := sqlite.NewResource(ctx, db, store.Resource[string, *Wallet]{Select: …, Update: …, Insert: …, Scan: …, Version: …})
//	cfg := batch.Config[string, *Wallet]{LoadMany: wallets.LoadMany, SaveMany: wallets.SaveMany} // or Load and Save
//
// # What an adapter guarantees of counts
//
// A flush is stored once, or not at all: its ID and all its counts are written in one transaction, and the ID is in a table
// with a primary key. So a flush that comes again, because its commit's answer was lost, because it timed out, after kill −9, from
// another process, or while the first attempt still runs in the server, changes nothing and is answered with nil. A flush
// that was answered with nil is on disk, as far as the database promises that.
//
// An error wraps [stat.ErrNotStored] when this attempt held the flush's ID, in its transaction, and failed before its COMMIT
// was sent, or when the database answered the COMMIT by refusing it. Whoever holds the ID knows that no attempt before stored
// it: one that had would be in the way, and one still running would be waited for. All other errors leave it open: an attempt
// that cannot even reach the database knows nothing of the attempts before it. The same flush is then to be repeated.
//
// Sums stop at the ends of int64: a count that has reached 9,223,372,036,854,775,807 stays there.
//
// # What an adapter guarantees of values
//
// A save is stored only if its row has the version that it was loaded with; otherwise it is a batch.ErrConflict, and the batch
// loads it again and runs its operations again. A save that was answered with nil is on disk, as far as the database promises
// that.
//
// So a conflict must never be said of a save that was stored: its operations would be done twice. When the connection breaks
// while the answer to a COMMIT is waited for, the save is run again, which is safe: it finds the row as it was loaded only if it was
// not stored. If it finds another version it looks for its own token in the row ([Resource.Tokens]), among those of the last
// eight saves. So it is known for certain what became of it, unless more than seven others have saved the row in those
// milliseconds, the row was deleted, the context ends before, or the database stays away for half a minute: then the error is an
// [ErrUnknown]. After any other error nothing was stored.
//
// Many keys are saved in one transaction, and each has its own result: those that have conflicts do not write, and if the
// database refuses one, the transaction is rolled back and the others are saved without it.
//
// All who write to the rows must keep to the versions: make a greater one with each write. Who deletes a row and makes it again
// with the same version as before overwrites nothing by himself, but who loaded the old row may then overwrite the new one; an
// Insert whose first version is the time, or from a sequence, rules that out. An Insert whose answer was lost makes a row again
// that somebody has deleted in those milliseconds.
//
// # What an adapter guarantees of leases
//
// A shard has one living owner at most, and whoever takes it gets an epoch that is larger than every earlier one; a lease lives as long as
// was asked for, and what has ended stays ended ([lease.Store] has it in full). None of that rests on the clocks of the members'
// machines, or on calls that arrive in time: PostgreSQL's clock counts, or that of the one machine whose processes share a SQLite
// file. A call whose answer was lost may have been carried out, whole, and [lease.Store.Renew] tells what is owned; one that comes late,
// after others of the same member, changes nothing.
//
// Leases are only as good as the commit they are written by. With PostgreSQL a standby that takes over must have all of it
// (synchronous replication), and the server's clock must not be set forward: a lease that ends too early has two owners for as long as
// its member believes in it. It may be slewed, and be set back: leases then end later.
//
// Epochs are milliseconds since 1970, or more if they must be to be larger than the last one. So they go on growing if the table is lost,
// or comes from an old backup.
//
// # Tables of counts
//
// The counts' table is the user's own. It needs the key columns, a unique index over exactly them, and a column for the
// count; other columns must allow NULL or have a default. The flushes' table is Penstock's; one can serve many counts' tables:
//
//	CREATE TABLE views (page text PRIMARY KEY, n bigint NOT NULL);
//	CREATE TABLE penstock_flushes (id text, counts text, at timestamptz NOT NULL, PRIMARY KEY (id, counts)); -- PostgreSQL
//	CREATE INDEX ON penstock_flushes (at);
//
// The column counts names the table and the column that the flush was stored in, so one flush may go to several tables, each of
// them once. IDs older than [Counts.Retain], by the database's clock, are deleted little by little, in the same transactions.
package store
