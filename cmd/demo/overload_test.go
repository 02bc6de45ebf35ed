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
)

// TestQuickOverload runs the whole act on real servers. How many are answered is up to the machine; that something became of
// each request, and that what is told of it fits together, is not.
func TestQuickOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 9 s of real time")
	}
	code, stdout, stderr := demo(t, nil, "-act", "overload", "-quick", "-json")
	var all results
	require.NoError(t, json.Unmarshal([]byte(stdout), &all), stderr)
	assert.Nil(t, all.Race)
	require.NotNil(t, all.Overload)
	result := *all.Overload
	assert.False(t, result.Interrupted)
	assert.Positive(t, result.Capacity)
	assert.InEpsilon(t, 5*result.Capacity, result.Asked, 1e-9)
	require.Len(t, result.Rows, 3)
	for _, row := range result.Rows {
		assert.Positive(t, row.Sent, row.Name)
		assert.Equal(t, result.Rows[0].Sent, row.Sent, "each meets the same load")
		assert.Equal(t, result.Rows[0].Urgent, row.Urgent)
		assert.True(t, row.accounted(), row.Name)
		assert.Zero(t, row.CutOff, row.Name)
		assert.GreaterOrEqual(t, row.Done, row.Answered, "who got an answer was worked for")
		assert.Positive(t, row.Processor, row.Name)
		if row.Answers.Count > 0 {
			assert.LessOrEqual(t, row.Answers.P50, row.Answers.P99, row.Name)
		}
	}
	assert.Zero(t, result.Rows[0].Refused+result.Rows[1].Refused, "only Penstock refuses")
	assert.Equal(t, result.Kept, code == exitOK)
}

// TestInterruptedOverload: Ctrl-C prints the table of what has been, and no server is left behind.
func TestInterruptedOverload(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &onWrite{text: "no queue: 500 ms of 2 s", do: cancel} // the first progress line
	var stdout bytes.Buffer
	code := run(ctx, strings.Fields("-act overload -quick"), nil, &stdout, out)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, stdout.String(), "Interrupted: this is how far it came.")
	assert.Contains(t, stdout.String(), "\nno queue ")
	assert.NotContains(t, stdout.String(), "\nsemaphore ", "it was not played any more")
}

// TestInterruptedBeforeTheFirstServer has nothing to show, and says so.
func TestInterruptedBeforeTheFirstServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout strings.Builder
	result, err := overload{duration: time.Hour, sample: time.Hour}.run(ctx, &bytes.Buffer{})
	require.NoError(t, err)
	assert.True(t, result.Interrupted)
	require.NoError(t, result.print(&stdout))
	assert.Equal(t, "Interrupted: this is how far it came.\n\n", stdout.String())
}

// fixedOverload is a result as a run might have it.
func fixedOverload() overloadResult {
	row := func(name string, o outcomes, p50, p99 time.Duration, done int) overloadRow {
		o.Sent, o.Urgent = 5000, 250
		r := overloadRow{Name: name, outcomes: o, PerSecond: float64(o.During) / 10, Done: done, InVain: done - o.Answered,
			Answers:   quantiles{Count: o.Answered, P50: p50, P99: p99},
			Refusals:  quantiles{Count: o.Refused, P99: 110 * time.Millisecond},
			Processor: 10 * time.Second, Memory: 23 << 20}
		r.Share = r.share(100)
		return r
	}
	r := overloadResult{Capacity: 100, Asked: 500, Deadline: deadline, Seed: 1, Rows: []overloadRow{
		row("no queue", outcomes{Answered: 72, During: 71, Late: 4928, UrgentAnswered: 4}, 250*time.Millisecond, 496*time.Millisecond, 970),
		row("semaphore", outcomes{Late: 5000}, 0, 0, 0),
		row("Penstock", outcomes{Answered: 960, During: 955, Refused: 4040, UrgentAnswered: 249}, 40*time.Millisecond, 110*time.Millisecond, 960),
	}}
	r.Rows[1].Memory = 0
	r.Kept = r.kept()
	return r
}

// TestOverloadReport: a fixed result's table, word for word.
func TestOverloadReport(t *testing.T) {
	var b strings.Builder
	require.NoError(t, overload{duration: 10 * time.Second}.announce(&b))
	require.NoError(t, fixedOverload().print(&b))
	golden(t, "overload", b.String())
}

func TestBrokenPromise(t *testing.T) {
	for name, breaks := range map[string]func(without, with *overloadRow){
		"somebody is missing":    func(_, with *overloadRow) { with.Sent++ },
		"somebody is failed":     func(_, with *overloadRow) { with.Failed, with.Refused = 1, with.Refused-1 },
		"better without a queue": func(without, _ *overloadRow) { without.Answered, without.Late = 961, 4039 },
	} {
		r := fixedOverload()
		require.True(t, r.kept())
		breaks(&r.Rows[0], &r.Rows[2])
		assert.False(t, r.kept(), name)
		r.Kept = false
		var b strings.Builder
		require.NoError(t, r.print(&b))
		assert.Contains(t, b.String(), "Penstock BROKE its promise", name)
	}
}

// TestInterruptedPromise: what was not played to its end is not compared, but nobody may be missing in it.
func TestInterruptedPromise(t *testing.T) {
	r := fixedOverload()
	r.Interrupted = true
	r.Rows[2].Answered, r.Rows[2].Refused, r.Rows[2].CutOff = 0, 0, 5000
	assert.True(t, r.kept())
	r.Rows[2].Sent++
	assert.False(t, r.kept())
	r.Rows = r.Rows[:2]
	assert.True(t, r.kept(), "Penstock had no turn")
	r.Interrupted = false
	assert.False(t, r.kept())
}

// TestFailuresAreTold: one that no column has a place for is named below the table, with its reason.
func TestFailuresAreTold(t *testing.T) {
	r := fixedOverload()
	r.Rows[0].Failed, r.Rows[0].Reason = 2, "connection refused"
	var b strings.Builder
	require.NoError(t, r.print(&b))
	assert.Contains(t, b.String(), "\n\nno queue failed 2 requests, the first with: connection refused\n")
}
