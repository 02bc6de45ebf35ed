package bucket

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/limit"
)

// What is divided, one by one: the next goes to the one of those who want more that has the least.
func naiveShares(wants []int, room int) []int {
	shares := make([]int, len(wants))
	for ; room > 0; room-- {
		least := -1
		for i := range wants {
			if wants[i] > shares[i] && (least < 0 || shares[i] < shares[least]) {
				least = i
			}
		}
		if least < 0 {
			break
		}
		shares[least]++
	}
	return shares
}

func TestLenderSharesMaxMin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wants := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 6).Draw(t, "wants")
		free := rapid.IntRange(0, 120).Draw(t, "room")
		l := &lender{life: time.Second, turn: fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "turn"))}
		for i, want := range wants {
			require.True(t, l.ask(0, fmt.Sprint(i), want, 0, 0, 0, 1))
		}
		got := make([]int, len(wants))
		for _, s := range l.share(0, room{now: free}) {
			require.Positive(t, s.n)
			got[s.to[0]-'0'] += int(s.n)
		}
		for i := range got {
			require.LessOrEqual(t, got[i], wants[i])
		}
		want := naiveShares(wants, free)
		// Who has the odd ones is a matter of turns.
		slices.Sort(want)
		sorted := slices.Sorted(slices.Values(got))
		require.Equal(t, want, sorted, "%v of %d for %v", got, free, wants)
	})
}

// What cannot be divided goes in turn, however much more one wants than another.
func TestLenderGivesTheOddOnesInTurn(t *testing.T) {
	l := &lender{life: time.Second}
	got := make(map[string]int)
	for i := range 300 {
		now := time.Duration(i) * time.Millisecond
		for j, name := range []string{"a", "b", "c"} {
			l.ask(now, name, 10+j, 0, l.number, 0, now+1)
		}
		for _, s := range l.share(now, room{now: 1}) {
			got[s.to] += int(s.n)
		}
	}
	require.Equal(t, map[string]int{"a": 100, "b": 100, "c": 100}, got)
}

func TestLenderKnowsWhatIsUnderWay(t *testing.T) {
	l := &lender{life: 40 * time.Millisecond}
	require.True(t, l.ask(0, "a", 10, 0, 0, 0, 100))
	require.Len(t, l.share(0, room{now: 4}), 1)
	require.True(t, l.contested(0))
	require.True(t, l.ask(time.Millisecond, "a", 10, 0, 0, 0, 101), "it has not got slice 1 yet")
	require.Equal(t, int32(6), l.share(time.Millisecond, room{now: 100})[0].n)
	require.False(t, l.ask(2*time.Millisecond, "a", 99, 0, 2, 0, 101), "that was said before")
	require.True(t, l.ask(2*time.Millisecond, "a", 3, 0, 2, 0, 102))
	require.Equal(t, int32(3), l.share(2*time.Millisecond, room{now: 100})[0].n)
	require.True(t, l.ask(60*time.Millisecond, "a", 10, 0, 2, 0, 103), "slice 3 has been lost")
	require.Equal(t, int32(10), l.share(60*time.Millisecond, room{now: 100})[0].n)
	require.False(t, l.contested(60*time.Millisecond))
	require.True(t, l.ask(60*time.Millisecond, "a", 10, 0, 4, 0, 104))
	require.Empty(t, l.share(120*time.Millisecond, room{now: 100}), "it would have ended before it came")
	require.False(t, l.idle(120*time.Millisecond))
	require.True(t, l.idle(time.Second))
}

func TestG1_ASliceIsRepaidOnce(t *testing.T) {
	l := &lender{life: time.Second}
	l.ask(5, "a", 10, 0, 0, 0, 1)
	l.share(5, room{now: 10})
	back, _ := l.repay("b", 1, 10)
	require.Zero(t, back, "it was lent to another node")
	back, at := l.repay("a", 1, 4)
	require.Equal(t, int32(4), back)
	require.Equal(t, time.Duration(5), at)
	back, _ = l.repay("a", 1, 4)
	require.Zero(t, back, "twice")
	l.ask(6, "a", 10, 0, 1, 0, 2)
	l.share(6, room{now: 10})
	back, _ = l.repay("a", 2, 11)
	require.Equal(t, int32(10), back, "more than was lent")
}

func TestG1_ASliceEndsInTime(t *testing.T) {
	var p purse
	p.put(&slice{epoch: 1, number: 1, until: 10, left: 2})
	p.put(&slice{epoch: 1, number: 2, until: 20, left: 1})
	require.Equal(t, uint64(1), p.take(9).number)
	require.Equal(t, uint64(2), p.take(10).number, "the first has ended")
	require.Nil(t, p.take(10))
	p.miss()
	want, back, done := p.look(10, 8)
	require.Equal(t, 8, want, "2.5 looks of 3")
	require.Equal(t, []repayment{{epoch: 1, number: 1, n: 1}}, back)
	require.False(t, done)
	p.put(&slice{epoch: 1, number: 3, until: 100, left: 5})
	for i := range patience {
		_, back, done = p.look(11, 8)
		require.Equal(t, i == patience-1, done)
	}
	require.Equal(t, []repayment{{epoch: 1, number: 3, n: 5}}, back, "nobody asks any more")
}

