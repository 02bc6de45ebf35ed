package main

import (
	"os"
	"testing"

	"github.com/penstock-go/penstock/actors/pool"
)

// The test binary is its own child, as the command is.
func TestMain(m *testing.M) {
	pool.Main()
	os.Exit(m.Run())
}
