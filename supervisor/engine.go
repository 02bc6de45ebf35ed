package supervisor

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// newEngine starts a protoactor-go system that speaks through our logger alone, and answers messages that reach an
// address nobody lives at any more.
//
// Its metrics stay off: they always use the global meter and cost more than a spawn. Its Shutdown is never called: it
// stops no actor and panics the second time.
func newEngine(logger *slog.Logger) *actor.ActorSystem {
	engine := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger.With("lib", "protoactor") }),
		actor.WithDeadLetterThrottleCount(10),
		actor.WithDeadLetterThrottleInterval(time.Second),
		actor.WithDeadLetterRequestLogging(false),
	)
	engine.EventStream.Subscribe(func(event any) {
		if letter, ok := event.(*actor.DeadLetterEvent); ok {
			refuse(letter.Message, ErrClosed)
		}
	})
	return engine
}
