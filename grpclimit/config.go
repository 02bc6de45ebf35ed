package grpclimit

import (
	"context"
	"fmt"

	"google.golang.org/grpc/metadata"

	"github.com/penstock-go/penstock/actors/queue"
)

// Config says what the interceptors ask their queue for. The zero Config works. Its functions get the call's context,
// with the metadata that came with it, and its full method, such as "/grpc.health.v1.Health/Check".
type Config struct {
	// Nice is how urgent a call is, from -20 (most urgent) to 19. Default: 0.
	Nice func(ctx context.Context, method string) int

	// Flow names whose call it is, for instance an account. Flows share by weight inside a niceness. At most 512 bytes of
	// UTF-8. Default: "", all calls are of one flow.
	Flow func(ctx context.Context, method string) string

	// Cost is how many jobs a call counts as, 1 to 1,000,000. Default: 1.
	Cost func(ctx context.Context, method string) int

	// Skip tells the methods that pass without the queue, as health checks and reflection should: a server that is busy
	// is not ill. Default: none.
	Skip func(method string) bool

	// Refused is told of each call that is turned away, and why, before it is answered: the client learns nothing of the
	// inside of the server, and a log should. It runs on the call's goroutine. Default: nobody is told.
	Refused func(ctx context.Context, method string, err error)
}

// skips reports whether calls of the method pass without the queue.
func (c *Config) skips(method string) bool { return c.Skip != nil && c.Skip(method) }

// request is what the functions of the configuration say about one call.
func (c *Config) request(ctx context.Context, method string) queue.Request {
	var asked queue.Request
	if c.Nice != nil {
		asked.Nice = c.Nice(ctx, method)
	}
	if c.Flow != nil {
		asked.Flow = c.Flow(ctx, method)
	}
	if c.Cost != nil {
		asked.Cost = c.Cost(ctx, method)
	}
	return asked
}

// refuse tells of a call that is turned away, and makes its status.
func (c *Config) refuse(ctx context.Context, method string, err error, setTrailer func(metadata.MD)) error {
	if c.Refused != nil {
		c.Refused(ctx, method, err)
	}
	return refuse(err, setTrailer)
}

// need panics unless q takes requests.
func need(q *queue.Queue) {
	switch {
	case q == nil:
		panic("grpclimit: the queue is nil; it takes one from queue.Add")
	case q.Info().Producer != nil:
		panic(fmt.Sprintf("grpclimit: queue %q has a producer; it takes one without, for such a queue takes no requests", q.Name()))
	}
}
