package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/penstock-go/penstock/messages"
)

// A request and its answer have the sizes that those of buckets have.
const (
	bareBody   = 24 // bytes of a request, less who it is for
	bareAnswer = 24
	bareMost   = 256 // requests in a message, when they go together

	bareWindow = 1 << 20 // bytes that may be under way, as between nodes: without it gRPC pings all the time to find out
)

// bareServer answers what comes on bare streams: each request by itself, or all of a message together.
type bareServer struct{ address string }

// bareService is a stream of requests that is answered with a stream of answers.
var bareService = grpc.ServiceDesc{
	ServiceName: "bench.Bare",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName: "Exchange", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error { return answerBare(s) },
	}},
}

func answerBare(s grpc.ServerStream) error {
	payload := make([]byte, bareAnswer)
	for {
		in := new(messages.Batch)
		if err := s.RecvMsg(in); err != nil {
			return err
		}
		out := new(messages.Batch)
		for _, r := range in.Requests {
			out.Answers = append(out.Answers, &messages.Answer{Id: r.Id, Kind: 1, Payload: payload})
		}
		if err := s.SendMsg(out); err != nil {
			return err
		}
	}
}

func serveBare(mutual *tls.Config) (*bareServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	both := mutual.Clone()
	both.ClientAuth = tls.RequireAndVerifyClientCert
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(both)), grpc.StaticStreamWindowSize(bareWindow), grpc.StaticConnWindowSize(bareWindow))
	server.RegisterService(&bareService, nil)
	go func() { _ = server.Serve(listener) }() // ends with the process
	return &bareServer{listener.Addr().String()}, nil
}

// bareLink is the stream to one peer. A call is matched with its answer by its number.
type bareLink struct {
	stream  grpc.ClientStream
	batched bool
	wake    chan struct{} // capacity 1: something stands in line

	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan struct{}
	line    []*messages.Request
}

var errBareLost = errors.New("the bare stream is lost")

func dialBare(peer string, mutual *tls.Config, batched bool) (*bareLink, error) {
	conn, err := grpc.NewClient(peer, grpc.WithTransportCredentials(credentials.NewTLS(mutual)), grpc.WithStaticStreamWindowSize(bareWindow), grpc.WithStaticConnWindowSize(bareWindow))
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(context.Background(), &bareService.Streams[0], "/bench.Bare/Exchange")
	if err != nil {
		return nil, fmt.Errorf("a bare stream to %s: %w", peer, err)
	}
	l := &bareLink{stream: stream, batched: batched, wake: make(chan struct{}, 1), pending: make(map[uint64]chan struct{})}
	go l.read()
	go l.write()
	return l, nil
}

// call asks, and waits for the answer.
func (l *bareLink) call(payload []byte, answered chan struct{}) error {
	l.mu.Lock()
	if l.pending == nil {
		l.mu.Unlock()
		return errBareLost
	}
	l.last++
	l.pending[l.last] = answered
	l.line = append(l.line, &messages.Request{Id: l.last, Kind: 1, Epoch: 1, Payload: payload})
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	if _, ok := <-answered; !ok {
		return errBareLost
	}
	return nil
}

// write sends what stands in line: one request in a message, or as many as there are.
func (l *bareLink) write() {
	for range l.wake {
		for {
			l.mu.Lock()
			line := l.line
			l.line = nil
			l.mu.Unlock()
			if len(line) == 0 {
				break
			}
			for len(line) > 0 {
				n := 1
				if l.batched {
					n = min(len(line), bareMost)
				}
				if err := l.stream.SendMsg(&messages.Batch{Requests: line[:n]}); err != nil {
					return // whoever reads the stream is told as well
				}
				line = line[n:]
			}
		}
	}
}

func (l *bareLink) read() {
	for {
		in := new(messages.Batch)
		err := l.stream.RecvMsg(in)
		l.mu.Lock()
		if err != nil {
			for _, answered := range l.pending {
				close(answered)
			}
			l.pending = nil
			l.mu.Unlock()
			return
		}
		for _, a := range in.Answers {
			answered := l.pending[a.Id]
			delete(l.pending, a.Id)
			answered <- struct{}{}
		}
		l.mu.Unlock()
	}
}

// bareCalls is a caller whose requests go one in a message, bareBatches one whose requests go with others'.
func (n *node) bareCalls(caller int) func(context.Context, int) error {
	return n.bareCaller("bare", caller)
}

func (n *node) bareBatches(caller int) func(context.Context, int) error {
	return n.bareCaller("batched", caller)
}

func (n *node) bareCaller(side string, caller int) func(context.Context, int) error {
	links := n.links[side]
	payload := make([]byte, bareBody+len(one)+len("bench")+len("n1")+8) // with what says who it is for
	answered := make(chan struct{}, 1)
	return func(_ context.Context, i int) error { return links[(caller+i)%len(links)].call(payload, answered) }
}
