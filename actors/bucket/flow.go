package bucket

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

const (
	maxFlow   = 512       // the longest name of a flow, in bytes: it is kept for every request that waits
	maxWeight = 1_000_000 // as much as limit.Fair tells apart
)

// weight is the flow's share beside the others of its niceness.
func (r *rules) weight(flow string) int { return max(r.weights[flow], 1) }

// checkFlow returns an error unless a request may name this flow.
func (r *rules) checkFlow(flow string) error {
	switch {
	case flow == "":
		return nil
	case len(flow) > maxFlow:
		return fmt.Errorf("%w request: Flow has %d bytes (%q…); it takes at most %d bytes of UTF-8", penstock.ErrInvalid, len(flow), flow[:16], maxFlow)
	case !utf8.ValidString(flow):
		return fmt.Errorf("%w request: Flow %q is not UTF-8", penstock.ErrInvalid, flow)
	case r.aging > 0:
		return fmt.Errorf("%w request: Flow is %q; it takes \"\" here, for the family has Aging, which gives every request a rank of its own, and flows share only among equals",
			penstock.ErrInvalid, flow)
	}
	return nil
}

// validateWeights names every weight that is bad, in order of the flows' names.
func (c Config) validateWeights(check func(ok bool, format string, args ...any)) {
	for _, flow := range slices.Sorted(maps.Keys(c.Weights)) {
		check(len(flow) <= maxFlow && utf8.ValidString(flow), "Weights has a flow %.64q of %d bytes; it takes names of at most %d bytes of UTF-8", flow, len(flow), maxFlow)
		w := c.Weights[flow]
		check(w >= 1 && w <= maxWeight, "Weights[%.64q] is %d; it takes 1 to %d", flow, w, maxWeight)
	}
	check(len(c.Weights) == 0 || c.Aging == 0,
		"Weights is set, and so is Aging; it takes one of them, for Aging gives every request a rank of its own, and flows share only among equals")
}
