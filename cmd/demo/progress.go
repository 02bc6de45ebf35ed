package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how a run of length d gets on until ctx ends.
func progress(ctx context.Context, w io.Writer, what string, d time.Duration) {
	m := newMeter(w, what, func(n, of int) string { return brief(time.Duration(n)*d/time.Duration(of)) + " of " + brief(d) })
	defer m.finish()
	ticker := time.NewTicker(d / time.Duration(m.steps))
	defer ticker.Stop()
	for n := 1; n < m.steps; n++ {
		select {
		case <-ticker.C:
			m.step(n)
		case <-ctx.Done():
			return
		}
	}
}

// countEvery is how often progressOf looks.
const countEvery = 20 * time.Millisecond

// progressOf shows how many of total are done until ctx ends.
func progressOf(ctx context.Context, w io.Writer, what string, total int, done func() int) {
	m := newMeter(w, what, func(n, of int) string { return grouped(n*total/of) + " of " + grouped(total) })
	defer m.finish()
	ticker := time.NewTicker(countEvery)
	defer ticker.Stop()
	for shown := 0; ; {
		select {
		case <-ticker.C:
			if n := min(done()*m.steps/max(total, 1), m.steps-1); n > shown {
				shown = n
				m.step(n)
			}
		case <-ctx.Done():
			return
		}
	}
}

// meter shows how far something has come: a bar on a terminal, else a line every quarter.
type meter struct {
	steps  int
	step   func(n int)
	finish func()
}

// newMeter makes a meter for w; a line of it says how far with far, of which the last step is of.
func newMeter(w io.Writer, what string, far func(n, of int) string) meter {
	if !isTerminal(w) {
		const quarters = 4
		line := func(n int) { _, _ = fmt.Fprintf(w, "%s: %s\n", what, far(n, quarters)) }
		return meter{steps: quarters, step: line, finish: func() {}}
	}
	bar := progressbar.NewOptions(100, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(50),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	return meter{steps: 100, step: func(n int) { _ = bar.Set(n) }, finish: func() { _ = bar.Finish() }}
}

// isTerminal reports whether w is a terminal, or close enough: a character device.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
