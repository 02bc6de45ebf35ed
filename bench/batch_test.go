package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A row that looks for lost updates must find them.
func TestALostUpdateIsFound(t *testing.T) {
	told := []sums{
		{Answered: map[string]int64{conflictKey(0): 5, conflictKey(1): 2}, Calls: 3, Conflicts: 7},
		{Answered: map[string]int64{conflictKey(0): 4}, Calls: 2, Failed: 1, Reason: "too often"},
	}
	right := map[string]int64{conflictKey(0): 9, conflictKey(1): 2}
	l := conflictLine(time.Second, told, right, 4)
	if !l.met || l.ours != "0" || l.note != "5 operations (5 a second), 4 saves of a row, 7 batches run again because of the other process, 1 operations refused after too many of these; one of them: too often" {
		t.Errorf("%+v", l)
	}
	for what, wrong := range map[string]map[string]int64{
		"too little": {conflictKey(0): 8, conflictKey(1): 2}, "too much": {conflictKey(0): 9, conflictKey(1): 2, conflictKey(2): 1}, "nothing": {},
	} {
		if l := conflictLine(time.Second, told, wrong, 4); l.met || l.ours == "0" {
			t.Errorf("%s is not found: %+v", what, l)
		}
	}
	for what, nothing := range map[string]sums{"where everything is refused": {Calls: 3, Failed: 3, Conflicts: 9}, "without a conflict": {Calls: 3}} {
		if l := conflictLine(time.Second, []sums{nothing}, nil, 0); l.met {
			t.Errorf("%s, nothing is shown: %+v", what, l)
		}
	}
}

func TestWithoutAServerTheConflictsSaySo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := conflictsAt(t.Context(), scale{side: time.Millisecond}, nobody)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || lines[0].ours != "no server" || lines[0].verdict() != "-" || !strings.Contains(lines[0].note, nobody) {
		t.Errorf("%+v", lines)
	}
}

func TestProcessesLoseNothing(t *testing.T) {
	if postgresPool(t) == nil {
		t.Skip("needs a server: PostgreSQL at localhost:5432")
	}
	lines, err := conflictsAt(t.Context(), scale{side: time.Millisecond}, postgresServer)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || lines[0].ours != "0" {
		t.Errorf("%+v", lines)
	}
}

func TestCommitsAreJudgedBeyondTheirSaves(t *testing.T) {
	var more, saves []time.Duration
	for i := range 100 {
		more, saves = append(more, time.Duration(100-i)*time.Microsecond), append(saves, time.Millisecond)
	}
	lines := commitLines(more, saves)
	if len(lines) != 2 || lines[0].ours != "51 µs" || lines[1].ours != "100 µs" || !lines[0].met || !lines[1].met || !strings.Contains(lines[0].note, "the saves took 1000 µs") {
		t.Errorf("%+v", lines)
	}
	more[len(more)-1] = 101 * time.Microsecond
	if lines := commitLines(more, saves); lines[1].met {
		t.Errorf("%+v", lines)
	}
}

// Every caller calls, with a context of its own, and the first error is the row's.
func TestFlood(t *testing.T) {
	c, end := newCallers(t.Context())
	var came [inFlight]atomic.Int64
	n, err := c.flood(func(_ context.Context, caller int) (int64, error) {
		came[caller].Add(1)
		return 2, nil
	})
	if n != 2*inFlight || err != nil {
		t.Errorf("%d calls, %v", n, err)
	}
	for i := range came {
		if came[i].Load() != 1 {
			t.Fatalf("caller %d came %d times", i, came[i].Load())
		}
	}
	boom := errors.New("boom")
	if _, err := c.flood(func(_ context.Context, caller int) (int64, error) {
		if caller == 7 {
			return 0, boom
		}
		return 1, nil
	}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	end()
	for _, ctx := range c {
		if ctx.Err() == nil {
			t.Fatal("a caller's context is left")
		}
	}
}
