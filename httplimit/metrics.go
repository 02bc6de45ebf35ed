package httplimit

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics count what a [Transport] does, for its Info and for OpenTelemetry. Their only attribute is the family: never
// a key.
type metrics struct{ sent, refused, throttled, retried, widened counter }

// counter counts twice: here, and in an instrument.
type counter struct {
	n          atomic.Int64
	instrument metric.Int64Counter
	family     []metric.AddOption
}

func (c *counter) add() {
	c.n.Add(1)
	c.instrument.Add(context.Background(), 1, c.family...)
}

// start makes the instruments.
func (m *metrics) start(meter metric.Meter, system, family string) error {
	attributes := []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("penstock.system", system), attribute.String("penstock.family", family)))}
	var errs []error
	for _, def := range []struct {
		counter           *counter
		name, unit, about string
	}{
		{&m.sent, "sent", "{request}", "Requests sent to the server, retries included."},
		{&m.refused, "refused", "{request}", "Requests that the server answered with 429."},
		{&m.throttled, "throttled", "{throttle}", "Answers that made a bucket or the family wait."},
		{&m.retried, "retried", "{request}", "Requests sent again."},
		{&m.widened, "slack_widened", "{widening}", "How often the slack was widened."},
	} {
		var err error
		def.counter.family = attributes
		def.counter.instrument, err = meter.Int64Counter("penstock.http."+def.name,
			metric.WithDescription(def.about), metric.WithUnit(def.unit))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
