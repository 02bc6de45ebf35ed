package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/penstock-go/penstock"
)

// maxDepth is how deep values may nest: a file has no more than seven levels.
const maxDepth = 32

// parse reads the one document of a file.
func parse(data []byte, wrong *faults) (value, bool) {
	top := value{key: "", wrong: wrong}
	if len(data) > maxFile {
		*wrong = append(*wrong, &LoadError{1, 1, "", fmt.Sprintf("it is longer than %d bytes", maxFile)})
		return top, false
	}
	if e := checkText(data); e != nil {
		*wrong = append(*wrong, e)
		return top, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	var doc, next yaml.Node
	if err == nil {
		err = loader.Load(&doc)
	}
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		*wrong = append(*wrong, &LoadError{1, 1, "", "it has no document; it takes " + quoteList(sections)})
		return top, false
	case err != nil:
		*wrong = append(*wrong, syntaxError(err))
		return top, false
	}
	switch err := loader.Load(&next); {
	case err == nil:
		*wrong = append(*wrong, &LoadError{next.Line, next.Column, "", "a second document begins; it takes one"})
	case !errors.Is(err, io.EOF):
		*wrong = append(*wrong, syntaxError(err))
	}
	top.node = doc.Content[0]
	return top, true
}

// checkText finds what is not text.
func checkText(data []byte) *LoadError {
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		switch {
		case c == utf8.RuneError && n == 1:
			return &LoadError{line, column, "", fmt.Sprintf("the byte %#x is not UTF-8", rest[0])}
		case c == '\n':
			line, column = line+1, 0
		case !printable(c):
			return &LoadError{line, column, "", fmt.Sprintf("the character %#x is not text", c)}
		}
		column++
		rest = rest[n:]
	}
	return nil
}

// printable reports whether YAML takes the character.
func printable(c rune) bool {
	switch {
	case c < ' ':
		return c == '\t' || c == '\r'
	case c >= 0x7f && c < 0xa0:
		return c == 0x85
	}
	return c != 0xfffe && c != 0xffff
}

func syntaxError(err error) *LoadError {
	var bad *yaml.LoadError
	if !errors.As(err, &bad) {
		return &LoadError{1, 1, "", "it is not YAML: " + err.Error()}
	}
	e := &LoadError{max(bad.Mark.Line, 1), max(bad.Mark.Column, 1), "", "it is not YAML: " + bad.Message}
	if bad.ContextMsg != "" {
		e.Reason += ", " + bad.ContextMsg
	}
	return e
}

// inFile says what validate found wrong in the words of the file: max_size where it has MaxSize, but nothing in quotes.
func inFile(err error) string {
	said := strings.ReplaceAll(err.Error(), "\n", "; ")
	said = strings.TrimPrefix(said, penstock.ErrInvalid.Error()+" ")
	said = strings.TrimPrefix(said, "Modifiers[0]: ")
	said = orZero.ReplaceAllString(said, "")
	return goWord.ReplaceAllStringFunc(said, func(s string) string {
		if s[0] == '"' {
			return s
		}
		return strings.ToLower(inWord.ReplaceAllString(s, "${1}_$2"))
	})
}

var (
	goWord = regexp.MustCompile(`"(?:\\.|[^"\\])*"|\b[A-Z][a-z]+(?:[A-Z][a-z]+)*\b`)
	orZero = regexp.MustCompile(`, or 0 for [\w.,]*\w`) // which no key takes
	inWord = regexp.MustCompile(`([a-z])([A-Z])`)
)