// lendingSim is an owner, its borrowers with clocks of their own, and a net that delays, loses and doubles.
type lendingSim struct {
	t     *rapid.T
	now   time.Duration
	set   limit.Set
	plan  *limit.Plan
	life  time.Duration
	l     *lender
	nodes []*lendingNode
	net   []parcel
	uses  []time.Duration
}

type lendingNode struct {
	name  string
	clock time.Duration // ahead of the real time
	purse purse
}

type parcel struct {
	at   time.Duration
	open func()
}

func newLendingSim(t *rapid.T, events int, per time.Duration) *lendingSim {
	life := drawMicros(t, "life", 4, 40)
	plan, err := limit.NewPlan([]limit.Limit{{Events: events, Per: per}}, life)
	require.NoError(t, err)
	s := &lendingSim{t: t, plan: plan, set: plan.NewSet(), life: life, l: &lender{epoch: 1, life: life}}
	for i := range 3 {
		s.nodes = append(s.nodes, &lendingNode{name: fmt.Sprint(i), clock: time.Duration(i-1) * time.Hour})
	}
	return s
}

func drawMicros(t *rapid.T, what string, least, most int) time.Duration {
	return time.Duration(rapid.IntRange(least, most).Draw(t, what)) * time.Microsecond
}

func (s *lendingSim) send(open func()) {
	for range rapid.SampledFrom([]int{1, 1, 1, 1, 0, 2}).Draw(s.t, "copies") {
		s.net = append(s.net, parcel{s.now + drawMicros(s.t, "delay", 0, 60), open})
	}
}

// run lets time pass, and delivers.
func (s *lendingSim) run(until time.Duration) {
	for {
		slices.SortStableFunc(s.net, func(a, b parcel) int { return cmp.Compare(a.at, b.at) })
		if len(s.net) == 0 || s.net[0].at > until {
			break
		}
		p := s.net[0]
		s.net = s.net[1:]
		s.now = max(s.now, p.at)
		p.open()
	}
	s.now = until
}

func (s *lendingSim) time(at time.Duration) time.Time { return s.plan.Epoch().Add(at) }

func (s *lendingSim) share() {
	now, full := s.time(s.now), s.plan.Capacity()
	for _, out := range s.l.share(s.now, roomOf(&s.set, now, &full)) {
		costs := s.plan.Costs(int(out.n))
		_, _, ok := s.set.Take(now, &costs, &full)
		require.True(s.t, ok, "more was lent than there was")
		n := s.nodes[out.to[0]-'0']
		s.send(func() {
			n.purse.put(&slice{epoch: 1, number: out.number, at: out.at, until: out.stamp + s.life, left: out.n})
		})
	}
}

func (s *lendingSim) look(n *lendingNode) {
	want, back, _ := n.purse.look(s.now+n.clock, s.life)
	stamp, seen := s.now+n.clock, n.purse.last.number
	s.send(func() {
		for _, r := range back {
			if got, at := s.l.repay(n.name, r.number, r.n); got > 0 {
				costs := s.plan.Costs(int(got))
				s.set.Refund(s.time(s.now), s.time(at), &costs)
			}
		}
		s.l.ask(s.now, n.name, want, n.purse.rate(s.life), seen, 0, stamp)
	})
}

// No window holds more than the limit, whoever used what was lent, and when: a slice that comes twice or late, or is given back twice, does not
// change that.
func TestG1_LentSlicesNeverExceedInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events, per := rapid.IntRange(1, 60).Draw(t, "events"), drawMicros(t, "per", 100, 1000)
		s := newLendingSim(t, events, per)
		for range rapid.IntRange(10, 150).Draw(t, "steps") {
			s.run(s.now + drawMicros(t, "gap", 0, 12))
			n := s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(t, "node")]
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0:
				s.look(n)
			case 1:
				s.share()
			default:
				for range rapid.IntRange(1, 8).Draw(t, "asked") {
					if n.purse.take(s.now+n.clock) != nil {
						s.uses = append(s.uses, s.now)
					} else {
						n.purse.miss()
					}
				}
			}
		}
		for i := range s.uses {
			n := 0
			for _, at := range s.uses[i:] {
				if at-s.uses[i] < per {
					n++
				}
			}
			require.LessOrEqual(t, n, events)
		}
	})
}
