package mill

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is a mill's main where Start has started this binary as one.
func TestMain(m *testing.M) {
	if config, ok := os.LookupEnv(Variable); ok {
		os.Exit(Main(config, os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}
