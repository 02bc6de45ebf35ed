// Package storetest proves a [stat.Sink] that stores counts in a database, whatever the database is.
//
//	func TestMySink(t *testing.T) {
//		storetest.TestCounts(t, func(t testing.TB, merge store.Merge) storetest.Backend {
//			db := open(t) // new, empty tables, dropped in t.Cleanup
//			return storetest.Backend{
//				Sink: mysql.New(db, merge), Other: mysql.New(db, merge),
//				Counts: func(ctx context.Context) (map[string]int64, error) { … }, // SELECT key, n FROM …
//			}
//		})
//	}
//
// What it proves: counts become what [store.Merge] says, up to the ends of int64; a flush is stored once, however often it comes, one
// after the other or at the same time, and through whichever sink; flushes at once do not lose one another's counts, and do
// not lock one another out; any number of counts and any key is stored as it is, or refused with a clear error; what fails is
// stored not at all and is not remembered; [stat.ErrNotStored] is only said when nothing was stored by any attempt; a context's
// end ends the wait; IDs are forgotten when they are old, and not before.
//
// What it cannot prove is what needs the database's own protocol or files: a connection that is cut between a commit and its answer, a process
// that is killed. The tests of store/postgres and store/sqlite show how to.
package storetest
