package postgres

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
)

func TestTablesThatWillNotDo(t *testing.T) {
	const flushes = "CREATE TABLE penstock_flushes (id text, counts text, at timestamptz, PRIMARY KEY (id, counts));"
	for name, c := range map[string]struct {
		script string
		counts store.Counts[string]
		errors []string
	}{
		"there is none": {"", views, []string{"there is no table views; postgres.CreateTables can make it", "there is no table penstock_flushes"}},
		"columns are missing": {`CREATE TABLE views ("Page" text); CREATE TABLE penstock_flushes (id text)`,
			store.Counts[string]{Table: "views", Keys: []string{"page"}, Updated: "at"}, []string{
				`table views has no column "page"`, `table views has no column "n"`, `table views has no column "at"`,
				`table penstock_flushes has no column "counts"`, `table penstock_flushes has no column "at"`}},
		"no unique index": {"CREATE TABLE views (page text, n bigint);" + flushes, views,
			[]string{`table views has no primary key or unique index over exactly ("page")`}},
		"a unique index over more": {"CREATE TABLE views (page text, day text, n bigint, UNIQUE (page, day));" + flushes, views,
			[]string{"no primary key or unique index over exactly"}},
		"a unique index over a part": {"CREATE TABLE views (page text, n bigint); CREATE UNIQUE INDEX ON views (page) WHERE n > 0;" + flushes, views,
			[]string{"no primary key or unique index over exactly"}},
		"IDs are not unique": {"CREATE TABLE views (page text PRIMARY KEY, n bigint); CREATE TABLE penstock_flushes (id text PRIMARY KEY, counts text, at timestamptz)",
			views, []string{`table penstock_flushes has no primary key or unique index over exactly ("id", "counts")`}},
		"a count and a time of other types": {"CREATE TABLE views (page text PRIMARY KEY, n int, at bigint);" + flushes,
			store.Counts[string]{Table: "views", Keys: []string{"page"}, Updated: "at"},
			[]string{`column "n" is of type integer; it takes bigint or numeric`, `column "at" is of type bigint; it takes timestamptz, timestamp or date`}},
		"another column to fill in": {"CREATE TABLE views (page text PRIMARY KEY, n bigint, who text NOT NULL);" + flushes, views,
			[]string{`column "who" is NOT NULL and has no default`}},
		"no such schema":    {"", store.Counts[string]{Table: "penstock_none.views", Keys: []string{"page"}}, []string{"there is no table penstock_none.views"}},
		"a bad description": {"", store.Counts[string]{}, []string{"Table is", "Keys has 0 columns"}},
		"no permission": {"CREATE TABLE views (page text PRIMARY KEY, n bigint);" + flushes + "SET ROLE pg_monitor", views,
			[]string{"permission denied"}},
	} {
		t.Run(name, func(t *testing.T) {
			pool, schema := newPool(t)
			script, role, _ := strings.Cut(c.script, "SET ROLE ")
			run(t, pool, script)
			one := poolOf(t, strings.Replace(dsn(server), "pool_max_conns=10", "pool_max_conns=1", 1), schema)
			if role != "" {
				run(t, pool, "GRANT USAGE ON SCHEMA "+store.Quote(schema)+" TO "+role)
				run(t, one, "SET ROLE "+role)
			}
			_, err := New(t.Context(), one, c.counts)
			require.ErrorIs(t, err, penstock.ErrInvalid)
			for _, text := range c.errors {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestTablesThatWillDo(t *testing.T) {
	for _, table := range []string{
		"CREATE TABLE views (page text UNIQUE, n bigint)",
		`CREATE TABLE views (page text, n bigint DEFAULT 0, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who text NOT NULL DEFAULT 'x',
			twice bigint GENERATED ALWAYS AS (n * 2) STORED); CREATE UNIQUE INDEX ON views (page)`,
		"CREATE TABLE views (page text PRIMARY KEY, n bigint) PARTITION BY HASH (page); CREATE TABLE views_0 PARTITION OF views FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
		"CREATE DOMAIN amount AS bigint DEFAULT 0 NOT NULL; CREATE TABLE views (page text PRIMARY KEY, n amount)",
	} {
		pool, _ := newPool(t)
		run(t, pool, table)
		require.NoError(t, CreateTables(t.Context(), pool, views))
		s := newSink(t, pool, views)
		for _, id := range []string{"1", "2"} {
			require.NoError(t, s.Flush(t.Context(), flushOf(id, "a", 3)))
		}
		require.Equal(t, map[string]int64{"a": 6}, counts(t, pool), table)
	}
}

func TestAServerThatDoesNotWaitForItsDiskWillNotDo(t *testing.T) {
	pool, schema := newPool(t)
	require.NoError(t, CreateTables(t.Context(), pool, views))
	_, err := New(t.Context(), poolOf(t, dsn(server)+"&synchronous_commit=off", schema), views)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "synchronous_commit is off")
	newSink(t, poolOf(t, dsn(server)+"&synchronous_commit=local", schema), views)
}

func TestAServerThatIsNotThereSaysNothingOfTheTables(t *testing.T) {
	pool, _ := newPool(t)
	pool.Close()
	_, err := New(t.Context(), pool, views)
	require.Error(t, err)
	require.NotErrorIs(t, err, penstock.ErrInvalid)
	require.Error(t, CreateTables(t.Context(), pool, views))
}

// TestCreateTablesAtOnce has many processes start at the same time, each of which makes what is missing.
func TestCreateTablesAtOnce(t *testing.T) {
	pool, _ := newPool(t)
	var wg sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		wg.Go(func() { errs[i] = CreateTables(t.Context(), pool, views) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	c := views
	c.Split = func(k string) []any { return []any{strings.Split(k, "/")[1]} }
	require.ErrorContains(t, CreateTables(t.Context(), pool, c), "cannot tell the types of the key columns of views: calling Split with the zero key panicked")
	require.ErrorIs(t, CreateTables(t.Context(), pool, store.Counts[string]{}), penstock.ErrInvalid)
}

// TestNamesAreNotSQL uses names that break what is not quoted.
func TestNamesAreNotSQL(t *testing.T) {
	pool, schema := newPool(t)
	long := strings.Repeat("é", 31)
	c := store.Counts[string]{
		Table: schema + `.table "; --`, Flushes: schema + "." + long, Keys: []string{`group`, `"Key"`}, Value: `order by`, Updated: `when?`,
		Split: func(k string) []any { return []any{k, len(k)} },
	}
	for range 2 {
		require.NoError(t, CreateTables(t.Context(), pool, c))
	}
	s := newSink(t, pool, c)
	for _, id := range []string{"1", "2", "3", "3"} {
		require.NoError(t, s.Flush(t.Context(), flushOf(id, "it's", 2)))
	}
	var n int64
	err := pool.QueryRow(t.Context(), `SELECT "order by" FROM "table ""; --" WHERE "group" = 'it''s' AND """Key""" = 4 AND "when?" BETWEEN now() - interval '1 hour' AND now()`).Scan(&n)
	require.NoError(t, err)
	require.EqualValues(t, 6, n)
}

func TestOneFlushGoesToSeveralTables(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, "CREATE TABLE views (page text PRIMARY KEY, n bigint, most bigint)")
	other := store.Counts[string]{Table: "views", Keys: []string{"page"}, Value: "most", Merge: store.Max}
	days := store.Counts[string]{Table: "days", Keys: []string{"page", "day"}, Split: func(k string) []any { return []any{k, 7} }}
	require.NoError(t, CreateTables(t.Context(), pool, days))
	for range 2 {
		f := flushOf("1", "a", 3)
		require.NoError(t, newSink(t, pool, views).Flush(t.Context(), f))
		require.NoError(t, newSink(t, pool, other).Flush(t.Context(), f))
		require.NoError(t, newSink(t, pool, days).Flush(t.Context(), f))
	}
	var n, most, day int64
	err := pool.QueryRow(t.Context(), "SELECT views.n, most, days.n FROM views JOIN days USING (page) WHERE day = 7").Scan(&n, &most, &day)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 3, 3}, []int64{n, most, day})
}
