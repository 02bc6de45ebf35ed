package batch

import (
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// check reads the answers, and looks for somebody who was forgotten.
func (w *world) check() {
	for _, o := range w.ops {
		select {
		case err := <-o.reply:
			w.ensure(!o.heard, "%d is answered twice", o.n)
			w.ensure(!o.gone, "%d was cancelled, and is answered", o.n)
			w.ensure(o.due, "%d is answered too early", o.n)
			w.ensure(errors.Is(err, o.answer), "%d hears %v and not %v", o.n, err, o.answer)
			w.ensure((o.answer == nil) == (err == nil), "%d hears %v", o.n, err)
			o.heard = true
		default:
			w.ensure(o.due == o.heard, "%d is not answered", o.n)
		}
	}
	s := &w.state
	w.ensure(len(w.line) == len(s.waiting)-s.gone, "how many wait")
	switch {
	case s.stuck != nil:
	case w.shard != "":
		w.ensure(w.wake <= s.batch.deadline+w.rules.grace, "nobody looks whether the shard is stuck")
	case len(w.line) > 0:
		w.ensure(s.batch != nil, "somebody waits, and nobody works for him")
		if s.batch.phase == collecting {
			w.ensure(w.wake <= max(w.now, w.line[0].came+w.rules.min), "MinDuration is over and nobody looks")
			w.ensure(!(w.rules.operations > 0 && len(w.line) >= w.rules.operations), "it is full and nobody looks")
		}
	}
	if s.batch == nil && len(w.line) == 0 && s.has {
		w.ensure(s.until != forever, "what was loaded for nobody is not kept")
	}
}

// pass lets time go by, and has the state asked when it wants to be.
func (w *world) pass(d time.Duration) {
	until := w.now + d
	for w.wake <= until {
		w.now = max(w.now, w.wake)
		w.wake = forever
		w.look()
		w.check()
	}
	w.now = until
}

func TestG9_TheStateAgreesWithANaiveModel(t *testing.T) {
	checks := 100_000
	if testing.Short() {
		checks = 10_000 // of which a fifth is done
	}
	before := flag.Lookup("rapid.checks").Value.String()
	require.NoError(t, flag.Set("rapid.checks", fmt.Sprint(checks)))
	defer func() { require.NoError(t, flag.Set("rapid.checks", before)) }()
	seen := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, wake: forever, seen: seen}
		w.rules = rules{
			min: time.Duration(rapid.IntRange(0, 5).Draw(t, "min")), max: time.Duration(rapid.IntRange(5, 20).Draw(t, "max")),
			grace: 10, keep: time.Duration(rapid.IntRange(0, 10).Draw(t, "keep")),
			operations: rapid.IntRange(0, 4).Draw(t, "operations"), load: true,
		}
		w.keep = true
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 19).Draw(t, "step") {
			case 0, 1, 2, 3, 4, 5:
				if w.state.stuck == nil {
					w.add()
				}
			case 6, 7:
				w.cancel()
			case 8:
				w.foreign--
				w.stored, w.naive = append(w.stored, w.foreign), append(w.naive, w.foreign)
				w.stale = true
			case 9, 10, 11:
				w.pass(time.Duration(rapid.IntRange(0, 6).Draw(t, "pass")))
			case 12:
				w.pass(time.Duration(rapid.IntRange(20, 40).Draw(t, "pass long")))
			default:
				w.step()
			}
			w.check()
		}
		w.hurry = true // it is closed
		w.look()
		for i := 0; w.state.batch != nil; i++ {
			require.Less(t, i, 1000, "it does not come to an end")
			if w.shard == "" {
				w.pass(1)
			}
			w.step()
			w.check()
		}
		require.Empty(t, w.line)
		for _, o := range w.ops {
			require.True(t, o.heard != o.gone, "%d: answered once, or cancelled", o.n)
		}
		require.Equal(t, w.naive, w.stored)
	})
	t.Log(seen)
	for _, what := range []string{"saved", "not saved", "not loaded", "conflict", "aborted", "put back", "put back after a conflict", "cancelled", "cancelled in a batch", "stuck"} {
		require.Greater(t, seen[what], checks/5000, "hardly ever: %s", what)
	}
}
