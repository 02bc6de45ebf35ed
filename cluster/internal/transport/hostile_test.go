package transport

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/messages"
)

// besieged is a peer, and a node that goes on talking to it whatever others do.
func besieged(t *testing.T) (ca *authority.Authority, p *neighbour) {
	ca = newAuthority(t)
	p = startPeer(t, spec{CA: ca})
	node := open(t, func(c *Config) { c.TLS = nodeOf(t, ca) })
	awaitUp(t, node, p.address)
	losses := node.Links()[0].Losses
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := node.Call(ctx, p.address, kindEcho, 0, nil)
		require.NoError(t, err, "the others go on")
		require.Equal(t, losses, node.Links()[0].Losses, "and have noticed nothing")
	})
	return ca, p
}

func TestStrangersAreRefused(t *testing.T) {
	if elsewhere(t) {
		return
	}
	ca, p := besieged(t)
	wrong := nodeOf(t, newAuthority(t))
	wrong.RootCAs = nodeOf(t, ca).RootCAs // it believes the peer, which does not believe it
	none := nodeOf(t, ca)
	none.Certificates = nil
	for name, c := range map[string]*tls.Config{"no certificate": none, "a wrong one": wrong} {
		conn, err := tls.Dial("tcp", p.address, c)
		if err == nil { // TLS 1.3 tells the client with the first thing it reads
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		require.Error(t, err, name)
	}
	p.await("log", "didn't provide a certificate")
	p.await("log", "certificate signed by unknown authority")
}

func TestANodeDoesNotTalkToStrangers(t *testing.T) {
	if elsewhere(t) {
		return
	}
	ca := newAuthority(t)
	p := startPeer(t, spec{CA: newAuthority(t)})
	node := open(t, hasty, func(c *Config) { c.TLS = nodeOf(t, ca) })
	_, err := node.Call(t.Context(), p.address, kindEcho, 0, nil)
	require.ErrorIs(t, err, ErrDown)
}

func TestRandomBytesAreRefused(t *testing.T) {
	if elsewhere(t) {
		return
	}
	_, p := besieged(t)
	conn, err := net.Dial("tcp", p.address)
	require.NoError(t, err)
	noise := make([]byte, 64<<10)
	_, _ = rand.Read(noise)
	_, _ = conn.Write(noise)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	for err == nil {
		_, err = conn.Read(noise)
	}
	_ = conn.Close()
	p.await("log", "a connection was refused")
}

// intrude opens a stream of the library to a peer, as somebody with a good certificate.
func intrude(t *testing.T, ca *authority.Authority, p *neighbour) (remote.RemotingClient, remote.Remoting_ReceiveClient) {
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(credentials.NewTLS(nodeOf(t, ca))))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	client := remote.NewRemotingClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := client.Receive(ctx)
	require.NoError(t, err)
	return client, stream
}

func batchOf(b *remote.MessageBatch) *remote.RemoteMessage {
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

func TestWhatIsTooLongEndsItsStreamOnly(t *testing.T) {
	if elsewhere(t) {
		return
	}
	ca, p := besieged(t)
	_, stream := intrude(t, ca, p)
	_ = stream.Send(batchOf(&remote.MessageBatch{Envelopes: []*remote.MessageEnvelope{{MessageData: make([]byte, 100<<20)}}}))
	_, err := stream.Recv()
	require.Error(t, err)
	p.await("log", "what came cannot be read")
}

// TestWhatIsNotOnTheListIsDropped sends what ends the library's process, or has it do what peers must not, and then on the same stream
// a batch, which arrives.
func TestWhatIsNotOnTheListIsDropped(t *testing.T) {
	if elsewhere(t) {
		return
	}
	ca, p := besieged(t)
	client, stream := intrude(t, ca, p)
	_, err := client.ListProcesses(within(t, time.Minute), &remote.ListProcessesRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
	p.await("log", "a call was refused")

	post := &actor.PID{Address: p.address, Id: postName}
	stop, err := proto.Marshal(&actor.Stop{})
	require.NoError(t, err)
	for name, b := range map[string]*remote.MessageBatch{
		"unknown type":   {TypeNames: []string{"penstock.cluster.v9.News"}, Targets: []*actor.PID{post}},
		"no type":        {Targets: []*actor.PID{post}},
		"no target":      {TypeNames: []string{batchName}},
		"stop":           {TypeNames: []string{"actor.Stop"}, Targets: []*actor.PID{post}},
		"another actor":  {TypeNames: []string{batchName}, Targets: []*actor.PID{{Address: p.address, Id: "activator"}}},
		"another node":   {TypeNames: []string{batchName}, Targets: []*actor.PID{{Address: "127.0.0.1:9", Id: postName}}},
		"spawn":          {TypeNames: []string{"remote.ActorPidRequest"}, Targets: []*actor.PID{{Address: p.address, Id: "activator"}}},
		"another sender": {TypeNames: []string{batchName}, Targets: []*actor.PID{post}, Envelopes: []*remote.MessageEnvelope{{Sender: 77}}},
		"bad indexes":    {TypeNames: []string{batchName}, Targets: []*actor.PID{post}, Envelopes: []*remote.MessageEnvelope{{TypeId: -1, Target: 5}}},
		"serializer":     {TypeNames: []string{batchName}, Targets: []*actor.PID{post}, Envelopes: []*remote.MessageEnvelope{{SerializerId: 9}}},
	} {
		if len(b.Envelopes) == 0 {
			b.Envelopes = []*remote.MessageEnvelope{{MessageData: stop}}
		}
		require.NoError(t, stream.Send(batchOf(b)), name)
	}
	require.NoError(t, stream.Send(&remote.RemoteMessage{}))
	require.NoError(t, stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_DisconnectRequest{DisconnectRequest: &remote.DisconnectRequest{}}}))
	p.await("log", "a message was dropped")

	nobody, err := proto.Marshal(&messages.Batch{From: "nowhere", Life: 7, Ping: 1})
	require.NoError(t, err)
	require.NoError(t, stream.Send(batchOf(&remote.MessageBatch{
		TypeNames: []string{batchName}, Targets: []*actor.PID{post}, Envelopes: []*remote.MessageEnvelope{{MessageData: nobody}},
	})))
	p.await("log", "a message of nobody who could be answered was dropped") // so the stream lives
	for _, line := range p.said("log") {
		require.NotContains(t, line, "lib=protoactor", "the library has seen none of it")
	}
}
