package mill

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
)

// Guard is what stands before the server's handler.
type Guard string

const (
	None      Guard = "none"      // net/http as it is: every request is handled as it comes
	Semaphore Guard = "semaphore" // two are handled at once; the others wait in order, for as long as their callers do
	Queue     Guard = "queue"     // Penstock's queue, with adaptive order and an adaptive limit
)

// Urgent marks a request that goes before others, where the guard knows of urgency: the Priority field of RFC 9218.
const Urgent = "u=1"

// atOnce is how many requests the semaphore lets be handled at once, on one processor: one that works while another reads
// or writes. The adaptive limit begins with as many and then goes its own way.
const atOnce = 2

// niceUrgent is the niceness of urgent requests; the others have 0.
const niceUrgent = -10

// handler puts the guard before next. A request is given up after deadline, as its client gives it up. Call stop when no
// handler runs any more.
func (g Guard) handler(next http.Handler, deadline time.Duration) (guarded http.Handler, stop func(context.Context) error, err error) {
	stop = func(context.Context) error { return nil }
	switch g {
	case None:
		return next, stop, nil
	case Semaphore:
		return semaphore(next, atOnce), stop, nil
	case Queue:
		return queued(next, deadline)
	default:
		return nil, nil, fmt.Errorf("guard is %q, it takes %q, %q or %q", g, None, Semaphore, Queue)
	}
}

// semaphore lets n requests be handled at once. Those who wait are let go in the order in which they came.
func semaphore(next http.Handler, n int) http.Handler {
	taken := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case taken <- struct{}{}:
			defer func() { <-taken }()
			next.ServeHTTP(w, r)
		case <-r.Context().Done(): // nobody reads the answer
		}
	})
}

// queued runs requests through a queue of Penstock's.
func queued(next http.Handler, deadline time.Duration) (guarded http.Handler, stop func(context.Context) error, err error) {
	system, err := penstock.New(penstock.WithName("mill"))
	if err != nil {
		return nil, nil, err
	}
	q, err := queue.Add(system, "requests", queue.Config{
		Regulators: []queue.Regulator{queue.AdaptiveLimit{Initial: atOnce}},
		Order:      queue.Adaptive,
		MaxSize:    1000,
	})
	if err != nil {
		return nil, nil, err
	}
	shed := httplimit.Shed(q, httplimit.ShedConfig{
		Timeout: deadline,
		Nice: func(r *http.Request) int {
			if strings.HasPrefix(r.Header.Get("Priority"), Urgent) {
				return niceUrgent
			}
			return 0
		},
	})
	return shed(next), system.Close, nil
}
