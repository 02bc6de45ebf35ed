package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cluster"
)

// callers want the API all the time, and go there when their bucket lets them.
type callers struct {
	order  Order
	client *http.Client
	end    chan struct{} // closed: nobody calls again
	once   sync.Once
	all    sync.WaitGroup

	mu  sync.Mutex
	sum Report
}

func newCallers(o Order) *callers {
	many := len(o.IDs)*o.Callers + 1
	return &callers{
		order:  o,
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: many, MaxIdleConnsPerHost: many}},
		end:    make(chan struct{}),
		sum:    Report{Errors: make(map[string]int), Texts: make(map[string]string)},
	}
}

func (c *callers) start(ctx context.Context, o Order, f *bucket.Family) {
	for _, id := range o.IDs {
		for range o.Callers {
			c.all.Go(func() { c.loop(ctx, f.Bucket(id), id) })
		}
	}
}

// drain returns when all calls have an outcome.
func (c *callers) drain() {
	c.once.Do(func() { close(c.end) })
	c.all.Wait()
	c.client.CloseIdleConnections()
}

// pause is how long a caller stays away after an error that came at once.
const pause = 50 * time.Millisecond

func (c *callers) loop(ctx context.Context, b *bucket.Bucket, id string) {
	for {
		select {
		case <-c.end:
			return
		default:
		}
		c.note(func(r *Report) { r.Issued++ })
		began := time.Now()
		status, err := c.call(ctx, b, id)
		took := time.Since(began)
		c.note(func(r *Report) {
			switch {
			case err != nil:
				kind := kindOf(err)
				r.Errors[kind]++
				r.Texts[kind] = err.Error()
			case status == http.StatusOK:
				r.Answered++
				r.Waits = append(r.Waits, took)
			case status == http.StatusTooManyRequests:
				r.Refused++
			default:
				r.Late++
			}
		})
		if err != nil || status != http.StatusOK {
			select {
			case <-time.After(pause):
			case <-c.end:
			}
		}
	}
}

// call is one call: it waits for its turn, and goes to the API at once or not at all.
func (c *callers) call(ctx context.Context, b *bucket.Bucket, id string) (status int, err error) {
	waits, cancel := context.WithTimeout(ctx, c.order.Patience)
	defer cancel()
	if _, err := b.Acquire(waits, bucket.Request{}); err != nil {
		return 0, err
	}
	sent := Boottime()
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, c.order.API, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+id)
	request.Header.Set(SentHeader, strconv.FormatInt(int64(sent), 10))
	answer, err := c.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errAPI, err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.Body.Close()
}

var errAPI = errors.New("the API")

func (c *callers) note(what func(*Report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what(&c.sum)
}

func (c *callers) report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.sum
	r.Errors, r.Texts = maps.Clone(r.Errors), maps.Clone(r.Texts)
	c.sum.Waits = nil
	return r
}

// kindOf is what a caller can tell an error by.
func kindOf(err error) string {
	switch {
	case errors.Is(err, errAPI):
		return "API"
	case errors.Is(err, cluster.ErrUnknown):
		return "unknown"
	case errors.Is(err, cluster.ErrAway):
		return "away"
	case errors.Is(err, penstock.ErrFull):
		return "full"
	case errors.Is(err, penstock.ErrClosed):
		return "closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "other"
}
