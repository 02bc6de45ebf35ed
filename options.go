package penstock

import (
	"errors"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Option changes how [New] makes a system.
type Option func(*options)

type options struct {
	name       string
	logger     *slog.Logger
	meters     metric.MeterProvider
	dispatcher actor.Dispatcher
}

func defaults() options {
	return options{name: "penstock", logger: slog.New(slog.DiscardHandler), meters: otel.GetMeterProvider()}
}

// WithName names the system in logs, in metrics (the attribute penstock.system) and in Info. 1 to 64 bytes of UTF-8; default "penstock".
func WithName(name string) Option { return func(o *options) { o.name = name } }

// WithLogger sets where the system and the engine below it log to. Default: nowhere.
func WithLogger(logger *slog.Logger) Option { return func(o *options) { o.logger = logger } }

// WithMeterProvider sets where metrics go. Default: the global provider of OpenTelemetry at the time of [New].
func WithMeterProvider(meters metric.MeterProvider) Option {
	return func(o *options) { o.meters = meters }
}

// WithDispatcher sets how actors are run. Default: a goroutine for each burst of messages. A test inside
// testing/synctest that wants the same order of events at every run gives actor.NewSynchronizedDispatcher(300), which
// runs an actor on the goroutine of its sender.
func WithDispatcher(d actor.Dispatcher) Option { return func(o *options) { o.dispatcher = d } }

func (o options) validate() error {
	var errs []error
	if o.name == "" || len(o.name) > 64 || !utf8.ValidString(o.name) {
		errs = append(errs, fmt.Errorf("the name is %q; it takes 1 to 64 bytes of UTF-8", o.name))
	}
	if o.logger == nil {
		errs = append(errs, errors.New("the logger is nil; without WithLogger nothing is logged"))
	}
	if o.meters == nil {
		errs = append(errs, errors.New("the meter provider is nil; without WithMeterProvider it is the global one"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w options: %w", ErrInvalid, err)
	}
	return nil
}
