package grpclimit_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	stock "google.golang.org/grpc/health"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/grpclimit"
	"github.com/penstock-go/penstock/internal/linetest"
)

// asked is what every test asks for.
var asked = &health.HealthCheckRequest{}

// watch opens a stream, and returns it with its first error, which a refused one has.
func watch(t testing.TB, ctx context.Context, client health.HealthClient) (health.Health_WatchClient, error) {
	t.Helper()
	stream, err := client.Watch(ctx, asked)
	require.NoError(t, err)
	_, err = stream.Recv()
	return stream, err
}

func TestSoManyCallsRunAtOnce(t *testing.T) {
	const limit, calls = 3, 30
	q, line := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(limit)})
	entered, leave := make(chan bool, calls), make(chan bool)
	var inside, most atomic.Int64
	client, _ := newServer(t, q, grpclimit.Config{}, service{check: func(context.Context, *health.HealthCheckRequest) error {
		n := inside.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		entered <- true
		<-leave
		inside.Add(-1)
		return nil
	}})
	answers := make(chan error, calls)
	for range calls {
		go func() {
			_, err := client.Check(t.Context(), asked)
			answers <- err
		}()
	}
	line.Await(linetest.Joined, calls-limit)
	for range limit {
		<-entered
	}
	assert.Equal(t, limit, q.Info().Running)
	close(leave)
	for range calls {
		assert.NoError(t, <-answers)
	}
	assert.EqualValues(t, limit, most.Load(), "all the room, and no more")
}

func TestAStreamIsOneJob(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	server := stock.NewServer() // the health service of package grpc itself
	client, seen := newServer(t, q, grpclimit.Config{}, server)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	stream, err := watch(t, ctx, client)
	require.NoError(t, err)
	assert.Equal(t, 1, q.Info().Running)

	server.SetServingStatus("", health.HealthCheckResponse_NOT_SERVING)
	reply, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, health.HealthCheckResponse_NOT_SERVING, reply.Status)
	assert.Equal(t, 1, q.Info().Running, "it is still the same job")
	_, err = client.Check(t.Context(), asked)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), "which both kinds of calls count against")
	<-seen

	leave()
	assert.Equal(t, codes.Canceled, status.Code(<-seen))
	assert.Zero(t, q.Info().Running)
	assert.EqualValues(t, 1, q.Info().Done)
	assert.Zero(t, q.Info().Failed)
	_, err = client.Check(t.Context(), asked)
	assert.NoError(t, err)
}

func TestRefusalsReachTheClient(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	client, _ := newServer(t, q, grpclimit.Config{}, service{check: ok})
	defer linetest.Occupy(t, q)()

	var trailer metadata.MD
	_, err := client.Check(t.Context(), asked, grpc.Trailer(&trailer))
	assertBusy(t, err, trailer)

	stream, err := watch(t, t.Context(), client)
	assertBusy(t, err, stream.Trailer())
	assert.EqualValues(t, 2, q.Info().Refused[queue.Full])
}

// assertBusy wants what a client of a queue that is full should be told.
func assertBusy(t *testing.T, err error, trailer metadata.MD) {
	t.Helper()
	s := status.Convert(err)
	assert.Equal(t, codes.ResourceExhausted, s.Code())
	assert.NotContains(t, s.String(), linetest.Name)
	require.Len(t, s.Details(), 2)
	delay := s.Details()[0].(*errdetails.RetryInfo).RetryDelay.AsDuration()
	assert.GreaterOrEqual(t, delay, 100*time.Millisecond)
	assert.LessOrEqual(t, delay, 150*time.Millisecond)
	info := s.Details()[1].(*errdetails.ErrorInfo)
	assert.Equal(t, "FULL", info.Reason)
	assert.Equal(t, grpclimit.Domain, info.Domain)
	require.Len(t, trailer["grpc-retry-pushback-ms"], 1)
	told, err := time.ParseDuration(trailer["grpc-retry-pushback-ms"][0] + "ms")
	require.NoError(t, err)
	assert.Equal(t, delay, told)
}

