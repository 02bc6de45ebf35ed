package main

import (
	"runtime"

	"github.com/penstock-go/penstock/actors/pool"
)

// What the process tier can do on this system.
const (
	canCap  = runtime.GOOS == "linux"   // it can keep a process to its memory
	canFork = runtime.GOOS != "windows" // it can end a process with all that it started
)

// processes says how the children are kept.
func processes() pool.Processes { return pool.Processes{Uncapped: !canCap} }
