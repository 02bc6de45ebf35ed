package batch

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// Report tells how a batch went.
type Report[K comparable] struct {
	Key        K
	Start      time.Time // when its first operation came
	Operations int       // whose callers were answered
	Conflicts  int       // how often it was run again
	Load       time.Duration
	Save       time.Duration
	Total      time.Duration // from Start to the answers
	Err        error         // of the batch, not of single operations
}

// Subscribe starts a subscription to a report of every batch. buffer is how many reports may wait for their reader; what comes
// beyond that is dropped and counted, and no batch waits for it.
func (p *Processor[K, R]) Subscribe(buffer int) *supervisor.Subscription[Report[K]] {
	return p.metrics.feed.Subscribe(buffer)
}

// metrics are a processor's OpenTelemetry instruments, and its feed of reports. Their attributes are the system, the processor
// and the outcome: keys are never told.
type metrics[K comparable] struct {
	feed         supervisor.Feed[Report[K]]
	loads, saves metric.Float64Histogram
	totals       metric.Float64Histogram
	sizes        metric.Int64Histogram
	ok, failed   []metric.RecordOption
	registration metric.Registration
}

func newMetrics[K comparable, R any](sys *penstock.System, p *Processor[K, R]) (*metrics[K], error) {
	meter := sys.Meter()
	with := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(more,
			attribute.String("penstock.system", sys.Name()), attribute.String("penstock.batch", p.name))...))
	}
	m := &metrics[K]{
		ok:     []metric.RecordOption{with(attribute.String("penstock.outcome", "saved"))},
		failed: []metric.RecordOption{with(attribute.String("penstock.outcome", "failed"))},
	}
	var errs [9]error
	duration := func(i int, name, description string) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithDescription(description), metric.WithUnit("s"))
		errs[i] = err
		return h
	}
	m.loads = duration(0, "penstock.batch.load", "How long loads took.")
	m.saves = duration(1, "penstock.batch.save", "How long saves took, those after conflicts included.")
	m.totals = duration(2, "penstock.batch.duration", "How long batches took, from their first operation to the answers.")
	m.sizes, errs[3] = meter.Int64Histogram("penstock.batch.operations", metric.WithDescription("Operations of a batch."), metric.WithUnit("{operation}"))
	pending, err := meter.Int64ObservableGauge("penstock.batch.pending", metric.WithDescription("Operations that have no answer."), metric.WithUnit("{operation}"))
	errs[4] = err
	keys, err := meter.Int64ObservableGauge("penstock.batch.keys", metric.WithDescription("Keys that the processor has."), metric.WithUnit("{key}"))
	errs[5] = err
	refused, err := meter.Int64ObservableCounter("penstock.batch.refused", metric.WithDescription("Operations that were refused because a bound was reached."), metric.WithUnit("{operation}"))
	errs[6] = err
	conflicts, err := meter.Int64ObservableCounter("penstock.batch.conflicts", metric.WithDescription("Batches that were run again because somebody else had written."), metric.WithUnit("{conflict}"))
	errs[7] = err
	plain := with()
	m.registration, errs[8] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i := p.Info()
		o.ObserveInt64(pending, int64(i.Pending), plain)
		o.ObserveInt64(keys, int64(i.Keys), plain)
		o.ObserveInt64(refused, int64(i.Refused), plain)
		o.ObserveInt64(conflicts, int64(i.Conflicts), plain)
		return nil
	}, pending, keys, refused, conflicts)
	return m, errors.Join(errs[:]...)
}

func (m *metrics[K]) close() {
	_ = m.registration.Unregister()
	m.feed.Close()
}

// finished reports a batch.
func (m *metrics[K]) finished(r Report[K]) {
	ctx, with := context.Background(), m.ok
	if r.Err != nil {
		with = m.failed
	}
	if r.Load > 0 {
		m.loads.Record(ctx, r.Load.Seconds(), with...)
	}
	m.saves.Record(ctx, r.Save.Seconds(), with...)
	m.totals.Record(ctx, r.Total.Seconds(), with...)
	m.sizes.Record(ctx, int64(r.Operations), with...)
	if m.feed.Wanted() {
		m.feed.Publish(r)
	}
}

// Info is what a processor can tell about itself.
type Info struct {
	Keys      int    // that it has, those included that were put to no use for less than Config.Idle
	Pending   int    // operations that have no answer
	Running   int    // shards at work
	Refused   uint64 // operations that were refused because a bound was reached, since the start
	Conflicts uint64 // batches that were run again, since the start
}

// Info tells the state of things.
func (p *Processor[K, R]) Info() Info {
	select {
	case <-p.opened:
	default:
		return Info{}
	}
	info := Info{Keys: p.family.Len(), Pending: int(p.pending.Load()), Refused: p.refused.Load(), Conflicts: p.conflicts.Load()}
	for _, l := range p.lanes {
		l.mu.Lock()
		info.Running += l.running - l.idle
		l.mu.Unlock()
	}
	return info
}
