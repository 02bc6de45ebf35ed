package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// outputLines is how much of a test's output is shown for a mutant that went wrong: its end, where the reason stands.
const outputLines = 40

// printResults prints the table, then what the mutants that did not turn red had to say, and returns their number.
func printResults(out io.Writer, results []result, verbose bool) (bad int) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "mutant\ttest\tverdict\tseconds")
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t%s %s\t%s\t%.1f\n", r.mutant.name, r.mutant.pkg, r.mutant.pattern, r.verdict, r.took.Seconds())
	}
	tw.Flush()
	for _, r := range results {
		if r.verdict != red {
			bad++
			fmt.Fprintf(out, "\n%s: %s: %s\n", r.mutant.name, r.verdict, r.why)
		} else if verbose {
			fmt.Fprintf(out, "\n%s: %s: %s\n", r.mutant.name, r.verdict, r.mutant.bug)
		}
		if r.verdict != red || verbose {
			for _, line := range tail(r.output, outputLines) {
				fmt.Fprintln(out, "    "+line)
			}
		}
	}
	return bad
}

func tail(text string, n int) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-n):]
}
