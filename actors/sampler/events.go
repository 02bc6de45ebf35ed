package sampler

import "time"

// Event is a change of the level of a sampler of this node.
type Event struct {
	Sampler  string
	From, To int
	Value    float64 // what was compared last
	At       time.Time
	Err      error // why the level is 0 although nothing was measured: samples were missed, or the sampler has ended
}
