package proc

// Exit is how a process ended.
type Exit struct {
	Code   int    // -1 if a signal ended it
	Signal string // empty if none did
	Err    error  // something else that went wrong with its input and output; nil if nothing did
}

// OutOfMemory reports whether a Go process that ended this way, and wrote this, was refused memory.
func (e Exit) OutOfMemory(stderr *Tail) bool { return e.Code != 0 && stderr.Refused() }
