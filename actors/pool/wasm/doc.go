// Package wasm is the tier of pools between a goroutine, which nobody can stop, and a process, which takes long to start: a
// task that is a call of a WebAssembly module, with its memory capped and stopped in the middle of a loop. It is for
// what others wrote: plugins, users' formulas and templates, libraries in C or Rust that had better not share an address
// space with the service. It stands on wazero, which is pure Go.
//
//	renderer, err := wasm.Compile(ctx, code, wasm.Config{Name: "renderer"}) // once, and closed at the end
//
//	task := pool.Task{Name: "render", MaxTime: 50 * time.Millisecond, MaxMemory: 16 << 20}
//	page, err := pool.Run(ctx, p, task, renderer.Bytes("render", template))
//
// [Module.Call] calls an exported function with numbers, [Module.Bytes] one with bytes, and [Module.Main] runs a command
// of WASI. Each returns a function that a pool runs, or anybody else with a context.
//
// # What it guarantees
//
// Memory ends at the lesser of Task.MaxMemory and [Config.MaxMemory], to the page: memory.grow is refused, and if the
// module then gives up, by a trap or an exit status, the caller gets a [pool.MemoryError]. If it can do with less, nothing
// happens. Its call stack ends at [Config.MaxStack], and its tables do not grow.
//
// A kill or a deadline stops it wherever it is, in a loop, in recursion or in straight code: before it has run 65,536 more
// bytes of its code, which takes some ten microseconds, or when the one long operation that it is in is over: filling its
// memory, or a function of the host's. The caller gets the cause, the instance is gone, and the pool has its worker back.
//
// It sees no file, network, clock, environment or random number that it is not given: see [Config].
//
// A trap is a [TrapError], an exit status a [pool.CrashError], a panic of the host's functions a [penstock.PanicError]. The
// next call gets another instance. Nothing runs in the background, and after [Module.Close] nothing is left.
//
// # Instances
//
// A call has an instance to itself: memory, globals, open files. It is used again, so that a call takes a microsecond and
// not what the start of the module takes; and so the next call finds what a call leaves in its globals and its memory. If
// that is another user's, say [Config.Fresh]. An instance is given up after [Config.MaxCalls], and after any error but a
// [GuestError].
//
// # How it is stopped
//
// wazero can stop a module by itself, by looking in each turn of a loop whether it was closed. That takes forty times as
// long as the turn of a small loop, does not see recursion, and leaves a stack that may take 160 MiB. So Compile rewrites
// the module first: each function, loop and bulk operation pays for the code that it runs, and who has used up a slice asks
// the host whether to go on. That costs a nanosecond or two for a turn or a call.
//
// # Limits
//
// The cap is on the module's memory. Besides it an instance has its call stack, tables of up to 8 MiB, and what wazero needs to
// manage it, some 20 KiB. While memory grows the host has the old and the new copy of it, up to half as much again.
//
// Compile trusts the code more than a call does: it takes many times the size of the module and some seconds for some
// megabytes, and while it ends with its context, it looks at that between two functions. Bound the size of what users
// upload, and call Compile in a pool.
//
// The instructions are those of WebAssembly 2.0, with vectors; threads, exceptions, tail calls and several memories are
// not in it. Only functions can be imported. The compiler runs on amd64 and arm64; elsewhere wazero interprets, ten times
// and more slower.
//
// The wall between a module and the host is wazero's compiler. A bug in it is a hole in the wall: if what you run is
// hostile and your process holds what it must not see, use the process tier.
package wasm
