package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/cmd/demo/internal/accesslog"
)

func TestPathOf(t *testing.T) {
	long := "/" + strings.Repeat("ä", 300)
	for line, want := range map[string]string{
		"GET / HTTP/1.1":               "/",
		"GET /a/b?c=d HTTP/1.1":        "/a/b",
		"GET /a b HTTP/1.1":            "/a",
		"GET /a":                       "/a",
		`GET /\"x\" HTTP/1.1`:          `/\"x\"`,
		"GET ?x HTTP/1.1":              nonePath,
		"GET  HTTP/1.1":                nonePath,
		"GET":                          nonePath,
		"":                             nonePath,
		"-":                            nonePath,
		`\x16\x03\x01`:                 nonePath,
		"GET /\xff\xfe HTTP/1.1":       "/\uFFFD",
		"GET " + long + " HTTP/1.1":    long[:511],
		"GET http://example.com/ HTTP": "http://example.com/",
	} {
		assert.Equal(t, want, pathOf(line), "%q", line)
	}
}

// TestRequestLog: each request goes to one goroutine, and lines that are none are stepped over.
func TestRequestLog(t *testing.T) {
	at := time.Unix(0, 0).UTC()
	text := "# a comment\n" + logLine("192.0.2.1", at) + strings.Repeat("x", 3*accesslog.MaxLine) + "\n\n" +
		strings.Repeat(logLine("192.0.2.2", at), 5000) + "last"
	l, err := openRequestLog(t.Context(), "-", strings.NewReader(text))
	require.NoError(t, err)
	var mu sync.Mutex
	got := newPlainCount()
	var takers sync.WaitGroup
	for range 4 {
		takers.Go(func() {
			into := make([]request, 7)
			for err := error(nil); err == nil; {
				var n int
				n, err = l.take(into)
				mu.Lock()
				for _, r := range into[:n] {
					_ = got.note(r)
				}
				mu.Unlock()
				if err != nil {
					assert.ErrorIs(t, err, io.EOF)
				}
			}
		})
	}
	takers.Wait()
	assert.Equal(t, got, l.count)
	assert.Equal(t, map[string]int64{"192.0.2.1": 1, "192.0.2.2": 5000}, got.clients)
	assert.Equal(t, map[hit]int64{{"/", 200}: 5001}, got.hits)
	assert.Equal(t, 3, l.malformed)
	require.Len(t, l.quoted, 3)
	assert.Equal(t, []int{1, 3, 5005}, []int{l.quoted[0].Line, l.quoted[1].Line, l.quoted[2].Line})
	assert.ErrorContains(t, l.quoted[1], "longer than 65536 bytes")
	assert.EqualValues(t, len(text), l.read.Load())
	assert.NoError(t, l.failure())
}

// TestDrawn: one seed and number, one traffic; few have most of it.
func TestDrawn(t *testing.T) {
	draw := func(seed, number uint64) ([]request, *plainCount) {
		d := newDrawn(seed, number)
		into := make([]request, 20_000)
		n, err := d.take(into)
		require.NoError(t, err)
		require.Equal(t, len(into), n)
		return into, d.count
	}
	requests, count := draw(1, 0)
	again, _ := draw(1, 0)
	assert.Equal(t, requests, again)
	other, _ := draw(2, 0)
	assert.NotEqual(t, requests, other)
	other, _ = draw(1, 1)
	assert.NotEqual(t, requests, other)

	want := newPlainCount()
	missing := 0
	for _, r := range requests {
		require.NoError(t, want.note(r))
		if r.hit.status == 404 {
			missing++
		}
	}
	assert.Equal(t, want, count)
	assert.InDelta(t, 800, missing, 150, "4 %; 28 is one standard deviation")
	byN := slices.Sorted(maps.Values(count.clients))
	assert.Greater(t, byN[len(byN)-1], 20*byN[len(byN)/2])
}

// TestIncrementOfAFullBuffer: it is counted when there is room again.
func TestIncrementOfAFullBuffer(t *testing.T) {
	sys, err := penstock.New()
	require.NoError(t, err)
	var mu sync.Mutex
	got := make(map[int]int64)
	b, err := stat.NewBuffer(sys, "few", stat.Config[int]{MaxKeys: 4, Interval: time.Hour,
		Sink: stat.FlushFunc[int](func(_ context.Context, key int, n int64) error {
			mu.Lock()
			defer mu.Unlock()
			got[key] += n
			return nil
		})})
	require.NoError(t, err)
	want := make(map[int]int64)
	for i := range 100 {
		require.NoError(t, increment(t.Context(), b, i))
		want[i] = 1
	}
	require.NoError(t, sys.Close(t.Context()))
	assert.Equal(t, want, got)
	assert.ErrorIs(t, increment(t.Context(), b, 1), penstock.ErrClosed)
}

