package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	tab := table{heading: []string{"name", "wait\np50", "n"}}
	tab.row("α", "1 µs", "10")
	tab.row("longer", "2 s", "1")
	var b strings.Builder
	require.NoError(t, tab.print(&b))
	assert.Equal(t, strings.Join([]string{
		"        wait    ",
		"name     p50   n",
		"──────  ────  ──",
		"α       1 µs  10",
		"longer   2 s   1",
		"",
	}, "\n"), b.String())
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -100: "-100", -1000: "-1,000"} {
		assert.Equal(t, want, grouped(n))
	}
	assert.Equal(t, "1 client", counted(1, "client"))
	assert.Equal(t, "2,000 clients", counted(2000, "client"))
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "0 s",
		400 * time.Nanosecond:     "0 µs",
		840 * time.Microsecond:    "840 µs",
		999600 * time.Nanosecond:  "1 ms",
		41 * time.Millisecond:     "41 ms",
		999600 * time.Microsecond: "1 s",
		6060 * time.Millisecond:   "6.06 s",
		9996 * time.Millisecond:   "10 s",
		99960 * time.Millisecond:  "1 min 40 s",
		125 * time.Second:         "2 min 5 s",
		time.Hour - time.Second/4: "1 h 0 min",
		100 * time.Minute:         "1 h 40 min",
	} {
		assert.Equal(t, want, brief(d), "%d ns", d)
	}
}

func TestWaits(t *testing.T) {
	w := newWaits()
	assert.Zero(t, w.quantiles())
	for ms := range 100 {
		w.add(time.Duration(ms) * time.Millisecond)
	}
	w.add(-time.Second)
	w.add(2 * longestWait)
	q := w.quantiles()
	assert.Equal(t, 102, q.Count)
	assert.InDelta(t, 49, q.P50.Milliseconds(), 1)
	assert.InDelta(t, 99, q.P99.Milliseconds(), 1)
	assert.Equal(t, 2*longestWait, q.Max)
}
