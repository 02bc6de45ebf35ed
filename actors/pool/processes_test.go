package pool

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestP14_BadProcessesAreNamed(t *testing.T) {
	_, err := New(roomtest.System(t), "p", Config{Processes: Processes{
		MaxIdle: -2, IdleTime: -1, MaxCalls: -1, MaxAge: -1, MaxOutput: -1, StartTimeout: -1, Cgroup: t.TempDir(),
	}})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, field := range []string{"MaxIdle", "IdleTime", "MaxCalls", "MaxAge", "MaxOutput", "StartTimeout", "is no cgroup of version 2"} {
		require.ErrorContains(t, err, field)
	}
	for name, register := range map[string]func(){
		"twice": func() { Register("sum", func(context.Context, int) (int, error) { return 0, nil }) },
		"nil":   func() { Register[int, int]("nil", nil) },
		"name":  func() { Register("", func(context.Context, int) (int, error) { return 0, nil }) },
	} {
		require.Panics(t, register, name)
	}
}
