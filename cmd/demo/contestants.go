package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/limit"
)

// contestant is one kind of clients with its API, and how long its users waited.
type contestant struct {
	name        string
	api         *strict.Server
	connections *http.Transport
	client      client
	system      *penstock.System // nil for those who do without
	waits       map[priority]*tally
}

// contestants starts an API for each kind of clients. What was started is returned with an error too, for close.
func (r race) contestants() ([]*contestant, error) {
	var all []*contestant
	for _, kind := range []struct {
		name   string
		client func(race, *contestant) (client, error)
	}{
		{"plain retries", race.plain},
		{"x/time/rate", race.paced},
		{"Penstock", race.penstock},
	} {
		c := &contestant{
			name:        kind.name,
			connections: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections},
			waits:       map[priority]*tally{interactive: newTally(), background: newTally()},
		}
		all = append(all, c)
		var err error
		if c.api, err = strict.Start(r.rule); err != nil {
			return all, err
		}
		if c.client, err = kind.client(r, c); err != nil {
			return all, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return all, nil
}

func (r race) plain(c *contestant) (client, error) {
	return &plain{http: &http.Client{Transport: c.connections}, url: c.api.URL}, nil
}

func (r race) paced(c *contestant) (client, error) {
	return newPaced(plain{http: &http.Client{Transport: c.connections}, url: c.api.URL}, r.rule), nil
}

// penstock is plain clients, word for word: only their transport is another.
func (r race) penstock(c *contestant) (client, error) {
	system, err := penstock.New(penstock.WithName("demo"))
	if err != nil {
		return nil, err
	}
	c.system = system
	family, err := bucket.NewFamily(system, "api", bucket.Config{
		Limits:   []limit.Limit{{Events: r.rule.Events, Per: r.rule.Per}},
		Headroom: headroom(r.rule),
	})
	if err != nil {
		return nil, err
	}
	transport, err := httplimit.NewTransport(c.connections, family, httplimit.TransportConfig{
		Slack: r.slack,
		Key:   func(r *http.Request) string { return r.Header.Get("Authorization") },
		Nice: func(r *http.Request) int {
			if r.Header.Get("Priority") == string(interactive) {
				return niceInteractive
			}
			return niceBackground
		},
	})
	if err != nil {
		return nil, err
	}
	return &plain{http: &http.Client{Transport: transport}, url: c.api.URL}, nil
}

const (
	niceInteractive = -10
	niceBackground  = 10
)

// headroom keeps a fifth of the API for interactive requests, but not for long while the backlog could use it: bursts come apart,
// and what people ask for between them finds room sooner.
func headroom(rule strict.Rule) bucket.Headroom {
	return bucket.Headroom{
		Classes: []bucket.Class{{MaxNice: niceInteractive, Share: 1}, {MaxNice: niceBackground, Share: 0.8}},
		Lift:    rule.Per / 6,
	}
}

// connect opens the connections before the clock starts: nobody races with a handshake.
func (c *contestant) connect(ctx context.Context) error {
	client := &http.Client{Transport: c.connections}
	errs := make([]error, connections)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api.Hello, nil)
			if err == nil {
				var answer *http.Response
				if answer, err = client.Do(r); err == nil {
					err = answer.Body.Close()
				}
			}
			errs[i] = err
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

// close ends the clients, then their API.
func (c *contestant) close(ctx context.Context) error {
	var errs []error
	if c.system != nil {
		errs = append(errs, c.system.Close(ctx))
	}
	c.connections.CloseIdleConnections()
	if c.api != nil {
		errs = append(errs, c.api.Close(ctx))
	}
	return errors.Join(errs...)
}

// closeAll allows ten seconds: more than anything here takes, less than a user waits for a demo that hangs.
func closeAll(contestants []*contestant) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, c := range contestants {
		errs = append(errs, c.close(ctx))
	}
	return errors.Join(errs...)
}

// tally is what became of one kind of requests. A wait lasts from the moment a user wanted something until the API answered
// 200. One that the end of the run cut off counts with the time it had lasted: without those, clients that serve a few and
// let the rest starve would look quick.
type tally struct {
	waits *waits
	mu    sync.Mutex
	open  int // cut off by the end
}

func newTally() *tally { return &tally{waits: newWaits()} }

func (t *tally) add(d time.Duration, served bool) {
	t.waits.add(d)
	if !served {
		t.mu.Lock()
		t.open++
		t.mu.Unlock()
	}
}
