package httplimit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
)

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
