package httplimit

import (
	"net/http"
	"strings"
	"time"
)

// lesson is what one answer teaches about the requests after it.
type lesson struct {
	wait    time.Duration // before the next request; 0: nothing was taught
	field   string        // the field that taught it, empty if and only if wait is 0
	refused bool          // a 429: the server turned this request away for its rate
	tooLong bool          // a wait over the bound was asked for, and ignored
}

// consider takes a wait a field asks for, unless it is over the bound or a longer one is already known.
func (l *lesson) consider(wait, bound time.Duration, field string) {
	switch {
	case wait > bound:
		l.tooLong = true
	case wait > l.wait:
		l.wait, l.field = wait, field
	}
}

// learn reads the answer's status and fields. In this order:
//
//   - Retry-After of a 403 (GitHub's secondary limits), 429 or 503. When it is valid, nothing else is asked, as the
//     IETF draft demands.
//   - Otherwise, whatever the status: the fields that say that nothing remains, and until when. The longest wait counts.
//
// A wait of 0 and one over bound teach nothing. Neither do the fields of an answer out of a cache (Age over 0), which
// speak of the past.
func learn(status int, h http.Header, now time.Time, bound time.Duration) lesson {
	l := lesson{refused: status == http.StatusTooManyRequests}
	if age, _, ok := parseNumber(h.Get("Age")); ok && age > 0 {
		return l
	}
	server := serverClock(h, now)
	if l.refused || status == http.StatusServiceUnavailable || status == http.StatusForbidden {
		if wait, ok := parseRetryAfter(h.Get("Retry-After"), server); ok {
			l.consider(wait, bound, "Retry-After")
		}
	}
	if l.wait > 0 || l.tooLong {
		return l
	}
	learnRateLimit(&l, h, bound)
	learnPairs(&l, h, server, bound)
	return l
}

// remainingReset names two fields that belong together, in Go's canonical spelling.
type remainingReset struct{ remaining, reset string }

// pairs are the fields in use that say how much remains and when there is more again.
var pairs = [...]remainingReset{
	{"Ratelimit-Remaining", "Ratelimit-Reset"},                       // IETF drafts to -06, GitLab
	{"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},                   // GitHub and most others
	{"X-Ratelimit-Remaining", "X-Ratelimit-Reset-After"},             // Discord
	{"X-Rate-Limit-Remaining", "X-Rate-Limit-Reset"},                 // Twitter, Okta
	{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"}, // OpenAI
	{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},     // OpenAI
	{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
}

// learnPairs considers each pair whose first field says that less than one request remains.
func learnPairs(l *lesson, h http.Header, server time.Time, bound time.Duration) {
	for _, p := range pairs {
		left, _, ok := parseNumber(strings.TrimSpace(h.Get(p.remaining)))
		if !ok || left > 0 {
			continue
		}
		if wait, ok := parseReset(h.Get(p.reset), server); ok {
			l.consider(wait, bound, p.reset)
		}
	}
}

// learnRateLimit considers each exhausted limit of the IETF RateLimit field, with what RateLimit-Policy says about it:
// a limit of concurrent requests is none that time cures, and the window of a policy stands in for a missing
// effective window if the request was refused. (Otherwise a whole window would be too long a wait: our own
// [Middleware] says r=0 each time that it just gave away the last permit.)
func learnRateLimit(l *lesson, h http.Header, bound time.Duration) {
	limits, ok := parseRateLimit(h["Ratelimit"])
	if !ok {
		return
	}
	policies, _ := parsePolicies(h["Ratelimit-Policy"])
	for _, s := range limits {
		if s.remaining > 0 {
			continue
		}
		wait := s.window
		if p, ok := policies[s.policy]; ok {
			if p.unit == "concurrent-requests" {
				continue
			}
			if wait == 0 && l.refused {
				wait = p.window
			}
		}
		l.consider(wait, bound, "RateLimit")
	}
}
