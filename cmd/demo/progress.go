package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how a run of length d gets on until ctx ends: a bar on a terminal, else a line every quarter.
func progress(ctx context.Context, w io.Writer, what string, d time.Duration) {
	steps, step := 4, func(n int) {
		_, _ = fmt.Fprintf(w, "%s: %s of %s\n", what, brief(time.Duration(n)*d/4), brief(d))
	}
	if isTerminal(w) {
		bar := progressbar.NewOptions(100, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(50),
			progressbar.OptionSetDescription(what),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
		steps, step = 100, func(n int) { _ = bar.Set(n) }
		defer func() { _ = bar.Finish() }()
	}
	ticker := time.NewTicker(d / time.Duration(steps))
	defer ticker.Stop()
	for n := 1; n < steps; n++ {
		select {
		case <-ticker.C:
			step(n)
		case <-ctx.Done():
			return
		}
	}
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
