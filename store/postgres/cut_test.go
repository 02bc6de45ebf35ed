package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/internal/cutter"
)

// newProxy starts a proxy to PostgreSQL, and returns a sink that goes through it.
func newProxy(t *testing.T, schema string) (*cutter.Proxy, *Sink[string]) {
	proxy, err := cutter.Listen(server)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	return proxy, newSink(t, poolOf(t, dsn(proxy.Addr()), schema), views)
}

// TestG8_CutAroundTheCommit cuts the connection before a COMMIT reaches the server, or between the COMMIT and its answer, at
// random, and repeats each flush until it is answered with nil: what SQL says is what was counted.
func TestG8_CutAroundTheCommit(t *testing.T) {
	flushes := 200
	if testing.Short() {
		flushes = 40
	}
	direct, schema := newPool(t)
	require.NoError(t, CreateTables(t.Context(), direct, views))
	proxy, sink := newProxy(t, schema)
	want := make(map[string]int64)
	for n := range flushes {
		f := stat.Flush[string]{ID: fmt.Sprint(n)}
		for _, k := range rand.Perm(20)[:1+rand.IntN(20)] {
			f.Deltas = append(f.Deltas, stat.Delta[string]{Key: fmt.Sprint("key ", k), N: rand.Int64N(1000) - 300})
			want[f.Deltas[len(f.Deltas)-1].Key] += f.Deltas[len(f.Deltas)-1].N
		}
		cuts := 1 + rand.IntN(3)
		for cut := range cuts {
			moment := cutter.Moment(1 + rand.IntN(2))
			if moment == cutter.Before && proxy.Cuts(moment) > proxy.Cuts(cutter.After)+5 {
				moment = cutter.After
			}
			proxy.Arm(moment)
			err := sink.Flush(t.Context(), f)
			if err == nil { // an attempt before had stored it: there was no COMMIT
				proxy.Arm(cutter.Never)
				require.NotZero(t, cut, "the connection was not cut")
				break
			}
			require.NotErrorIs(t, err, stat.ErrNotStored, "nobody knows whether it was stored; cut %v", moment)
		}
		require.NoError(t, sink.Flush(t.Context(), f))
	}
	require.Equal(t, want, counts(t, direct))
	before, after := proxy.Cuts(cutter.Before), proxy.Cuts(cutter.After)
	require.GreaterOrEqual(t, before, flushes/10)
	require.GreaterOrEqual(t, after, flushes/10)
	t.Logf("%d flushes; %d connections were cut before the COMMIT, %d after it", flushes, before, after)
}

// TestG8_AfterACutNothingIsCertain has an attempt whose answer was cut, and then attempts that fail for other reasons. None may
// say that nothing was stored: the first one had stored it.
func TestG8_AfterACutNothingIsCertain(t *testing.T) {
	direct, schema := newPool(t)
	require.NoError(t, CreateTables(t.Context(), direct, views))
	proxy, sink := newProxy(t, schema)
	f := flushOf("1", "a", 5)
	proxy.Arm(cutter.After)
	require.NotErrorIs(t, sink.Flush(t.Context(), f), stat.ErrNotStored)
	require.Equal(t, 1, proxy.Cuts(cutter.After))
	require.Equal(t, map[string]int64{"a": 5}, counts(t, direct))

	proxy.Refuse(true)
	err := sink.Flush(t.Context(), f)
	require.Error(t, err)
	require.NotErrorIs(t, err, stat.ErrNotStored)
	proxy.Refuse(false)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = sink.Flush(ended, f)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, stat.ErrNotStored)

	require.NoError(t, sink.Flush(t.Context(), f))
	require.Equal(t, map[string]int64{"a": 5}, counts(t, direct))
}
