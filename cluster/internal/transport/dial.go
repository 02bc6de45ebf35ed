package transport

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
)

const (
	handshake = 5 * time.Second  // how long a peer may take to introduce itself
	keepAlive = 10 * time.Second // without a word, before a connection is tried; if it is less, what a frozen peer answers is lost
	giveUp    = time.Minute      // how long one attempt to reach a peer may take, with all its dialling
)

func (t *Transport) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(t.credentials()),
		grpc.WithStreamInterceptor(t.dial),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepAlive, Timeout: handshake}),
		grpc.WithIdleTimeout(5 * time.Minute),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 250 * time.Millisecond},
			MinConnectTimeout: handshake,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
	}
}

// dial waits until there is a connection, and only then begins the stream. Left alone, the library would sleep two seconds after each
// attempt and keep the connections of those that failed.
func (t *Transport) dial(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, s grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := t.reach(c); err != nil {
		_ = c.Close()
		// The library sleeps when it gets an error, and tells others only then. It ends the writer at once when it gets a panic, and tells nobody.
		t.engine.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: c.Target()})
		panic(err)
	}
	return s(ctx, d, c, method, o...)
}

var errNotReached = errors.New("transport: the peer cannot be reached")

func (t *Transport) reach(c *grpc.ClientConn) error {
	dials := t.dials
	if found, ok := t.links.Load(c.Target()); ok {
		l := found.(*link)
		dials = l.dials
		l.dialled(+1)
		defer l.dialled(-1)
	}
	ctx, cancel := context.WithTimeout(dials, giveUp)
	defer cancel()
	for {
		switch state := c.GetState(); state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			c.Connect()
			fallthrough
		default:
			if !c.WaitForStateChange(ctx, state) {
				return errNotReached
			}
		}
	}
}

func (l *link) dialled(more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialling += more
}
