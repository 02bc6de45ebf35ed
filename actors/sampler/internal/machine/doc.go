// Package machine reads from the files of the Linux kernel what a process may use of its machine, and what is used of it.
//
// What a process may use is bounded by the groups that it is in (cgroups of version 1 and 2, each and all of those above
// it), by the processors that it may run on, and by the machine.
package machine
