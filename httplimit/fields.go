package httplimit

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// endless is what a number too large for a [time.Duration] becomes. It is over every bound, so it is
// recognised as absurd instead of wrapping around into something that looks sensible.
const endless = time.Duration(math.MaxInt64)

// parseNumber reads a decimal number without sign or exponent: "30", "598.0", "0.25". Only these digits
// count as a number here, so "NaN", "1e9", "+5" and "-1" are refused. frac is the part after the point in
// billionths; further digits are dropped. A whole part over an int64 becomes the largest int64.
func parseNumber(s string) (whole, frac int64, ok bool) {
	digits, rest, point := strings.Cut(s, ".")
	if digits == "" || point && rest == "" {
		return 0, 0, false
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		if d := int64(c - '0'); whole > (math.MaxInt64-d)/10 {
			whole = math.MaxInt64
		} else {
			whole = whole*10 + d
		}
	}
	unit := int64(1e8)
	for _, c := range []byte(rest) {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		frac += int64(c-'0') * unit
		unit /= 10
	}
	return whole, frac, true
}

// parseSeconds reads a number of seconds, which may have a fraction although RFC 9110 allows none: several
// APIs send one. A number too large becomes [endless].
func parseSeconds(s string) (time.Duration, bool) {
	whole, frac, ok := parseNumber(s)
	if !ok {
		return 0, false
	}
	if whole >= int64(endless/time.Second) {
		return endless, true
	}
	return time.Duration(whole)*time.Second + time.Duration(frac), true
}

// parseRetryAfter reads a Retry-After value (RFC 9110, 10.2.3): seconds or an HTTP date, which is compared
// with the server's own clock. A date that has passed is 0.
func parseRetryAfter(s string, server time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if d, ok := parseSeconds(s); ok {
		return d, true
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(server)), true
}

// Sizes that tell the number of an X-RateLimit-Reset apart: below the first it is seconds to wait (31 years),
// below the second a moment in seconds since 1970 (until the year 5138), below the third one in milliseconds.
// A wait in milliseconds cannot be told from one in seconds, and is taken as seconds.
const (
	resetEpoch  = 1e9
	resetMillis = 1e11
	resetAbsurd = 1e14
)

// parseReset reads how long it takes until a limit is reset. There has never been a standard, so this knows
// what is in use: seconds to wait (the IETF drafts), a moment in seconds since 1970 (GitHub, Twitter) or in
// milliseconds, a Go duration such as "6m0s" (OpenAI), an RFC 3339 time and an HTTP date. Moments are compared
// with the server's own clock; one that has passed is 0.
func parseReset(s string, server time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if whole, frac, ok := parseNumber(s); ok {
		switch {
		case whole < resetEpoch:
			return time.Duration(whole)*time.Second + time.Duration(frac), true
		case whole < resetMillis:
			return max(0, time.Unix(whole, frac).Sub(server)), true
		case whole < resetAbsurd:
			return max(0, time.UnixMilli(whole).Sub(server)), true
		}
		return endless, true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d, d >= 0
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return max(0, at.Sub(server)), true
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(server)), true
	}
	return 0, false
}

// serverClock is the clock by which the server wrote its answer: the Date field when it has a valid one, else
// ours. Moments the server names are compared with it, so clocks that disagree do no harm. Date is cut to whole
// seconds, so a wait derived from it is up to a second too long and never too short.
func serverClock(h http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}
