package httplimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// longestRetry bounds what a refused caller is told to wait, before jitter. A queue judges by its rate of the last second
// or so: what that says about the time after a minute is a guess.
const longestRetry = time.Minute

// shed is the problem of a request whose turn did not come. What the error says about the inside of the server is not for
// the caller.
func shed(err error) problem {
	var refused *queue.RefusedError
	switch {
	case errors.As(err, &refused):
		return busy(refused.RetryAfter)
	case errors.Is(err, context.DeadlineExceeded):
		return busy(0)
	case errors.Is(err, context.Canceled):
		return problem{Status: http.StatusServiceUnavailable, Detail: "The request was cancelled before its turn came."}
	case errors.Is(err, penstock.ErrInvalid):
		return problem{Status: http.StatusBadRequest, Detail: "The request cannot be counted: its niceness, flow or cost is not acceptable."}
	case errors.Is(err, penstock.ErrClosed):
		return problem{Status: http.StatusServiceUnavailable, Detail: "The server is shutting down."}
	default:
		return problem{Status: http.StatusServiceUnavailable, Detail: "Requests cannot be taken at the moment."}
	}
}

// busy is the problem of a request that was refused for the load there is.
func busy(retryAfter time.Duration) problem {
	p := problem{Status: http.StatusServiceUnavailable, RetryAfter: spread(retryAfter, rand.Int64N)}
	p.Detail = fmt.Sprintf("The server is busy. Try again in %s.", inSeconds(p.RetryAfter))
	return p
}

// spread is how many seconds a refused caller is told to wait, who should come again after d: 1 to 60 seconds, and up to
// half as many again. roll(n) is a random number from 0 to n-1.
func spread(d time.Duration, roll func(n int64) int64) int64 {
	least := wholeSeconds(min(d, longestRetry))
	return least + roll((least+1)/2+1)
}
