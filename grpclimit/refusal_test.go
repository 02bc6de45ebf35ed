package grpclimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

func TestSpreadIsBoundedAndNeverTooShort(t *testing.T) {
	least := func(time.Duration) time.Duration { return 0 }
	most := func(n time.Duration) time.Duration { return n - 1 }
	for d, want := range map[time.Duration][2]time.Duration{
		-time.Second:           {100 * time.Millisecond, 150 * time.Millisecond},
		0:                      {100 * time.Millisecond, 150 * time.Millisecond},
		200 * time.Millisecond: {200 * time.Millisecond, 300 * time.Millisecond},
		10 * time.Second:       {10 * time.Second, 15 * time.Second},
		math.MaxInt64:          {time.Minute, 90 * time.Second},
	} {
		assert.Equal(t, want, [2]time.Duration{spread(d, least), spread(d, most)}, d)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		told := spread(d, func(n time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(n)-1).Draw(t, "roll"))
		})
		if told < min(d.Truncate(time.Millisecond), longestRetry) || told < shortestRetry || told > longestRetry*3/2 || told%time.Millisecond != 0 {
			t.Fatalf("who should come again after %v is told %v", d, told)
		}
	})
}

func TestRefusalsHaveAStatusForEachClass(t *testing.T) {
	in := func(err error) error { return fmt.Errorf("queue %q: %w", "orders-db-7", err) }
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string // of a refusal by load; it comes with a delay
	}{
		"full":        {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Full}, codes.ResourceExhausted, "FULL"},
		"timed out":   {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.TimedOut}, codes.ResourceExhausted, "TIMED_OUT"},
		"overloaded":  {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Overloaded}, codes.ResourceExhausted, "OVERLOADED"},
		"hopeless":    {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Hopeless}, codes.ResourceExhausted, "HOPELESS"},
		"rejected":    {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Rejected}, codes.ResourceExhausted, "REJECTED"},
		"deadline":    {in(context.DeadlineExceeded), codes.DeadlineExceeded, ""},
		"cancelled":   {in(context.Canceled), codes.Canceled, ""},
		"bad request": {in(penstock.ErrInvalid), codes.InvalidArgument, ""},
		"closed":      {in(penstock.ErrClosed), codes.Unavailable, ""},
		"other":       {in(errors.New("actor given up")), codes.Unavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var trailer metadata.MD
			s := status.Convert(refuse(c.err, func(md metadata.MD) { trailer = md }))
			assert.Equal(t, c.code, s.Code())
			assert.NotEmpty(t, s.Message())
			assert.NotContains(t, s.Message(), "orders-db-7", "nothing of the inside")
			assert.NotContains(t, s.Message(), "actor")
			if c.reason == "" {
				assert.Empty(t, s.Details())
				assert.Empty(t, trailer)
				return
			}
			require.Len(t, s.Details(), 2)
			delay := s.Details()[0].(*errdetails.RetryInfo).RetryDelay.AsDuration()
			assert.GreaterOrEqual(t, delay, 100*time.Millisecond)
			assert.Equal(t, []string{strconv.FormatInt(delay.Milliseconds(), 10)}, trailer[pushback])
			info := s.Details()[1].(*errdetails.ErrorInfo)
			assert.Equal(t, c.reason, info.Reason)
			assert.Equal(t, Domain, info.Domain)
			assert.Empty(t, info.Metadata)
		})
	}
	delay := delayOf(t, &queue.RefusedError{RetryAfter: 20 * time.Second})
	assert.GreaterOrEqual(t, delay, 20*time.Second, "no sooner than the queue says")
}

// delayOf is the delay that a refusal by load tells.
func delayOf(t *testing.T, err error) time.Duration {
	s := status.Convert(refuse(err, func(metadata.MD) {}))
	require.NotEmpty(t, s.Details())
	return s.Details()[0].(*errdetails.RetryInfo).RetryDelay.AsDuration()
}
