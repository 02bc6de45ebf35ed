package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// verdict is how a mutant ended. Only red is good.
type verdict string

const (
	red     verdict = "red"     // the test failed, as it must
	green   verdict = "GREEN"   // the test did not notice
	broken  verdict = "ERROR"   // the mutant proves nothing: it does not apply, does not compile, hangs …
	noTest  verdict = "NO TEST" // without the mutant the test does not run, or is not green
	unknown verdict = ""
)

// result is one row of the table.
type result struct {
	mutant  *mutant
	verdict verdict
	why     string // what is wrong, unless red
	output  string // of the mutated test
	took    time.Duration
}

// runAll runs the tests without mutants, and then each mutant whose test was found well.
func runAll(ctx context.Context, o options, files []string, mutants []*mutant) ([]result, error) {
	tmp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)

	results := make([]result, len(mutants))
	for i, m := range mutants {
		results[i].mutant = m
	}
	// Mutants whose tests share a package and flags share the run without a mutant: linking is most of its time.
	groups := map[string][]*result{}
	for i := range results {
		m := results[i].mutant
		key := m.pkg + " " + strings.Join(m.flags, " ")
		groups[key] = append(groups[key], &results[i])
	}
	var jobs []func(dir string) error
	for _, group := range groups {
		jobs = append(jobs, func(dir string) error { return runBaseline(ctx, o, files, dir, group) })
	}
	if err := inCopies(tmp, o.workers, jobs); err != nil {
		return nil, err
	}
	jobs = nil
	for i := range results {
		if results[i].verdict == unknown {
			jobs = append(jobs, func(dir string) error { return runMutant(ctx, o, files, dir, &results[i]) })
		}
	}
	return results, inCopies(tmp, o.workers, jobs)
}

// inCopies does the jobs with one goroutine and one folder below tmp for each worker, and returns the first error.
func inCopies(tmp string, workers int, jobs []func(dir string) error) error {
	queue := make(chan func(string) error, len(jobs))
	for _, job := range jobs {
		queue <- job
	}
	close(queue)
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for i := range workers {
		wg.Go(func() {
			dir := filepath.Join(tmp, fmt.Sprint(i), "repo")
			for job := range queue {
				if err := job(dir); err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// runBaseline runs the tests of a group without a mutant: each must run and be green, or its mutants say nothing.
func runBaseline(ctx context.Context, o options, files []string, dir string, group []*result) error {
	if err := copyFiles(o.root, dir, files); err != nil {
		return err
	}
	var patterns []string
	for _, r := range group {
		patterns = append(patterns, r.mutant.pattern)
	}
	m := group[0].mutant
	run, err := goTest(ctx, dir, m.pkg, strings.Join(patterns, "|"), m.flags, o.timeout)
	if err != nil {
		return err
	}
	for _, r := range group {
		if why := baselineFault(run, r.mutant); why != "" {
			r.verdict, r.why, r.output = noTest, "without the mutant: "+why, run.output
		}
	}
	return nil
}

// baselineFault says what is wrong with a mutant's tests in a run without mutants, or "".
func baselineFault(run testRun, m *mutant) string {
	if run.unbuilt {
		return "it does not compile"
	}
	ran := 0
	for _, name := range run.started {
		if !m.test.MatchString(name) {
			continue
		}
		ran++
		if end := run.ended[name]; end != "pass" {
			return fmt.Sprintf("%s ended with %q", name, end)
		}
	}
	switch {
	case ran == 0 && run.failed:
		return "go test failed before it ran"
	case ran == 0:
		return "no test of that name"
	}
	return ""
}

func runMutant(ctx context.Context, o options, files []string, dir string, r *result) error {
	m := r.mutant
	if err := copyFiles(o.root, dir, files); err != nil {
		return err
	}
	if err := applyPatch(ctx, dir, m.path); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.verdict, r.why = broken, "the patch no longer applies: "+err.Error()
		return nil
	}
	timeout := o.timeout
	if m.timeout > 0 {
		timeout = m.timeout
	}
	run, err := goTest(ctx, dir, m.pkg, m.pattern, m.flags, timeout)
	if err != nil {
		return err
	}
	r.took, r.output = run.took, run.output
	r.verdict, r.why = judge(run, m)
	return nil
}

// judge tells a test that noticed from a run that failed for another reason.
func judge(run testRun, m *mutant) (verdict, string) {
	switch {
	case run.unbuilt:
		return broken, "the mutant does not compile"
	case len(run.started) == 0:
		return broken, "the test did not begin"
	case run.timedOut && m.hangs:
		return red, ""
	case run.timedOut:
		return broken, `the test hung; if that is how the bug shows, say "# red: timeout"`
	case m.hangs && run.failed:
		return broken, `the test failed where the header says "# red: timeout"`
	case !run.failed:
		return green, "the test did not notice: " + m.bug
	}
	// A failure after the tests passed counts too: that is how a package's leak check ends.
	return red, ""
}
