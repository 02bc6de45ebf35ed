// Package stat counts in memory and writes later: after stat_buffer (Elixir).
//
// A buffer has a count for every key. Incrementing costs an addition; an interval after its first increment a key is flushed,
// with others that are due, in one call of the sink: a database is written a few times a second however often is counted.
//
//	views, err := stat.NewBuffer(sys, "views", stat.Config[string]{Sink: sink})
//	err = views.Increment("/", 1) // never waits
//
// [Buffer] sums, and [Buffer.Counter] counts a key on a word for each processor. [Max] and [Last] keep the largest and the last
// value, [Histogram] how often each value was seen. Packages store/sqlite and store/postgres have sinks; a [FlushFunc] stores one
// key at a time.
//
// # What it promises
//
// G8: nothing that was counted is lost, and nothing is stored twice, whatever fails short of the process's death. A flush has an
// ID and its deltas; after an error nobody knows whether it was stored, so the same flush comes again, with back-off, until the
// sink accepts it. A sink that remembers IDs in the transaction that stores the deltas stores each once. Meanwhile the key counts
// on, into its next flush: a sink that is away costs each key two numbers however long it takes, and MaxKeys bounds the keys.
// Only an error that wraps [ErrNotStored] has the deltas counted on at once.
//
// What the process's death costs: what is not stored, which is what was counted in the last Interval and Jitter, and while the
// sink was away. With a [Journal] it is what Increment counted in the last Journal.Every, and nothing of what [Buffer.IncrementDurable]
// has answered: that is stored, once, by the next process.
//
// On several nodes of a cluster each node counts for itself and flushes what it has counted, under IDs of its own; sums come together in
// the table. Buffers that are Clustered can be asked together: [Buffer.CountCluster], [Histogram.CountCluster], [Max.ValueCluster]. Which of
// several nodes' last values was the last nobody can say without comparing clocks, so a [Last] has no such question.
//
// Sums go from -MaxInt64 + 1 to MaxInt64. One that reaches an end stays there, and whoever adds to it is told [ErrOverflow]. One
// that comes to 0 is not stored.
package stat
