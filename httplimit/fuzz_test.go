package httplimit

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/penstock-go/penstock/limit"
)

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0", "30", "598.0", "1773489660", "99999999999999999999", "-1", "NaN", "1e9", "."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		whole, frac, ok := parseNumber(s)
		if whole < 0 || frac < 0 || frac >= 1e9 {
			t.Fatalf("parseNumber(%q) = %d, %d", s, whole, frac)
		}
		if ok && strings.Trim(s, "0123456789.") != "" {
			t.Fatalf("%q is no number", s)
		}
	})
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "1.5", "Sat, 14 Mar 2026 12:01:30 GMT", "-1", "99999999999999999999", "Sat, 01 Jan 0000 00:00:00 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := parseRetryAfter(s, noon); d < 0 || !ok && d != 0 {
			t.Fatalf("parseRetryAfter(%q) = %v, %v", s, d, ok)
		}
	})
}

func FuzzParseReset(f *testing.F) {
	for _, s := range []string{"30", "1773489660", "1773489660000", "6m0s", "17ms", "2026-03-14T12:00:20Z", "Sat, 14 Mar 2026 12:01:30 GMT", "-1", "-5s", "9e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := parseReset(s, noon); ok && d < 0 {
			t.Fatalf("parseReset(%q) = %v", s, d)
		}
	})
}

func FuzzParseMembers(f *testing.F) {
	for _, s := range []string{
		`"default";r=50;t=30`, `"burst";q=100;w=60,"daily";q=1000;w=86400`, `limit=100, remaining=50, reset=30`,
		`"peruser";q=65535;qu="content-bytes";w=10;pk=:sdfjLJUOUH==:`, `("a" "b");r=1`, `"a\"`,
	} {
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		members, ok := parseMembers([]string{first, second})
		if !ok {
			return
		}
		if len(members) > maxMembers {
			t.Fatalf("%d members", len(members))
		}
		for _, m := range members {
			if len(m.params) > maxParams {
				t.Fatalf("%d parameters", len(m.params))
			}
		}
	})
}

// FuzzParseQuoted: what we write as a string, we read as the same string, and it never breaks out of its quotes.
func FuzzParseQuoted(f *testing.F) {
	f.Add("10/6s")
	f.Add(`a "b" \ c`)
	f.Add("ä\r\nSet-Cookie: x")
	f.Fuzz(func(t *testing.T, name string) {
		text := policyField([]limit.Limit{{Name: name, Events: 1, Per: time.Second}})
		if strings.ContainsAny(text, "\r\n") {
			t.Fatalf("%q breaks the line", text)
		}
		if len(text) > maxFieldLen {
			return
		}
		members, ok := parseMembers([]string{text})
		if !ok || len(members) != 1 || len(members[0].name) != len(name) {
			t.Fatalf("%q is read as %v, %v", text, members, ok)
		}
	})
}

// FuzzParseAnswer: no answer makes us wait for less than nothing or more than the bound.
func FuzzParseAnswer(f *testing.F) {
	for _, seed := range []struct {
		status int
		lines  string
	}{
		{403, "Date: Sat, 14 Mar 2026 12:00:00 GMT\nX-RateLimit-Limit: 60\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1773489660\nX-RateLimit-Used: 60\nX-RateLimit-Resource: core"},
		{429, "x-rate-limit-limit: 900\nx-rate-limit-remaining: 0\nx-rate-limit-reset: 1773490500"},
		{429, "Stripe-Should-Retry: true\nRetry-After: 1"},
		{200, "x-ratelimit-limit-requests: 60\nx-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1s\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 6m0s"},
		{429, "RateLimit: \"default\";r=0\nRateLimit-Policy: \"default\";q=5;w=6"},
		{503, "Retry-After: Sat, 14 Mar 2026 12:01:30 GMT\nAge: 5"},
	} {
		f.Add(seed.status, seed.lines)
	}
	f.Fuzz(func(t *testing.T, status int, lines string) {
		l := learn(status, fields(lines), noon, time.Hour)
		if l.wait < 0 || l.wait > time.Hour || (l.wait > 0) != (l.field != "") {
			t.Fatalf("%+v", l)
		}
	})
}

func FuzzParseForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "6.6.6.6, 203.0.113.5")
	f.Add("10.0.0.1:1", "[2001:db8::1]:443, 10.2.2.2,")
	f.Add("@", ",,")
	key := TrustProxies(netip.MustParsePrefix("10.0.0.0/8"))
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		if k := key(r); k == "" || len(k) > 64 {
			t.Fatalf("key %q", k)
		}
	})
}
