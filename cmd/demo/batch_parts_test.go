package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

type opener = func(*penstock.System, *bank.Bank) (bank.Mover, error)

// moverFunc is a mover made of a function.
type moverFunc func(ctx context.Context, t bank.Transfer) (int64, error)

func (f moverFunc) Move(ctx context.Context, t bank.Transfer) (int64, error) { return f(ctx, t) }

// interrupting calls stop at the nth transfer.
func interrupting(open opener, n int64, stop func()) opener {
	return func(sys *penstock.System, b *bank.Bank) (bank.Mover, error) {
		m, err := open(sys, b)
		var came atomic.Int64
		return moverFunc(func(ctx context.Context, t bank.Transfer) (int64, error) {
			if came.Add(1) == n {
				stop()
			}
			return m.Move(ctx, t)
		}), err
	}
}

// lying answers the first transfer and does not move it.
func lying(open opener) opener {
	return func(sys *penstock.System, b *bank.Bank) (bank.Mover, error) {
		m, err := open(sys, b)
		var lied atomic.Bool
		return moverFunc(func(ctx context.Context, t bank.Transfer) (int64, error) {
			if lied.CompareAndSwap(false, true) {
				return 1, nil
			}
			return m.Move(ctx, t)
		}), err
	}
}

// TestComparisonFindsEveryKind of wrong transfer, and knows nothing of those that failed.
func TestComparisonFindsEveryKind(t *testing.T) {
	b, err := bank.OpenSQLite(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	c := newCrowd(nil, 7)
	each := bank.NewEach(b)
	move := func(transfer bank.Transfer) {
		_, err := each.Move(t.Context(), transfer)
		require.NoError(t, err)
	}
	drawn := func(teller, n int) (transfer bank.Transfer) {
		next := c.tellers[teller].draw()
		for range n {
			transfer = next()
		}
		return transfer
	}
	c.tellers[0].told = []fate{moved, refused, failed, failed, moved}
	c.tellers[3].told = []fate{refused, moved}
	for _, n := range []int{1, 3, 5} {
		move(drawn(0, n))
	}
	move(drawn(3, 2))
	row, err := c.score(t.Context(), "right", b)
	require.NoError(t, err)
	assert.Empty(t, row.broken(bank.Wallets, bank.Opening))
	assert.Equal(t, [3]int{3, 2, 2}, [3]int{row.Moved, row.Refused, row.Failed})
	assert.Equal(t, ledger{}, row.Ledger)

	move(drawn(0, 2))                  // it was refused
	move(drawn(2, 1))                  // nobody sent it
	c.tellers[3].told[1] = failed      // which it may
	c.tellers[0].told[3] = moved       // it is not there
	altered := drawn(5, 1)             // …
	altered.Amount++                   //
	move(altered)                      //
	c.tellers[5].told = []fate{moved}  // of another amount
	c.tellers[31].told = []fate{moved} // the last one is not there
	row, err = c.score(t.Context(), "wrong", b)
	require.NoError(t, err)
	assert.Equal(t, [3]int{2, 2, 1}, [3]int{row.Ledger.Missing, row.Ledger.MadeUp, row.Ledger.Altered})
	assert.Len(t, row.Ledger.Example, shownTransfers)
	said := strings.Join(row.broken(bank.Wallets, bank.Opening), "\n")
	assert.Contains(t, said, fmt.Sprintf("transfer %d is in the database, and nobody sent it", drawn(2, 1).ID))
	assert.Contains(t, said, fmt.Sprintf("transfer %d is %+v in the database, and", altered.ID, altered))
	assert.Contains(t, said, fmt.Sprintf("transfer %d was answered, and is not in the database", drawn(31, 1).ID))
	assert.Contains(t, said, "and 2 other wrong transfers")
}

// TestTellersDraw the same transfers each time, each its own, and all of them fit a server.
func TestTellersDraw(t *testing.T) {
	seen := make(map[int64]bool)
	for _, one := range newCrowd(nil, 1).tellers {
		first, again := one.draw(), one.draw()
		for range 500 {
			transfer := first()
			require.Equal(t, transfer, again())
			require.NoError(t, transfer.Validate())
			require.False(t, seen[transfer.ID])
			seen[transfer.ID] = true
		}
	}
	require.NotEqual(t, (&teller{seed: 1}).draw()(), (&teller{seed: 2}).draw()())
}

// TestCounterAnswers has each answer of the server, and what a teller makes of it.
func TestCounterAnswers(t *testing.T) {
	answers := map[int64]error{1: nil, 2: bank.ErrPoor, 3: errors.New("the disk is full")}
	m := moverFunc(func(_ context.Context, t bank.Transfer) (int64, error) { return 5, answers[t.ID] })
	c, err := openCounter(m)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.close(t.Context())) }()
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	ask := func(body string) (int, string) {
		answer, err := client.Post(c.url.String(), "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(text)
	}
	for _, one := range []struct {
		body, says string
		status     int
	}{
		{`{"id":1,"payer":1,"payee":2,"amount":3}`, `{"left":5}`, http.StatusOK},
		{`{"id":2,"payer":1,"payee":2,"amount":3}`, "the payer has less than that", http.StatusConflict},
		{`{"id":3,"payer":1,"payee":2,"amount":3}`, "the disk is full", http.StatusInternalServerError},
		{`{"id":1,"payer":0,"payee":2,"amount":-3}`, "payer is 0; it takes 1 to 200\namount is -3; it takes 1 to 200000", http.StatusBadRequest},
		{`{"id":1,"payer":1,"payee":2,"amount":3,"tip":1}`, "unknown field", http.StatusBadRequest},
		{`{`, "unexpected EOF", http.StatusBadRequest},
		{`{"id":` + strings.Repeat("1", longestTransfer) + `}`, "too large", http.StatusBadRequest},
	} {
		status, text := ask(one.body)
		assert.Equal(t, one.status, status, one.body)
		assert.Contains(t, text, one.says, one.body)
	}

	crowd := newCrowd(c.url, 1)
	l := crowd.line()
	defer l.close()
	for id, want := range map[int64]fate{1: moved, 2: refused, 3: failed} {
		assert.Equal(t, want, crowd.send(l, bank.Transfer{ID: id, Payer: 1, Payee: 2, Amount: 3}))
	}
	assert.Equal(t, 2, crowd.answers.quantiles().Count)
	assert.ErrorContains(t, crowd.reason, "500 Internal Server Error: the disk is full")
}

// TestTellersDoNotBelieve answers that make no sense.
func TestTellersDoNotBelieve(t *testing.T) {
	for body, says := range map[string]string{`{"left":-1}`: "let a payer have -1", "": "unexpected end", "hello": "invalid character"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		address, err := url.Parse(server.URL)
		require.NoError(t, err)
		l := line{url: address}
		became, err := l.send(bank.Transfer{})
		assert.Nil(t, l.conn, "a connection that is not understood is not used again")
		server.Close()
		assert.Equal(t, failed, became)
		assert.ErrorContains(t, err, says)
	}
	c := newCrowd(&url.URL{Host: "127.0.0.1:1"}, 1)
	assert.Equal(t, failed, c.send(c.line(), bank.Transfer{}))
	assert.Error(t, c.reason)
}
