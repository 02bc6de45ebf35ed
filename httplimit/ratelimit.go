package httplimit

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// serviceLimit is one item of a RateLimit field: what is left under a policy.
type serviceLimit struct {
	policy    string
	remaining int64
	window    time.Duration // no more than remaining within it; 0: not said
}

// parseRateLimit reads the lines of a RateLimit field: the list of the current drafts, `"default";r=50;t=30`, or the
// dictionary of draft -07, `limit=100, remaining=50, reset=30`. An item without a valid "r" is left out.
func parseRateLimit(lines []string) ([]serviceLimit, bool) {
	if len(lines) == 0 {
		return nil, false
	}
	members, ok := parseMembers(lines)
	if !ok {
		return nil, false
	}
	var limits []serviceLimit
	add := func(policy, remaining, window string) {
		left, _, ok := parseNumber(remaining)
		if !ok {
			return
		}
		wait, _ := parseSeconds(window)
		limits = append(limits, serviceLimit{policy, left, wait})
	}
	var remaining, reset string
	for _, m := range members {
		switch {
		case m.name == "remaining" && m.value != "":
			remaining = m.value
		case m.name == "reset" && m.value != "":
			reset = m.value
		default:
			r, _ := m.param("r")
			t, _ := m.param("t")
			add(m.name, r, t)
		}
	}
	add("", remaining, reset)
	return limits, true
}

// policy is one item of a RateLimit-Policy field.
type policy struct {
	window time.Duration // 0: not said
	unit   string        // empty: requests
}

// parsePolicies reads the lines of a RateLimit-Policy field, `"burst";q=100;w=60`, by name.
func parsePolicies(lines []string) (map[string]policy, bool) {
	if len(lines) == 0 {
		return nil, false
	}
	members, ok := parseMembers(lines)
	if !ok {
		return nil, false
	}
	policies := make(map[string]policy, len(members))
	for _, m := range members {
		w, _ := m.param("w")
		window, _ := parseSeconds(w)
		unit, _ := m.param("qu")
		policies[m.name] = policy{window, unit}
	}
	return policies, true
}

// wholeSeconds rounds d up to whole seconds, at least 1: what Retry-After and RateLimit can say without promising
// too much.
func wholeSeconds(d time.Duration) int64 {
	if d <= time.Second {
		return 1
	}
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// formatSeconds is wholeSeconds as text.
func formatSeconds(d time.Duration) string { return strconv.FormatInt(wholeSeconds(d), 10) }

// quote writes text as a string of a structured field. Bytes that none may contain become "_".
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c >= 0x7f {
			c = '_'
		}
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}

// policyField writes the RateLimit-Policy of limits: `"10/6s";q=10;w=6`. A window that is not of whole seconds is
// rounded up, which promises less than the limit gives, never more.
func policyField(limits []limit.Limit) string {
	var b strings.Builder
	for i, l := range limits {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(l.Name))
		b.WriteString(";q=")
		b.WriteString(strconv.Itoa(l.Events))
		b.WriteString(";w=")
		b.WriteString(formatSeconds(l.Per))
	}
	return b.String()
}

// policyCache keeps the text of the last [policyField], because limits change seldom and answers are many.
type policyCache struct{ last atomic.Pointer[cachedPolicy] }

type cachedPolicy struct {
	limits []limit.Limit
	text   string
}

// text is policyField(limits).
func (c *policyCache) text(limits []limit.Limit) string {
	if last := c.last.Load(); last != nil && slices.Equal(last.limits, limits) {
		return last.text
	}
	text := policyField(limits)
	c.last.Store(&cachedPolicy{slices.Clone(limits), text})
	return text
}
