package accesslog

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseLine(t *testing.T) {
	at := time.Date(2000, time.October, 10, 20, 55, 36, 0, time.UTC)
	const tail = ` [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326`
	for name, c := range map[string]struct {
		line string
		want Entry
	}{
		"common":            {`192.0.2.7 - frank` + tail, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"combined":          {`192.0.2.7 - -` + tail + ` "http://example.com/" "Mozilla/5.0 (X11)"`, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"IPv6":              {`2001:db8::17 - -` + tail, Entry{"2001:db8::17", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"host name":         {`proxy-3.example.net - -` + tail, Entry{"proxy-3.example.net", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"ident":             {`192.0.2.7 ident frank` + tail, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"user with spaces":  {`192.0.2.7 - frank [the first] lee` + tail, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"empty quoted user": {`192.0.2.7 - ""` + tail, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"escaped quotes":    {`192.0.2.7 - - [10/Oct/2000:20:55:36 +0000] "GET /\"x\" HTTP/1.0" 404 0 "-" "a \"b\" c\\"`, Entry{"192.0.2.7", at, `GET /\"x\" HTTP/1.0`, 404, false}},
		"quoted user":       {`192.0.2.7 - frank [the first] "lee"` + tail, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"time zone":         {`192.0.2.7 - - [11/Oct/2000:02:25:36 +0530] "GET / HTTP/1.0" 200 5`, Entry{"192.0.2.7", at, `GET / HTTP/1.0`, 200, false}},
		"empty request":     {`192.0.2.7 - - [10/Oct/2000:20:55:36 +0000] "" 400 0`, Entry{"192.0.2.7", at, ``, 400, false}},
		"binary request":    {`192.0.2.7 - - [10/Oct/2000:20:55:36 +0000] "\x16\x03\x01" 400 226`, Entry{"192.0.2.7", at, `\x16\x03\x01`, 400, false}},
		"no size":           {`192.0.2.7 - - [10/Oct/2000:20:55:36 +0000] "HEAD / HTTP/1.0" 304 -`, Entry{"192.0.2.7", at, `HEAD / HTTP/1.0`, 304, false}},
		"further fields":    {`192.0.2.7 - -` + tail + ` "-" "-" 0.003 "198.51.100.4"`, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, false}},
		"agent cut off":     {`192.0.2.7 - -` + tail + ` "-" "Mozilla/5.0 (compatible; bot`, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, true}},
		"escape at the end": {`192.0.2.7 - -` + tail + ` "-" "Mozilla\`, Entry{"192.0.2.7", at, `GET /a.gif HTTP/1.0`, 200, true}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseLine([]byte(c.line))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestParseLineMalformed(t *testing.T) {
	for line, says := range map[string]string{
		``:                             "no client",
		`192.0.2.7`:                    "no client",
		` - - [`:                       "no client",
		"\xff\xfe - - [10/Oct/2000":    "not UTF-8",
		strings.Repeat("a", 513) + " ": "client of 513 bytes",
		`192.0.2.7 -`:                  "no user",
		`192.0.2.7 - -`:                "no time",
		`192.0.2.7 - - [x]`:            "no time",
		`192.0.2.7 -  [10/Oct/2000:13:55:36 -0700] "GET /" 200 1`:   "no user before the time",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700`:                 "bracket never closes",
		`192.0.2.7 - - [2000-10-10T13:55:36Z] "GET /" 200 1`:        "is not like",
		`192.0.2.7 - - [32/Oct/2000:13:55:36 -0700] "GET /" 200 1`:  "is not like",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700]`:                "no quoted request",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] GET / 200 1`:    "no quoted request",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / 200 1`:   "never closes",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /"`:        "no status",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /" 2x0 1`:  "three digits",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /" 099 1`:  "below 100",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /" 200`:    "no size",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /" 2000 1`: "no size",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /" 200 1k`: "not a number",
		`192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /" 200  1`: "not a number",
	} {
		_, err := ParseLine([]byte(line))
		assert.ErrorContains(t, err, says, "%q", line)
	}
}

// FuzzParseLine: no input panics, and what is accepted holds the bounds that callers rely on.
func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326`))
	f.Add([]byte(`2001:db8::17 - - [17/May/2015:10:05:03 +0000] "GET /\"x\" HTTP/1.1" 200 - "http://example.com/" "Mozilla \"5.0\""`))
	f.Add([]byte(`host.example.org - a [b] c [01/Jan/2026:00:00:00 +1400] "" 400 0 "-" "cut`))
	f.Add([]byte("192.0.2.7 - - ["))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseLine(line)
		if err != nil {
			return
		}
		assert.True(t, strings.HasPrefix(string(line), e.Client+" "))
		assert.NotEmpty(t, e.Client)
		assert.LessOrEqual(t, len(e.Client), MaxClient)
		assert.True(t, 100 <= e.Status && e.Status <= 999, "status %d", e.Status)
		assert.Equal(t, time.UTC, e.Time.Location())
		assert.Zero(t, e.Time.Nanosecond())
	})
}
