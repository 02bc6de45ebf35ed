package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
)

// closedClients keep a server busy without a break when they ask one after the other: while one reads its answer the others wait.
const closedClients = 3

// capacity is how many requests a server without load answers in a second of processor time, which others take away from it
// as they like. A few clients ask for the next thing when they have got the one before.
func (o overload) capacity(ctx context.Context, work mill.Work) (perSecond float64, err error) {
	server, err := mill.Start(mill.Config{Guard: mill.None, Work: work})
	if err != nil {
		return 0, err
	}
	err = occupy(ctx, server.URL, o.sample)
	totals, closeErr := server.Close()
	if totals.Done == 0 || totals.Processor == 0 {
		err = cmp.Or(err, errors.New("the server did nothing"))
	}
	return float64(totals.Done) / totals.Processor.Seconds(), errors.Join(err, closeErr)
}

// occupy keeps a server busy for d.
func occupy(ctx context.Context, url string, d time.Duration) error {
	connections := &http.Transport{MaxConnsPerHost: closedClients, MaxIdleConnsPerHost: closedClients}
	defer connections.CloseIdleConnections()
	client := &http.Client{Transport: connections}
	errs := make([]error, closedClients)
	var done sync.WaitGroup
	start := time.Now()
	for i := range errs {
		done.Go(func() {
			for errs[i] == nil && time.Since(start) < d {
				var status int
				status, _, errs[i] = ask(ctx, client, url, background)
				if errs[i] == nil && status != http.StatusOK {
					errs[i] = fmt.Errorf("the server answered %d", status)
				}
			}
		})
	}
	done.Wait()
	return errors.Join(errs...)
}
