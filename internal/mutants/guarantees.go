package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// guaranteesFile lists what is promised, with the tests that would catch a breach.
const guaranteesFile = "docs/guarantees.md"

var (
	testMention = regexp.MustCompile(`\b(Test[A-Z][0-9]+_\w*)(…|\.\.\.|\*)?`)
	patchName   = regexp.MustCompile(`\b([A-Z][0-9]+_[a-z0-9_]+)\.patch\b`)
	heading     = regexp.MustCompile(`^#+ +\W*(G[0-9]+)\b`)
	tableRow    = regexp.MustCompile(`^\|\W*(G[0-9]+)\b[^|]*\|`)
	heldCell    = regexp.MustCompile(`(?i)\|[\s*_]*held\b[^|]*`)
	heldStatus  = regexp.MustCompile(`(?i)^\W*status\W+held\b`)
)

// checkGuarantees compares the list of guarantees with what there is: the tests and mutants it names must exist, and a
// guarantee with the status "held" must have a mutant. Without the file there is nothing to compare.
func checkGuarantees(root string, files []string, mutants []*mutant) error {
	text, err := os.ReadFile(filepath.Join(root, guaranteesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	tests, err := testNames(root, files)
	if err != nil {
		return err
	}
	return errors.Join(append(missingNames(string(text), tests, mutants), heldWithoutMutant(string(text), mutants)...)...)
}

// testNames collects the test functions of all packages. It parses the files, for a test may hold Go source in a string.
func testNames(root string, files []string) ([]string, error) {
	var names []string
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names, nil
}

// missingNames finds what the text names and nobody wrote. A test's name followed by … or * stands for any beginning so.
func missingNames(text string, tests []string, mutants []*mutant) (errs []error) {
	seen := map[string]bool{}
	for _, match := range testMention.FindAllStringSubmatch(text, -1) {
		if seen[match[0]] {
			continue
		}
		seen[match[0]] = true
		found := slices.ContainsFunc(tests, func(test string) bool {
			return test == match[1] || match[2] != "" && strings.HasPrefix(test, match[1])
		})
		if !found {
			errs = append(errs, fmt.Errorf("%s names %s, and there is no such test", guaranteesFile, match[0]))
		}
	}
	for _, match := range patchName.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(mutants, func(m *mutant) bool { return m.name == match[1] }) {
			errs = append(errs, fmt.Errorf("%s names %s, and there is no such mutant", guaranteesFile, match[0]))
		}
	}
	return errs
}

// heldWithoutMutant finds guarantees that claim to be held, in a table row with a cell "held" or under a heading with a
// line "Status: held", and have no mutant.
func heldWithoutMutant(text string, mutants []*mutant) (errs []error) {
	held, section := []string{}, ""
	for line := range strings.Lines(text) {
		if match := tableRow.FindStringSubmatch(line); match != nil && heldCell.MatchString(line) {
			held = append(held, match[1])
		} else if match := heading.FindStringSubmatch(line); match != nil {
			section = match[1]
		} else if strings.HasPrefix(line, "#") {
			section = ""
		} else if section != "" && heldStatus.MatchString(line) {
			held = append(held, section)
		}
	}
	for _, number := range held {
		if !slices.ContainsFunc(mutants, func(m *mutant) bool { return m.number == number }) {
			errs = append(errs, fmt.Errorf("%s says that %s is held, and no mutant tries to break it", guaranteesFile, number))
		}
	}
	return errs
}
