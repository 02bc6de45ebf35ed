package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// table prints rows under a heading: the first column to the left, all others to the right, as numbers want it.
type table struct {
	heading []string // a line break inside a cell stacks it
	rows    [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	lines := append(stack(t.heading), nil) // nil: a rule
	lines = append(lines, t.rows...)
	widths := make([]int, len(t.heading))
	for _, line := range lines {
		for column, cell := range line {
			widths[column] = max(widths[column], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		for column, width := range widths {
			cell, pad := strings.Repeat("─", width), 0
			if line != nil {
				cell, pad = line[column], width-utf8.RuneCountInString(line[column])
			}
			if column == 0 {
				b.WriteString(cell + strings.Repeat(" ", pad))
			} else {
				b.WriteString(strings.Repeat(" ", 2+pad) + cell)
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// stack spreads cells with line breaks over as many lines as the tallest has, its last line at the bottom.
func stack(cells []string) [][]string {
	var split [][]string
	tallest := 1
	for _, cell := range cells {
		split = append(split, strings.Split(cell, "\n"))
		tallest = max(tallest, len(split[len(split)-1]))
	}
	lines := make([][]string, tallest)
	for i := range lines {
		lines[i] = make([]string, len(cells))
		for column, parts := range split {
			if above := tallest - len(parts); i >= above {
				lines[i][column] = parts[i-above]
			}
		}
	}
	return lines
}

// grouped writes n with a comma between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted writes n with its noun: "1 client", "2,000 clients".
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + one + "s"
}

// brief writes a duration in about three digits: "0 s", "840 µs", "41 ms", "6.06 s", "20 s", "2 min 5 s", "1 h 40 min".
func brief(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < 999500*time.Nanosecond:
		return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
	case d < 999500*time.Microsecond:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < 9995*time.Millisecond:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", d.Seconds()), ".00") + " s"
	case d < 99950*time.Millisecond:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d < time.Hour-time.Second/2:
		s := int(d.Round(time.Second).Seconds())
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	default:
		m := int(d.Round(time.Minute).Minutes())
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	}
}
