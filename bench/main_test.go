package main

import (
	"os"
	"testing"

	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/internal/puppet"
)

// The test binary is its own child, as the command is.
func TestMain(m *testing.M) {
	pool.Main()
	puppet.Main(parts)
	os.Exit(m.Run())
}
