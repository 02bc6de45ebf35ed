package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// testRun is what one call of go test told.
type testRun struct {
	started  []string          // top-level tests that began
	ended    map[string]string // top-level test → "pass", "fail" or "skip"
	failed   bool              // go test ended with an error
	unbuilt  bool              // because something did not compile
	timedOut bool              // because the test's time was up
	output   string            // everything printed, for a human
	took     time.Duration
}

// event is a line of go test -json (see go doc test2json).
type event struct {
	Action      string
	Test        string
	Output      string
	FailedBuild string
}

// buildTime is allowed on top of a test's own timeout: for compiling, and for go test to end a test that hangs.
const buildTime = 5 * time.Minute

// goTest runs the tests of one package whose whole name matches pattern, in dir.
func goTest(ctx context.Context, dir, pkg, pattern string, flags []string, timeout time.Duration) (testRun, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+buildTime)
	defer cancel()
	// -trimpath: the copies then share compiled packages with one another and with later runs. Most of the time goes to the compiler, and a
	// fifth of that to its collector, for which there is memory enough; the test itself is to have the usual one. Nobody debugs a mutant.
	args := []string{"test", "-json", "-count=1", "-vet=off", "-trimpath", "-ldflags=-w", "-exec", "env -u GOGC",
		"-timeout", timeout.String(), "-run", "^(?:" + pattern + ")$"}
	args = append(args, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOGC=400")
	cmd.WaitDelay = 10 * time.Second // a grandchild may keep the pipe open after go test was killed
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		return testRun{}, fmt.Errorf("go test %s: %w", pkg, ctx.Err())
	}
	r := readEvents(&out)
	r.failed, r.took = err != nil, time.Since(began)
	return r, nil
}

func readEvents(out *bytes.Buffer) testRun {
	r := testRun{ended: map[string]string{}}
	var text strings.Builder
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 16<<20) // one line of a failing test can be long
	for sc.Scan() {
		var e event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			text.WriteString(sc.Text() + "\n") // go's own words, such as a package that does not exist
			continue
		}
		text.WriteString(e.Output)
		if strings.HasPrefix(e.Output, "panic: test timed out after") {
			r.timedOut = true
		}
		if e.Action == "build-fail" || e.FailedBuild != "" {
			r.unbuilt = true
		}
		if e.Test == "" || strings.Contains(e.Test, "/") {
			continue
		}
		switch e.Action {
		case "run":
			r.started = append(r.started, e.Test)
		case "pass", "fail", "skip":
			r.ended[e.Test] = e.Action
		}
	}
	r.output = text.String()
	return r
}
