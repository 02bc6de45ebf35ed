package cluster

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
)

// metrics are a node's OpenTelemetry instruments. Their attributes are the system, the node, the call and its outcome.
type metrics struct {
	calls        metric.Float64Histogram
	ok, failed   [len(steps)]metric.MeasurementOption
	registration metric.Registration
}

func newMetrics(sys *penstock.System, n *Node) (*metrics, error) {
	meter := sys.Meter()
	with := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(more,
			attribute.String("penstock.system", sys.Name()), attribute.String("penstock.node", n.name))...))
	}
	m := new(metrics)
	for i, name := range steps {
		m.ok[i] = with(attribute.String("penstock.call", name), attribute.String("penstock.outcome", "ok"))
		m.failed[i] = with(attribute.String("penstock.call", name), attribute.String("penstock.outcome", "failed"))
	}
	var errs [6]error
	m.calls, errs[0] = meter.Float64Histogram("penstock.cluster.call",
		metric.WithDescription("How long the store of leases took to answer."), metric.WithUnit("s"))
	owned, err := meter.Int64ObservableGauge("penstock.cluster.shards", metric.WithDescription("Shards that the node owns."), metric.WithUnit("{shard}"))
	errs[1] = err
	members, err := meter.Int64ObservableGauge("penstock.cluster.members", metric.WithDescription("Nodes that were alive when the lease was renewed."), metric.WithUnit("{node}"))
	errs[2] = err
	left, err := meter.Float64ObservableGauge("penstock.cluster.lease", metric.WithDescription("What is left of the lease; 0: the node serves nothing."), metric.WithUnit("s"))
	errs[3] = err
	lost, err := meter.Int64ObservableCounter("penstock.cluster.lost", metric.WithDescription("Leases that ended before they were renewed."), metric.WithUnit("{lease}"))
	errs[4] = err
	plain := with()
	m.registration, errs[5] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i := n.Info()
		o.ObserveInt64(owned, int64(i.Owned), plain)
		o.ObserveInt64(members, int64(len(i.Members)), plain)
		o.ObserveFloat64(left, i.Left.Seconds(), plain)
		o.ObserveInt64(lost, int64(i.Lost), plain)
		return nil
	}, owned, members, left, lost)
	return m, errors.Join(errs[:]...)
}

func (m *metrics) called(do step, took time.Duration, err error) {
	with := m.ok[do]
	if err != nil {
		with = m.failed[do]
	}
	m.calls.Record(context.Background(), took.Seconds(), with)
}

func (m *metrics) close() { _ = m.registration.Unregister() }
