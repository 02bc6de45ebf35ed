package grpclimit_test

import (
	"context"
	"fmt"
	"net"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	stock "google.golang.org/grpc/health"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/grpclimit"
)

// A server that finds out itself how many calls it can serve at once, and turns away whom it cannot serve.
func Example() {
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(context.Background())
	q, err := queue.Add(sys, "calls", queue.Config{
		Regulators: []queue.Regulator{queue.AdaptiveLimit{}},
		Order:      queue.Adaptive, // in an overloaded queue, the latest first: they can still be served in time
	})
	if err != nil {
		panic(err)
	}
	cfg := grpclimit.Config{
		Nice: func(_ context.Context, method string) int {
			if strings.HasPrefix(method, "/shop.Reports/") {
				return 10
			}
			return 0
		},
	}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpclimit.UnaryServerInterceptor(q, cfg)),
		grpc.ChainStreamInterceptor(grpclimit.StreamServerInterceptor(q, cfg)),
	)
	defer server.Stop()
	health.RegisterHealthServer(server, stock.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go server.Serve(listener)

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	client := health.NewHealthClient(conn)
	reply, err := client.Check(context.Background(), &health.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)

	// Somebody turns the valve off: everybody is told to come again.
	if err := q.SetAction(queue.Reject); err != nil {
		panic(err)
	}
	_, err = client.Check(context.Background(), &health.HealthCheckRequest{})
	fmt.Println(status.Code(err))
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.RetryInfo:
			fmt.Println("come again later:", d.RetryDelay.AsDuration() > 0)
		case *errdetails.ErrorInfo:
			fmt.Println(d.Reason)
		}
	}
	// Output:
	// SERVING <nil>
	// ResourceExhausted
	// come again later: true
	// REJECTED
}
