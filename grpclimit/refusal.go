package grpclimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// Domain is that of the [errdetails.ErrorInfo] in refusals.
const Domain = "github.com/penstock-go/penstock"

// pushback is the trailer by which a server tells a client with a retry policy when to try again, in milliseconds: see
// gRFC A6.
const pushback = "grpc-retry-pushback-ms"

// Bounds of the delay that a refused client is told, before jitter. A queue judges by its rate of the last second or so:
// what that says about the time after a minute is a guess.
const (
	shortestRetry = 100 * time.Millisecond
	longestRetry  = time.Minute
)

// refuse makes the status of a call whose turn did not come, and sets the trailer that goes with it. What the error says
// about the inside of the server is not for the client.
func refuse(err error, setTrailer func(metadata.MD)) error {
	var refused *queue.RefusedError
	switch {
	case errors.As(err, &refused):
		delay := spread(refused.RetryAfter, rand.N[time.Duration])
		setTrailer(metadata.Pairs(pushback, strconv.FormatInt(delay.Milliseconds(), 10)))
		return exhausted(refused.Reason, delay)
	case errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(context.DeadlineExceeded).Err()
	case errors.Is(err, context.Canceled):
		return status.FromContextError(context.Canceled).Err()
	case errors.Is(err, penstock.ErrInvalid):
		return status.Error(codes.InvalidArgument, "the call cannot be counted: its niceness, flow or cost is not acceptable")
	case errors.Is(err, penstock.ErrClosed):
		return status.Error(codes.Unavailable, "the server is shutting down")
	default:
		return status.Error(codes.Unavailable, "calls cannot be taken at the moment")
	}
}

// exhausted is the status of a call that was refused for the load there is.
func exhausted(why queue.Reason, delay time.Duration) error {
	s := status.New(codes.ResourceExhausted, "the server is busy; try again in "+delay.String())
	detailed, err := s.WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)},
		&errdetails.ErrorInfo{Reason: strings.ToUpper(why.String()), Domain: Domain},
	)
	if err != nil { // cannot happen: both can be marshalled
		return s.Err()
	}
	return detailed.Err()
}

// spread is how long a refused client is told to wait, who should come again after d: 100 ms to 1 minute, and up to half as
// much again, in whole milliseconds. roll(n) is a random duration from 0 to n-1.
func spread(d time.Duration, roll func(n time.Duration) time.Duration) time.Duration {
	least := min(max(d, shortestRetry), longestRetry)
	return (least + roll(least/2+1)).Truncate(time.Millisecond)
}
