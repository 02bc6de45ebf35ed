package bucket

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// Niceness as Unix has it: the lower, the more urgent.
const (
	MinNice = -20 // the most urgent
	MaxNice = 19  // the least
)

// Headroom keeps a part of every limit free for requests that are more urgent, after Tornex's bucket.
type Headroom struct {
	// Classes in order of falling urgency. A request belongs to the first class whose MaxNice is not below its niceness,
	// or to the last, and may use every limit up to the class's Share. Default: no classes, all may use all
	Classes []Class
	// Lift lets a request that has waited this long use all of every limit. TryAcquire does not wait, so it is never
	// lifted. Default 0: never
	Lift time.Duration
}

// Class is what requests of some urgency may use.
type Class struct {
	MaxNice int     // the least urgent niceness of the class, -20 to 19
	Share   float64 // of each limit, 0 to 1: 0.7 of 10 events is 7. With 0 the class's requests go only by Lift, so by Acquire
}

// Tornex is the configuration of Tornex's bucket: 10 requests in any 6 seconds; user requests (niceness −10 and below)
// go while the window has room, high-priority ones (−9 to 0) while less than 70 % of it is used, and generic ones
// (above 0) only in their turn. Tornex sends what waits when its window's timer fires; here a request has that turn
// once it has waited as long as the window.
func Tornex() Config {
	return Config{
		Limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}},
		Headroom: Headroom{
			Classes: []Class{{MaxNice: -10, Share: 1}, {MaxNice: 0, Share: 0.7}, {MaxNice: MaxNice, Share: 0}},
			Lift:    6 * time.Second,
		},
	}
}

func (h Headroom) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(h.Lift >= 0, "Headroom.Lift is %v; it takes 0 (never) or a positive duration", h.Lift)
	for i, c := range h.Classes {
		check(c.MaxNice >= MinNice && c.MaxNice <= MaxNice, "Headroom.Classes[%d].MaxNice is %d; it takes -20 to 19", i, c.MaxNice)
		check(c.Share >= 0 && c.Share <= 1, "Headroom.Classes[%d].Share is %v; it takes 0 to 1", i, c.Share)
		check(c.Share != 0 || h.Lift > 0, "Headroom.Classes[%d].Share is 0 and there is no Lift: its requests could never go", i)
		if i > 0 {
			check(c.MaxNice > h.Classes[i-1].MaxNice, "Headroom.Classes[%d].MaxNice is %d; it takes more than the class before it", i, c.MaxNice)
			check(c.Share <= h.Classes[i-1].Share, "Headroom.Classes[%d].Share is %v; it takes at most the share of the class before it", i, c.Share)
		}
	}
	return errors.Join(errs...)
}
