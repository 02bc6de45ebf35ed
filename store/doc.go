// Package store keeps counts in SQL databases, so that they can be trusted with money. It holds what the adapters share: the
// description of a user's table ([Counts]) and what a flush does to it. The adapters are store/sqlite and store/postgres;
// store/storetest proves them, and any other.
//
//	db, err := sqlite.Open("counts.db")
//	views := store.Counts[string]{Table: "views", Keys: []string{"page"}}
//	err = sqlite.CreateTables(ctx, db, views) // or make them yourself
//	sink, err := sqlite.New(ctx, db, views)   // a stat.Sink[string]
//
// # What an adapter guarantees
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
// # Tables
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
