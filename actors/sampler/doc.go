// Package sampler measures load and says it in levels: supervised samplers, each with a name, after the samplers of jobs.
//
// A [Sampler] asks its [Source] at an interval and compares what it hears with thresholds: below the first the level is 0,
// from the first on it is 1, and so on. Levels are small numbers that others can act on without knowing what was measured:
// queues slow down by so many percent a level.
//
//	_, err := sampler.Add(sys, "cpu", sampler.Config{Source: sampler.CPU()})
//	…
//	stop, err := sampler.Watch(sys, func(load sampler.Load) {
//		slow := load["cpu"].Local > 0
//		…
//	})
//
// [CPU] and [Memory] measure the container or machine, [Heap], [Scheduler] and [GC] the Go runtime, and a [Source] of your own
// whatever you like. [Limits] tells what this process may really use. [Load] holds the levels of other nodes too: those of
// samplers that are Clustered, on nodes of a cluster, and what [SetRemote] says, for a time. Those of a node that has died expire: at the end
// of its membership, or three seconds after it was heard of last.
//
// # What it guarantees
//
// By the numbers of docs/guarantees.md: a sampler that fails and is started again keeps its level and its samples (G2, for
// levels); its source is never called twice at once, and a source that is slow, stuck, or panics delays nobody; levels that
// are not measured any more fall to 0 and say why; watchers see all changes in one order; memory is bounded (G5); after
// Close nothing is left, except for sources and watchers that do not return (G6).
//
// # How it works
//
// A sampler is an actor with a timer. When a sample is due it starts a goroutine that asks the source, and takes in the
// message with the answer; if the source is still at work when the next sample is due, that one is missed. Samples and level
// live in the directory's entry, so they survive the actor. Changes of levels meet on a board, which puts them in an order and
// tells the watchers, each on a goroutine of its own while there is something to tell.
//
// Close ends samplers when the families that are younger have come to their end. A room that minds the load until then
// calls [Watch] before it starts its own family.
package sampler
