package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutant is one deliberate bug and the test that must catch it.
type mutant struct {
	name    string         // file name without ".patch"
	path    string         // absolute path of the patch
	number  string         // of the guarantee or row it breaks, such as "G1"
	pkg     string         // package of the test, as in ./limit
	pattern string         // regular expression of the test's name, as written
	test    *regexp.Regexp // pattern, anchored
	bug     string         // what it breaks
	flags   []string       // further flags of go test
	hangs   bool           // the bug shows as a test that does not end
	timeout time.Duration  // of the mutated run; 0 means the command's default
}

var fileName = regexp.MustCompile(`^([A-Z][0-9]+)_[a-z0-9_]+\.patch$`)

// loadMutants reads every patch of a folder, in the order of their names, and returns one error for all that are wrong.
func loadMutants(dir string) ([]*mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var all []*mutant
	var errs []error
	for _, path := range paths {
		m, err := loadMutant(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(path), err))
			continue
		}
		all = append(all, m)
	}
	return all, errors.Join(errs...)
}

func loadMutant(path string) (*mutant, error) {
	base := filepath.Base(path)
	match := fileName.FindStringSubmatch(base)
	if match == nil {
		return nil, errors.New("the file name must look like G1_what_breaks.patch: a number, then lower-case words")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &mutant{name: strings.TrimSuffix(base, ".patch"), path: path, number: match[1]}
	if err := m.readHeader(text); err != nil {
		return nil, err
	}
	return m, nil
}

// readHeader takes the "# key: value" lines above the diff. git apply skips them as it skips any text before a diff.
func (m *mutant) readHeader(text []byte) error {
	var errs []error
	sc := bufio.NewScanner(bytes.NewReader(text))
	for sc.Scan() {
		line := sc.Text()
		if strings.HasPrefix(line, "diff ") || strings.HasPrefix(line, "--- ") {
			break
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "#"), ":")
		if !strings.HasPrefix(line, "#") || !ok {
			continue // prose about the mutant
		}
		errs = append(errs, m.set(strings.TrimSpace(key), strings.TrimSpace(value)))
	}
	if m.test == nil {
		errs = append(errs, errors.New(`header "# test: ./package TestName" is missing`))
	}
	if m.bug == "" {
		errs = append(errs, errors.New(`header "# bug: what it breaks" is missing`))
	}
	if !bytes.Contains(text, []byte("\n@@ ")) {
		errs = append(errs, errors.New("there is no diff under the header"))
	}
	return errors.Join(errs...)
}

func (m *mutant) set(key, value string) (err error) {
	switch key {
	case "test":
		pkg, pattern, ok := strings.Cut(value, " ")
		pattern = strings.TrimSpace(pattern)
		if !ok || !strings.HasPrefix(pkg, "./") || strings.Contains(pattern, "/") {
			return fmt.Errorf("# test: %q must be a package below . and the name of a top-level test", value)
		}
		m.pkg, m.pattern = pkg, pattern
		m.test, err = regexp.Compile("^(?:" + pattern + ")$")
		return err
	case "bug":
		m.bug = value
	case "flags":
		m.flags = strings.Fields(value)
	case "red":
		if value != "timeout" {
			return fmt.Errorf(`# red: %q must be "timeout", or the line left out`, value)
		}
		m.hangs = true
	case "timeout":
		if m.timeout, err = time.ParseDuration(value); err != nil || m.timeout <= 0 {
			return fmt.Errorf("# timeout: %q must be a duration such as 20s", value)
		}
	default:
		return fmt.Errorf("# %s: unknown key; known are test, bug, flags, red, timeout", key)
	}
	return nil
}
