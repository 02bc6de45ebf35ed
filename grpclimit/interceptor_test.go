package grpclimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/grpclimit"
	"github.com/penstock-go/penstock/internal/linetest"
)

// These tests call the interceptors as the server does, so that deadlines can be met on virtual time.

// call runs a handler through one of the interceptors.
type call func(ctx context.Context, handler func(context.Context) error) error

func unary(q *queue.Queue, cfg grpclimit.Config) call {
	intercept := grpclimit.UnaryServerInterceptor(q, cfg)
	return func(ctx context.Context, handler func(context.Context) error) error {
		_, err := intercept(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/shop/Buy"}, func(ctx context.Context, _ any) (any, error) {
			return nil, handler(ctx)
		})
		return err
	}
}

func streaming(q *queue.Queue, cfg grpclimit.Config) call {
	intercept := grpclimit.StreamServerInterceptor(q, cfg)
	return func(ctx context.Context, handler func(context.Context) error) error {
		return intercept(nil, stream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/shop/Buy"}, func(_ any, s grpc.ServerStream) error {
			return handler(s.Context())
		})
	}
}

// stream is a stream that nothing goes through.
type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context { return s.ctx }
func (s stream) SetTrailer(metadata.MD)   {}

// both runs a test in virtual time, for either interceptor.
func both(t *testing.T, cfg queue.Config, test func(t *testing.T, q *queue.Queue, through call)) {
	for name, intercept := range map[string]func(*queue.Queue, grpclimit.Config) call{"unary": unary, "stream": streaming} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _ := linetest.Queue(t, cfg)
				test(t, q, intercept(q, grpclimit.Config{}))
			})
		})
	}
}

func never(context.Context) error { return errors.New("the handler should not run") }

func TestWaitEndsWithTheDeadline(t *testing.T) {
	both(t, queue.Config{Regulators: linetest.AtOnce(1)}, func(t *testing.T, q *queue.Queue, through call) {
		done := linetest.Occupy(t, q)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		assert.Equal(t, codes.DeadlineExceeded, status.Code(through(ctx, never)))
		assert.Equal(t, 2*time.Second, time.Since(start))
		done()
		assert.NoError(t, through(t.Context(), func(context.Context) error { return nil }), "giving up cost nothing")
	})
}

func TestWaitEndsAfterMaxTime(t *testing.T) {
	both(t, queue.Config{Regulators: linetest.AtOnce(1), MaxTime: 3 * time.Second}, func(t *testing.T, q *queue.Queue, through call) {
		defer linetest.Occupy(t, q)()
		start := time.Now()
		assert.Equal(t, codes.ResourceExhausted, status.Code(through(t.Context(), never)))
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestCallsThatCannotBeServedInTimeAreRefusedEarly(t *testing.T) {
	both(t, queue.Config{Regulators: linetest.AtOnce(1)}, func(t *testing.T, q *queue.Queue, through call) {
		slow := func(context.Context) error { time.Sleep(10 * time.Second); return nil }
		require.NoError(t, through(t.Context(), slow)) // the queue learns what a job takes
		defer linetest.Occupy(t, q)()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		assert.Equal(t, codes.ResourceExhausted, status.Code(through(ctx, never)))
		assert.Zero(t, time.Since(start))
		assert.EqualValues(t, 1, q.Info().Refused[queue.Hopeless])
	})
}

func TestOnlyDeadlinesAreTakenForOverload(t *testing.T) {
	untilDone := func(ctx context.Context) error { <-ctx.Done(); return nil }
	for name, c := range map[string]struct {
		handler func(context.Context) error
		failed  bool
	}{
		"returns nil":              {func(context.Context) error { return nil }, false},
		"returns another error":    {func(context.Context) error { return status.Error(codes.Internal, "broken") }, false},
		"returns the code":         {func(context.Context) error { return status.Error(codes.DeadlineExceeded, "late") }, true},
		"returns the cause":        {func(context.Context) error { return context.DeadlineExceeded }, true},
		"returns after the moment": {untilDone, true},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, queue.Config{Regulators: linetest.AtOnce(1)}, func(t *testing.T, q *queue.Queue, through call) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = through(ctx, c.handler)
				assert.EqualValues(t, 1, q.Info().Done)
				assert.Equal(t, c.failed, q.Info().Failed == 1)
			})
		})
	}
	both(t, queue.Config{Regulators: linetest.AtOnce(1)}, func(t *testing.T, q *queue.Queue, through call) {
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		assert.NoError(t, through(ctx, untilDone))
		assert.Zero(t, q.Info().Failed, "a client that leaves")
	})
}

func TestPanicsGoOn(t *testing.T) {
	both(t, queue.Config{Regulators: linetest.AtOnce(1)}, func(t *testing.T, q *queue.Queue, through call) {
		assert.PanicsWithValue(t, "no such order", func() {
			_ = through(t.Context(), func(context.Context) error { panic("no such order") })
		})
		assert.Zero(t, q.Info().Running, "the job was given back")
		assert.EqualValues(t, 1, q.Info().Done)
	})
	bad := queue.NewStateful(0, func(int, queue.Request) (int, any) { panic("bad state") }, nil)
	both(t, queue.Config{Stateful: bad}, func(t *testing.T, _ *queue.Queue, through call) {
		err := through(t.Context(), never)
		assert.Equal(t, codes.Unavailable, status.Code(err), "one of the queue's own functions is a refusal")
		assert.NotContains(t, err.Error(), "bad state")
	})
}

func TestRefusalsAreTold(t *testing.T) {
	for name, intercept := range map[string]func(*queue.Queue, grpclimit.Config) call{"unary": unary, "stream": streaming} {
		t.Run(name, func(t *testing.T) {
			q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
			var told []error
			var asked string
			through := intercept(q, grpclimit.Config{Refused: func(_ context.Context, method string, err error) {
				asked, told = method, append(told, err)
			}})
			require.NoError(t, through(t.Context(), func(context.Context) error { return nil }))
			assert.Empty(t, told)
			defer linetest.Occupy(t, q)()
			assert.Equal(t, codes.ResourceExhausted, status.Code(through(t.Context(), never)))
			require.Len(t, told, 1)
			assert.ErrorIs(t, told[0], penstock.ErrFull)
			assert.Equal(t, "/shop/Buy", asked)
		})
	}
}

func TestInterceptorsNeedAQueueThatTakesRequests(t *testing.T) {
	produces, _ := linetest.Queue(t, queue.Config{
		Regulators: []queue.Regulator{queue.Rate{PerSecond: 0}},
		Producer:   queue.Produce(never),
	})
	for _, q := range []*queue.Queue{nil, produces} {
		assert.Panics(t, func() { grpclimit.UnaryServerInterceptor(q, grpclimit.Config{}) })
		assert.Panics(t, func() { grpclimit.StreamServerInterceptor(q, grpclimit.Config{}) })
	}
}
