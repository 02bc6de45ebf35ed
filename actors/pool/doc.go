// Package pool runs functions that may get out of hand, and stops them: after Handler and Handler.Pool (Elixir).
//
// A pool lets so many tasks run at once, with so much declared memory between them, each for so long. What has no room is
// rejected at once or, if the pool is told so, waits for its turn. A pool can delegate to a bigger one that it shares with
// others: a task takes from both, and of neither more than it allows.
//
//	files, err := pool.New(sys, "files", pool.Config{MaxWorkers: 8, MaxWaiting: 1000})
//	sum, err := pool.Run(ctx, files, pool.Task{Name: "hash", MaxTime: 10 * time.Second}, func(ctx context.Context) ([]byte, error) {
//		return hash(ctx, file)
//	})
//
// # Three tiers
//
// How far a task is kept apart is chosen by the kind of work, call by call; the pool, its limits, kills and errors are the same.
//
//   - Goroutine: any function. Go can neither kill nor cap a goroutine. One that is killed or out of time has its context
//     ended, and its caller is answered at once; but it keeps its worker and its memory until it returns. If it does not, it
//     is counted as stuck, [Pool.Info] shows where it is, and Config.MaxStuck bounds how many are tolerated. Its declared
//     memory is a budget that nothing enforces. A panic becomes an error; a fatal error of the runtime (out of memory, a
//     concurrent map write) ends the process.
//   - Wasm: a WebAssembly module, see package wasm. Its memory is capped, and it is stopped in the middle of a loop.
//   - Process: a Go function in a child process, see [Register] and [Main], or any command, see [Command]. Its memory is
//     capped, and it is killed with its whole process group.
//
// # Pools of other nodes
//
// In a cluster (see package cluster) a pool can delegate to pools of other nodes, beside those of its own:
//
//	p, err := pool.New(sys, "render", pool.Config{Clustered: true}) // on each node
//
//	far, err := pool.At(sys, "b", "render")
//	here, err := pool.New(sys, "all", pool.Config{Delegate: func(any) []*pool.Pool { return []*pool.Pool{p, far} }})
//
// Calls of registered functions, as [Func.With] makes them, and of WebAssembly modules that are Served travel, nothing else: any other function
// passes such pools by, and is rejected as [Unregistered] if there is no other. A function around such a call is another function. The
// other node must know the function or the module by the same name, a module with the same code. Argument and result may have 60 KiB
// each, as they are encoded: what has more passes by as well, rejected as [TooLarge] at last, and a larger result is a [penstock.ErrInvalid].
//
// The other pool is asked once, with the task and all, and decides as for any task of its own. If it has no room the next pool is tried. When all
// have said no, and the asked pool has MaxWaiting, the task gets in line: at pools of this node if there are any, else at the first of the others
// that was full, as long as that one's MaxWaiting and both MaxWaits allow. Meanwhile it holds its place here and counts as started. So [Async]
// returns before the other node has answered, and a rejection comes by [Future.Await]. A task that has come from another node goes to no third.
//
// MaxTime, MaxMemory, Nice, kills and the end of the caller's context reach the other node. Errors have the types that they have here,
// with the Node where it happened; but of package wasm a TrapError, a GuestError and an AnswerError come as text. If the node
// is lost while it may run the task, that is a [LostError]: it may have run to its end or not, and is not run again. A node that loses the one that
// asked kills what it ran for it, and its workers are free.
//
// # What it promises
//
// G10: at no moment do more tasks run than MaxWorkers, nor do they hold more declared memory than MaxMemory, in any of the
// pools that they take from; and all of it comes back whatever the ending: a value, an error, a panic, runtime.Goexit, a
// timeout, a kill, a caller that gave up, a closed pool. G4: every caller gets its answer, once. See docs/guarantees.md.
//
// Whose turn it is among those who wait: the more urgent first ([Task].Nice), then in the order of their coming. At a pool
// that others delegate to, these take turns. A task that asks for much is not passed by for ever: while it is at the head,
// the room that is left is kept for it.
package pool
