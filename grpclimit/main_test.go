package grpclimit_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/grpclimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a health service made of two functions.
type service struct {
	health.UnimplementedHealthServer
	check func(context.Context, *health.HealthCheckRequest) error
	watch func(*health.HealthCheckRequest, health.Health_WatchServer) error
}

func (s service) Check(ctx context.Context, r *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	if err := s.check(ctx, r); err != nil {
		return nil, err
	}
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

func (s service) Watch(r *health.HealthCheckRequest, stream health.Health_WatchServer) error {
	return s.watch(r, stream)
}

// ok is a check that has nothing to say.
func ok(context.Context, *health.HealthCheckRequest) error { return nil }

// witness sees what the interceptors return, and how handlers that panic end.
type witness chan error

// recovered is a panic that came through the interceptors.
type recovered struct{ value any }

func (recovered) Error() string { return "the handler panicked" }

func (w witness) unary(ctx context.Context, message any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	defer func() { err = w.see(recover(), err) }()
	return next(ctx, message)
}

func (w witness) stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = w.see(recover(), err) }()
	return next(srv, stream)
}

func (w witness) see(reason any, err error) error {
	if reason != nil {
		err = recovered{reason}
	}
	w <- err
	return err
}

// newServer is a gRPC server on loopback that runs the service's calls through the queue, and a client of it. What
// becomes of each call is told to the witness before the client hears of it.
func newServer(t testing.TB, q *queue.Queue, cfg grpclimit.Config, s health.HealthServer, opts ...grpc.DialOption) (health.HealthClient, witness) {
	t.Helper()
	seen := make(witness, 1000)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(seen.unary, grpclimit.UnaryServerInterceptor(q, cfg)),
		grpc.ChainStreamInterceptor(seen.stream, grpclimit.StreamServerInterceptor(q, cfg)),
	)
	health.RegisterHealthServer(server, s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, conn.Close())
		server.Stop()
		assert.NoError(t, <-ended)
	})
	return health.NewHealthClient(conn), seen
}
