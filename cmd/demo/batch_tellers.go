package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

// teller is a client with a record of its own: what it was told of each of its transfers. The transfers are drawn, so they need
// not be kept to be known.
type teller struct {
	number int
	seed   uint64
	told   []fate // in the order of the transfers
}

// fate is what a teller was told of a transfer.
type fate uint8

const (
	moved   fate = iota + 1 // 200
	refused                 // 409: the payer had not as much
	failed                  // anything else: it may have been moved or not
)

const (
	// highestAmount is a tenth of what a wallet has at first, so that some become poor.
	highestAmount = bank.Opening / 10
	// tellerIDs is how many transfers a teller has numbers for.
	tellerIDs = 1 << 32
)

// draw is the teller's transfers, one after the other and always the same.
func (t *teller) draw() func() bank.Transfer {
	random := rand.New(rand.NewPCG(t.seed, uint64(t.number)))
	id := int64(t.number) * tellerIDs
	return func() bank.Transfer {
		id++
		payer := random.IntN(bank.Wallets)
		payee := (payer + 1 + random.IntN(bank.Wallets-1)) % bank.Wallets
		return bank.Transfer{ID: id, Payer: payer + 1, Payee: payee + 1, Amount: 1 + random.Int64N(highestAmount)}
	}
}

// crowd is all tellers of a server.
type crowd struct {
	url     string
	tellers []*teller
	answers *waits
	elapsed time.Duration // to the last answer

	mu     sync.Mutex
	reason error // why the first that failed did
}

func newCrowd(url string, seed uint64) *crowd {
	c := &crowd{url: url, answers: newWaits()}
	for i := range tellers {
		c.tellers = append(c.tellers, &teller{number: i, seed: seed})
	}
	return c
}

// run has the tellers send for d, or until ctx ends, and returns when they have their answers.
func (c *crowd) run(ctx context.Context, d time.Duration, watch func(context.Context)) {
	running, stop := context.WithTimeout(ctx, d)
	defer stop()
	connections := &http.Transport{MaxIdleConnsPerHost: len(c.tellers)}
	defer connections.CloseIdleConnections()
	client := &http.Client{Transport: connections, Timeout: overtime}
	start := time.Now()
	var sending, watching sync.WaitGroup
	watching.Go(func() { watch(running) })
	for _, t := range c.tellers {
		sending.Go(func() {
			for next := t.draw(); running.Err() == nil; {
				t.told = append(t.told, c.send(client, next()))
			}
		})
	}
	sending.Wait()
	c.elapsed = time.Since(start)
	stop()
	watching.Wait()
}

// send sends a transfer and says what became of it.
func (c *crowd) send(client *http.Client, t bank.Transfer) fate {
	start := time.Now()
	became, err := post(client, c.url, t)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.reason == nil {
			c.reason = err
		}
		return failed
	}
	c.answers.add(time.Since(start))
	return became
}

func post(client *http.Client, url string, t bank.Transfer) (fate, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return failed, err
	}
	answer, err := client.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		return failed, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // read to its end, a connection is used again
	_ = answer.Body.Close()
	switch {
	case err != nil:
		return failed, err
	case answer.StatusCode == http.StatusConflict:
		return refused, nil
	case answer.StatusCode != http.StatusOK:
		return failed, fmt.Errorf("the server answered %s: %.200s", answer.Status, bytes.TrimSpace(body))
	}
	var r receipt
	if err := json.Unmarshal(body, &r); err != nil {
		return failed, err
	}
	if r.Left < 0 {
		return failed, fmt.Errorf("the server let a payer have %d", r.Left)
	}
	return moved, nil
}
