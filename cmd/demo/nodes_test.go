package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
)

// TestNodes plays the act with real processes. What it promises does not depend on how busy the machine is, but for requests that take longer to the
// API than the slack: so this one looks at what was kept only if the API refused nothing.
func TestNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes twenty seconds")
	}
	code, stdout, stderr := demo(t, nil, "-nodes", "2", "-users", "4", "-quick", "-json")
	var all results
	require.NoError(t, json.Unmarshal([]byte(stdout), &all), stderr)
	r := all.Nodes
	require.NotNil(t, r)
	require.Len(t, r.Phases, 3)
	for _, p := range r.Phases {
		assert.Positive(t, p.Served, p.Name)
		assert.Len(t, p.Owned, 2)
	}
	assert.Equal(t, []int{4, -1}, r.Phases[1].Owned)
	assert.LessOrEqual(t, r.Busiest-r.Refused, r.Events)
	if r.Refused == 0 {
		assert.True(t, r.Kept, stdout)
		assert.Equal(t, exitOK, code)
	} else {
		assert.Equal(t, exitFailed, code)
	}
}

func TestNodesOptions(t *testing.T) {
	o, err := parseOptions(strings.Fields("-nodes 3"))
	require.NoError(t, err)
	assert.Equal(t, []string{nameNodes}, o.program())
	assert.Equal(t, nodesAct{count: 3, users: 12, rule: strict.Rule{Events: 10, Per: 6 * time.Second}, slack: 300 * time.Millisecond, phase: 13 * time.Second}, o.nodes)
	o, err = parseOptions(strings.Fields("-nodes 5 -users 7 -quick"))
	require.NoError(t, err)
	assert.Equal(t, nodesAct{count: 5, users: 7, rule: strict.Rule{Events: 10, Per: 2 * time.Second}, slack: 600 * time.Millisecond, phase: 5500 * time.Millisecond}, o.nodes)
	o, err = parseOptions(nil)
	require.NoError(t, err)
	assert.Equal(t, acts, o.program())
}

// TestNodesPrinted: what is printed of an act that went well, of one that did not, and of one that was interrupted at once.
func TestNodesPrinted(t *testing.T) {
	r := nodesResult{
		Events: 10, Per: 6 * time.Second, Users: 12, Nodes: 3, Kept: true,
		Killed: 18 * time.Second, Lost: 4, ServedAgain: 7900 * time.Millisecond, Back: 36 * time.Second, OwnsAgain: 447 * time.Millisecond,
		Phases: []nodesPhase{
			{Name: "before", Served: 360, Share: 1, Waits: quantiles{P50: 6 * time.Second, P99: 7 * time.Second}, Owned: []int{4, 4, 4}},
			{Name: "while n2 is away", Served: 320, Failed: 17, Share: 0.889, Waits: quantiles{P50: 6 * time.Second, P99: 14 * time.Second}, Owned: []int{6, -1, 6}},
			{Name: "after its return", Served: 360, Share: 1, Waits: quantiles{P50: 6 * time.Second, P99: 7 * time.Second}, Owned: []int{4, 4, 4}},
		},
	}
	var out strings.Builder
	require.NoError(t, r.print(&out))
	golden(t, "nodes", out.String())

	r.Kept, r.Unserved = false, 1
	out.Reset()
	require.NoError(t, r.print(&out))
	assert.Contains(t, out.String(), "BROKE its promise")
	assert.Contains(t, out.String(), "1 of them was not served again")

	out.Reset()
	require.NoError(t, nodesResult{Nodes: 2, Interrupted: true}.print(&out))
	assert.Contains(t, out.String(), "Interrupted")
	assert.NotContains(t, out.String(), "is killed")
}
