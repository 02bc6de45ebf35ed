package queue

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// value is a value in a configuration file, and where it stands. Its readers note what is wrong with it, and then say false.
type value struct {
	node  *yaml.Node
	key   string // as in LoadError
	wrong *faults
}

// bad notes what is wrong with the value.
func (v value) bad(format string, args ...any) {
	*v.wrong = append(*v.wrong, &LoadError{v.node.Line, v.node.Column, v.key, fmt.Sprintf(format, args...)})
}

// blame notes what validate found wrong with a configuration, and what is the value's fault, in the words of the file.
func (v value) blame(err error) { v.bad("%s", inFile(err)) }

// fileEntry is a key of a mapping and its value. The node of at is the key, for what is wrong with that.
type fileEntry struct {
	name      string
	at, value value
}

// entries are those of a mapping, in the order of the file.
func (v value) entries(takes string) (list []fileEntry, ok bool) {
	if v.node.Kind != yaml.MappingNode || v.node.ShortTag() != "!!map" {
		v.bad("it is %s; it takes %s", v.what(), takes)
		return nil, false
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, x := v.node.Content[i], v.node.Content[i+1]
		at := value{k, v.key, v.wrong}
		name, ok := at.text()
		if !ok {
			continue
		}
		at.key = v.under(name)
		if line, taken := lines[name]; taken {
			at.bad("it is given twice, first in line %d", line)
			continue
		}
		lines[name] = k.Line
		list = append(list, fileEntry{name, at, value{x, at.key, v.wrong}})
	}
	return list, true
}

// field is a key that a mapping takes, and what reads it.
type field struct {
	name string
	read func(value)
}

// fields reads a mapping whose keys are known: each by its own function, in the order of the list. It returns the keys
// that there are, and reports whether it is a mapping at all.
func (v value) fields(list ...field) (there map[string]value, ok bool) {
	var names []string
	for _, f := range list {
		names = append(names, f.name)
	}
	entries, ok := v.entries("a mapping of " + quoteList(names))
	if !ok {
		return nil, false
	}
	there = make(map[string]value)
	for _, e := range entries {
		if slices.Contains(names, e.name) {
			there[e.name] = e.value
		} else {
			e.at.bad("the key is unknown; it takes %s", quoteList(names))
		}
	}
	for _, f := range list {
		if x, ok := there[f.name]; ok {
			f.read(x)
		}
	}
	return there, true
}

// need notes which of the keys of a mapping are missing.
func (v value) need(there map[string]value, names ...string) {
	for _, name := range names {
		if _, ok := there[name]; !ok {
			v.bad("the key %s is missing", name)
		}
	}
}

// items are those of a list.
func (v value) items(takes string) (list []value, ok bool) {
	if v.node.Kind != yaml.SequenceNode || v.node.ShortTag() != "!!seq" {
		v.bad("it is %s; it takes a list of %s", v.what(), takes)
		return nil, false
	}
	for i, n := range v.node.Content {
		list = append(list, value{n, fmt.Sprintf("%s[%d]", v.key, i), v.wrong})
	}
	return list, true
}

// scalar is the value as it is written, if it is one of these kinds.
func (v value) scalar(takes string, tags ...string) (string, bool) {
	if v.node.Kind == yaml.ScalarNode && slices.Contains(tags, v.node.ShortTag()) {
		return v.node.Value, true
	}
	v.bad("it is %s; it takes %s", v.what(), takes)
	return "", false
}

func (v value) text() (string, bool) {
	return v.scalar("text, in quotes if need be", "!!str")
}

// word is one of a few words, by its place among them.
func (v value) word(words ...string) (int, bool) {
	takes := quoteList(words)
	s, ok := v.scalar(takes, "!!str")
	if !ok {
		return 0, false
	}
	i := slices.Index(words, s)
	if i < 0 {
		v.bad("it is %s; it takes %s", v.what(), takes)
	}
	return i, i >= 0
}

// yes reads whether something is so.
func (v value) yes() bool {
	s, ok := v.scalar("true or false", "!!bool")
	return ok && strings.EqualFold(s, "true")
}

func (v value) number() (float64, bool) {
	const takes = "a number"
	s, ok := v.scalar(takes, "!!int", "!!float")
	if !ok {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		v.bad("it is %s; it takes %s", v.what(), takes)
	}
	return x, err == nil
}

func (v value) whole() (int, bool) {
	const takes = "a whole number"
	s, ok := v.scalar(takes, "!!int")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 0)
	if err != nil {
		v.bad("it is %s; it takes %s", v.what(), takes)
	}
	return int(n), err == nil
}

func (v value) duration() (time.Duration, bool) {
	const takes = "a duration, such as 5s, 1m30s or 100ms"
	s, ok := v.scalar(takes, "!!str", "!!int", "!!float")
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		v.bad("it is %s; it takes %s", v.what(), takes)
	}
	return d, err == nil
}

// isWord reports whether the value is this word.
func (v value) isWord(word string) bool {
	return v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!str" && v.node.Value == word
}

// name reads a text that is not empty.
func (v value) name(use func(string)) {
	s, ok := v.text()
	if ok && v.check(s != "", "it is empty; leave the key out for its default") {
		use(s)
	}
}

// count reads a whole number that is not 0.
func (v value) count(use func(int)) {
	n, ok := v.whole()
	if n, ok = notZero(v, n, ok); ok {
		use(n)
	}
}

func (v value) isScalar() bool { return v.node.Kind == yaml.ScalarNode }

// check notes what is wrong unless ok, which it returns.
func (v value) check(ok bool, format string, args ...any) bool {
	if !ok {
		v.bad(format, args...)
	}
	return ok
}

// notZero passes on a number that would stand for a default if it were 0.
func notZero[T int | float64 | time.Duration](v value, n T, ok bool) (T, bool) {
	if ok && n == 0 {
		v.bad("it is 0; leave the key out for its default")
	}
	return n, ok && n != 0
}

// what describes the value for an error.
func (v value) what() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which must be written out"
	}
	switch tag := v.node.ShortTag(); tag {
	case "!!null":
		return "empty"
	case "!!str":
		return fmt.Sprintf("%.64q", v.node.Value)
	case "!!int", "!!float", "!!bool", "!!timestamp":
		return fmt.Sprintf("%.64s", v.node.Value)
	default:
		return fmt.Sprintf("of the kind %.64s", tag)
	}
}

// under is the key of something in a mapping.
func (v value) under(name string) string {
	if !plain.MatchString(name) {
		name = fmt.Sprintf("%.64q", name)
	}
	if v.key == "" {
		return name
	}
	return v.key + "." + name
}

var plain = regexp.MustCompile(`^[\pL\pN_-]{1,64}$`)

// quoteList is a list as a sentence has it: a, b or c.
func quoteList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
