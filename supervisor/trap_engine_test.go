package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A panic at the very top must neither end the process nor the tree: inner actors go on with their next message.
func TestTrap_GuardianEscalateDoesNotCrash(t *testing.T) {
	inBubbles(t, func(h *house) {
		f := h.family(plain("f"))
		require.NoError(h, h.ask(f, "a", note("")))
		for _, pid := range []*actor.PID{h.tree.root, h.tree.mu.kinds["desk"], f.node} {
			h.tree.engine.Root.Send(pid, &startChild{}) // no props: a nil pointer
		}
		for _, s := range f.spawners {
			s.send(&exited[string, desk]{})
		}
		synctest.Wait()
		require.NoError(h, h.ask(f, "a", note("")))
		for i := range 10 {
			require.NoError(h, h.ask(f, fmt.Sprint(i), note("")))
		}
	})
}

// The engine's "exponential" back-off is linear with a jitter of nanoseconds.
func TestTrap_BackoffIsOurs(t *testing.T) {
	b := Backoff{}.withDefaults()
	assert.Greater(t, b.delay(9), 8*b.delay(4))
	most, least := time.Duration(0), time.Hour
	for range 200 {
		d := b.delay(6)
		most, least = max(most, d), min(least, d)
	}
	assert.Greater(t, most-least, 20*time.Millisecond)
}

// Parked messages are kept in our own slices: forwards, and with what they carry.
func TestTrap_StashKeepsOrderAndSender(t *testing.T) {
	inBubbles(t, func(h *house) {
		s := plain("f")
		s.Backoff = Backoff{Min: time.Second, Max: time.Second}
		f := h.family(s)
		for range 2 {
			require.Error(h, h.ask(f, "a", crash("ouch")))
		}
		e := h.get(f, "a")
		var all []*request
		for i := range 20 {
			r := note(fmt.Sprint(i))
			f.Send(e, r)
			all = append(all, r)
		}
		require.Empty(h, e.Value.read())
		for _, r := range all {
			require.NoError(h, <-r.reply)
		}
		for i, n := range e.Value.read() {
			require.Equal(h, fmt.Sprint(i), n)
		}
	})
}

func TestTrap_ShutdownTwice(t *testing.T) {
	inBubbles(t, func(h *house) {
		require.NoError(h, h.ask(h.family(plain("f")), "a", note("")))
		for range 3 {
			h.close()
		}
		assert.False(h, h.tree.engine.IsStopped(), "we do not rely on it")
	})
}

const quietChild = "PENSTOCK_TEST_QUIET_CHILD"

// A process that starts trees, fails in them and closes them writes nothing but what our logger is given.
func TestTrap_LogsGoToOurLogger(t *testing.T) {
	if os.Getenv(quietChild) != "" {
		livelyTree(t, nil)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestTrap_LogsGoToOurLogger$")
	cmd.Env = append(os.Environ(), quietChild+"=1")
	var stdout, stderr lockedBuffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s%s", &stdout, &stderr)
	assert.Empty(t, stderr.String())
	assert.True(t, strings.HasPrefix(stdout.String(), "PASS\n"), stdout.String()) // a coverage run says more

	var out lockedBuffer
	livelyTree(t, slog.New(slog.NewTextHandler(&out, nil)))
	assert.Contains(t, out.String(), "lib=protoactor", "what the engine says is said by our logger")
}

func livelyTree(t *testing.T, logger *slog.Logger) {
	tree := New(Config{Logger: logger})
	f, err := NewFamily(tree, plain("f"))
	require.NoError(t, err)
	e, err := f.Get("a")
	require.NoError(t, err)
	r := crash("ouch")
	f.Send(e, r)
	require.Error(t, <-r.reply)
	r = note("")
	f.Send(e, r)
	require.NoError(t, <-r.reply)
	require.NoError(t, tree.Close(context.Background()))
}

func TestTrap_MetricsStayOff(t *testing.T) {
	tree := New(Config{})
	assert.Nil(t, tree.engine.Config.MetricsProvider)
	require.NoError(t, tree.Close(t.Context()))
}
