package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// brood is the processes that this one has started and not seen the end of, by number; nil where the system does not tell.
type brood map[int]bool

// unknown is how many children there are where the system does not tell.
const unknown = -1

// children finds them in /proc. One that has ended and was not waited for is among them.
func children() brood {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // fails only for a bad pattern
	if len(stats) == 0 {
		return nil
	}
	found := make(brood)
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		if pid, parent, ok := parentage(string(stat)); ok && parent == os.Getpid() {
			found[pid] = true
		}
	}
	return found
}

// since is how many there are that were not there before.
func (b brood) since(before brood) int {
	if b == nil {
		return unknown
	}
	n := 0
	for pid := range b {
		if !before[pid] {
			n++
		}
	}
	return n
}

// parentage reads a line of /proc/PID/stat: "17 (name) S 3 …", where the name may hold anything.
func parentage(stat string) (pid, parent int, ok bool) {
	number, _, _ := strings.Cut(stat, " ")
	rest := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(rest) < 2 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(number)
	parent, err2 := strconv.Atoi(rest[1])
	return pid, parent, err == nil && err2 == nil
}
