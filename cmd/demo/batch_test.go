package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

const postgresHere = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable&connect_timeout=5"

// batchOf plays the act with -json.
func batchOf(t *testing.T, args ...string) (r batchResult, code int) {
	code, stdout, stderr := demo(t, nil, append([]string{"-act", "batch", "-json"}, args...)...)
	var all results
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&all), stderr)
	require.NotNil(t, all.Batch)
	return *all.Batch, code
}

// TestQuickBatch runs the whole act: every promise is kept, on any machine. By how much a batch is faster is up to the machine.
func TestQuickBatch(t *testing.T) {
	r, code := batchOf(t, "-quick")
	checkQuickBatch(t, r, code)
	assert.Contains(t, r.Database, "SQLite")
}

func TestQuickBatchInPostgres(t *testing.T) {
	b, err := bank.OpenPostgres(t.Context(), postgresHere)
	if err != nil {
		t.Skip("needs a server: PostgreSQL at localhost:5432")
	}
	require.NoError(t, b.Close())
	r, code := batchOf(t, "-quick", "-pg", postgresHere)
	checkQuickBatch(t, r, code)
	assert.Equal(t, "PostgreSQL at 127.0.0.1:5432, database test, synchronous_commit=on", r.Database)
}

func checkQuickBatch(t *testing.T, r batchResult, code int) {
	t.Helper()
	require.Empty(t, r.Broken)
	assert.True(t, r.Kept)
	assert.Equal(t, exitOK, code)
	assert.False(t, r.Interrupted)
	assert.Positive(t, r.Times)
	require.Len(t, r.Rows, 2)
	for _, row := range r.Rows {
		assert.Zero(t, row.Failed, row.Reason)
		assert.Positive(t, row.Moved)
		assert.Equal(t, row.Moved, row.Audit.Transfers)
		assert.Equal(t, row.Moved+row.Refused, row.Answers.Count)
		assert.Equal(t, int64(bank.Wallets*bank.Opening), row.Audit.Sum)
	}
	assert.Equal(t, r.Rows[0].Moved, r.Rows[0].Transactions, "each is one")
	assert.Equal(t, int64(r.Rows[1].Transactions), r.Rows[1].Audit.Version-1, "the database counts them too")
	assert.Less(t, r.Rows[1].Transactions, r.Rows[1].Moved, "32 clients at once have some in common")
}

// TestInterruptedBatch: Ctrl-C ends the sending, who has sent gets an answer, and what is in the database is compared.
func TestInterruptedBatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	first := ways[0].open
	defer func() { ways[0].open = first }()
	ways[0].open = interrupting(first, 20, cancel)
	var stdout bytes.Buffer
	r, err := actBatch(ctx, batchAct{duration: time.Hour}, &stdout, &bytes.Buffer{})
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.Empty(t, r.Broken)
	require.Len(t, r.Rows, 1, "the second server is not started")
	assert.GreaterOrEqual(t, r.Rows[0].Moved+r.Rows[0].Refused, 20)
	assert.Zero(t, r.Rows[0].Failed, r.Rows[0].Reason)
	assert.Contains(t, stdout.String(), "Interrupted: this is how far it came.")
	assert.Contains(t, stdout.String(), "Penstock kept its promise")
}

// TestInterruptedBeforeTheFirstTransfer has nothing to show but that nothing is wrong.
func TestInterruptedBeforeTheFirstTransfer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout bytes.Buffer
	r, err := actBatch(ctx, batchAct{duration: time.Hour}, &stdout, &bytes.Buffer{})
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.True(t, r.Kept)
	assert.Empty(t, r.Rows)
}

// TestBatchProof: a server that answers and does not move is found, and the command fails.
func TestBatchProof(t *testing.T) {
	last := len(ways) - 1
	right := ways[last].open
	defer func() { ways[last].open = right }()
	ways[last].open = lying(right)
	code, stdout, stderr := demo(t, nil, "-act", "batch", "-quick")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "a promise of Penstock is broken: see the batch")
	assert.Contains(t, stdout, "Penstock BROKE its promise: ")
	assert.Contains(t, stdout, "was answered, and is not in the database")
}

