package etcd

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wire is what a client's calls go through. It does to the next transaction that writes what it was told.
type wire struct {
	mu         sync.Mutex
	next       func(call func(context.Context) error) error
	writes     int              // transactions that write, and grants
	granted    clientv3.LeaseID // the last one
	keepAlives int
	term       func(uint64) uint64 // what becomes of the term in a keep-alive's answer
}

// wiredClient is a client of the server at its usual port, and of a prefix.
func wiredClient(t testing.TB) (*clientv3.Client, string, *wire) {
	t.Helper()
	_, prefix := newClient(t)
	w := &wire{}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{server}, Logger: zap.NewNop(), DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(w.unary), grpc.WithChainStreamInterceptor(w.stream),
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client, prefix, w
}

func (w *wire) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	call := func(ctx context.Context) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		if g, ok := reply.(*etcdserverpb.LeaseGrantResponse); ok {
			w.mu.Lock()
			w.granted = clientv3.LeaseID(g.ID)
			w.mu.Unlock()
		}
		return err
	}
	txn, ok := req.(*etcdserverpb.TxnRequest)
	writes := ok && len(txn.Success) > 0 && !reads(txn.Success[0])
	_, grants := req.(*etcdserverpb.LeaseGrantRequest)
	w.mu.Lock()
	if writes || grants {
		w.writes++
	}
	next := w.next
	if !writes || next == nil {
		w.mu.Unlock()
		return call(ctx)
	}
	w.next = nil
	w.mu.Unlock()
	return next(call)
}

func reads(op *etcdserverpb.RequestOp) bool { return op.GetRequestRange() != nil }

func (w *wire) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	w.mu.Lock()
	w.keepAlives++
	w.mu.Unlock()
	s, err := streamer(ctx, desc, cc, method, opts...)
	return &wireStream{s, w}, err
}

type wireStream struct {
	grpc.ClientStream
	wire *wire
}

func (s *wireStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	if resp, ok := m.(*etcdserverpb.LeaseKeepAliveResponse); ok && err == nil && s.wire.term != nil {
		resp.Header.RaftTerm = s.wire.term(resp.Header.RaftTerm)
	}
	return err
}

var errLost = status.Error(codes.Unavailable, "the answer is lost")

// loseAnswer has the next write done, and its caller not hear of it.
func (w *wire) loseAnswer() {
	w.set(func(call func(context.Context) error) error {
		_ = call(context.Background())
		return errLost
	})
}

// delay has the caller of the write after skip others believe that it failed, and the write sent when the returned function is called.
func (w *wire) delay(skip int) (send func() error) {
	later := make(chan func(context.Context) error, 1)
	var hook func(call func(context.Context) error) error
	hook = func(call func(context.Context) error) error {
		if skip > 0 {
			skip--
			w.set(hook)
			return call(context.Background())
		}
		later <- call
		return errLost
	}
	w.set(hook)
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return (<-later)(ctx)
	}
}

func (w *wire) set(next func(call func(context.Context) error) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = next
}

func (w *wire) counts() (writes, keepAlives int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes, w.keepAlives
}
