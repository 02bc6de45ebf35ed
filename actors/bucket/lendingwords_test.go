package bucket

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/messages"
)

func TestEstatesAreReadAsTheyWereWritten(t *testing.T) {
	limits := []limit.Limit{
		{Name: "a", Events: 10, Per: time.Minute},
		{Name: "b", Events: 10, Per: time.Minute, Algorithm: limit.Smooth, Burst: 5},
		{Name: "c", Events: 10, Per: time.Minute, Algorithm: limit.Calendar},
	}
	plan, err := limit.NewPlan(limits, time.Second)
	require.NoError(t, err)
	set, now, full := plan.NewSet(), time.Now(), plan.Capacity()
	blank := account{history: set.History(now)}
	set.Forget(now.Add(-30*time.Second), 0)
	for i := range 4 {
		set.Take(now.Add(time.Duration(i)*time.Second), &limit.Costs{0, 1, 2}, &full)
	}
	want := []account{{history: set.History(now.Add(time.Minute)), throttled: time.Second}, blank}
	wire, err := estateWire(want)
	require.NoError(t, err)
	got, err := readEstate(wire)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestEstatesThatMakeNoSense(t *testing.T) {
	for what, m := range map[string]*messages.BucketEstate{
		"an algorithm": {Limits: []*messages.BucketLimit{{Algorithm: 256}}},
		"ages":         {Accounts: []*messages.BucketAccount{{Past: []*messages.BucketPast{{Ages: []int64{1}}}}}},
	} {
		wire, err := proto.Marshal(m)
		require.NoError(t, err)
		_, err = readEstate(wire)
		require.ErrorIs(t, err, penstock.ErrInvalid, what)
	}
	_, err := readEstate([]byte{0xff})
	require.ErrorIs(t, err, penstock.ErrInvalid)
}

func TestLendingIsReadAsItWasWritten(t *testing.T) {
	want := wants{
		life:    9,
		stamp:   5,
		wishes:  []wish{{id: "a", want: 1, rate: 0.5, epoch: 2, seen: 3}},
		returns: []returned{{"a", repayment{epoch: 2, number: 3, n: 4}}},
	}
	require.Equal(t, want, readWants(want.wire()))

	lent := []lentSlice{{"a", loan{lent: lentPart(1, 2, 3), epoch: 4, life: 9, stamp: 5}}}
	got, err := readSlices(slicesWire(lent))
	require.NoError(t, err)
	require.Equal(t, lent, got)
}

func lentPart(number uint64, n int32, at time.Duration) lent {
	return lent{number: number, n: n, at: at}
}

func TestWhatOtherNodesWantIsBounded(t *testing.T) {
	got := readWants(&messages.BucketWants{
		Wants: []*messages.BucketWant{
			{Id: "a", Want: math.MaxInt64, Rate: math.NaN()}, {Id: "b", Want: -1, Rate: -1}, {Id: "c", Rate: math.Inf(1)},
		},
		Returns: []*messages.BucketReturn{{Id: "a", Left: math.MaxInt64}, {Id: "b", Left: -5}},
	})
	require.Equal(t, []wish{{id: "a", want: maxSlice, rate: math.MaxInt32}, {id: "b", rate: math.MaxInt32}, {id: "c", rate: math.MaxInt32}}, got.wishes)
	require.Equal(t, int32(maxSlice), got.returns[0].n)
	require.Zero(t, got.returns[1].n)
	for _, n := range []int64{-1, 0, math.MaxInt64} {
		_, err := readSlices(&messages.BucketSlices{Slices: []*messages.BucketSlice{{Requests: n}}})
		require.ErrorIs(t, err, penstock.ErrInvalid)
	}
}
