package boltfile

import (
	"runtime"
	"sync"
)

// maxGather bounds how often a committer steps back.
const maxGather = 16

// Gather lets those run that have something to write: above all those who were just answered, and come again. A sync of the disk
// takes so much longer that it pays to wait for them as long as more keep coming. waiting is asked with the mutex held.
func Gather(mu *sync.Mutex, waiting func() int) {
	for before, round := -1, 0; round < maxGather; round++ {
		mu.Lock()
		n := waiting()
		mu.Unlock()
		if n == before {
			return
		}
		before = n
		runtime.Gosched()
	}
}
