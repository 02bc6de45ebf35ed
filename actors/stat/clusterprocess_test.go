package stat_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// node is a process that counts to Count, and flushes nothing before it has known what All have counted, and then somebody is missing.
type node struct {
	File, Name string
	Count, All int64
}

func (n node) run() error {
	ctx := context.Background()
	db, err := sqlite.Open(n.File)
	if err != nil {
		return err
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		return err
	}
	sink, err := sqlite.New(ctx, db, life{Table: "counts"}.counts())
	if err != nil {
		return err
	}
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	if _, err := cluster.Join(ctx, sys, cluster.Config{Name: n.Name, Bind: "127.0.0.1:0", Leases: leases, Lease: time.Second, Shards: 8}); err != nil {
		return err
	}
	var ids []string
	b, err := stat.NewBuffer(sys, "views", stat.Config[string]{
		Clustered: true, Interval: time.Hour,
		Sink: flushes{sink, func(id string) { ids = append(ids, id) }},
	})
	if err != nil {
		return err
	}
	for range n.Count {
		victim.Must(b.Increment("/", 1))
	}
	complete := false
	for {
		all, _, err := b.CountCluster(ctx, "/")
		partial := new(stat.PartialError)
		if err != nil && !errors.As(err, &partial) {
			return err
		}
		victim.Say("count", fmt.Sprintf(" %d, %d missing", all, len(partial.Nodes)))
		complete = complete || all == n.All
		if complete && all < n.All {
			victim.Must(b.Close(ctx))
			victim.Say("flush", " "+strings.Join(ids, " "))
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// flushes is a sink that tells the IDs of what it stores.
type flushes struct {
	stat.Sink[string]
	tell func(id string)
}

func (s flushes) Flush(ctx context.Context, f stat.Flush[string]) error {
	s.tell(f.ID)
	return s.Sink.Flush(ctx, f)
}

// TestG8_CountsOfSeveralProcesses: each node knows what all have counted, and who did not answer; and each flushes its own, to the same table.
func TestG8_CountsOfSeveralProcesses(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "cluster.db")
	d, err := life{File: file, Table: "counts"}.open(ctx, true)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.drop()) })

	nodes := make(map[string]*victim.Process)
	counts := map[string]int64{"a": 1, "b": 10, "c": 100}
	for name, n := range counts {
		nodes[name] = victim.Start(t, life{Node: &node{File: file, Name: name, Count: n, All: 111}})
	}
	for _, name := range []string{"a", "b", "c"} {
		for line := range nodes[name].Lines() {
			if line == "count 111, 0 missing" {
				break
			}
			require.True(t, strings.HasPrefix(line, "count "), line)
		}
	}
	nodes["c"].Kill()
	nodes["c"].Wait()
	for _, name := range []string{"a", "b"} {
		last := ""
		for line := range nodes[name].Lines() {
			if last = line; strings.HasPrefix(line, "flush ") {
				break
			}
		}
		require.Regexp(t, `^flush `+name+`\.[A-Z2-7]{26}-1$`, last)
		require.LessOrEqual(t, len(last)-len("flush "), 64)
		nodes[name].Wait()
	}
	sums := make(map[string]int64)
	require.NoError(t, d.query(ctx, sums))
	require.Equal(t, map[string]int64{"/": 11}, sums)
}
