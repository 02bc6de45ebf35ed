package grpclimit

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/penstock-go/penstock/actors/queue"
)

// UnaryServerInterceptor runs unary calls through q, each as one job. It panics if q is nil or has a producer.
func UnaryServerInterceptor(q *queue.Queue, cfg Config) grpc.UnaryServerInterceptor {
	need(q)
	return func(ctx context.Context, message any, call *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
		if cfg.skips(call.FullMethod) {
			return handler(ctx, message)
		}
		job, err := q.Ask(ctx, cfg.request(ctx, call.FullMethod))
		if err != nil {
			trail := func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) } // cannot fail on a server
			return nil, cfg.refuse(ctx, call.FullMethod, err, trail)
		}
		defer func() { giveBack(ctx, job, err) }()
		return handler(ctx, message)
	}
}

// StreamServerInterceptor runs streaming calls through q: a stream is one job, from before its handler is called until it
// returns. It panics if q is nil or has a producer.
func StreamServerInterceptor(q *queue.Queue, cfg Config) grpc.StreamServerInterceptor {
	need(q)
	return func(service any, stream grpc.ServerStream, call *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		if cfg.skips(call.FullMethod) {
			return handler(service, stream)
		}
		ctx := stream.Context()
		job, err := q.Ask(ctx, cfg.request(ctx, call.FullMethod))
		if err != nil {
			return cfg.refuse(ctx, call.FullMethod, err, stream.SetTrailer)
		}
		defer func() { giveBack(ctx, job, err) }()
		return handler(service, stream)
	}
}

// giveBack ends a job whose handler returned err, or panicked.
func giveBack(ctx context.Context, job *queue.Job, err error) {
	if status.Code(err) == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		job.Failed()
		return
	}
	job.Done()
}
