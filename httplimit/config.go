package httplimit

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-go/penstock/actors/bucket"
)

// TransportConfig says how a [Transport] limits its requests. The zero TransportConfig works.
type TransportConfig struct {
	// Key picks the bucket of a request. Requests with the same key share a bucket. Keys appear in errors and logs, so
	// they should name an account and not be its secret. Default: the host of the URL,
	// in lower case, with its port if the URL has one.
	Key func(*http.Request) string

	// Nice is how urgent a request is, from -20 (most urgent) to 19. Default: 0.
	Nice func(*http.Request) int

	// Costs is what a request costs, by the name of the limit. Default: 1 of every limit.
	Costs func(*http.Request) map[string]int

	// Flow names whose request it is. While requests of a key wait, those of one niceness share by flow, so that who
	// makes many holds up nobody else; see [bucket.Request]. A family with Aging has no flows, and refuses requests
	// that name one. Default: none, requests go in the order of their coming.
	Flow func(*http.Request) string

	// ThrottleFamily makes what an answer teaches hold for every bucket of the family, for servers that limit all
	// keys together. Default: it holds for the request's own bucket.
	ThrottleFamily bool

	// MaxThrottle is the longest wait that is believed. A server that asks for more is taken to be mistaken: its
	// field is ignored. Raise it for servers with daily quotas. Default: 1 hour.
	MaxThrottle time.Duration

	// Backoff is how long a key waits after a 429 that does not say for how long. It doubles with each further one
	// in a row. Default: 1 second.
	Backoff time.Duration

	// MaxBackoff ends the doubling of Backoff. Default: 1 minute, or Backoff if that is longer.
	MaxBackoff time.Duration

	// Slack is the least slack of the family: [NewTransport] raises it to this. Default: the family's own, and if it
	// has none, the larger of 20 ms and 1 % of its shortest window, but at most a quarter of it.
	Slack time.Duration

	// MaxSlack is where widening ends. A 429 although our window had room shows that requests arrive closer together
	// than they leave; each such refusal doubles the slack, up to this. With MaxSlack equal to Slack it stays as it
	// is. Default: 10 % of the shortest window, and no less than the slack at the start.
	MaxSlack time.Duration

	// MaxRetries is how often a request that was refused (429, or 503 with a wait we believe) is sent again, if it
	// is idempotent or has an Idempotency-Key and its body can be had again. Each time takes its turn and its
	// permit. Default: 0, the refusal is returned.
	MaxRetries int
}

// validate names every bad field and what it takes.
func (c TransportConfig) validate() error {
	var errs []error
	bad := func(field string, value any, takes string) {
		errs = append(errs, fmt.Errorf("%s is %v; it takes %s", field, value, takes))
	}
	durations := []struct {
		field string
		value time.Duration
		zero  string
	}{
		{"MaxThrottle", c.MaxThrottle, "1h"},
		{"Backoff", c.Backoff, "1s"},
		{"MaxBackoff", c.MaxBackoff, "1m"},
		{"Slack", c.Slack, "the family's"},
		{"MaxSlack", c.MaxSlack, "10 % of the shortest window"},
	}
	for _, d := range durations {
		if d.value < 0 {
			bad(d.field, d.value, "a positive duration, or 0 for "+d.zero)
		}
	}
	if c.MaxBackoff > 0 && c.MaxBackoff < c.Backoff {
		bad("MaxBackoff", c.MaxBackoff, fmt.Sprintf("no less than Backoff, %v", c.Backoff))
	}
	if c.MaxSlack > 0 && c.MaxSlack < c.Slack {
		bad("MaxSlack", c.MaxSlack, fmt.Sprintf("no less than Slack, %v", c.Slack))
	}
	if c.MaxRetries < 0 {
		bad("MaxRetries", c.MaxRetries, "a number of retries, or 0 for none")
	}
	return errors.Join(errs...)
}

// withDefaults fills in what the configuration leaves open, except what depends on the family.
func (c TransportConfig) withDefaults() TransportConfig {
	if c.Key == nil {
		c.Key = hostKey
	}
	if c.MaxThrottle == 0 {
		c.MaxThrottle = time.Hour
	}
	if c.Backoff == 0 {
		c.Backoff = time.Second
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = max(time.Minute, c.Backoff)
	}
	return c
}

// request is what the configuration says about one HTTP request.
func (c *TransportConfig) request(req *http.Request) bucket.Request {
	r := request(req, c.Nice, c.Costs)
	if c.Flow != nil {
		r.Flow = c.Flow(req)
	}
	return r
}

// hostKey is the default Key of a [Transport].
func hostKey(req *http.Request) string { return strings.ToLower(req.URL.Host) }

// request is what the functions of a configuration say about one HTTP request.
func request(req *http.Request, nice func(*http.Request) int, costs func(*http.Request) map[string]int) bucket.Request {
	var r bucket.Request
	if nice != nil {
		r.Nice = nice(req)
	}
	if costs != nil {
		r.Costs = costs(req)
	}
	return r
}
