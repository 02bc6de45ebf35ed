package httplimit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/limit"
)

func TestParseRateLimit(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want []serviceLimit
	}{
		{[]string{`"default";r=50;t=30`}, []serviceLimit{{"default", 50, 30 * time.Second}}},
		{[]string{`"burst";r=0;t=7, "daily";r=900`}, []serviceLimit{{"burst", 0, 7 * time.Second}, {"daily", 900, 0}}},
		{[]string{`"burst";r=1`, `"daily";r=2`}, []serviceLimit{{"burst", 1, 0}, {"daily", 2, 0}}},
		{[]string{`limit=100, remaining=0, reset=30`}, []serviceLimit{{"", 0, 30 * time.Second}}},
		{[]string{`"default";t=30`}, nil},
		{[]string{`"default";r=-1;t=30`}, nil},
		{[]string{`"default";r=0;t=-30`}, []serviceLimit{{"default", 0, 0}}},
		{[]string{`"default";r=0;t=99999999999999999999`}, []serviceLimit{{"default", 0, endless}}},
	} {
		got, ok := parseRateLimit(c.in)
		assert.True(t, ok, c.in)
		assert.Equal(t, c.want, got, c.in)
	}
	_, ok := parseRateLimit(nil)
	assert.False(t, ok)
	_, ok = parseRateLimit([]string{`"default;r=0`})
	assert.False(t, ok)
}

func TestParsePolicies(t *testing.T) {
	got, ok := parsePolicies([]string{`"burst";q=100;w=60,"peak";q=5;qu="concurrent-requests"`})
	assert.True(t, ok)
	assert.Equal(t, map[string]policy{"burst": {time.Minute, ""}, "peak": {0, "concurrent-requests"}}, got)
}

func TestPolicyField(t *testing.T) {
	limits := []limit.Limit{
		{Name: "burst", Events: 10, Per: 1500 * time.Millisecond},
		{Name: `say "hä"`, Events: 1000, Per: time.Hour},
	}
	want := `"burst";q=10;w=2, "say \"h__\"";q=1000;w=3600`
	assert.Equal(t, want, policyField(limits))

	got, ok := parsePolicies([]string{want})
	assert.True(t, ok, "what we write, we can read")
	assert.Equal(t, policy{2 * time.Second, ""}, got["burst"])
}

func TestPolicyCacheFollowsLimits(t *testing.T) {
	var c policyCache
	limits := []limit.Limit{{Name: "a", Events: 1, Per: time.Second}}
	assert.Equal(t, `"a";q=1;w=1`, c.text(limits))
	limits[0].Events = 2
	assert.Equal(t, `"a";q=2;w=1`, c.text(limits))
	assert.Equal(t, `"a";q=2;w=1`, c.text(limits))
}

func TestWholeSeconds(t *testing.T) {
	for in, want := range map[time.Duration]int64{
		-time.Hour: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90, endless: 9223372037,
	} {
		assert.Equal(t, want, wholeSeconds(in), in)
	}
}
