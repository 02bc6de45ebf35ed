// Package grpclimit runs the calls of a gRPC server through a queue of package queue: so many at once, or so many a
// second, as its regulators allow. The others wait, the more urgent first, within the deadlines that their clients sent;
// who would wait in vain is turned away early, with a status that says when to come again.
//
//	q, err := queue.Add(sys, "calls", queue.Config{Regulators: []queue.Regulator{queue.AdaptiveLimit{}}})
//	…
//	cfg := grpclimit.Config{Skip: func(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") }}
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(grpclimit.UnaryServerInterceptor(q, cfg)),
//		grpc.ChainStreamInterceptor(grpclimit.StreamServerInterceptor(q, cfg)),
//	)
//
// Both interceptors may share a queue. A stream holds its job until its handler returns, so streams that stay open for
// long do better with a queue of their own: a [queue.Counter] bounds them, and how long they take says nothing about load.
//
// # What clients see
//
//   - ResourceExhausted when the queue refuses a call, at once because it is full, or later because the call waited for
//     too long, the queue is overloaded, or the call's deadline is too near. Details: [errdetails.RetryInfo] with the
//     delay, and [errdetails.ErrorInfo] with [Domain] and the reason: FULL, TIMED_OUT, OVERLOADED, HOPELESS, REJECTED.
//     The trailer grpc-retry-pushback-ms has the delay too: a client with a retry policy for this code heeds it by itself.
//   - DeadlineExceeded and Canceled when the call's context ended while it waited.
//   - InvalidArgument when its niceness, flow or cost is none that the queue takes, which no wait would cure.
//   - Unavailable when the queue is closed or has failed.
//
// None of them says anything of the inside of the server; Config.Refused is told. The delay is what the queue needs for those who wait, 100 ms to 1
// minute, and up to half as much again, at random, so that those who were refused together do not come back together.
//
// # Jobs and handlers
//
// A handler runs on the server's goroutine. When it panics its job is given back and the panic goes on, to a recovering
// interceptor outside of these if there is one. A handler that returns DeadlineExceeded, or whose context has met its
// deadline when it returns, tells an adaptive limit that there is overload ([queue.Job.Failed]); clients that cancel do
// not, or they could lower the limit at will.
package grpclimit
