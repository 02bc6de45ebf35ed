package pool

import (
	"bytes"
	"runtime/pprof"
	"strconv"
	"strings"
)

// stacks is where the goroutines of jobs are now, by the numbers of their workers.
func stacks() map[uint64]string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a bytes.Buffer takes everything
	return parseStacks(profile.String())
}

// parseStacks reads a goroutine profile in its legible form: paragraphs of one stack each, which may have a line of labels
// and then has a line for each call, as in
//
//	1 @ 0x43e1ae 0x40b4fd …
//	# labels: {"penstock.pool":"files", "penstock.worker":"7"}
//	#	0x4f0e13	main.hash+0x33	/src/main.go:21
func parseStacks(profile string) map[uint64]string {
	found := make(map[uint64]string)
	for stack := range strings.SplitSeq(profile, "\n\n") {
		_, labels, labelled := strings.Cut(stack, "# labels: ")
		if !labelled {
			continue
		}
		labels, calls, _ := strings.Cut(labels, "\n")
		_, value, mine := strings.Cut(labels, strconv.Quote(workerLabel)+":\"")
		if !mine {
			continue
		}
		value, _, _ = strings.Cut(value, `"`)
		number, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			continue // somebody else's label of this name
		}
		if found[number] != "" {
			found[number] += "\n"
		}
		found[number] += legible(calls)
	}
	return found
}

// legible drops the addresses from the lines of calls.
func legible(calls string) string {
	var b strings.Builder
	for call := range strings.Lines(calls) {
		if _, text, ok := strings.Cut(strings.TrimPrefix(call, "#\t"), "\t"); ok {
			b.WriteString(text)
		}
	}
	return strings.TrimSpace(b.String())
}
