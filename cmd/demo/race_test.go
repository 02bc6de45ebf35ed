package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
)

func TestDemand(t *testing.T) {
	rule := strict.Rule{Events: 10, Per: 6 * time.Second}
	users := demand(1, 200, rule, time.Minute)
	assert.Equal(t, users, demand(1, 200, rule, time.Minute), "one seed, one demand")
	assert.NotEqual(t, users, demand(2, 200, rule, time.Minute))
	require.Len(t, users, 200)
	keys, wishes := make(map[string]bool), 0
	for _, u := range users {
		keys[u.key] = true
		wishes += len(u.interactive)
		assert.IsIncreasing(t, u.interactive)
		for _, at := range u.interactive {
			assert.True(t, 0 <= at && at < time.Minute)
		}
	}
	assert.Len(t, keys, 200)
	assert.InEpsilon(t, 200*30, wishes, 0.05, "3 in 6 s each") // about 77 is one standard deviation
}

// TestQuickRace runs the whole act on real connections. A machine that stalls for longer than the slack can make any client's
// requests arrive bunched, so a clean sheet is what the command's exit code is for; here it only has to be told truly.
func TestQuickRace(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 6 s of real time")
	}
	code, stdout, stderr := demo(t, nil, "-act", "race", "-quick", "-json")
	var all results
	require.NoError(t, json.Unmarshal([]byte(stdout), &all), stderr)
	assert.Nil(t, all.Overload)
	require.NotNil(t, all.Race)
	result := *all.Race
	assert.False(t, result.Interrupted)
	require.Len(t, result.Rows, 3)
	for _, row := range result.Rows {
		assert.Positive(t, row.Served, row.Name)
		assert.LessOrEqual(t, row.Share, 1.0, row.Name)
		assert.GreaterOrEqual(t, row.Interactive.Count+row.Background.Count, row.Served, row.Name)
		assert.Positive(t, row.Background.CutOff, row.Name)
	}
	plain, penstock := result.Rows[0], result.Rows[2]
	assert.Greater(t, plain.Busiest, 10, "the API is strict")
	assert.Equal(t, result.Kept, penstock.Refused == 0 && penstock.Busiest <= 10)
	assert.Equal(t, result.Kept, code == exitOK)
}

// TestInterruptedRace: Ctrl-C prints the table of what has been.
func TestInterruptedRace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &onWrite{text: "1.38 s of 5.50 s", do: cancel} // the first progress line
	var stdout bytes.Buffer
	code := run(ctx, strings.Fields("-quick -users 3"), nil, &stdout, out)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, stdout.String(), "Interrupted: this is how far it came in ")
	assert.Contains(t, stdout.String(), "Penstock kept its promise")
	assert.NotContains(t, stdout.String(), "semaphore", "the second act does not begin any more")
}

// onWrite does something when a text is written to it.
type onWrite struct {
	text string
	do   func()
}

func (w *onWrite) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.do()
	}
	return len(p), nil
}

// TestRaceReport: a fixed result's table, word for word.
func TestRaceReport(t *testing.T) {
	sum := func(p50, p99 time.Duration) raceSum {
		return raceSum{quantiles: quantiles{Count: 100, P50: p50, P99: p99}}
	}
	result := raceResult{
		Events: 10, Per: 6 * time.Second, Users: 20, Elapsed: 20*time.Second + 3*time.Millisecond, Most: 800, Kept: true,
		Rows: []raceRow{
			{"plain retries", 793, 4211, 793.0 / 800, 61, sum(2100*time.Millisecond, 11*time.Second), sum(4*time.Second, 19*time.Second)},
			{"x/time/rate", 640, 212, 0.8, 20, sum(9*time.Second, 12*time.Second), sum(9*time.Second, 13*time.Second)},
			{"Penstock", 800, 0, 1, 10, sum(3*time.Second, 6*time.Second), sum(12*time.Second, 18*time.Second)},
		},
	}
	var b strings.Builder
	require.NoError(t, race{rule: strict.Rule{Events: 10, Per: 6 * time.Second}, slack: 150 * time.Millisecond, users: 20, duration: 20 * time.Second}.announce(&b))
	require.NoError(t, result.print(&b))
	golden(t, "race", b.String())

	b.Reset()
	result.Kept, result.Interrupted = false, true
	require.NoError(t, result.print(&b))
	assert.Contains(t, b.String(), "Interrupted: this is how far it came in 20 s.")
	assert.Contains(t, b.String(), "BROKE")
}

// TestPlainClientBacksOff: a refused client comes back, later and later, until it is served.
func TestPlainClientBacksOff(t *testing.T) {
	rule := strict.Rule{Events: 1, Per: 400 * time.Millisecond}
	all, err := race{rule: rule, slack: 50 * time.Millisecond}.contestants()
	require.NoError(t, err)
	defer func() { assert.NoError(t, closeAll(all)) }()
	for _, c := range all {
		require.NoError(t, c.connect(t.Context()))
		for range 3 {
			require.NoError(t, c.client.get(t.Context(), "k", background), c.name)
		}
		assert.Equal(t, 3, c.api.Record.Totals().Served, c.name)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Error(t, c.client.get(ctx, "k", background), c.name)
	}
}