// TestWithoutADatabase there is an error, not a broken promise.
func TestWithoutADatabase(t *testing.T) {
	code, _, stderr := demo(t, nil, "-act", "batch", "-quick", "-pg", "postgres://nobody:secret@127.0.0.1:1/none?connect_timeout=2")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "a transaction each: ")
	assert.NotContains(t, stderr, "promise")
	assert.NotContains(t, stderr, "secret")
	assert.Equal(t, "PostgreSQL at 127.0.0.1:1, database none, synchronous_commit=on",
		batchAct{postgres: "postgres://nobody:secret@127.0.0.1:1/none"}.database())
}

// fixedBatch is a result as a run might have it.
func fixedBatch() batchResult {
	row := func(name string, moved, poor, transactions int, perSecond float64, p50, p99 time.Duration) batchRow {
		return batchRow{
			Name: name, Elapsed: 10 * time.Second, Moved: moved, Refused: poor, PerSecond: perSecond,
			Answers: quantiles{moved + poor, p50, p99, 2 * p99}, Transactions: transactions,
			Audit: bank.Audit{Wallets: 200, Sum: 200_000, Transfers: moved, Version: 1},
		}
	}
	r := batchResult{
		Database: "a SQLite file", Wallets: 200, Opening: 1000, Tellers: tellers, Seed: 1, Bar: batchBar,
		Rows: []batchRow{
			row("a transaction each", 7403, 12, 7403, 741.5, 42*time.Millisecond, 81*time.Millisecond),
			row("Penstock", 98_211, 3012, 6120, 10_122.3, 3040*time.Microsecond, 7*time.Millisecond),
		},
	}
	r.judge()
	return r
}

// TestBatchReport: a fixed result's tables, word for word.
func TestBatchReport(t *testing.T) {
	var b strings.Builder
	require.NoError(t, batchAct{duration: 10 * time.Second}.announce(&b))
	require.NoError(t, fixedBatch().print(&b))
	golden(t, "batch", b.String())
}

// TestSlowBatchReport: what is less than was expected is said, and is no broken promise; and so is what failed.
func TestSlowBatchReport(t *testing.T) {
	r := fixedBatch()
	r.Rows[1].PerSecond = 2 * r.Rows[0].PerSecond
	r.Rows[1].Failed, r.Rows[1].Reason = 3, "the server answered 500\x1b[2J"
	r.judge()
	assert.True(t, r.Kept)
	var b strings.Builder
	require.NoError(t, r.print(&b))
	assert.Contains(t, b.String(), "Penstock answered 2.0 times as many requests; 5 times are expected, which it is NOT here.")
	assert.Contains(t, b.String(), "Penstock: 3 requests failed, the first with: the server answered 500\uFFFD[2J\n")
}

func TestBrokenBatchPromises(t *testing.T) {
	require.True(t, fixedBatch().Kept)
	for says, breaks := range map[string]func(*batchRow){
		"Penstock: there are 199 wallets, and were 200":                    func(r *batchRow) { r.Audit.Wallets-- },
		"Penstock: the wallets hold 200,001, and held 200,000":             func(r *batchRow) { r.Audit.Sum++ },
		"Penstock: wallet 7 holds 1,010, and by its transfers it is 1,000": func(r *batchRow) { r.Audit.Wrong = []bank.Wallet{{ID: 7, Balance: 1010, Due: 1000}} },
		"Penstock: transfer 3 was answered":                                func(r *batchRow) { r.Ledger = ledger{Missing: 1, Example: []string{"transfer 3 was answered"}} },
		"Penstock: and 2 other wrong transfers":                            func(r *batchRow) { r.Ledger = ledger{MadeUp: 1, Altered: 1} },
		"Penstock: 98,210 transfers in the database, and 98,211 answered":  func(r *batchRow) { r.Audit.Transfers-- },
		"Penstock: 98,212 transfers in the database, and 98,211 answered":  func(r *batchRow) { r.Audit.Transfers++ },
	} {
		r := fixedBatch()
		breaks(&r.Rows[1])
		r.judge()
		assert.False(t, r.Kept)
		require.Equal(t, []string{says}, r.Broken)
		var b strings.Builder
		require.NoError(t, r.print(&b))
		assert.Contains(t, b.String(), "Penstock BROKE its promise: ")
		assert.Contains(t, b.String(), "  "+says+"\n")
	}
}
