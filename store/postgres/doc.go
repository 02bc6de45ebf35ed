// Package postgres keeps counts, and the values of batches, in PostgreSQL, through pgx.
//
//	pool, err := pgxpool.New(ctx, "postgres://localhost/shop")
//	views := store.Counts[string]{Table: "stats.views", Keys: []string{"page"}}
//	err = postgres.CreateTables(ctx, pool, views)
//	sink, err := postgres.New(ctx, pool, views)
//	err = sink.Flush(ctx, stat.Flush[string]{ID: "1", Deltas: []stat.Delta[string]{{Key: "/", N: 3}}})
//
// What it guarantees is said in package store: a flush is stored once, whatever is cut where (G8). It needs that the server
// does not answer a COMMIT before it is on disk: [New] refuses connections with synchronous_commit = off. If a standby takes over
// that did not have everything, counts and IDs are lost together.
//
// Any number of flushes, sinks and processes may write to the same tables at once. They take the rows' locks in the same order;
// should they still meet in a deadlock, or a serialization failure, they begin again until their contexts end.
//
// # Tables
//
// [CreateTables] makes these, with the key columns' types as Split's values are. Tables and schemas that are there are left as
// they are; a schema that is missing is not made.
//
//	CREATE TABLE stats.views (page text NOT NULL, n bigint NOT NULL, PRIMARY KEY (page));
//	CREATE TABLE stats.penstock_flushes (id text, counts text, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, counts));
//	CREATE INDEX penstock_flushes_at ON stats.penstock_flushes (at);
//
// The count's column is a bigint or a numeric. [store.Counts.Updated] is a timestamp, with a time zone or without, or a date. Keys
// may be of any type that a value can be cast to: text, integers, uuid, citext, enums, domains. Keys that are the same to the
// column share a row. A key that PostgreSQL's text cannot hold, with a NUL or not UTF-8, is refused by name.
//
// The role needs SELECT, INSERT and UPDATE on the counts' table, and SELECT, INSERT, UPDATE and DELETE on the flushes'.
//
// # Values
//
// [NewResource] makes the load and save functions of a batch of SQL with a version column. Its table is the user's own, for example
//
//	CREATE TABLE wallets (id text PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL, tokens text NOT NULL DEFAULT '');
//
// A load of many keys is one round trip, a save of any number two: the statements, and the COMMIT. Values are what pgx takes: a
// struct or a map for jsonb, slices for arrays. It works with poolers too, if the pool's default_query_exec_mode is one that does.
package postgres
