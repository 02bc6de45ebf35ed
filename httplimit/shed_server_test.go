package httplimit_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/internal/linetest"
)

func TestShedServesSoManyAtOnce(t *testing.T) {
	const limit, requests = 3, 40
	q, line := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(limit)})
	entered, leave := make(chan bool, requests), make(chan bool)
	var inside, most atomic.Int64
	server := newShed(t, q, httplimit.ShedConfig{}, func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		entered <- true
		<-leave
		inside.Add(-1)
	})
	answers := make(chan map[int]int)
	go func() { answers <- statuses(t, server.Client(), server.URL, requests) }()
	line.Await(linetest.Joined, requests-limit)
	for range limit {
		<-entered
	}
	assert.Equal(t, limit, q.Info().Running)
	close(leave)
	assert.Equal(t, map[int]int{200: requests}, <-answers)
	assert.EqualValues(t, limit, most.Load(), "all the room, and no more")
}

func TestG3_ShedForgetsCallersThatLeave(t *testing.T) {
	q, line := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	var served atomic.Int64
	server := newShed(t, q, httplimit.ShedConfig{}, func(http.ResponseWriter, *http.Request) { served.Add(1) })
	done := linetest.Occupy(t, q)

	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err == nil {
			_, err = server.Client().Do(req)
		}
		left <- err
	}()
	line.Await(linetest.Joined, 1)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	line.Await(linetest.GaveUp, 1)
	done()
	assert.Equal(t, map[int]int{200: 1}, statuses(t, server.Client(), server.URL, 1))
	assert.EqualValues(t, 1, served.Load(), "the handler never saw the one that left")
	assert.EqualValues(t, 2, q.Info().Granted, "and it got no turn")
}

func TestG7_ShedServesTheUrgentFirst(t *testing.T) {
	q, line := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	order := make(chan string, 3)
	server := newShed(t, q, httplimit.ShedConfig{
		Nice: func(r *http.Request) int {
			return map[string]int{"batch": 10, "page": 0, "probe": -10}[r.Header.Get("User")]
		},
	}, func(_ http.ResponseWriter, r *http.Request) { order <- userKey(r) })
	done := linetest.Occupy(t, q)
	var callers sync.WaitGroup
	for _, user := range []string{"batch", "page", "probe"} {
		callers.Go(func() { demand(t, server.Client(), server.URL, 1, user) })
		line.Await(linetest.Joined, 1)
	}
	done()
	callers.Wait()
	assert.Equal(t, []string{"probe", "page", "batch"}, []string{<-order, <-order, <-order})
}

func TestShedHoldsTheJobWhileItStreams(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	leave := make(chan bool)
	server := newShed(t, q, httplimit.ShedConfig{}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, "first\n")
		assert.NoError(t, err)
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-leave
		assert.Implements(t, (*http.Flusher)(nil), w)
		_, _ = io.WriteString(w, "last\n")
	})
	resp, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "first\n", line)
	assert.Equal(t, 1, q.Info().Running, "it still streams")
	close(leave)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	assert.Equal(t, "last\n", string(rest))
	require.NoError(t, resp.Body.Close())
	server.Close() // waits for the handler
	assert.Zero(t, q.Info().Running)
}

func TestShedHoldsTheJobWhileItServesAHijackedConnection(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	ended := make(chan bool)
	guarded := httplimit.Shed(q, httplimit.ShedConfig{Timeout: time.Hour})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer func() { assert.NoError(t, conn.Close()) }()
		line, err := buffered.ReadString('\n')
		assert.NoError(t, err)
		_, err = io.WriteString(conn, "echo "+line)
		assert.NoError(t, err)
		_, err = buffered.ReadString('\n')
		assert.ErrorIs(t, err, io.EOF)
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guarded.ServeHTTP(w, r)
		ended <- true
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\nhi\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "echo hi\n", line)
	assert.Equal(t, 1, q.Info().Running)
	require.NoError(t, conn.Close())
	<-ended
	assert.Zero(t, q.Info().Running)
}

func TestShedLeavesPanicsToTheServer(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	var logged bytes.Buffer
	server := httptest.NewUnstartedServer(httplimit.Shed(q, httplimit.ShedConfig{})(http.HandlerFunc(breakDown)))
	server.Config.ErrorLog = log.New(&logged, "", 0)
	server.Start()
	for range 3 {
		_, err := server.Client().Get(server.URL)
		assert.ErrorIs(t, err, io.EOF, "the server cuts the connection, as it does without us")
	}
	server.Client().CloseIdleConnections()
	server.Close()
	assert.Contains(t, logged.String(), "panic serving")
	assert.Contains(t, logged.String(), "no such order")
	assert.Contains(t, logged.String(), "httplimit_test.breakDown", "with the handler in the stack")
	assert.Zero(t, q.Info().Running)
	assert.EqualValues(t, 3, q.Info().Done)
}

func breakDown(http.ResponseWriter, *http.Request) { panic("no such order") }

// TestG5_ShedUnderTenfoldOverload has 10 requests come where one can be served: the server serves as many as it can, and
// all others are answered early enough to be of use.
func TestG5_ShedUnderTenfoldOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const atATime, job, inTime = 4, 100 * time.Millisecond, time.Second
		q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(atATime), MaxSize: 20})
		handler := httplimit.Shed(q, httplimit.ShedConfig{Timeout: inTime})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(job)
		}))
		client := &http.Client{Transport: serve(t, handler)}
		defer client.CloseIdleConnections()
		start := time.Now()
		answers := make(chan int)
		const waves, wave = 30, 10 * atATime
		for range waves {
			for range wave {
				go func() {
					asked := time.Now()
					resp, err := client.Get("http://api.example/")
					if !assert.NoError(t, err) {
						answers <- 0
						return
					}
					assert.NoError(t, resp.Body.Close())
					assert.LessOrEqual(t, time.Since(asked), inTime, "everybody hears in time")
					answers <- resp.StatusCode
				}()
			}
			time.Sleep(job)
		}
		counts := make(map[int]int)
		for range waves * wave {
			counts[<-answers]++
		}
		capacity := int(time.Since(start)/job) * atATime
		assert.Equal(t, waves*wave, counts[200]+counts[503])
		assert.LessOrEqual(t, counts[200], capacity)
		assert.GreaterOrEqual(t, counts[200], capacity*99/100, "nothing of what the server can do is wasted")
		assert.Zero(t, q.Info().Waiting)
	})
}
