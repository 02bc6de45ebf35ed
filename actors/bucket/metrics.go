package bucket

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are a family's OpenTelemetry instruments. Their only attributes are the system, the family and the outcome: never
// an ID.
// What happens at the gates is counted there and read when metrics are collected, so that a pass costs nothing extra.
type metrics struct {
	creations    metric.Int64Counter
	waits, runs  metric.Float64Histogram
	failed, made []metric.AddOption
	outcomes     [numOutcomes][]metric.RecordOption
	registration metric.Registration
}

// How a wait or a run ended.
const (
	outcomeGranted = iota
	outcomeGaveUp
	outcomeFailed
	numOutcomes
)

func newMetrics(meter metric.Meter, f *Family) (*metrics, error) {
	m := &metrics{}
	system, family := attribute.String("penstock.system", f.sys.Name()), attribute.String("penstock.family", f.name)
	with := func(outcome string) attribute.Set {
		return attribute.NewSet(system, family, attribute.String("penstock.outcome", outcome))
	}
	for i, name := range [numOutcomes]string{"ok", "gave_up", "error"} {
		m.outcomes[i] = []metric.RecordOption{metric.WithAttributeSet(with(name))}
	}
	m.made = []metric.AddOption{metric.WithAttributeSet(with("ok"))}
	m.failed = []metric.AddOption{metric.WithAttributeSet(with("error"))}

	var errs [7]error
	m.creations, errs[0] = meter.Int64Counter("penstock.bucket.created",
		metric.WithDescription("Buckets started, or refused because the family was full or closed."), metric.WithUnit("{bucket}"))
	m.waits, errs[1] = meter.Float64Histogram("penstock.bucket.wait",
		metric.WithDescription("How long requests waited for their turn, those that passed at once left out."), metric.WithUnit("s"))
	m.runs, errs[2] = meter.Float64Histogram("penstock.bucket.run",
		metric.WithDescription("How long the functions given to Do took."), metric.WithUnit("s"))
	requests, err := meter.Int64ObservableCounter("penstock.bucket.requests",
		metric.WithDescription("Requests let through and turned away."), metric.WithUnit("{request}"))
	errs[3] = err
	waiting, err := meter.Int64ObservableGauge("penstock.bucket.waiting",
		metric.WithDescription("Requests that wait now, and shared calls under way."), metric.WithUnit("{request}"))
	errs[4] = err
	live, err := meter.Int64ObservableGauge("penstock.bucket.live",
		metric.WithDescription("Buckets that live now."), metric.WithUnit("{bucket}"))
	errs[5] = err
	plain := metric.WithAttributeSet(attribute.NewSet(system, family))
	passed, refused := metric.WithAttributeSet(with("passed")), metric.WithAttributeSet(with("refused"))
	m.registration, errs[6] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if f.children == nil {
			return nil // collected while the family starts
		}
		p, r := f.totals()
		o.ObserveInt64(requests, int64(p), passed)
		o.ObserveInt64(requests, int64(r), refused)
		o.ObserveInt64(waiting, int64(f.crowd.Len()), plain)
		o.ObserveInt64(live, int64(f.Len()), plain)
		return nil
	}, requests, waiting, live)
	return m, errors.Join(errs[:]...)
}

func (m *metrics) close() { _ = m.registration.Unregister() }

func (m *metrics) created()      { m.creations.Add(context.Background(), 1, m.made...) }
func (m *metrics) createFailed() { m.creations.Add(context.Background(), 1, m.failed...) }

func (m *metrics) waited(ctx context.Context, outcome int, d time.Duration) {
	m.waits.Record(ctx, d.Seconds(), m.outcomes[outcome]...)
}

func (m *metrics) ran(ctx context.Context, d time.Duration, err error) {
	outcome := outcomeGranted
	if err != nil {
		outcome = outcomeFailed
	}
	m.runs.Record(ctx, d.Seconds(), m.outcomes[outcome]...)
}
