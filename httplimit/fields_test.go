package httplimit

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// noon is the server's clock in tables.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in          string
		whole, frac int64
		ok          bool
	}{
		{"0", 0, 0, true},
		{"30", 30, 0, true},
		{"598.0", 598, 0, true},
		{"0.25", 0, 250_000_000, true},
		{"1.123456789999", 1, 123_456_789, true},
		{"9223372036854775807", math.MaxInt64, 0, true},
		{"9223372036854775808", math.MaxInt64, 0, true},
		{"99999999999999999999999999999", math.MaxInt64, 0, true},
		{"", 0, 0, false},
		{".5", 0, 0, false},
		{"5.", 0, 0, false},
		{"-1", 0, 0, false},
		{"+1", 0, 0, false},
		{"1e9", 0, 0, false},
		{"0x10", 0, 0, false},
		{"NaN", 0, 0, false},
		{"Inf", 0, 0, false},
		{"1,5", 0, 0, false},
		{"1.2.3", 0, 0, false},
		{"١", 0, 0, false},
	} {
		whole, frac, ok := parseNumber(c.in)
		assert.Equal(t, c.ok, ok, "%q", c.in)
		if ok {
			assert.Equal(t, [2]int64{c.whole, c.frac}, [2]int64{whole, frac}, "%q", c.in)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"120", 2 * time.Minute, true},
		{" 1 ", time.Second, true},
		{"0", 0, true},
		{"1.5", 1500 * time.Millisecond, true},
		{"99999999999999999999", endless, true},
		{"9223372036", endless, true},
		{"Sat, 14 Mar 2026 12:01:30 GMT", 90 * time.Second, true},
		{"Saturday, 14-Mar-26 12:00:10 GMT", 10 * time.Second, true},
		{"Sat Mar 14 12:00:10 2026", 10 * time.Second, true},
		{"Sat, 14 Mar 2026 11:00:00 GMT", 0, true},
		{"", 0, false},
		{"-5", 0, false},
		{"soon", 0, false},
		{"2026-03-14T12:00:10Z", 0, false},
		{"Sat, 32 Mar 2026 12:01:30 GMT", 0, false},
	} {
		got, ok := parseRetryAfter(c.in, noon)
		assert.Equal(t, c.ok, ok, "%q", c.in)
		assert.Equal(t, c.want, got, "%q", c.in)
	}
}

func TestParseReset(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"30", 30 * time.Second, true},
		{"0.35", 350 * time.Millisecond, true},
		{"999999999", 999_999_999 * time.Second, true},
		{"1773489660", time.Minute, true}, // GitHub, Twitter: noon and a minute
		{"1773489660.5", time.Minute + 500*time.Millisecond, true},
		{"1773489660000", time.Minute, true}, // milliseconds
		{"1773489599", 0, true},              // passed
		{"99999999999999999999", endless, true},
		{"6m0s", 6 * time.Minute, true}, // OpenAI
		{"17ms", 17 * time.Millisecond, true},
		{"2026-03-14T12:00:20Z", 20 * time.Second, true}, // Anthropic
		{"Sat, 14 Mar 2026 12:01:00 GMT", time.Minute, true},
		{"-1", 0, false},
		{"-5s", -5 * time.Second, false},
		{"NaN", 0, false},
		{"", 0, false},
		{"later", 0, false},
	} {
		got, ok := parseReset(c.in, noon)
		assert.Equal(t, c.ok, ok, "%q", c.in)
		if ok {
			assert.Equal(t, c.want, got, "%q", c.in)
		}
	}
}

func TestServerClock(t *testing.T) {
	h := http.Header{"Date": {"Sat, 14 Mar 2026 12:00:00 GMT"}}
	assert.Equal(t, noon, serverClock(h, time.Unix(0, 0)))
	assert.Equal(t, time.Unix(0, 0), serverClock(http.Header{"Date": {"yesterday"}}, time.Unix(0, 0)))
	assert.Equal(t, time.Unix(0, 0), serverClock(nil, time.Unix(0, 0)))
}
