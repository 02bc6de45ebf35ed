package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/actors/pool/wasm"
)

// formulas is a module as its compiler wrote it: two exported functions, add, and busy, which is a loop without end.
const formulas = "\x00asm\x01\x00\x00\x00" +
	"\x01\x0a\x02\x60\x02\x7f\x7f\x01\x7f\x60\x00\x00" +
	"\x03\x03\x02\x00\x01" +
	"\x07\x0e\x02\x03add\x00\x00\x04busy\x00\x01" +
	"\x0a\x11\x02\x07\x00\x20\x00\x20\x01\x6a\x0b\x07\x00\x03\x40\x0c\x00\x0b\x0b"

func Example() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)
	p, err := pool.New(sys, "formulas", pool.Config{MaxWorkers: 4})
	if err != nil {
		panic(err)
	}
	module, err := wasm.Compile(ctx, []byte(formulas), wasm.Config{Name: "formulas"})
	if err != nil {
		panic(err)
	}
	defer module.Close(ctx)

	task := pool.Task{Name: "formula", MaxTime: 20 * time.Millisecond, MaxMemory: 1 << 20}
	sum, err := pool.Run(ctx, p, task, module.Call("add", 2, 3))
	fmt.Println(sum, err)

	_, err = pool.Run(ctx, p, task, module.Call("busy"))
	fmt.Println(err)

	_, err = pool.Run(ctx, p, task, module.Call("multiply", 2, 3))
	fmt.Println(err, errors.Is(err, penstock.ErrInvalid))
	// Output:
	// [5] <nil>
	// pool "formulas": task "formula" took more than 20ms to complete
	// wasm module "formulas": penstock: invalid call: it exports no function "multiply"; those that it exports: add, busy true
}
