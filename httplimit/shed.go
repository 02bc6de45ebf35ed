package httplimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
)

// ShedConfig says what [Shed] asks its queue for. The zero ShedConfig works.
type ShedConfig struct {
	// Nice is how urgent a request is, from -20 (most urgent) to 19. Default: 0.
	Nice func(*http.Request) int

	// Flow names whose request it is, for instance an account. Flows share by weight inside a niceness. At most 512
	// bytes of UTF-8. Default: "", all requests are of one flow.
	Flow func(*http.Request) string

	// Cost is how many jobs a request counts as, 1 to 1,000,000. Default: 1.
	Cost func(*http.Request) int

	// Timeout is how long a request may take, its wait and its handler together: its context gets this deadline. The
	// queue refuses whom it cannot serve in time. Without it, one who sent a body and left may keep waiting, for
	// net/http sees that only when the body has been read; the queue's MaxTime ends that too. Default: 0, the
	// request's own context decides.
	Timeout time.Duration

	// Refused is told of each request that is turned away, and why, before it is answered: the caller learns nothing of
	// the inside of the server, and a log should. It runs on the request's goroutine. Default: nobody is told.
	Refused func(*http.Request, error)
}

// validate names every bad field and what it takes.
func (c ShedConfig) validate(q *queue.Queue) error {
	var errs []error
	if q == nil {
		errs = append(errs, errors.New("the queue is nil; it takes one from queue.Add"))
	} else if q.Info().Producer != nil {
		errs = append(errs, fmt.Errorf("queue %q has a producer; it takes one without, for such a queue takes no requests", q.Name()))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("Timeout is %v; it takes a positive duration, or 0 for none", c.Timeout))
	}
	return errors.Join(errs...)
}

// Shed runs the handlers of a server through q: so many at once, or so many a second, as q's regulators allow. The others
// wait, the more urgent go first, and who would wait in vain is turned away with a problem (RFC 9457) that says nothing
// of the inside of the server:
//
//   - 503 with Retry-After when q refuses the request, at once because q is full, or later because it waited for too
//     long, q is overloaded, or its deadline came or is too near;
//   - 503 without it when q is closed or has failed, or the request was cancelled while it waited: as a rule nobody reads
//     that, but if it was the server that cancelled, the caller must not take silence for success;
//   - 400 when its niceness, flow or cost is none that q takes, which no wait would cure.
//
// Retry-After is what q needs for those who wait, 1 second to 1 minute, and up to half as much again, at random, so that
// those who were refused together do not come back together.
//
// A handler runs on the server's goroutine, with the server's own [http.ResponseWriter], and holds its job until it
// returns, also while it streams or serves a connection that it hijacked. When it panics the job is given back and the
// panic goes on to the server. When its request's context has met its deadline by then, an adaptive limit takes that for a
// sign of overload ([queue.Job.Failed]); callers that leave are none, or they could lower the limit at will.
//
// [http.TimeoutHandler] belongs outside of Shed: inside it would end the job and leave its handler running. Shed panics
// if the configuration is bad, if q is nil, or if q has a producer.
func Shed(q *queue.Queue, cfg ShedConfig) func(http.Handler) http.Handler {
	if err := cfg.validate(q); err != nil {
		panic(fmt.Errorf("httplimit: Shed: %w", err))
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if cfg.Timeout > 0 {
				ctx, cancel := context.WithTimeout(r.Context(), cfg.Timeout)
				defer cancel()
				r = r.WithContext(ctx)
			}
			job, err := q.Ask(r.Context(), cfg.request(r))
			if err != nil {
				if cfg.Refused != nil {
					cfg.Refused(r, err)
				}
				shed(err).write(w, r)
				return
			}
			defer giveBack(r.Context(), job)
			next.ServeHTTP(w, r)
		})
	}
}

// request is what the functions of the configuration say about one HTTP request.
func (c *ShedConfig) request(r *http.Request) queue.Request {
	var asked queue.Request
	if c.Nice != nil {
		asked.Nice = c.Nice(r)
	}
	if c.Flow != nil {
		asked.Flow = c.Flow(r)
	}
	if c.Cost != nil {
		asked.Cost = c.Cost(r)
	}
	return asked
}

// giveBack ends a job whose handler has returned or panicked.
func giveBack(ctx context.Context, job *queue.Job) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		job.Failed()
		return
	}
	job.Done()
}
