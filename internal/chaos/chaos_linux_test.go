package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/internal/puppet"
)

func TestMain(m *testing.M) {
	puppet.Main(fleet.Parts)
	os.Exit(m.Run())
}

func parsed(t *testing.T, args ...string) config {
	c, err := parse(args, os.Stderr)
	require.NoError(t, err)
	return c
}

func TestDrawIsTheSameForTheSameSeed(t *testing.T) {
	first := draw(7, 30, 3, faults)
	require.Equal(t, first, draw(7, 30, 3, faults))
	require.NotEqual(t, first, draw(8, 30, 3, faults))
	seen := make(map[string]int)
	for _, f := range first[:len(faults)] {
		seen[f.kind]++
	}
	require.Len(t, seen, len(faults))
}

func TestVerdicts(t *testing.T) {
	c := parsed(t, "-lease", "1s", "-grace", "500ms")
	require.Empty(t, c.judge(round{gap: 3500 * time.Millisecond}))
	require.Len(t, c.judge(round{gap: 3501 * time.Millisecond, longest: "a", refused: 1}), 2)
	require.Equal(t, 10*time.Second, parsed(t, "-stop", "1h").stop)
	for _, args := range []string{"-rounds 0", "-nodes 9", "-faults fire", "-lease 1ms", "x"} {
		_, err := parse(strings.Fields(args), os.Stderr)
		require.Error(t, err, args)
	}
}

// TestG11_Chaos: a node is killed, one is stopped, and connections are cut, and what the nodes promise together holds.
func TestG11_Chaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	c := parsed(t, "-stop", "3s", "-grace", "5s", "-ids", "6", "-faults", strings.Join([]string{faultKill, faultStop, faultCut}, ","), "-rounds", "3")
	var out strings.Builder
	err := command(t.Context(), c, &out)
	t.Log(out.String())
	require.NoError(t, err)
}

// TestChaosCanFail: nodes that do not share break the limit, and the judge sees it.
func TestChaosCanFail(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds")
	}
	c := parsed(t, "-control", "-ids", "3", "-faults", faultKill, "-rounds", "1")
	var out strings.Builder
	err := command(t.Context(), c, &out)
	require.ErrorContains(t, err, "the limit was exceeded", out.String())
}
