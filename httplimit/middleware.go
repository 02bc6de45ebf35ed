package httplimit

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
)

// MiddlewareConfig says how [Middleware] tells callers apart. The zero MiddlewareConfig works.
type MiddlewareConfig struct {
	// Key picks the bucket of a request. Default: [RemoteIP].
	Key func(*http.Request) string

	// Nice is how urgent a request is, from -20 (most urgent) to 19; with a family that keeps head-room, it decides
	// how much of the limit the request may use. Default: 0.
	Nice func(*http.Request) int

	// Costs is what a request costs, by the name of the limit. Default: 1 of every limit.
	Costs func(*http.Request) map[string]int
}

// Middleware limits the callers of a server by the buckets of family, which must not be nil. Nobody waits: a request
// passes at once, or it is refused at once with a problem (RFC 9457):
//
//   - 429 when its bucket has no room, with Retry-After and the member "limit";
//   - 400 when its key, niceness or cost is none that the family takes, which no wait would cure;
//   - 503 when the family is full, with Retry-After, or closed.
//
// Answers of requests that pass and of those refused with 429 carry the fields RateLimit and RateLimit-Policy
// (draft-ietf-httpapi-ratelimit-headers-11). A family in shadow lets everything pass.
func Middleware(family *bucket.Family, cfg MiddlewareConfig) func(http.Handler) http.Handler {
	if family == nil {
		panic("httplimit: Middleware needs a family")
	}
	if cfg.Key == nil {
		cfg.Key = RemoteIP
	}
	var policies policyCache
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d := family.Bucket(cfg.Key(r)).TryAcquire(request(r, cfg.Nice, cfg.Costs))
			switch {
			case d.Err != nil:
				unavailable(d.Err).write(w, r)
			case d.Allowed:
				setRateLimit(w.Header(), d, policies.text(family.Limits()))
				next.ServeHTTP(w, r)
			default:
				setRateLimit(w.Header(), d, policies.text(family.Limits()))
				refused(d).write(w, r)
			}
		})
	}
}

// setRateLimit says what is left of the tightest limit. Only a refusal knows the effective window: until then, nothing
// is left. Nothing is said of a limit when a throttle, and no limit, held the request back, nor of what a family in
// shadow would have refused: callers would slow down.
func setRateLimit(h http.Header, d bucket.Decision, policies string) {
	h.Set("RateLimit-Policy", policies)
	switch {
	case d.Limit == "":
	case !d.Allowed:
		h.Set("RateLimit", quote(d.Limit)+";r=0;t="+formatSeconds(d.RetryAfter))
	case d.RetryAfter == 0:
		h.Set("RateLimit", quote(d.Limit)+";r="+strconv.Itoa(d.Remaining))
	}
}

// refused is the problem of a caller whose bucket has no room.
func refused(d bucket.Decision) problem {
	p := problem{
		Status:     http.StatusTooManyRequests,
		Limit:      d.Limit,
		RetryAfter: wholeSeconds(d.RetryAfter),
	}
	p.Detail = fmt.Sprintf("Too many requests. Try again in %s.", inSeconds(p.RetryAfter))
	return p
}

// unavailable is the problem of a caller whom no bucket could serve. What the error says about the inside of the server
// is not for the caller.
func unavailable(err error) problem {
	switch {
	case errors.Is(err, penstock.ErrFull):
		p := problem{Status: http.StatusServiceUnavailable, RetryAfter: 1} // as many callers as there may be: one may go soon
		p.Detail = fmt.Sprintf("Too many callers at once. Try again in %s.", inSeconds(p.RetryAfter))
		return p
	case errors.Is(err, penstock.ErrInvalid):
		return problem{Status: http.StatusBadRequest, Detail: "The request cannot be counted: its key or its cost is not acceptable."}
	case errors.Is(err, penstock.ErrClosed):
		return problem{Status: http.StatusServiceUnavailable, Detail: "The server is shutting down."}
	default:
		return problem{Status: http.StatusServiceUnavailable, Detail: "Callers cannot be counted at the moment."}
	}
}

// inSeconds is n in words.
func inSeconds(n int64) string {
	if n == 1 {
		return "1 second"
	}
	return strconv.FormatInt(n, 10) + " seconds"
}
