package penstock

import (
	"time"

	"github.com/penstock-go/penstock/supervisor"
)

// Info is what a system can tell of itself.
type Info struct {
	Name   string
	Uptime time.Duration
	Tree   supervisor.Info // its actors: how many were started, restarted, given up; the families there are
}

// Info tells what the system holds and has been through. Each room's handles tell more: see their Info.
func (s *System) Info() Info {
	return Info{Name: s.name, Uptime: s.tree.Elapsed(), Tree: s.tree.Info()}
}
