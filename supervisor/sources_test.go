package supervisor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eachSource walks over the repository's Go files that are not tests, each parsed.
func eachSource(t *testing.T, visit func(path string, file *ast.File)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bench") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		visit(path, file)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 20, "the repository was not found")
}

const engine = "github.com/asynkron/protoactor-go/"

func engineImports(file *ast.File) (packages []string) {
	for _, i := range file.Imports {
		if path, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(path, engine) {
			packages = append(packages, strings.TrimPrefix(path, engine))
		}
	}
	return packages
}

// remoting is the one file that stops actors and servers the engine's way: it waits for each of them alone, and its tests count what is
// left.
const remoting = "../cluster/internal/transport/engine.go"

// neverCalled fails if a file that knows the engine uses one of the names.
func neverCalled(t *testing.T, why string, names ...string) {
	t.Helper()
	eachSource(t, func(path string, file *ast.File) {
		if len(engineImports(file)) == 0 || path == remoting {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				assert.NotContains(t, names, s.Sel.Name, "%s: %s", path, why)
			}
			return true
		})
	})
}

func TestTrap_ReceiveTimeoutInNoSource(t *testing.T) {
	neverCalled(t, "it races with its own timer", "SetReceiveTimeout", "CancelReceiveTimeout")
}

func TestTrap_ReenterAfterInNoSource(t *testing.T) {
	neverCalled(t, "it runs the old incarnation's closure", "ReenterAfter", "AwaitFuture")
}

func TestTrap_FuturesInNoSource(t *testing.T) {
	neverCalled(t, "two who wait for one future hang", "RequestFuture", "NewFuture", "StopFuture", "PoisonFuture")
}

func TestTrap_StashInNoSource(t *testing.T) {
	neverCalled(t, "it drops the sender and replays backwards", "Stash", "UnstashAll")
}

func TestTrap_PoisonInNoSource(t *testing.T) {
	neverCalled(t, "what stands behind the pill vanishes", "Poison", "PoisonPill")
}

func TestTrap_MailboxesInNoSource(t *testing.T) {
	neverCalled(t, "they spin, for ever or on a core", "Bounded", "BoundedDropping")
}

func TestTrap_GuardiansInNoSource(t *testing.T) {
	neverCalled(t, "they are kept for ever", "WithGuardian", "NewExponentialBackoffStrategy")
}

func TestTrap_ShutdownOfTheEngineInNoSource(t *testing.T) {
	eachSource(t, func(path string, file *ast.File) {
		if !slices.Contains(engineImports(file), "actor") || path == remoting {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				assert.NotEqual(t, "Shutdown", s.Sel.Name, path)
			}
			return true
		})
	})
}

func TestTrap_PluginsInNoSource(t *testing.T) {
	eachSource(t, func(path string, file *ast.File) {
		for _, p := range engineImports(file) {
			for _, bad := range []string{"plugin", "router", "persistence", "scheduler"} {
				assert.NotEqual(t, bad, strings.Split(p, "/")[0], path)
			}
		}
	})
}
