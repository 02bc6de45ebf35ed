package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/registry"
	"github.com/penstock-go/penstock/supervisor"
)

func TestNewAloneWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		assert.Equal(t, "penstock", sys.Name())
		time.Sleep(time.Second)
		info := sys.Info()
		assert.Equal(t, "penstock", info.Name)
		assert.Equal(t, time.Second, info.Uptime)
		assert.Empty(t, info.Tree.Families)
		require.NoError(t, sys.Close(context.Background()))
		require.NoError(t, sys.Close(context.Background()), "twice")
	})
}

func TestBadOptionsAreOneErrorAndNothingStarts(t *testing.T) {
	_, err := penstock.New(penstock.WithName(strings.Repeat("x", 65)), penstock.WithLogger(nil), penstock.WithMeterProvider(nil))
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, word := range []string{"name", "logger", "meter provider"} {
		assert.ErrorContains(t, err, word)
	}
	_, err = penstock.New(nil)
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	_, err = penstock.New(penstock.WithName(""))
	assert.ErrorIs(t, err, penstock.ErrInvalid)
}

func TestClassesOfErrorsAreTheSupervisors(t *testing.T) {
	assert.ErrorIs(t, supervisor.ErrClosed, penstock.ErrClosed)
	assert.ErrorIs(t, supervisor.ErrFull, penstock.ErrFull)
	assert.ErrorIs(t, supervisor.ErrInvalid, penstock.ErrInvalid)
	var panicked *penstock.PanicError
	assert.True(t, errors.As(error(&supervisor.PanicError{Value: 1}), &panicked))
}

type nothing struct{ registry.Life }

// panicking is a family whose actor panics on every string.
func panicking(t *testing.T, sys *penstock.System) *supervisor.Family[string, nothing] {
	t.Helper()
	f, err := supervisor.NewFamily(sys.Tree(), supervisor.Spec[string, nothing]{
		Kind: "test", Name: "panics",
		New: func(*registry.Entry[string, nothing]) actor.Actor {
			return actor.ReceiveFunc(func(c actor.Context) {
				if _, ok := c.Message().(string); ok {
					panic("on purpose")
				}
			})
		},
	})
	require.NoError(t, err)
	return f
}

func TestNothingReachesStderrByDefaultAndTheLoggerHearsIt(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	stderr := os.Stderr
	os.Stderr = write
	heard := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(read)
		heard <- string(all)
	}()
	var log bytes.Buffer
	for _, opts := range [][]penstock.Option{nil, {penstock.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), penstock.WithName("loud")}} {
		sys, err := penstock.New(opts...)
		require.NoError(t, err)
		events := sys.Tree().Subscribe(10)
		f := panicking(t, sys)
		e, err := f.Get("x")
		require.NoError(t, err)
		f.Send(e, "boom")
		for event := range events.Events() {
			if event.What == supervisor.Restarted {
				break
			}
		}
		require.NoError(t, sys.Close(context.Background()))
	}
	os.Stderr = stderr
	require.NoError(t, write.Close())
	assert.Empty(t, <-heard)
	assert.Contains(t, log.String(), "on purpose")
	assert.Contains(t, log.String(), "system=loud")
}
