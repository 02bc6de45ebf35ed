package httplimit

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRemoteIP(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1234":             "192.0.2.7",
		"192.0.2.7":                  "192.0.2.7",
		"[::ffff:192.0.2.7]:1234":    "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:80":  "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":          "fe80::/64",
		"@":                          "unknown",
		"":                           "unknown",
		"example.com:80":             "unknown",
	} {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {"198.51.100.1"}}}
		assert.Equal(t, want, RemoteIP(r), remote)
	}
}

func TestTrustProxies(t *testing.T) {
	key := TrustProxies(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"))
	for _, c := range []struct {
		remote string
		lines  []string
		want   string
	}{
		{"198.51.100.9:1", []string{"203.0.113.5"}, "198.51.100.9"}, // not a proxy of ours: its field is a claim
		{"10.0.0.1:1", []string{"203.0.113.5"}, "203.0.113.5"},
		{"10.0.0.1:1", []string{"6.6.6.6, 203.0.113.5"}, "203.0.113.5"}, // 6.6.6.6 was claimed
		{"10.0.0.1:1", []string{"6.6.6.6, 203.0.113.5, 192.0.2.1, 10.9.9.9"}, "203.0.113.5"},
		{"10.0.0.1:1", []string{"6.6.6.6", "203.0.113.5,192.0.2.1", "10.9.9.9"}, "203.0.113.5"},
		{"10.0.0.1:1", []string{"203.0.113.5:5555"}, "203.0.113.5"},
		{"10.0.0.1:1", []string{"[2001:db8:1:2::9]:5555"}, "2001:db8:1:2::/64"},
		{"10.0.0.1:1", []string{"2001:db8:1:2::9"}, "2001:db8:1:2::/64"},
		{"10.0.0.1:1", []string{"garbage"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"203.0.113.5, garbage, 10.2.2.2"}, "10.2.2.2"},
		{"10.0.0.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1", []string{",,,"}, "10.0.0.1"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"@", []string{"203.0.113.5"}, "unknown"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.lines}}
		assert.Equal(t, c.want, key(r), "%s %q", c.remote, c.lines)
	}
}
