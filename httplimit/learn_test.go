package httplimit

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// fields makes a header of lines "Name: value", as a server would send them.
func fields(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

func TestLearn(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		status int
		fields string
		want   lesson
	}{
		"plain answer":         {200, "Content-Type: text/plain", lesson{}},
		"seconds":              {429, "Retry-After: 7", lesson{wait: 7 * time.Second, field: "Retry-After", refused: true}},
		"date by server clock": {429, "Retry-After: Sat, 14 Mar 2026 12:00:30 GMT\nDate: Sat, 14 Mar 2026 12:00:00 GMT", lesson{wait: 30 * time.Second, field: "Retry-After", refused: true}},
		"503":                  {503, "Retry-After: 3", lesson{wait: 3 * time.Second, field: "Retry-After"}},
		"503 alone":            {503, "", lesson{}},
		"500 is no rate limit": {500, "Retry-After: 3", lesson{}},
		"redirect":             {301, "Retry-After: 3", lesson{}},
		"429 alone":            {429, "", lesson{refused: true}},
		"429 with 0":           {429, "Retry-After: 0", lesson{refused: true}},
		"negative":             {429, "Retry-After: -7", lesson{refused: true}},
		"garbage":              {429, "Retry-After: NaN", lesson{refused: true}},
		"absurd":               {429, "Retry-After: 86400000", lesson{refused: true, tooLong: true}},
		"overflow":             {429, "Retry-After: 99999999999999999999", lesson{refused: true, tooLong: true}},
		"at the bound":         {429, "Retry-After: 3600", lesson{wait: hour, field: "Retry-After", refused: true}},
		"over the bound":       {429, "Retry-After: 3601", lesson{refused: true, tooLong: true}},

		"GitHub, some left":             {200, "X-RateLimit-Limit: 60\nX-RateLimit-Remaining: 42\nX-RateLimit-Reset: 1773489660", lesson{}},
		"GitHub, exhausted":             {403, "Date: Sat, 14 Mar 2026 12:00:00 GMT\nX-RateLimit-Limit: 60\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1773489660", lesson{wait: time.Minute, field: "X-Ratelimit-Reset"}},
		"GitHub, secondary":             {403, "Retry-After: 60\nX-RateLimit-Remaining: 4990\nX-RateLimit-Reset: 1773492000", lesson{wait: time.Minute, field: "Retry-After"}},
		"Retry-After before the window": {429, "Retry-After: 2\nRateLimit: \"default\";r=0;t=30", lesson{wait: 2 * time.Second, field: "Retry-After", refused: true}},
		"Twitter":                       {429, "x-rate-limit-limit: 900\nx-rate-limit-remaining: 0\nx-rate-limit-reset: 1773490500", lesson{wait: 15 * time.Minute, field: "X-Rate-Limit-Reset", refused: true}},
		"Reddit":                        {200, "x-ratelimit-used: 600\nx-ratelimit-remaining: 0.0\nx-ratelimit-reset: 88", lesson{wait: 88 * time.Second, field: "X-Ratelimit-Reset"}},
		"Discord":                       {429, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1773489601.5\nX-RateLimit-Reset-After: 1.25", lesson{wait: 1500 * time.Millisecond, field: "X-Ratelimit-Reset", refused: true}},
		"OpenAI":                        {200, "x-ratelimit-limit-requests: 60\nx-ratelimit-remaining-requests: 59\nx-ratelimit-reset-requests: 1s\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 6m0s", lesson{wait: 6 * time.Minute, field: "X-Ratelimit-Reset-Tokens"}},
		"Anthropic":                     {200, "anthropic-ratelimit-requests-remaining: 0\nanthropic-ratelimit-requests-reset: 2026-03-14T12:00:20Z", lesson{wait: 20 * time.Second, field: "Anthropic-Ratelimit-Requests-Reset"}},
		"Stripe":                        {429, "Stripe-Should-Retry: true\nStripe-Rate-Limited-Reason: global-rate", lesson{refused: true}},
		"GitLab":                        {429, "RateLimit-Limit: 600\nRateLimit-Remaining: 0\nRateLimit-Reset: 1773489630", lesson{wait: 30 * time.Second, field: "Ratelimit-Reset", refused: true}},
		"milliseconds":                  {200, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1773489605000", lesson{wait: 5 * time.Second, field: "X-Ratelimit-Reset"}},
		"reset has passed":              {200, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1773489000", lesson{}},
		"unlimited as -1":               {200, "X-RateLimit-Remaining: -1\nX-RateLimit-Reset: 60", lesson{}},
		"no reset":                      {200, "X-RateLimit-Remaining: 0", lesson{}},
		"negative reset":                {200, "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: -60", lesson{}},

		"draft":                 {200, `RateLimit: "default";r=0;t=30`, lesson{wait: 30 * time.Second, field: "RateLimit"}},
		"draft, some left":      {200, `RateLimit: "default";r=1;t=30`, lesson{}},
		"draft, longest":        {200, `RateLimit: "a";r=0;t=3, "b";r=0;t=9, "c";r=0;t=5`, lesson{wait: 9 * time.Second, field: "RateLimit"}},
		"draft, malformed":      {200, `RateLimit: "default";r=0;t=30, (`, lesson{}},
		"draft -07":             {200, `RateLimit: limit=10, remaining=0, reset=4`, lesson{wait: 4 * time.Second, field: "RateLimit"}},
		"concurrency":           {200, "RateLimit: \"peak\";r=0;t=30\nRateLimit-Policy: \"peak\";q=5;qu=\"concurrent-requests\"", lesson{}},
		"window when refused":   {429, "RateLimit: \"default\";r=0\nRateLimit-Policy: \"default\";q=5;w=6", lesson{wait: 6 * time.Second, field: "RateLimit", refused: true}},
		"no window when passed": {200, "RateLimit: \"default\";r=0\nRateLimit-Policy: \"default\";q=5;w=6", lesson{}},
		"garbage, then usable":  {429, "Retry-After: soon\nRateLimit: \"default\";r=0;t=8", lesson{wait: 8 * time.Second, field: "RateLimit", refused: true}},

		"from a cache":    {200, "Age: 3\nRateLimit: \"default\";r=0;t=30", lesson{}},
		"just not cached": {200, "Age: 0\nRateLimit: \"default\";r=0;t=30", lesson{wait: 30 * time.Second, field: "RateLimit"}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, learn(c.status, fields(c.fields), noon, hour))
		})
	}
}

func TestLearnIsIndependentOfOurClock(t *testing.T) {
	h := fields("Date: Sat, 14 Mar 2026 12:00:00 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1773489660")
	for _, off := range []time.Duration{-48 * time.Hour, 0, 48 * time.Hour} {
		assert.Equal(t, time.Minute, learn(200, h, noon.Add(off), time.Hour).wait, "our clock is off by %v", off)
	}
}

func TestLearnAllocatesNothingFromPlainAnswers(t *testing.T) {
	h := fields("Date: Sat, 14 Mar 2026 12:00:00 GMT\nContent-Type: text/plain\nX-RateLimit-Remaining: 9\nX-RateLimit-Reset: 60")
	assert.Zero(t, testing.AllocsPerRun(100, func() { learn(200, h, noon, time.Hour) }))
}
