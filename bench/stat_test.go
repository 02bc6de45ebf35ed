package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/actors/stat"
)

// deltas are what one counting of some keys comes to.
func deltas(keys []string) (list []stat.Delta[string]) {
	for i, key := range keys {
		list = append(list, stat.Delta[string]{Key: key, N: amount(i)})
	}
	return list
}

// A row that looks for lost and doubled counts must find them.
func TestADestinationFindsWhatIsWrong(t *testing.T) {
	pool := postgresPool(t)
	for name, open := range map[string]func(context.Context, *arrivals) (destination, error){
		"SQLite": openSQLite,
		"PostgreSQL": func(ctx context.Context, came *arrivals) (destination, error) {
			if pool == nil {
				t.Skip("needs a server: PostgreSQL at localhost:5432")
			}
			return openPostgres(ctx, pool, came)
		},
		"nowhere": openNowhere,
	} {
		t.Run(name, func(t *testing.T) {
			var came arrivals
			to, err := open(t.Context(), &came)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := to.close(); err != nil {
					t.Error(err)
				}
			}()
			keys := makeIDs(20)
			flush := func(id string, list []stat.Delta[string]) {
				if err := to.sink.Flush(t.Context(), stat.Flush[string]{ID: id, Deltas: list}); err != nil {
					t.Fatal(err)
				}
			}
			wrong := func(what string, keys, times int) {
				if err := to.check(t.Context(), keys, times); err == nil {
					t.Errorf("%s is not found", what)
				}
			}
			flush("1", deltas(keys)[1:])
			wrong("a key that is missing", 20, 1)
			flush("2", deltas(keys)[:1])
			if err := to.check(t.Context(), 20, 1); err != nil {
				t.Error(err)
			}
			wrong("a key too many", 19, 1)
			wrong("a count that is missing", 20, 2)
			flush("3", deltas(keys))
			if err := to.check(t.Context(), 20, 2); err != nil {
				t.Error(err)
			}
			flush("4", []stat.Delta[string]{{Key: keys[3], N: 1}})
			wrong("a count that is too large", 20, 2)
			if flushes, got := came.flushes.Load(), came.deltas.Load(); flushes != 4 || got != 41 {
				t.Errorf("%d flushes with %d deltas came, want 4 with 41", flushes, got)
			}
		})
	}
}

// postgresPool is nil if there is no server.
func postgresPool(t *testing.T) *pgxpool.Pool {
	pool, err := pgxpool.New(t.Context(), postgresURL(postgresServer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if pool.Ping(t.Context()) != nil {
		return nil
	}
	return pool
}

func TestWithoutAServerTheRowSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := duePostgresAt(t.Context(), scale{rounds: 1, buckets: 10}, nobody)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || lines[0].ours != "no server" || lines[0].verdict() != "-" || !strings.Contains(lines[0].note, nobody) {
		t.Errorf("%+v", lines)
	}
}

func TestKeysThatAreDueComeInFlushes(t *testing.T) {
	lines, err := due(t.Context(), scale{rounds: 2, buckets: 2500 * dueShare}, "nowhere", time.Hour, openNowhere)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 3 || !lines[0].met || !lines[1].met || !strings.Contains(lines[0].note, "; 3 flushes of 833 keys; ") {
		t.Errorf("%+v", lines)
	}
}

func TestArrivalsSayWhenAllHaveCome(t *testing.T) {
	var a arrivals
	a.note(5, 50) // before anything was expected
	all := a.expect(3)
	a.note(2, 20)
	select {
	case <-all:
		t.Fatal("too early")
	default:
	}
	a.note(1, 10)
	select {
	case <-all:
	default:
		t.Fatal("not told")
	}
	if a.flushes.Load() != 3 || a.deltas.Load() != 8 || a.total.Load() != 80 {
		t.Errorf("%d flushes, %d deltas, %d in all", a.flushes.Load(), a.deltas.Load(), a.total.Load())
	}
}

func TestTheMostGoroutinesAreSeen(t *testing.T) {
	const more = 200
	var a arrivals
	most := a.watch(t.Context())
	began := a.most.Load()
	release := make(chan struct{})
	for range more {
		go func() { <-release }()
	}
	a.note(1, 1)
	close(release)
	if got := int64(most()); got < more || got < began {
		t.Errorf("%d goroutines, want %d at least", got, more)
	}
}

func TestAMeasurementIsWithoutTheRest(t *testing.T) {
	var came arrivals
	came.note(1, 1) // belongs to nobody
	var f flushing
	for range 2 {
		end := f.begin(t.Context(), &came)
		came.note(10, 10)
		end(time.Hour)
	}
	if len(f.wall) != 2 || f.wall[0] > 0 || f.flushes != 2 {
		t.Errorf("%+v", f)
	}
	l := (&flushing{wall: []float64{1e9, 3e9, 2e9}, cpu: []float64{1e9, 1e9, 1e9}, flushes: 30}).line("keys", 1000, 2*time.Second, "how")
	if l.ours != "2s" || !l.met || l.bar != "≤ 2s" || l.note != "how; 10 flushes of 100 keys; 500 keys a second; CPU time a key in this process, the sink's included: 1000.0 µs" {
		t.Errorf("%+v", l)
	}
	if l := (&flushing{wall: []float64{2.1e9}, cpu: []float64{1}, flushes: 1}).line("keys", 1, 2*time.Second, "how"); l.met {
		t.Errorf("%+v", l)
	}
}