// TestClientsWithARetryPolicyComeAgainInTime has a client whose own policy is to come again after hours: it is the server's
// delay that it heeds.
func TestClientsWithARetryPolicyComeAgainInTime(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	policy := grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 2,
		"initialBackoff": "36000s", "maxBackoff": "36000s", "backoffMultiplier": 1, "retryableStatusCodes": ["RESOURCE_EXHAUSTED"]}}]}`)
	client, seen := newServer(t, q, grpclimit.Config{}, service{check: ok}, policy)
	done := linetest.Occupy(t, q)
	answer := make(chan error, 1)
	go func() {
		_, err := client.Check(t.Context(), asked)
		answer <- err
	}()
	assert.Equal(t, codes.ResourceExhausted, status.Code(<-seen))
	done()
	assert.NoError(t, <-answer)
	assert.NoError(t, <-seen)
}

func TestCallsThatNoWaitCures(t *testing.T) {
	sys, err := penstock.New()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sys.Close(context.Background())) })
	q, err := queue.Add(sys, "calls", queue.Config{Regulators: linetest.AtOnce(3)})
	require.NoError(t, err)
	client, _ := newServer(t, q, grpclimit.Config{Cost: func(ctx context.Context, _ string) int {
		md, _ := metadata.FromIncomingContext(ctx)
		return len(strings.Join(md["load"], ""))
	}}, service{check: ok})

	_, err = client.Check(metadata.AppendToOutgoingContext(t.Context(), "load", "xxx"), asked)
	assert.NoError(t, err)
	heavy := metadata.AppendToOutgoingContext(t.Context(), "load", "xxxx")
	_, err = client.Check(heavy, asked)
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = watch(t, heavy, client)
	assert.Equal(t, codes.InvalidArgument, status.Code(err))

	require.True(t, queue.Delete(sys, "calls"))
	_, err = client.Check(t.Context(), asked)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	_, err = watch(t, t.Context(), client)
	assert.Equal(t, codes.Unavailable, status.Code(err))
}

func TestSkippedMethodsPassWithoutTheQueue(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Action: queue.Reject})
	client, _ := newServer(t, q, grpclimit.Config{Skip: func(method string) bool {
		return strings.HasPrefix(method, "/grpc.health.v1.Health/")
	}}, stock.NewServer())
	_, err := client.Check(t.Context(), asked)
	assert.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	_, err = watch(t, ctx, client)
	assert.NoError(t, err)
	assert.Zero(t, q.Info().Asked)
}

func TestCallsAskForNicenessFlowAndCost(t *testing.T) {
	requests := make(chan queue.Request, 1)
	q, _ := linetest.Queue(t, queue.Config{Stateful: queue.NewStateful(0, func(n int, r queue.Request) (int, any) {
		requests <- r
		return n, nil
	}, nil)})
	account := func(ctx context.Context, method string) string {
		md, _ := metadata.FromIncomingContext(ctx)
		return strings.Join(md["account"], "") + " " + method
	}
	client, _ := newServer(t, q, grpclimit.Config{
		Nice: func(context.Context, string) int { return -7 },
		Flow: account,
		Cost: func(context.Context, string) int { return 5 },
	}, stock.NewServer())
	ctx, leave := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "account", "ann"))
	defer leave()
	_, err := client.Check(ctx, asked)
	require.NoError(t, err)
	assert.Equal(t, queue.Request{Nice: -7, Flow: "ann /grpc.health.v1.Health/Check", Cost: 5}, <-requests)
	_, err = watch(t, ctx, client)
	require.NoError(t, err)
	assert.Equal(t, queue.Request{Nice: -7, Flow: "ann /grpc.health.v1.Health/Watch", Cost: 5}, <-requests)
}

func TestG3_ClientsThatCancelCostNothing(t *testing.T) {
	q, line := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	var served atomic.Int64
	client, seen := newServer(t, q, grpclimit.Config{}, service{check: func(context.Context, *health.HealthCheckRequest) error {
		served.Add(1)
		return nil
	}})
	done := linetest.Occupy(t, q)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 2)
	go func() {
		_, err := client.Check(ctx, asked)
		left <- err
	}()
	go func() {
		_, err := watch(t, ctx, client)
		left <- err
	}()
	line.Await(linetest.Joined, 2)
	leave()
	for range 2 {
		assert.Equal(t, codes.Canceled, status.Code(<-left))
		assert.Equal(t, codes.Canceled, status.Code(<-seen))
	}
	done()
	_, err := client.Check(t.Context(), asked)
	assert.NoError(t, err)
	assert.EqualValues(t, 1, served.Load(), "the handler never saw those that left")
	assert.EqualValues(t, 2, q.Info().Granted, "and they got no turn")
}

func TestG7_UrgentCallsGoFirst(t *testing.T) {
	q, line := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1)})
	order := make(chan string, 3)
	nice := map[string]int{"batch": 10, "page": 0, "probe": -10}
	client, _ := newServer(t, q, grpclimit.Config{Nice: func(ctx context.Context, _ string) int {
		md, _ := metadata.FromIncomingContext(ctx)
		return nice[md["kind"][0]]
	}}, service{check: func(_ context.Context, r *health.HealthCheckRequest) error {
		order <- r.Service
		return nil
	}})
	done := linetest.Occupy(t, q)
	answers := make(chan error, 3)
	for _, kind := range []string{"batch", "page", "probe"} {
		go func() {
			_, err := client.Check(metadata.AppendToOutgoingContext(t.Context(), "kind", kind), &health.HealthCheckRequest{Service: kind})
			answers <- err
		}()
		line.Await(linetest.Joined, 1)
	}
	done()
	assert.Equal(t, []string{"probe", "page", "batch"}, []string{<-order, <-order, <-order})
	for range 3 {
		assert.NoError(t, <-answers)
	}
}

func TestPanicsReachTheServersOwnInterceptors(t *testing.T) {
	q, _ := linetest.Queue(t, queue.Config{Regulators: linetest.AtOnce(1), MaxSize: queue.NoWaiting})
	client, seen := newServer(t, q, grpclimit.Config{}, service{
		check: func(context.Context, *health.HealthCheckRequest) error { panic("unary") },
		watch: func(*health.HealthCheckRequest, health.Health_WatchServer) error { panic("stream") },
	})
	_, err := client.Check(t.Context(), asked)
	assert.Error(t, err)
	assert.Equal(t, recovered{"unary"}, <-seen)
	_, err = watch(t, t.Context(), client)
	assert.Error(t, err)
	assert.Equal(t, recovered{"stream"}, <-seen)
	assert.Zero(t, q.Info().Running)
	assert.EqualValues(t, 2, q.Info().Done)
}
