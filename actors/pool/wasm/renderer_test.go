//go:build !race

package wasm_test

// Compiling the guest takes three seconds, and ten times as long under the race detector.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/actors/pool/wasm"
)

// buildRenderer compiles testdata/renderer, which is Go: text/template, for WASI.
func buildRenderer() ([]byte, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "renderer.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s", "-o", file, "./testdata/renderer")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
}

// A renderer of users' templates. Nothing in text/template bounds the time or the memory that a template takes; here it
// is the task that does.
func Example_renderer() {
	ctx := context.Background()
	code, err := buildRenderer()
	if err != nil {
		panic(err)
	}
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)
	p, err := pool.New(sys, "templates", pool.Config{MaxWorkers: 4, MaxWaiting: 100})
	if err != nil {
		panic(err)
	}
	renderer, err := wasm.Compile(ctx, code, wasm.Config{Name: "renderer"})
	if err != nil {
		panic(err)
	}
	defer renderer.Close(ctx)

	render := func(template string, values ...string) {
		input := template + "\n---\n" + strings.Join(values, "\n")
		task := pool.Task{Name: "render", MaxTime: time.Second, MaxMemory: 16 << 20}
		page, err := pool.Run(ctx, p, task, renderer.Bytes("render", []byte(input)))
		var late *pool.TimeoutError
		var full *pool.MemoryError
		var said *wasm.GuestError
		switch {
		case errors.As(err, &late):
			fmt.Println("too slow:", late)
		case errors.As(err, &full):
			fmt.Println("too large:", full.Limit, "bytes")
		case errors.As(err, &said):
			fmt.Println("bad template:", said.Text)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(string(page))
		}
	}
	render(`Dear {{.name}}, your order {{.order}} is on its way.`, "name=Ada", "order=17")
	render(`Dear {{.name`, "name=Ada")
	render(`{{range 1000000000000}}{{end}}`)
	render(`{{printf "%1000000d" 1 | printf "%s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s"}}`)
	render(`All is well, {{.name}}.`, "name=Grace")
	// Output:
	// Dear Ada, your order 17 is on its way.
	// bad template: template: template:1: unclosed action
	// too slow: pool "templates": task "render" took more than 1000ms to complete
	// too large: 16777216 bytes
	// All is well, Grace.
}