// TestFaults: what is lost is lost once for a flush, and whether it came again is known.
func TestFaults(t *testing.T) {
	f := newFaults()
	attempt := func(id string, err error) error {
		ctx, a := f.begin(t.Context(), id)
		return f.end(ctx, a, err)
	}
	assert.ErrorIs(t, attempt("a", nil), errLost)
	assert.Equal(t, faultCounts{Attempts: 1, Lost: 1, Gone: 1}, f.told())
	assert.NoError(t, attempt("a", nil))
	assert.Equal(t, faultCounts{Attempts: 2, Lost: 1, Repeated: 1}, f.told())
	own := errors.New("own")
	assert.Equal(t, own, attempt("b", own))
	for _, id := range []string{"b", "c", "d"} {
		assert.NoError(t, attempt(id, nil), id)
	}
	assert.ErrorIs(t, attempt("e", nil), errLost)
	assert.Equal(t, faultCounts{Attempts: 7, Lost: 2, Gone: 1, Other: 1, Repeated: 2}, f.told())

	ctx, a := f.begin(t.Context(), "f")
	f.giveUp()
	<-ctx.Done()
	assert.ErrorIs(t, f.end(ctx, a, own), errLocked)
	assert.Equal(t, 1, f.told().Locked)
	ctx, a = f.begin(t.Context(), "f")
	f.giveUp()
	assert.NoError(t, f.end(ctx, a, nil), "it was stored all the same")
	assert.Equal(t, 1, f.told().Locked)
}

// TestShakySinkThatPanics leaves nothing behind.
func TestShakySinkThatPanics(t *testing.T) {
	f := newFaults()
	s := shaky[string]{stat.FlushFunc[string](func(context.Context, string, int64) error { panic("own") }), f}
	assert.Panics(t, func() {
		_ = s.Flush(t.Context(), stat.Flush[string]{ID: "a", Deltas: []stat.Delta[string]{{Key: "k", N: 1}}})
	})
	assert.Equal(t, faultCounts{Attempts: 1}, f.told())
}

// TestIntruder holds the lock until an attempt has given up, and no longer.
func TestIntruder(t *testing.T) {
	a := statAct{file: filepath.Join(t.TempDir(), "counts.db")}
	counts, err := openCounts(t.Context(), a.file)
	require.NoError(t, err)
	defer func() { assert.NoError(t, counts.close()) }()
	f := newFaults()
	i, err := newIntruder(a.file, f)
	require.NoError(t, err)
	defer func() { assert.NoError(t, i.close()) }()
	locked, unlocked := make(chan struct{}), make(chan error, 1)
	go func() { unlocked <- i.lock(t.Context(), func() { close(locked) }) }()
	<-locked
	s := shaky[string]{counts.clients, f}
	flush := stat.Flush[string]{ID: "1", Deltas: []stat.Delta[string]{{Key: "k", N: 1}}}
	assert.ErrorIs(t, s.Flush(t.Context(), flush), errLocked)
	require.NoError(t, <-unlocked)
	assert.ErrorIs(t, s.Flush(t.Context(), flush), errLost, "it is stored")
	assert.NoError(t, s.Flush(t.Context(), flush))
	got, err := counts.sums(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"k": 1}, got.clients)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { unlocked <- i.lock(ctx, cancel) }()
	require.NoError(t, <-unlocked, "nobody comes, but the act is over")
	assert.Equal(t, 2, i.locks)
}

func TestShellWord(t *testing.T) {
	assert.Equal(t, "/tmp/penstock-counts-1.db", shellWord("/tmp/penstock-counts-1.db"))
	assert.Equal(t, `'/tmp/my $HOME.db'`, shellWord("/tmp/my $HOME.db"))
	assert.Equal(t, `'it'\''s'`, shellWord("it's"))
	assert.Equal(t, "''", shellWord(""))
}

func TestRatio(t *testing.T) {
	assert.Equal(t, "-", ratio(3, 0))
	assert.Equal(t, "1.5", ratio(3, 2))
	assert.Equal(t, "9.9", ratio(99, 10))
	assert.Equal(t, "11", ratio(99, 9))
	assert.Equal(t, "1,235", ratio(123_460, 100))
}

func TestPerSecond(t *testing.T) {
	assert.Equal(t, "-", perSecond(3, 0))
	assert.Equal(t, "42", perSecond(42, time.Second))
	assert.Equal(t, "8,800,000", perSecond(43_777_000, 5*time.Second))
	assert.Equal(t, "330,000", perSecond(20_000, 61*time.Millisecond))
}

func TestPlainCountAdds(t *testing.T) {
	a, b := newPlainCount(), newPlainCount()
	for i := range 3 {
		require.NoError(t, a.note(request{client: fmt.Sprint(i), hit: hit{"/", 200}}))
	}
	require.NoError(t, b.note(request{client: "1", hit: hit{"/", 404}}))
	a.add(b)
	assert.Equal(t, &plainCount{requests: 4, hits: map[hit]int64{{"/", 200}: 3, {"/", 404}: 1}, clients: map[string]int64{"0": 1, "1": 2, "2": 1}}, a)
}
