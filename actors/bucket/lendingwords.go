package bucket

import (
	"fmt"
	"math"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// wish is what a node wants to be lent of a bucket.
type wish struct {
	id    string
	want  int
	rate  float64
	epoch int64  // of the owner that lent the slice that has come last
	seen  uint64 // its number
}

// wants is all that a node wants of another one and gives back.
type wants struct {
	life    uint64
	stamp   time.Duration
	wishes  []wish
	returns []returned
}

// returned is what was not used of a slice.
type returned struct {
	id string
	repayment
}

func (w *wants) wire() *messages.BucketWants {
	m := &messages.BucketWants{Life: w.life, Stamp: int64(w.stamp)}
	for _, of := range w.wishes {
		m.Wants = append(m.Wants, &messages.BucketWant{Id: of.id, Epoch: of.epoch, Seen: of.seen, Want: int64(of.want), Rate: of.rate})
	}
	for _, of := range w.returns {
		m.Returns = append(m.Returns, &messages.BucketReturn{Id: of.id, Epoch: of.epoch, Number: of.number, Left: int64(of.n)})
	}
	return m
}

// readWants reads what another node wants, and believes nothing that could not be.
func readWants(m *messages.BucketWants) wants {
	w := wants{life: m.GetLife(), stamp: time.Duration(m.GetStamp())}
	for _, of := range m.GetWants() {
		rate := of.GetRate()
		if !(rate >= 0 && rate <= math.MaxInt32) {
			rate = math.MaxInt32
		}
		w.wishes = append(w.wishes, wish{
			id: of.GetId(), epoch: of.GetEpoch(), seen: of.GetSeen(), want: int(min(max(of.GetWant(), 0), maxSlice)), rate: rate,
		})
	}
	for _, of := range m.GetReturns() {
		n := int32(min(max(of.GetLeft(), 0), maxSlice))
		w.returns = append(w.returns, returned{of.GetId(), repayment{epoch: of.GetEpoch(), number: of.GetNumber(), n: n}})
	}
	return w
}

// lentSlice is a slice of the bucket of an ID, as it travels.
type lentSlice struct {
	id string
	loan
}

func slicesWire(lent []lentSlice) *messages.BucketSlices {
	m := new(messages.BucketSlices)
	for _, s := range lent {
		m.Life = s.life // of one node: all have the same
		m.Slices = append(m.Slices, &messages.BucketSlice{
			Id: s.id, Epoch: s.epoch, Number: s.number, Requests: int64(s.n), Stamp: int64(s.stamp), At: int64(s.at), Plan: s.plan,
		})
	}
	return m
}

func readSlices(m *messages.BucketSlices) (lent []lentSlice, err error) {
	for _, s := range m.GetSlices() {
		if s.GetRequests() < 1 || s.GetRequests() > maxSlice {
			return nil, fmt.Errorf("%w slice of bucket %.64q: it has %d requests; it takes 1 to %d", penstock.ErrInvalid, s.GetId(), s.GetRequests(), maxSlice)
		}
		l := loan{epoch: s.GetEpoch(), life: m.GetLife(), stamp: time.Duration(s.GetStamp()), plan: s.GetPlan()}
		l.number, l.n, l.at = s.GetNumber(), int32(s.GetRequests()), time.Duration(s.GetAt())
		lent = append(lent, lentSlice{s.GetId(), l})
	}
	return lent, nil
}
