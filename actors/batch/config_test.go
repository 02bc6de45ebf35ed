package batch

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestBadConfigurationIsOneError(t *testing.T) {
	load := func(context.Context, string) (int, error) { return 0, nil }
	save := func(context.Context, string, int) error { return nil }
	loadMany := func(context.Context, []string) ([]int, []error) { return nil, nil }
	saveMany := func(context.Context, []string, []int) []error { return nil }
	err := bad(t, "test", Config[string, int]{
		MinDuration: -2, MaxDuration: -1, Grace: -1, MaxOperations: -1, MaxBytes: -1,
		Load: load, LoadMany: loadMany, Save: save, SaveMany: saveMany,
		MaxMany: -1, MaxConflicts: -1, Backoff: -1, KeepLoaded: -1, MaxWaiting: -1, MaxPending: -1, MaxKeys: -1, Idle: -1, Shards: -1,
	})
	for _, field := range []string{"MinDuration is -2ns; it takes NoWait", "MaxDuration is", "Grace is", "MaxOperations is -1", "MaxBytes is -1",
		"Load and LoadMany are both set", "Save and SaveMany are both set", "MaxMany is", "MaxConflicts is", "Backoff is", "KeepLoaded is",
		"MaxWaiting is", "MaxPending is", "MaxKeys is", "Idle is", "Shards is"} {
		require.ErrorContains(t, err, field)
	}
	require.ErrorContains(t, err, `batch processor "test"`)
	for want, cfg := range map[string]Config[string, int]{
		"MaxBytes and Size":                   {MaxBytes: 1},
		"MaxBytes and Size:":                  {Size: func(int) int64 { return 0 }},
		"it takes MinDuration (1s) or more":   {MinDuration: time.Second, MaxDuration: time.Millisecond},
		"it takes MinDuration (100ms) or":     {MaxDuration: time.Millisecond},
		"MinDuration is 8784h0m1s":            {MinDuration: 366*24*time.Hour + time.Second, MaxDuration: 366 * 24 * time.Hour},
		"Shards is 65537; it takes 1 to":      {Shards: 65537},
		"MaxOperations is 2147483648":         {MaxOperations: math.MaxInt32 + 1},
		"Idle is 9000h0m0s; it takes 0 (10s)": {Idle: 9000 * time.Hour},
	} {
		require.ErrorContains(t, bad(t, "test", cfg), want)
	}
	for _, name := range []string{"", strings.Repeat("x", 513), "\xff"} {
		require.ErrorContains(t, bad(t, name, Config[string, int]{}), "1 to 512 bytes of UTF-8")
	}
	p, err := NewProcessor(nil, "test", Config[string, int]{})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "the system is nil")
	require.Nil(t, p)
}

func TestDefaults(t *testing.T) {
	c := Config[string, int]{}.withDefaults()
	require.Equal(t, 100*time.Millisecond, c.MinDuration)
	require.Equal(t, 200*time.Millisecond, c.MaxDuration)
	require.Equal(t, time.Second, c.Grace)
	require.Equal(t, 10*time.Second, c.Idle)
	require.Equal(t, 10, c.MaxConflicts)
	c = Config[string, int]{MinDuration: NoWait, KeepLoaded: time.Hour}.withDefaults()
	require.Equal(t, 5*time.Second, c.MaxDuration)
	require.Equal(t, 5*time.Second, c.Grace)
	require.Equal(t, time.Hour, c.Idle)
}

// TestTheLongestTimesWork: nothing overflows.
func TestTheLongestTimesWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MinDuration, cfg.MaxDuration, cfg.Grace, cfg.Backoff, cfg.KeepLoaded, cfg.Idle = 24*time.Hour, 366*24*time.Hour, 366*24*time.Hour, 366*24*time.Hour, 366*24*time.Hour, 366*24*time.Hour
		p := newProcessor(t, cfg)
		begin := time.Now()
		must(t, p, "a", note(1))
		require.InDelta(t, 24*time.Hour, time.Since(begin), float64(time.Second))
		d.beforeSave = func(context.Context, string) error { return ErrConflict }
		answer := start(p, "a", note(2))
		synctest.Wait()
		require.NoError(t, p.Close(context.Background()), "though it is run again and again")
		require.ErrorIs(t, <-answer, ErrConflict)
	})
}
