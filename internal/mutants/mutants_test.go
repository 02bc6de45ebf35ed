package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake is a repository as small as one can be: a function, and a test for each way a run can end.
var fake = map[string]string{
	".gitignore": "ignored.txt\n",
	"go.mod":     "module example.com/fake\n\ngo 1.26\n",
	"calc/calc.go": `package calc

func Add(a, b int) int { return a + b }

func Mul(a, b int) int { return a * b }
`,
	"calc/calc_test.go": `package calc

import "testing"

func TestG1_Add(t *testing.T) {
	if got := Add(2, 3); got != 5 {
		t.Fatal("2+3 is", got)
	}
}

func TestG2_Lax(t *testing.T) { Mul(2, 3) }

func TestG3_Skips(t *testing.T) { t.Skip("not today") }

func TestG4_Loops(t *testing.T) {
	for i := 0; i < 3; i = Add(i, 1) {
	}
}
`,
	"sick/sick_test.go": `package sick

import "testing"

func TestG5_IsRedAnyway(t *testing.T) { t.Fatal("sick") }
`,
}

const (
	addBecomesSub = `--- a/calc/calc.go
+++ b/calc/calc.go
@@ -1,5 +1,5 @@
 package calc
 
-func Add(a, b int) int { return a + b }
+func Add(a, b int) int { return a - b }
 
 func Mul(a, b int) int { return a * b }
`
	addDoesNotAdd = `--- a/calc/calc.go
+++ b/calc/calc.go
@@ -1,5 +1,5 @@
 package calc
 
-func Add(a, b int) int { return a + b }
+func Add(a, b int) int { return a }
 
 func Mul(a, b int) int { return a * b }
`
	mulBecomesAdd = `--- a/calc/calc.go
+++ b/calc/calc.go
@@ -2,4 +2,4 @@
 
 func Add(a, b int) int { return a + b }
 
-func Mul(a, b int) int { return a * b }
+func Mul(a, b int) int { return a + b }
`
	doesNotCompile = `--- a/calc/calc.go
+++ b/calc/calc.go
@@ -2,4 +2,4 @@
 
 func Add(a, b int) int { return a + b }
 
-func Mul(a, b int) int { return a * b }
+func Mul(a, b int) int { return "six" }
`
	outdated = `--- a/calc/calc.go
+++ b/calc/calc.go
@@ -2,4 +2,4 @@
 
 func Add(x, y int) int { return x + y }
 
-func Mul(a, b int) int { return a * b }
+func Mul(a, b int) int { return a + b }
`
)

func patch(test, bug, diff string, more ...string) string {
	return "# test: " + test + "\n# bug: " + bug + "\n" + strings.Join(more, "") + diff
}

// repository writes the files into a new git repository, where the runner finds the patches in internal/mutants.
func repository(t *testing.T, files ...map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	root := t.TempDir()
	for _, set := range files {
		for name, text := range set {
			path := filepath.Join(root, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	_, err := git(t.Context(), root, "init", "-q")
	require.NoError(t, err)
	return root
}

func optionsFor(root string) options {
	return options{root: root, dir: filepath.Join("internal", "mutants"), workers: 2, timeout: 5 * time.Minute}
}

func TestVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and runs a dozen test binaries")
	}
	mutants := map[string]struct {
		patch string
		want  verdict
		why   string
	}{
		"G1_caught":        {patch("./calc TestG1_Add", "subtracts", addBecomesSub), red, ""},
		"G1_caught_flags":  {patch("./calc TestG1_.*", "subtracts", addBecomesSub, "# flags: -short\n"), red, ""},
		"G2_survives":      {patch("./calc TestG2_Lax", "adds", mulBecomesAdd), green, "did not notice: adds"},
		"G2_broken":        {patch("./calc TestG2_Lax", "no number", doesNotCompile), broken, "does not compile"},
		"G2_outdated":      {patch("./calc TestG2_Lax", "adds", outdated), broken, "no longer applies"},
		"G3_no_such_test":  {patch("./calc TestG3", "adds", mulBecomesAdd), noTest, "no test of that name"},
		"G3_skipped":       {patch("./calc TestG3_Skips", "adds", mulBecomesAdd), noTest, `"skip"`},
		"G4_hangs":         {patch("./calc TestG4_Loops", "loops", addDoesNotAdd, "# timeout: 2s\n"), broken, "hung"},
		"G4_should_hang":   {patch("./calc TestG4_Loops", "loops", addDoesNotAdd, "# timeout: 2s\n# red: timeout\n"), red, ""},
		"G4_did_not_hang":  {patch("./calc TestG1_Add", "loops", addBecomesSub, "# red: timeout\n"), broken, "where the header says"},
		"G5_red_without":   {patch("./sick TestG5_IsRedAnyway", "adds", mulBecomesAdd), noTest, `"fail"`},
		"G6_no_such_place": {patch("./nowhere TestG6_Any", "adds", mulBecomesAdd), noTest, "without the mutant"},
	}
	patches := map[string]string{}
	for name, m := range mutants {
		patches["internal/mutants/"+name+".patch"] = m.patch
	}
	root := repository(t, fake, patches)
	o := optionsFor(root)
	all, err := loadMutants(filepath.Join(root, o.dir))
	require.NoError(t, err)
	files, err := listFiles(t.Context(), root)
	require.NoError(t, err)
	results, err := runAll(t.Context(), o, files, all)
	require.NoError(t, err)

	require.Len(t, results, len(mutants))
	bad := 0
	for _, r := range results {
		want := mutants[r.mutant.name]
		assert.Equal(t, want.want, r.verdict, "%s: %s\n%s", r.mutant.name, r.why, r.output)
		assert.Contains(t, r.why, want.why, r.mutant.name)
		if want.want != red {
			bad++
		}
	}
	var table bytes.Buffer
	assert.Equal(t, bad, printResults(&table, results, false))
	assert.Regexp(t, `G2_survives +\./calc TestG2_Lax +GREEN`, table.String())

	source, err := os.ReadFile(filepath.Join(root, "calc", "calc.go"))
	require.NoError(t, err)
	assert.Equal(t, fake["calc/calc.go"], string(source), "the repository itself is never touched")
}

func TestCheckFailsWhenOneSurvives(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and runs test binaries")
	}
	root := repository(t, fake, map[string]string{
		"internal/mutants/G1_caught.patch":   patch("./calc TestG1_Add", "subtracts", addBecomesSub),
		"internal/mutants/G2_survives.patch": patch("./calc TestG2_Lax", "adds", mulBecomesAdd),
	})
	var out bytes.Buffer
	o := optionsFor(root)
	assert.ErrorContains(t, check(t.Context(), o, &out), "1 of 2 mutants")
	o.only = regexp.MustCompile("^G1_")
	assert.NoError(t, check(t.Context(), o, &out))
	o.only = regexp.MustCompile("^G9_")
	assert.ErrorContains(t, check(t.Context(), o, &out), "no mutants", "checking nothing is not success")
}

func TestLoadMutantsNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"file name": {"first.patch", patch("./calc TestG1_Add", "x", addBecomesSub), "G1_what_breaks.patch"},
		"no test":   {"G1_a.patch", "# bug: x\n" + addBecomesSub, `"# test: ./package TestName" is missing`},
		"no bug":    {"G1_a.patch", "# test: ./calc TestG1_Add\n" + addBecomesSub, `"# bug: what it breaks" is missing`},
		"no diff":   {"G1_a.patch", patch("./calc TestG1_Add", "x", ""), "no diff"},
		"package":   {"G1_a.patch", patch("calc TestG1_Add", "x", addBecomesSub), "package below ."},
		"subtest":   {"G1_a.patch", patch("./calc TestG1_Add/one", "x", addBecomesSub), "top-level test"},
		"regexp":    {"G1_a.patch", patch("./calc TestG1_(", "x", addBecomesSub), "missing closing"},
		"key":       {"G1_a.patch", patch("./calc TestG1_Add", "x", addBecomesSub, "# rde: timeout\n"), "unknown key"},
		"red":       {"G1_a.patch", patch("./calc TestG1_Add", "x", addBecomesSub, "# red: hang\n"), `must be "timeout"`},
		"timeout":   {"G1_a.patch", patch("./calc TestG1_Add", "x", addBecomesSub, "# timeout: 20\n"), "duration"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644))
			_, err := loadMutants(dir)
			require.ErrorContains(t, err, c.file)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestListFiles(t *testing.T) {
	root := repository(t, fake, map[string]string{"ignored.txt": "x", "a b.txt": "new"})
	_, err := git(t.Context(), root, "add", "calc/calc.go", "sick/sick_test.go")
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(root, "sick", "sick_test.go")))
	files, err := listFiles(t.Context(), root)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{".gitignore", "a b.txt", "calc/calc.go", "calc/calc_test.go", "go.mod"}, files)
}

// What a failing test leaves behind must not reach the next mutant.
func TestCopyFilesStartsFromNothing(t *testing.T) {
	root, dir := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	require.NoError(t, os.WriteFile(filepath.Join(root, "run.sh"), []byte("true"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "testdata", "rapid"), 0o755))
	require.NoError(t, copyFiles(root, dir, []string{"run.sh"}))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := entries[0].Info()
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode().Perm())
}

// inString is a test that only looks like one.
const inString = "\nconst source = `\nfunc TestG1_Quoted(t *testing.T) {}\n`\n"

func TestCheckGuarantees(t *testing.T) {
	mutants := []*mutant{{name: "G1_caught", number: "G1"}}
	for name, c := range map[string]struct {
		text string
		want []string // parts of the error; none means no error
	}{
		"all there":           {"| G1 | never exceeded | held | `TestG1_Add`, `G1_caught.patch` |\n", nil},
		"a family of tests":   {"Names carry the number (`TestG1_…`, `TestG2_*`).\n", nil},
		"not held yet":        {"| **G8** | counts | later | |\n", nil},
		"unknown test":        {"| G1 | never | held | `TestG1_Gone` |\n", []string{"names TestG1_Gone"}},
		"test in a string":    {"`TestG1_Quoted`\n", []string{"names TestG1_Quoted"}},
		"unknown family":      {"`TestG7_…`\n", []string{"names TestG7_…"}},
		"unknown mutant":      {"`G1_other.patch`\n", []string{"names G1_other.patch"}},
		"held, no mutant":     {"| **G2** | restart | **Held** | `TestG2_Lax` |\n", []string{"G2 is held"}},
		"held under heading":  {"## G2 · a restart never refills\n\nStatus: held\n", []string{"G2 is held"}},
		"other heading":       {"## G2\n\n## Notes\n\nStatus: held\n", nil},
		"everything at once":  {"| [G3](#g3) | x | held | `TestG9_Nobody` |\n", []string{"names TestG9_Nobody", "G3 is held"}},
		"no list at all":      {"", nil},
		"word inside a cell":  {"| G4 | turns are held back | later | |\n", nil},
		"held with a comment": {"| G4 | turns | held, pure part | |\n", []string{"G4 is held"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range map[string]string{"x_test.go": fake["calc/calc_test.go"] + inString, guaranteesFile: c.text} {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o644))
			}
			err := checkGuarantees(root, []string{"x_test.go", guaranteesFile}, mutants)
			if c.want == nil {
				assert.NoError(t, err)
			}
			for _, part := range c.want {
				assert.ErrorContains(t, err, part)
			}
		})
	}
}
