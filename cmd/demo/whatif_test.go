package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

func logLine(client string, at time.Time) string {
	return fmt.Sprintf("%s - - [%s] \"GET / HTTP/1.1\" 200 512 \"-\" \"test\"\n", client, at.Format("02/Jan/2006:15:04:05 -0700"))
}

// TestWaitsAgainstArithmetic: with n a window, a client's request gets its turn when it comes, or a window after the one
// that was served n before it, whichever is later.
func TestWaitsAgainstArithmetic(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	l := limit.Limit{Events: 3, Per: 10 * time.Second}
	var log strings.Builder
	turns := make(map[string][]time.Time)
	var delayed, late int
	var total time.Duration
	latest := make(map[string]time.Time)
	at := time.Date(2026, time.May, 17, 10, 0, 0, 0, time.UTC)
	for range 2000 {
		at = at.Add(time.Duration(random.IntN(4)) * time.Second)
		client := fmt.Sprintf("192.0.2.%d", random.IntN(5))
		logged := at.Add(-time.Duration(random.IntN(3)) * time.Second)
		log.WriteString(logLine(client, logged))
		if logged.Before(latest[client]) { // without looking ahead
			late++
			logged = latest[client]
		}
		latest[client] = logged
		turn := logged
		if served := turns[client]; len(served) >= l.Events {
			if free := served[len(served)-l.Events].Add(l.Per); free.After(turn) {
				turn = free
				delayed++
				total += turn.Sub(logged)
			}
		}
		turns[client] = append(turns[client], turn)
	}
	report, err := whatIf{limits: []limit.Limit{l}}.run(strings.NewReader(log.String()))
	require.NoError(t, err)
	assert.Equal(t, 2000, report.Requests)
	assert.Equal(t, 5, report.Clients)
	assert.Equal(t, late, report.Late)
	require.Positive(t, late)
	got := report.Limits[0]
	assert.Equal(t, delayed, got.Delayed.Count)
	assert.Equal(t, 2000, got.All.Count)
	assert.Zero(t, got.Refused)
	var sum time.Duration
	for _, c := range got.Worst {
		sum += c.Total
	}
	assert.Equal(t, total, sum)
}

func TestRefusedCount(t *testing.T) {
	var log strings.Builder
	for range 20 {
		log.WriteString(logLine("2001:db8::1", time.Unix(0, 0)))
	}
	report, err := whatIf{limits: []limit.Limit{{Events: 2, Per: time.Minute}}, maxWaiting: 5}.run(strings.NewReader(log.String()))
	require.NoError(t, err)
	got := report.Limits[0]
	assert.Equal(t, 13, got.Refused)
	assert.Equal(t, 5, got.Delayed.Count)
	assert.Equal(t, 7, got.All.Count)
	assert.Equal(t, []affected{{Client: "2001:db8::1", Delayed: 5, Refused: 13, Longest: 3 * time.Minute, Total: 9 * time.Minute}}, got.Worst)
}

// TestShuffledLog: a log whose lines are shuffled, but not further than the sorter looks, says the same as an orderly one.
func TestShuffledLog(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var lines []string
	for i := range 1000 {
		lines = append(lines, logLine(fmt.Sprintf("192.0.2.%d", random.IntN(5)), time.Unix(int64(i/2), 0)))
	}
	w := whatIf{limits: []limit.Limit{{Events: 3, Per: 10 * time.Second}}, lookAhead: 50}
	orderly, err := w.run(strings.NewReader(strings.Join(lines, "")))
	require.NoError(t, err)
	require.Positive(t, orderly.Limits[0].Delayed.Count)
	for at := 0; at < len(lines); at += 50 {
		part := lines[at : at+50]
		random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	shuffled, err := w.run(strings.NewReader(strings.Join(lines, "")))
	require.NoError(t, err)
	assert.Positive(t, shuffled.Disordered)
	assert.Zero(t, shuffled.Late)
	assert.Equal(t, orderly.Limits, shuffled.Limits)
}

// TestMemoryStaysFlat: what a long log leaves behind depends on its clients, not on its length.
func TestMemoryStaysFlat(t *testing.T) {
	lines := 300_000
	if testing.Short() {
		lines = 60_000
	}
	var heaps []uint64
	log := &generated{lines: lines, clients: 200, every: lines / 4, at: func() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heaps = append(heaps, m.HeapAlloc)
	}}
	w := whatIf{lookAhead: 1000, limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}, {Events: 3, Per: 2 * time.Second}}, maxWaiting: 50}
	report, err := w.run(log)
	require.NoError(t, err)
	assert.Equal(t, lines, report.Requests)
	assert.Positive(t, report.Limits[0].Refused, "the greedy client fills its line")
	require.Len(t, heaps, 4)
	const allowed = 1 << 20 // one retained word a line would be above this many bytes
	assert.Less(t, heaps[3], heaps[0]+min(allowed, uint64(lines)*8), "heap after each quarter: %v", heaps)
}

// generated is a log that exists only while it is read: clients in turn, one of them greedy.
type generated struct {
	lines, clients int
	every          int    // lines between two calls of at
	at             func() //
	line           int
	rest           string
}

func (g *generated) Read(p []byte) (int, error) {
	if g.rest == "" {
		if g.line == g.lines {
			return 0, io.EOF
		}
		client := g.line / 2 % g.clients
		if g.line%2 == 0 {
			client = 0
		}
		g.rest = logLine(fmt.Sprintf("2001:db8::%x", client), time.Unix(int64(g.line/40), 0).UTC())
		if g.line++; g.line%g.every == 0 {
			g.at()
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}
