package transport

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
)

// starting is held while a library starts: it sets the logger of all of gRPC, which is not meant to be done by several at once.
var starting sync.Mutex

// perTurn is how many batches a reader deals with before it looks at its connection again.
const perTurn = 16

// open starts the library, and then the actor that peers address: the other way round, its address would be that of no host.
func (t *Transport) open() (err error) {
	t.engine = t.newEngine()
	host, port, _ := hostPort(t.cfg.Bind)
	config := remote.Configure(bracketed(host), port,
		remote.WithAdvertisedHost(t.cfg.Advertise),
		remote.WithEndpointWriterBatchSize(writerBatch),
		remote.WithEndpointWriterQueueSize(1024), // the library allocates a million otherwise, for each peer
		remote.WithServerOptions(t.serverOptions()...),
		remote.WithDialOptions(t.dialOptions()...),
	)
	config.MaxRetryCount = 1 // our own interceptor waits for the peer; between retries of its own the library sleeps
	t.remote = remote.NewRemote(t.engine, config)
	if err := t.start(); err != nil {
		return err
	}
	t.address = t.engine.Address()
	t.engine.EventStream.Subscribe(t.event)
	// What a connection's reader hands to the post is done by that reader: handlers do not block, and there is a goroutine less to wake.
	props := actor.PropsFromProducer(func() actor.Actor { return post{t} }, actor.WithDispatcher(actor.NewSynchronizedDispatcher(perTurn)))
	_, err = t.engine.Root.SpawnNamed(props, postName)
	return err
}

func (t *Transport) newEngine() *actor.ActorSystem {
	logger := t.cfg.Logger.With("lib", "protoactor")
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger }),
		actor.WithDeadLetterThrottleCount(10),
		actor.WithDeadLetterThrottleInterval(10*time.Millisecond), // a goroutine waits for its end
	)
}

// start turns the library's panic into an error.
func (t *Transport) start() (err error) {
	starting.Lock()
	defer starting.Unlock()
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("it cannot listen at %s: %v", t.cfg.Bind, reason)
		}
	}()
	t.remote.Start()
	return nil
}

// event is told what becomes of connections.
func (t *Transport) event(event any) {
	switch e := event.(type) {
	case *remote.EndpointTerminatedEvent:
		if l, ok := t.links.Load(e.Address); ok {
			l.(*link).broken()
		}
	case *remote.EndpointConnectedEvent:
		if l, ok := t.links.Load(e.Address); ok {
			l.(*link).connected()
		}
	}
}

// shut ends everything. The library's own graceful way races with itself, may panic and takes up to ten seconds; but what it would stop has
// names.
func (t *Transport) shut() {
	t.hangUp()
	t.beats.Wait()
	t.links.Range(func(_, l any) bool {
		l.(*link).close()
		return true
	})
	for _, name := range []string{"EndpointSupervisor", "activator", postName} { // the first with the writers and their connections
		if err := t.engine.Root.StopFuture(t.engine.NewLocalPID(name)).Wait(); err != nil {
			t.logger.Error("an actor of the transport does not stop", "actor", name, "err", err)
		}
	}
	defer func() {
		if reason := recover(); reason != nil {
			t.logger.Error("the transport's server panicked while it was stopped", "panic", reason)
		}
	}()
	t.remote.Shutdown(false)
}

// bracketed is a host as the library wants it: it puts a colon and the port behind.
func bracketed(host string) string {
	address := net.JoinHostPort(host, "0")
	return address[:len(address)-len(":"+strconv.Itoa(0))]
}
