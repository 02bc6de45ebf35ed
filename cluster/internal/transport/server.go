package transport

import (
	"context"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock/messages"
)

func (t *Transport) serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(t.credentials()),
		grpc.ConnectionTimeout(handshake),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.MaxConcurrentStreams(16), // a peer needs one
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepAlive, Timeout: handshake}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepAlive / 2, PermitWithoutStream: true}),
		grpc.StreamInterceptor(t.serveStream),
		grpc.UnaryInterceptor(t.refuseCall),
		grpc.WaitForHandlers(true),
	}
}

// refuseCall refuses all calls that are no stream: the library has some, and panics.
func (t *Transport) refuseCall(ctx context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	t.logger.Warn("a call was refused", "remote", remoteAddress(ctx), "method", info.FullMethod)
	return nil, status.Error(codes.Unimplemented, "there is nothing to call here")
}

// serveStream lets the library read a stream of which nothing is left but what it can deal with.
func (t *Transport) serveStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	from := remoteAddress(stream.Context())
	defer func() {
		if reason := recover(); reason != nil {
			t.logger.Error("a stream was ended by a panic", "remote", from, "panic", reason, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "it could not be read")
		}
	}()
	select {
	case <-t.ready: // the library listens before it says where
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
	return handler(srv, &sieve{ServerStream: stream, node: t, from: from})
}

func remoteAddress(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return "unknown"
}

// sieve drops what the library would choke on, or what would let a peer do more than to send batches: stop actors, spawn some, name
// types that nobody here has heard of. What newer versions will say is among it, so it must not end the stream.
type sieve struct {
	grpc.ServerStream
	node   *Transport
	from   string
	warned bool // once a stream is enough
}

func (s *sieve) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		if code := status.Code(err); code == codes.ResourceExhausted || code == codes.Internal {
			s.node.logger.Warn("a stream was ended: what came cannot be read", "remote", s.from, "err", err)
		}
		return err
	}
	if message, ok := m.(*remote.RemoteMessage); ok {
		s.sift(message)
	}
	return nil
}

// sift leaves what is good of a message.
func (s *sieve) sift(m *remote.RemoteMessage) {
	switch kind := m.MessageType.(type) {
	case *remote.RemoteMessage_ConnectRequest:
		if kind.ConnectRequest.GetServerConnection() != nil {
			return
		}
	case *remote.RemoteMessage_MessageBatch:
		b := kind.MessageBatch
		var good []*remote.MessageEnvelope
		for _, e := range b.GetEnvelopes() {
			if s.good(b, e) {
				e.Sender, e.SenderRequestId, e.TargetRequestId, e.MessageHeader = 0, 0, 0, nil
				good = append(good, e)
			} else {
				s.warn("type", at(b.TypeNames, e.GetTypeId()))
			}
		}
		b.Envelopes = good
		return
	}
	s.warn("type", "no batch")
	m.MessageType = &remote.RemoteMessage_MessageBatch{MessageBatch: &remote.MessageBatch{}}
}

var batchName = string(proto.MessageName((*messages.Batch)(nil)))

// good reports whether an envelope holds a batch, for the one actor that is there for peers. A batch that cannot be decoded ends the
// stream: no version writes such a thing.
func (s *sieve) good(b *remote.MessageBatch, e *remote.MessageEnvelope) bool {
	target := at(b.Targets, e.GetTarget())
	return e.GetSerializerId() == 0 && at(b.TypeNames, e.GetTypeId()) == batchName &&
		target.GetId() == postName && target.GetAddress() == s.node.address
}

// at is an element of a slice, or nothing.
func at[T any](s []T, i int32) (element T) {
	if i >= 0 && int(i) < len(s) {
		element = s[i]
	}
	return element
}

func (s *sieve) warn(args ...any) {
	if !s.warned {
		s.warned = true
		s.node.logger.Warn("a message was dropped: it is none that nodes of this version say", append(args, "remote", s.from)...)
	}
}
