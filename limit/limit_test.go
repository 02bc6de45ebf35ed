package limit

import (
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	day := 24 * time.Hour
	for s, want := range map[string]Limit{
		"10/6s":                {Events: 10, Per: 6 * time.Second},
		"100/1m":               {Events: 100, Per: time.Minute},
		"5/s":                  {Events: 5, Per: time.Second},
		"1/90s":                {Events: 1, Per: 90 * time.Second},
		"7/1h30m":              {Events: 7, Per: 90 * time.Minute},
		"2147483647/8784h":     {Events: math.MaxInt32, Per: 366 * day},
		"3/.5s":                {Events: 3, Per: 500 * time.Millisecond},
		"10/6s:rolling":        {Events: 10, Per: 6 * time.Second},
		"10/6s:smooth":         {Events: 10, Per: 6 * time.Second, Algorithm: Smooth},
		"10/6s:smooth:burst=3": {Events: 10, Per: 6 * time.Second, Algorithm: Smooth, Burst: 3},
		"60/1m:calendar":       {Events: 60, Per: time.Minute, Algorithm: Calendar},
	} {
		got, err := Parse(s)
		require.NoError(t, err, s)
		assert.Equal(t, want, got, s)
		again, err := Parse(got.String())
		require.NoError(t, err, got.String())
		assert.Equal(t, want, again, got.String())
	}
	assert.Equal(t, "100/1m", Limit{Events: 100, Per: time.Minute}.String())
	assert.Equal(t, "1/1m30s", Limit{Events: 1, Per: 90 * time.Second}.String())
	assert.Equal(t, "1/24h", Limit{Events: 1, Per: day}.String())
	assert.Equal(t, "5/1h0m5s", Limit{Events: 5, Per: time.Hour + 5*time.Second}.String())
	assert.Equal(t, "5/0s", Limit{Events: 5}.String())
	assert.Equal(t, "Algorithm(9)", Algorithm(9).String())
}

func TestParseRefuses(t *testing.T) {
	for s, says := range map[string]string{
		"":                       "want events/span",
		"10":                     "want events/span",
		"/6s":                    `events ""`,
		"x/6s":                   `events "x"`,
		"10/":                    "want a duration",
		"10/6":                   "want a duration",
		"10/fortnight":           "want a duration",
		"0/6s":                   "Events: 0, want 1 to 2147483647",
		"-1/6s":                  "Events: -1",
		"10/0s":                  "Per: 0s, want 1µs to 8784h",
		"10/8785h":               "Per: 8785h",
		"10/6s:":                 `option ""`,
		"10/6s:round":            `option "round"`,
		"10/6s:burst=3":          "want the algorithm behind the span",
		"10/6s:smooth:smooth":    "want the algorithm behind the span",
		"10/6s:smooth:burst=0":   `burst "0"`,
		"10/6s:smooth:burst=x":   `burst "x"`,
		"10/6s:rolling:burst=2":  "only a Smooth limit has a burst",
		"100000000/1s:smooth":    "want at least 100ns an event",
		"1/100h:smooth:burst=99": "want at most 87",
	} {
		_, err := Parse(s)
		require.ErrorContains(t, err, says, s)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"10/6s", "5/s", "10/6s:smooth:burst=3", "60/1m:calendar", "1/0.0000011s", "9/-6s", "//", "1/1h:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(s)
		if err != nil {
			assert.Zero(t, l)
			return
		}
		again, err := Parse(l.String())
		require.NoError(t, err)
		assert.Equal(t, l, again)
		p, err := NewPlan([]Limit{l}, 0)
		require.NoError(t, err)
		set, one, full := p.NewSet(), p.Costs(1), p.Capacity()
		_, _, ok := set.Take(origin, &one, &full)
		assert.True(t, ok)
	})
}

func TestNewPlanNamesEverythingBad(t *testing.T) {
	_, err := NewPlan([]Limit{
		{Name: "good", Events: 1, Per: time.Second},
		{Name: "zero"},
		{Name: "good", Events: 1, Per: time.Hour, Burst: 2},
		{Name: "good", Events: 1, Per: time.Hour},
		{Name: strings.Repeat("n", 65), Events: math.MaxInt32 + 1, Per: -1, Algorithm: 7},
		{Name: "\xff", Events: 1, Per: time.Hour, Algorithm: Smooth, Burst: -1},
	}, time.Second/2)
	for _, says := range []string{
		"limit 2 (zero): Events: 0, want 1 to 2147483647", "Per: 0s, want 1µs to 8784h",
		"limit 3 (good): Burst: 2, want 0",
		"limit 4 (good): Name: the same as limit 1",
		"Events: 2147483648", "Per: -1ns", "Algorithm: 7, want Rolling, Smooth or Calendar", "(65 bytes)",
		`Name: "\xff"`, "Burst: -1, want 0 to 2147483647",
		"slack: 500ms, want below 500ms, half of Per of limit 1 (good)",
	} {
		assert.ErrorContains(t, err, says)
	}
	_, err = NewPlan(nil, -1)
	require.ErrorContains(t, err, "limits: 0, want 1 to 8")
	require.ErrorContains(t, err, "slack: -1ns, want 0 or more")
	_, err = NewPlan(make([]Limit, MaxLimits+1), 0)
	require.ErrorContains(t, err, "limits: 9, want 1 to 8")
	_, err = NewPlan([]Limit{{Events: 1, Per: time.Second}, {Events: 1, Per: time.Second}}, 0)
	require.ErrorContains(t, err, "limit 2 (1/1s): Name: the same as limit 1")
}

