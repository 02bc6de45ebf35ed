package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
)

// connections is how many a contestant keeps to the API.
const connections = 64

// client gets one answer 200 for a user, whatever it takes, or the reason why ctx ended.
type client interface {
	get(ctx context.Context, key string, p priority) error
}

// priority is a request's urgency as RFC 9218 writes it into the Priority field.
type priority string

const (
	interactive priority = "u=1"
	background  priority = "u=6"
)

// once sends one request and returns the answer's status.
func once(ctx context.Context, c *http.Client, url, key string, p priority) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Priority", string(p))
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<10)) // read to its end, a connection is used again
	_ = answer.Body.Close()
	if err != nil {
		return 0, err
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusTooManyRequests {
		return 0, fmt.Errorf("the API answered %s", answer.Status)
	}
	return answer.StatusCode, nil
}

// plain sends at once and, when refused, tries again after a random time out of a growing span, as clients commonly do.
type plain struct {
	http *http.Client
	url  string
}

func (c *plain) get(ctx context.Context, key string, p priority) error {
	for try := 0; ; try++ {
		status, err := once(ctx, c.http, c.url, key, p)
		if err != nil || status == http.StatusOK {
			return err
		}
		if err := backOff(ctx, try); err != nil {
			return err
		}
	}
}

// paced is plain behind a token bucket for each user, set to the API's own figures.
type paced struct {
	plain
	rule     strict.Rule
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func newPaced(p plain, rule strict.Rule) *paced {
	return &paced{plain: p, rule: rule, limiters: make(map[string]*rate.Limiter)}
}

func (c *paced) get(ctx context.Context, key string, p priority) error {
	limiter := c.limiter(key)
	for try := 0; ; try++ {
		if err := limiter.Wait(ctx); err != nil {
			return err
		}
		status, err := once(ctx, c.http, c.url, key, p)
		if err != nil || status == http.StatusOK {
			return err
		}
		if err := backOff(ctx, try); err != nil {
			return err
		}
	}
}

func (c *paced) limiter(key string) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.limiters[key]
	if l == nil {
		l = rate.NewLimiter(rate.Every(c.rule.Per/time.Duration(c.rule.Events)), c.rule.Events)
		c.limiters[key] = l
	}
	return l
}

// backOff sleeps for a random time: below 100 ms at first, below twice as much after every further refusal, at most 3 s.
func backOff(ctx context.Context, try int) error {
	span := min(100*time.Millisecond<<min(try, 10), 3*time.Second)
	if !sleepUntil(ctx, time.Now().Add(rand.N(span))) {
		return ctx.Err()
	}
	return nil
}
