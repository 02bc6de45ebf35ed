// Package storetest proves what stores counts and values in a database, whatever the database is. [TestCounts] proves a [stat.Sink]:
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
// [TestResource] proves in the same way what loads and saves the values of a batch, as [store.Resource] describes it: a value is loaded
// as it was saved; who comes second has a batch.ErrConflict, and nobody else; each of many keys has its own result; writers
// at once, also in other processes ([TestResourceProcesses]), lose nothing; panics are their keys' errors; a context's end
// ends the wait, and what was saved is never said not to be.
//
// [TestResourceEpochs] proves that a resource whose rows have epochs refuses what an owner of the past loads and saves, and changes nothing
// then.
//
// What it cannot prove is what needs the database's own protocol or files: a connection that is cut between a commit and its answer, a process
// that is killed. The tests of store/postgres and store/sqlite show how to.
package storetest
