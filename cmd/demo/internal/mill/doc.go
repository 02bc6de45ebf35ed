// Package mill is a server whose every request costs processor time, in a process of its own: what the demo overloads.
//
// The process has one processor (GOMAXPROCS is 1), so that what it can do is plain, and so that its clients, which run in
// the process that started it, have another one where there is one.
package mill
