package mill

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gate is a handler that tells when it runs and ends when it is let.
type gate struct {
	runs chan string // receives the request's path
	end  chan struct{}
}

func newGate() *gate { return &gate{runs: make(chan string, 100), end: make(chan struct{})} }

func (g *gate) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	g.runs <- r.URL.Path
	<-g.end
}

// serve hands a request to h and returns its recorder, which is complete when done is.
func serveOne(ctx context.Context, done *sync.WaitGroup, h http.Handler, path, priority string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.Header.Set("Priority", priority)
	done.Go(func() { h.ServeHTTP(recorder, r) })
	return recorder
}

func TestUnknownGuard(t *testing.T) {
	_, _, err := Guard("moat").handler(newGate(), time.Second)
	assert.ErrorContains(t, err, `guard is "moat", it takes "none", "semaphore" or "queue"`)
}

func TestNoGuardLetsEverybodyIn(t *testing.T) {
	g := newGate()
	h, stop, err := None.handler(g, time.Second)
	require.NoError(t, err)
	var done sync.WaitGroup
	for range 10 {
		serveOne(t.Context(), &done, h, "/", "")
	}
	for range 10 {
		<-g.runs
	}
	close(g.end)
	done.Wait()
	assert.NoError(t, stop(t.Context()))
}

// TestSemaphoreLetsTwoIn: a third waits until one is done, and one whose client leaves is never handled.
func TestSemaphoreLetsTwoIn(t *testing.T) {
	g := newGate()
	h, stop, err := Semaphore.handler(g, time.Second)
	require.NoError(t, err)
	var done, left sync.WaitGroup
	for range 2 {
		serveOne(t.Context(), &done, h, "/first", "")
		assert.Equal(t, "/first", <-g.runs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	serveOne(ctx, &left, h, "/leaves", "")
	cancel()
	left.Wait()
	serveOne(t.Context(), &done, h, "/third", "")
	assert.Empty(t, g.runs)
	close(g.end)
	done.Wait()
	assert.Equal(t, "/third", <-g.runs)
	assert.Empty(t, g.runs)
	assert.NoError(t, stop(t.Context()))
}

// TestQueueRefusesWhoCannotBeServedInTime: those whose deadline comes while they wait are told when to come back, whatever
// their urgency.
func TestQueueRefusesWhoCannotBeServedInTime(t *testing.T) {
	g := newGate()
	h, stop, err := Queue.handler(g, 50*time.Millisecond)
	require.NoError(t, err)
	var handled, refused sync.WaitGroup
	for range atOnce {
		serveOne(t.Context(), &handled, h, "/first", "")
		<-g.runs
	}
	waits := []*httptest.ResponseRecorder{serveOne(t.Context(), &refused, h, "/", ""), serveOne(t.Context(), &refused, h, "/", Urgent)}
	refused.Wait()
	for _, answer := range waits {
		assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
		assert.NotEmpty(t, answer.Header().Get("Retry-After"))
	}
	assert.Empty(t, g.runs)
	close(g.end)
	handled.Wait()
	assert.NoError(t, stop(t.Context()))
}
