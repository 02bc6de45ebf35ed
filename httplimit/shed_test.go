package httplimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/httplimit"
	"github.com/penstock-go/penstock/internal/linetest"
)

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }

func TestShedRefusesWithAProblem(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	server := newShed(t, q, httplimit.ShedConfig{}, hello)
	done := linetest.Occupy(t, q)

	resp, content := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	assert.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	require.NoError(t, err)
	assert.Contains(t, []int{1, 2}, seconds)
	var problem struct {
		Type, Title, Detail string
		Status, RetryAfter  int
	}
	require.NoError(t, json.Unmarshal([]byte(content), &problem))
	assert.Equal(t, "about:blank", problem.Type)
	assert.Equal(t, "Service Unavailable", problem.Title)
	assert.Equal(t, http.StatusServiceUnavailable, problem.Status)
	assert.Equal(t, seconds, problem.RetryAfter)
	assert.NotContains(t, content, linetest.Name, "the queue's name is not for callers")

	resp, content = ask(t, server, http.MethodHead, "ann")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	assert.Empty(t, content)

	done()
	resp, content = ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "hello", content)
	assert.Empty(t, resp.Header.Get("Retry-After"))
	assert.EqualValues(t, 2, q.Info().Refused[queue.Full])
}

func TestShedRejectsAndCloses(t *testing.T) {
	sys, err := penstock.New()
	require.NoError(t, err)
	defer func() { assert.NoError(t, sys.Close(context.Background())) }()
	q, err := queue.Add(sys, "web", queue.Config{Action: queue.Reject})
	require.NoError(t, err)
	server := newShed(t, q, httplimit.ShedConfig{}, hello)

	resp, _ := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	assert.NotEmpty(t, resp.Header.Get("Retry-After"))

	require.True(t, queue.Delete(sys, "web"))
	resp, content := ask(t, server, http.MethodGet, "ann")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	assert.Empty(t, resp.Header.Get("Retry-After"))
	assert.Contains(t, content, "shutting down")
}

func TestShedRefusesWhatNoWaitCures(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(3)})
	number := func(field string) func(*http.Request) int {
		return func(r *http.Request) int {
			n, _ := strconv.Atoi(r.Header.Get(field))
			return n
		}
	}
	handler := httplimit.Shed(q, httplimit.ShedConfig{Nice: number("Nice"), Cost: number("Cost"), Flow: userKey})(http.HandlerFunc(hello))
	for field, want := range map[string]int{
		"Nice: 19":                            200,
		"Nice: 99":                            400,
		"Cost: 3":                             200,
		"Cost: 4":                             400, // over the counter
		"Cost: -1":                            400,
		"User: ann":                           200,
		"User: " + strings.Repeat("a", 513):   400,
		"User: " + string([]byte{0xff, 0xfe}): 400,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = fields(field)
		handler.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, field)
		assert.Empty(t, w.Header().Get("Retry-After"), field)
	}
}

func TestShedAsksForNicenessFlowAndCost(t *testing.T) {
	var asked []queue.Request
	q, _ := linetest.Queue(t, queue.Config{Stateful: queue.NewStateful(0, func(n int, r queue.Request) (int, any) {
		asked = append(asked, r)
		return n, nil
	}, nil)})
	handler := httplimit.Shed(q, httplimit.ShedConfig{
		Nice: func(*http.Request) int { return -7 },
		Flow: userKey,
		Cost: func(r *http.Request) int { return int(r.ContentLength) },
	})(http.HandlerFunc(hello))
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("12345"))
	r.Header.Set("User", "ann")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	httplimit.Shed(q, httplimit.ShedConfig{})(http.HandlerFunc(hello)).ServeHTTP(httptest.NewRecorder(), r)
	assert.Equal(t, []queue.Request{{Nice: -7, Flow: "ann", Cost: 5}, {Cost: 1}}, asked)
}

// respond has the handler answer one request in memory.
func respond(handler http.Handler) *http.Response {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Result()
}

func TestShedTimeoutCoversTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
		handler := httplimit.Shed(q, httplimit.ShedConfig{Timeout: 2 * time.Second})(http.HandlerFunc(hello))
		done := linetest.Occupy(t, q)
		start := time.Now()
		resp := respond(handler)
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		assert.NotEmpty(t, resp.Header.Get("Retry-After"))
		done()
		assert.Equal(t, http.StatusOK, respond(handler).StatusCode, "giving up cost nothing")
	})
}

func TestShedTimeoutCoversTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
		var had time.Duration
		handler := httplimit.Shed(q, httplimit.ShedConfig{Timeout: 2 * time.Second})(
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				start := time.Now()
				<-r.Context().Done()
				had = time.Since(start)
			}))
		time.AfterFunc(500*time.Millisecond, linetest.Occupy(t, q))
		respond(handler)
		assert.Equal(t, 1500*time.Millisecond, had, "what the wait left of it")
		assert.EqualValues(t, 1, q.Info().Failed)
		assert.EqualValues(t, 2, q.Info().Done)
		assert.Zero(t, q.Info().Running)
	})
}

func TestShedTakesOnlyDeadlinesForOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
		handler := httplimit.Shed(q, httplimit.ShedConfig{})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}))
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		assert.Zero(t, q.Info().Failed, "a caller that leaves")
		assert.EqualValues(t, 1, q.Info().Done)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		assert.EqualValues(t, 1, q.Info().Failed, "a deadline that another middleware has set")
	})
}

func TestShedRefusesInTimeWhomItCannotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
		slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Second) })
		respond(httplimit.Shed(q, httplimit.ShedConfig{})(slow)) // the queue learns what a job takes
		done := linetest.Occupy(t, q)
		start := time.Now()
		resp := respond(httplimit.Shed(q, httplimit.ShedConfig{Timeout: 3 * time.Second})(slow))
		assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		assert.Zero(t, time.Since(start), "its deadline is too near, so it need not wait for it")
		assert.EqualValues(t, 1, q.Info().Refused[queue.Hopeless])
		done()
	})
}

func TestShedRefusesAfterMaxTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxTime: 3 * time.Second})
		defer linetest.Occupy(t, q)()
		start := time.Now()
		resp := respond(httplimit.Shed(q, httplimit.ShedConfig{})(http.HandlerFunc(hello)))
		assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		assert.NotEmpty(t, resp.Header.Get("Retry-After"))
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestShedNeverAnswersNothing(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	defer linetest.Occupy(t, q)()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	httplimit.Shed(q, httplimit.ShedConfig{})(http.HandlerFunc(hello)).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "net/http would make a 200 of silence")
	assert.Empty(t, w.Header().Get("Retry-After"))
}

func TestShedLetsPanicsThrough(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	for _, value := range []any{"broken", http.ErrAbortHandler} {
		handler := httplimit.Shed(q, httplimit.ShedConfig{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) }))
		assert.PanicsWithValue(t, value, func() { respond(handler) })
		assert.Zero(t, q.Info().Running, "the job was given back")
	}
	assert.EqualValues(t, 2, q.Info().Done)
	assert.Zero(t, q.Info().Failed)

	q, _ = linetest.Queue(t, queue.Config{Stateful: queue.NewStateful(0, func(int, queue.Request) (int, any) { panic("bad state") }, nil)})
	var why error
	resp := respond(httplimit.Shed(q, httplimit.ShedConfig{
		Refused: func(_ *http.Request, err error) { why = err },
	})(http.HandlerFunc(hello)))
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	var panicked *penstock.PanicError
	require.ErrorAs(t, why, &panicked, "one of the queue's own functions is a refusal")
	assert.Equal(t, "bad state", panicked.Value)
}

func TestShedTellsWhy(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	var told []error
	var asked *http.Request
	handler := httplimit.Shed(q, httplimit.ShedConfig{Refused: func(r *http.Request, err error) {
		asked, told = r, append(told, err)
	}})(http.HandlerFunc(hello))
	require.Equal(t, http.StatusOK, respond(handler).StatusCode)
	assert.Empty(t, told)
	defer linetest.Occupy(t, q)()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders", nil)
	handler.ServeHTTP(w, r)
	require.Len(t, told, 1)
	assert.ErrorIs(t, told[0], penstock.ErrFull)
	assert.Equal(t, "/orders", asked.URL.Path)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
}

func TestShedNamesEveryBadField(t *testing.T) {
	says := func(q *queue.Queue, cfg httplimit.ShedConfig) (text string) {
		defer func() {
			if err, ok := recover().(error); ok {
				text = err.Error()
			}
		}()
		httplimit.Shed(q, cfg)
		return ""
	}
	text := says(nil, httplimit.ShedConfig{Timeout: -1})
	assert.Contains(t, text, "the queue is nil; it takes one from queue.Add")
	assert.Contains(t, text, "Timeout is -1ns; it takes a positive duration, or 0 for none")
	produces, _ := linetest.Queue(t, queue.Config{
		Regulators: []queue.Regulator{queue.Rate{PerSecond: 0}},
		Producer:   queue.Produce(func(context.Context) error { return nil }),
	})
	assert.Contains(t, says(produces, httplimit.ShedConfig{}), fmt.Sprintf("queue %q has a producer", linetest.Name))
	q, _ := linetest.Queue(t, queue.Config{})
	assert.Empty(t, says(q, httplimit.ShedConfig{}))
}
