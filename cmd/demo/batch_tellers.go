package main

import (
	"context"
	"math/rand/v2"
	"net/url"
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
)

// draw is the teller's transfers, one after the other and always the same. Their numbers grow with the time, about: a database has
// much less to write if what is new is at the end of its tables.
func (t *teller) draw() func() bank.Transfer {
	random := rand.New(rand.NewPCG(t.seed, uint64(t.number)))
	id := int64(t.number) + 1 - tellers
	return func() bank.Transfer {
		id += tellers
		payer := random.IntN(bank.Wallets)
		payee := (payer + 1 + random.IntN(bank.Wallets-1)) % bank.Wallets
		return bank.Transfer{ID: id, Payer: payer + 1, Payee: payee + 1, Amount: 1 + random.Int64N(highestAmount)}
	}
}

// crowd is all tellers of a server.
type crowd struct {
	server  *url.URL
	tellers []*teller
	answers *waits
	elapsed time.Duration // to the last answer

	mu     sync.Mutex
	reason error // why the first that failed did
}

func newCrowd(server *url.URL, seed uint64) *crowd {
	c := &crowd{server: server, answers: newWaits()}
	for i := range tellers {
		c.tellers = append(c.tellers, &teller{number: i, seed: seed})
	}
	return c
}

// run has the tellers send for d, or until ctx ends, and returns when they have their answers.
func (c *crowd) run(ctx context.Context, d time.Duration, watch func(context.Context)) {
	running, stop := context.WithTimeout(ctx, d)
	defer stop()
	start := time.Now()
	var sending, watching sync.WaitGroup
	watching.Go(func() { watch(running) })
	for _, t := range c.tellers {
		sending.Go(func() {
			l := c.line()
			defer l.close()
			for next := t.draw(); running.Err() == nil; {
				t.told = append(t.told, c.send(l, next()))
			}
		})
	}
	sending.Wait()
	c.elapsed = time.Since(start)
	stop()
	watching.Wait()
}

func (c *crowd) line() *line { return &line{url: c.server} }

// send sends a transfer and says what became of it.
func (c *crowd) send(l *line, t bank.Transfer) fate {
	start := time.Now()
	became, err := l.send(t)
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
