package mill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Work is what a request costs: so many rounds of SHA-256 over a block, each over the sum of the one before.
type Work int

// block is what a round hashes, in bytes: large enough that a round is nothing but hashing, small enough that work which
// nobody wants any more ends at once.
const block = 64 << 10

// Do works and returns the last sum. It ends early when ctx does, as a handler that is well-behaved.
func (w Work) Do(ctx context.Context) (string, error) {
	data := make([]byte, block)
	var sum [sha256.Size]byte
	for range w {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		copy(data, sum[:])
		sum = sha256.Sum256(data)
	}
	return hex.EncodeToString(sum[:]), nil
}

const (
	trials      = 20 // of [Calibrate]
	trialRounds = 10 // of each of them
)

// Calibrate returns the work that takes about d on a processor that does nothing else. Of several trials the quickest
// counts: it is the one that other processes disturbed least.
func Calibrate(d time.Duration) Work {
	best := time.Duration(1<<63 - 1)
	for range trials {
		start := time.Now()
		_, _ = Work(trialRounds).Do(context.Background()) // fails only with its context
		best = min(best, time.Since(start))
	}
	return max(1, Work(d*trialRounds/max(best, 1)))
}
