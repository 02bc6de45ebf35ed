package httplimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

func TestSpreadIsBoundedAndNeverTooShort(t *testing.T) {
	least := func(int64) int64 { return 0 }
	most := func(n int64) int64 { return n - 1 }
	for d, want := range map[time.Duration][2]int64{
		-time.Second:             {1, 2},
		0:                        {1, 2},
		time.Second:              {1, 2},
		time.Second + 1:          {2, 3},
		3 * time.Second:          {3, 5},
		10 * time.Second:         {10, 15},
		time.Minute:              {60, 90},
		365 * 24 * time.Hour:     {60, 90},
		time.Duration(1<<63 - 1): {60, 90},
	} {
		assert.Equal(t, want, [2]int64{spread(d, least), spread(d, most)}, d)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "d"))
		s := spread(d, func(n int64) int64 { return rapid.Int64Range(0, n-1).Draw(t, "roll") })
		if told := time.Duration(s) * time.Second; told < min(d, longestRetry) || s < 1 || s > 90 {
			t.Fatalf("who should come again after %v is told %d s", d, s)
		}
	})
}

func TestShedProblemsSayNothingOfTheInside(t *testing.T) {
	in := func(err error) error { return fmt.Errorf("queue %q: %w", "orders-db-7", err) }
	for name, c := range map[string]struct {
		err    error
		status int
		again  bool // Retry-After is sent
	}{
		"full":        {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Full}, 503, true},
		"timed out":   {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.TimedOut}, 503, true},
		"overloaded":  {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Overloaded}, 503, true},
		"hopeless":    {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Hopeless}, 503, true},
		"rejected":    {&queue.RefusedError{Queue: "orders-db-7", Reason: queue.Rejected}, 503, true},
		"deadline":    {in(context.DeadlineExceeded), 503, true},
		"cancelled":   {in(context.Canceled), 503, false},
		"bad request": {in(penstock.ErrInvalid), 400, false},
		"closed":      {in(penstock.ErrClosed), 503, false},
		"other":       {in(errors.New("actor given up")), 503, false},
	} {
		p := shed(c.err)
		assert.Equal(t, c.status, p.Status, name)
		assert.Equal(t, c.again, p.RetryAfter > 0, name)
		assert.NotEmpty(t, p.Detail, name)
		assert.NotContains(t, p.Detail, "orders-db-7", name)
		assert.NotContains(t, p.Detail, "actor", name)
	}
	assert.GreaterOrEqual(t, shed(&queue.RefusedError{RetryAfter: 20 * time.Second}).RetryAfter, int64(20))
	assert.Equal(t, http.StatusServiceUnavailable, shed(&queue.RefusedError{}).Status)
}
