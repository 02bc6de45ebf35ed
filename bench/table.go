package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// line is one line of the tables: a comparison when theirs is set, else a measurement of ours alone.
type line struct {
	row    string // set by measure
	what   string
	ours   string
	theirs string  // the other side; empty when there is none
	ratio  float64 // of wall time
	cpu    float64 // of CPU time
	allocs float64 // of ours, for each call; < 0 when not measured
	bar    string  // what is asked; empty when the line is for information
	met    bool
	note   string // how it was measured, and what else was seen
}

// printTable prints the comparisons, then the measurements, then the notes, and returns the lines that missed their bar.
func printTable(out io.Writer, lines []line) (missed []string) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var alone []line
	header := false
	for _, l := range lines {
		if l.theirs == "" {
			alone = append(alone, l)
			continue
		}
		if !header {
			fmt.Fprintln(tw, "what\tours ns\ttheirs ns\tratio\tcpu ratio\tbar\tallocs\tverdict")
			header = true
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%.2f\t%s\t%s\t%s\n", l.what, l.ours, l.theirs, l.ratio, l.cpu, orDash(l.bar), allocs(l.allocs), l.verdict())
	}
	tw.Flush()
	if header && len(alone) > 0 {
		fmt.Fprintln(out)
	}
	if len(alone) > 0 {
		fmt.Fprintln(tw, "what\tmeasured\tbar\tallocs\tverdict")
	}
	for _, l := range alone {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", l.what, l.ours, orDash(l.bar), allocs(l.allocs), l.verdict())
	}
	tw.Flush()
	for i, l := range lines {
		if l.note != "" {
			if i == 0 || lines[i-1].row != l.row {
				fmt.Fprintf(out, "\n%s:\n", l.row)
			}
			fmt.Fprintf(out, "  %s\n", l.note)
		}
		if l.bar != "" && !l.met {
			missed = append(missed, l.what)
		}
	}
	return missed
}

func (l line) verdict() string {
	switch {
	case l.bar == "":
		return "-"
	case l.met:
		return "met"
	}
	return "missed"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func allocs(n float64) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", n)
}
