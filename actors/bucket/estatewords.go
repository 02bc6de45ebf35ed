package bucket

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/messages"
)

// estateAsk asks who owned buckets before, under an epoch.
type estateAsk struct {
	epoch int64
	ids   []string
}

// account is what is known of one ID: what was taken, and for how long still nothing passes.
type account struct {
	history   limit.History
	throttled time.Duration
}

// estateWire is what a node knows of IDs, as it travels. It is what they all have in common, and as many accounts as may be sent at once.
func estateWire(accounts []account) ([]byte, error) {
	m := new(messages.BucketEstate)
	for i, a := range accounts {
		if i == 0 {
			m.Slack = int64(a.history.Slack)
			for _, l := range a.history.Limits {
				m.Limits = append(m.Limits, &messages.BucketLimit{
					Name: l.Name, Events: int64(l.Events), Per: int64(l.Per), Algorithm: uint32(l.Algorithm), Burst: int64(l.Burst),
				})
			}
		}
		of := &messages.BucketAccount{Throttled: int64(a.throttled)}
		for j := range a.history.Past {
			of.Past = append(of.Past, pastWire(&a.history.Past[j]))
		}
		m.Accounts = append(m.Accounts, of)
	}
	return proto.Marshal(m)
}

func pastWire(p *limit.Past) *messages.BucketPast {
	m := &messages.BucketPast{
		Lost: int64(p.Lost), Known: p.Known, Full: p.Full, Ahead: int64(p.Ahead), Last: int64(p.Last),
		Window: p.Window, Latest: p.Latest, Closed: p.Closed, Count: p.Count, Tail: p.Tail,
	}
	for _, t := range p.Taken {
		m.Ages, m.Counts = append(m.Ages, int64(t.Age)), append(m.Counts, t.Count)
	}
	return m
}

// readEstate reads what another node knows. What a history says is for [limit.Set.Inherit] to judge.
func readEstate(body []byte) ([]account, error) {
	m := new(messages.BucketEstate)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w estate of buckets: %w", penstock.ErrInvalid, err)
	}
	h := limit.History{Slack: time.Duration(m.GetSlack())}
	for _, l := range m.GetLimits() {
		if l.GetAlgorithm() > math.MaxUint8 || int64(int(l.GetEvents())) != l.GetEvents() || int64(int(l.GetBurst())) != l.GetBurst() {
			return nil, fmt.Errorf("%w estate of buckets: limit %.64q is none that this version knows", penstock.ErrInvalid, l.GetName())
		}
		h.Limits = append(h.Limits, limit.Limit{
			Name: l.GetName(), Events: int(l.GetEvents()), Per: time.Duration(l.GetPer()),
			Algorithm: limit.Algorithm(l.GetAlgorithm()), Burst: int(l.GetBurst()),
		})
	}
	var accounts []account
	for _, of := range m.GetAccounts() {
		a := account{history: h, throttled: min(max(time.Duration(of.GetThrottled()), 0), limit.Never-1)}
		for _, p := range of.GetPast() {
			past, err := readPast(p)
			if err != nil {
				return nil, err
			}
			a.history.Past = append(a.history.Past, past)
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

func readPast(m *messages.BucketPast) (limit.Past, error) {
	p := limit.Past{
		Lost: time.Duration(m.GetLost()), Known: m.GetKnown(), Full: m.GetFull(),
		Ahead: time.Duration(m.GetAhead()), Last: time.Duration(m.GetLast()),
		Window: m.GetWindow(), Latest: m.GetLatest(), Closed: m.GetClosed(), Count: m.GetCount(), Tail: m.GetTail(),
	}
	ages, counts := m.GetAges(), m.GetCounts()
	if len(ages) != len(counts) {
		return p, fmt.Errorf("%w estate of buckets: it has %d ages of %d takes", penstock.ErrInvalid, len(ages), len(counts))
	}
	for i := range ages {
		p.Taken = append(p.Taken, limit.Taken{Age: time.Duration(ages[i]), Count: counts[i]})
	}
	return p, nil
}