func TestPlan(t *testing.T) {
	limits := []Limit{
		{Events: 10, Per: 6 * time.Second},
		{Name: "tokens", Events: math.MaxInt32, Per: time.Minute},
		{Events: 100, Per: time.Minute, Algorithm: Smooth, Burst: 3},
	}
	p := must(NewPlan(limits, time.Millisecond))
	assert.Empty(t, limits[0].Name, "the caller's slice is its own")
	p.Limits()[0].Events = 99
	got := p.Limits()
	assert.Equal(t, "10/6s", got[0].Name)
	assert.Equal(t, 10, got[0].Events)
	assert.Equal(t, "100/1m:smooth:burst=3", got[2].Name)
	assert.Equal(t, 3, p.Len())
	assert.Equal(t, time.Millisecond, p.Slack())
	assert.Equal(t, 1, p.Index("tokens"))
	assert.Equal(t, -1, p.Index("nobody"))
	assert.Equal(t, Costs{2, 2, 2}, p.Costs(2))
	assert.Equal(t, Costs{}, p.Costs(-2))
	assert.Equal(t, Costs{math.MaxInt32, math.MaxInt32, math.MaxInt32}, p.Costs(math.MaxInt64))
	assert.Equal(t, Costs{10, math.MaxInt32, 3}, p.Capacity())
	assert.False(t, p.WallClock())
	assert.True(t, must(p.Change([]Limit{{Events: 1, Per: time.Hour, Algorithm: Calendar}}, 0)).WallClock())
}

func TestPlanShare(t *testing.T) {
	p := must(NewPlan([]Limit{
		{Name: "10", Events: 10, Per: time.Second},
		{Name: "100", Events: 100, Per: time.Second},
		{Name: "1", Events: 1, Per: time.Second},
		{Name: "most", Events: math.MaxInt32, Per: time.Second},
	}, 0))
	for share, want := range map[float64]Costs{
		0.7:          {7, 70, 1, 1503238552},
		0.29:         {2, 29, 1, 622770257},
		0.6999:       {6, 69, 1, 1503023804},
		1:            {10, 100, 1, math.MaxInt32},
		3:            {10, 100, 1, math.MaxInt32},
		math.Inf(1):  {10, 100, 1, math.MaxInt32},
		1e-300:       {1, 1, 1, 1},
		0:            {},
		-1:           {},
		math.Inf(-1): {},
		0.3:          {3, 30, 1, 644245094},
	} {
		assert.Equal(t, want, p.Share(share), share)
	}
	assert.Equal(t, Costs{}, p.Share(math.NaN()))
	for n := 1; n <= 100; n++ {
		assert.EqualValues(t, n, p.Share(float64(n) / 100)[1])
	}
}

func TestSizes(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(Set{}), uintptr(72))
	assert.LessOrEqual(t, unsafe.Sizeof(rolling{}), uintptr(56))
	assert.LessOrEqual(t, unsafe.Sizeof(smooth{}), uintptr(64))
	assert.LessOrEqual(t, unsafe.Sizeof(calendar{}), uintptr(64))
	assert.EqualValues(t, 16, unsafe.Sizeof(entry{}))
	assert.EqualValues(t, 8, unsafe.Sizeof(Turn{}))
}

func TestTakeAllocatesNothing(t *testing.T) {
	p := must(NewPlan([]Limit{
		{Name: "r", Events: 10, Per: time.Millisecond},
		{Name: "s", Events: 1000, Per: time.Second, Algorithm: Smooth, Burst: 5},
		{Name: "c", Events: 100, Per: time.Second, Algorithm: Calendar},
	}, 0))
	for _, p := range []*Plan{p, must(NewPlan(p.Limits()[:1], 0))} {
		s, one, full, now := p.NewSet(), p.Costs(1), p.Capacity(), origin
		for range 20 {
			s.Take(now, &one, &full)
		}
		assert.Zero(t, testing.AllocsPerRun(500, func() {
			now = now.Add(77 * time.Microsecond)
			s.Take(now, &one, &full)
			s.Wait(now, &one, &full)
			s.Used(now, 0)
			s.Fresh(now)
			s.Charge(now, &one)
			s.Refund(now, now, &one)
		}))
	}
}

func TestCounter(t *testing.T) {
	_, err := NewCounter(-1)
	require.ErrorContains(t, err, "-1, want 0 or more")
	c, err := NewCounter(3)
	require.NoError(t, err)
	assert.True(t, c.Take(2))
	assert.False(t, c.Take(2))
	assert.False(t, c.Take(-1))
	assert.False(t, c.Take(math.MaxInt))
	assert.True(t, c.Take(1))
	assert.True(t, c.Take(0))
	assert.Equal(t, 3, c.Used())

	require.NoError(t, c.SetLimit(1))
	assert.Equal(t, 1, c.Limit())
	assert.True(t, c.Give(2))
	assert.False(t, c.Take(1), "still one in use")
	assert.True(t, c.Give(1))
	assert.True(t, c.Take(1))

	assert.False(t, c.Give(-1))
	assert.Equal(t, 1, c.Used())
	assert.False(t, c.Give(2), "more than was taken")
	assert.Zero(t, c.Used())
	require.Error(t, c.SetLimit(-1))
	assert.Equal(t, 1, c.Limit())
}
