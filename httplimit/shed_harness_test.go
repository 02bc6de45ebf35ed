package httplimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
)

// event is something that happened in a queue's line.
type event uint8

const (
	joined event = iota // a request is in line
	gaveUp              // one is no longer, because its caller gave up
)

// events tells a test what happens in a queue, as it happens.
type events chan event

// await returns when the event has happened n times more.
func (e events) await(what event, n int) {
	for n > 0 {
		if <-e == what {
			n--
		}
	}
}

// line is a queue's line that tells of its events.
type line struct {
	*queue.Line[queue.Ticket]
	events events
}

func (l line) In(now time.Time, x *queue.Item[queue.Ticket]) error {
	err := l.Line.In(now, x)
	l.events <- joined
	return err
}

func (l line) Remove(x *queue.Item[queue.Ticket]) bool {
	l.events <- gaveUp
	return l.Line.Remove(x)
}

// newQueue is a queue in a system of its own, which ends with the test.
func newQueue(t testing.TB, cfg queue.Config) (*queue.Queue, events) {
	t.Helper()
	sys, err := penstock.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sys.Close(context.Background())) })
	happens := make(events, 10_000)
	cfg.Behavior = func() queue.Behavior[queue.Ticket] {
		return line{queue.NewLine[queue.Ticket](queue.LineConfig{}), happens}
	}
	q, err := queue.Add(sys, "web", cfg)
	require.NoError(t, err)
	return q, happens
}

// atOnce lets n jobs run at the same time.
func atOnce(n int) []queue.Regulator { return []queue.Regulator{queue.Counter{Limit: n}} }

// occupy takes a job out of the queue, and returns what gives it back.
func occupy(t testing.TB, q *queue.Queue) (done func()) {
	t.Helper()
	job, err := q.Ask(context.Background(), queue.Request{})
	require.NoError(t, err)
	return job.Done
}

// newShed is a server on loopback that runs handler through the queue.
func newShed(t testing.TB, q *queue.Queue, cfg httplimit.ShedConfig, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewServer(httplimit.Shed(q, cfg)(handler))
	t.Cleanup(func() {
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return server
}

// statuses sends n requests at once and counts the answers by their status.
func statuses(t testing.TB, client *http.Client, url string, n int) map[int]int {
	answers := make(chan int, n)
	for range n {
		go func() {
			resp, err := client.Get(url)
			if !assert.NoError(t, err) {
				answers <- 0
				return
			}
			assert.NoError(t, resp.Body.Close())
			answers <- resp.StatusCode
		}()
	}
	counts := make(map[int]int)
	for range n {
		counts[<-answers]++
	}
	return counts
}
