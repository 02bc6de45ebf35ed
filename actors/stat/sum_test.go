package stat

import (
	"math"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawN is any number, and often one at the ends.
func drawN(t *rapid.T, name string) int64 {
	if rapid.Bool().Draw(t, "at an end") {
		return rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, math.MinInt64 + 2, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}).Draw(t, name)
	}
	return rapid.Int64().Draw(t, name)
}

func TestPlusEndsWhereSumsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawN(t, "a"), drawN(t, "b")
		a = max(a, -math.MaxInt64+1) // it is a sum
		total, exact := plus(a, b)
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		switch {
		case want.Cmp(big.NewInt(math.MaxInt64)) > 0:
			require.False(t, exact)
			require.EqualValues(t, math.MaxInt64, total)
		case want.Cmp(big.NewInt(-math.MaxInt64+1)) < 0:
			require.False(t, exact)
			require.EqualValues(t, -math.MaxInt64+1, total)
		default:
			require.True(t, exact)
			require.Equal(t, want.Int64(), total)
		}
	})
}

// newParts is a new key's cell.
func newParts() parts {
	s := parts{new(sum), new(atomic.Pointer[stripes])}
	s.n.Store(idle)
	return s
}

// open makes a closed cell idle again, which keys never need.
func (s parts) open() {
	s.n.Store(idle)
	s.reopen()
}

// TestS9_ASumAgreesWithANumber draws what is added to the word and to the stripes, taken, closed and opened again: nothing is lost,
// and who finds the cell idle, and nobody else, is told to arm the key.
func TestS9_ASumAgreesWithANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newParts()
		want, armed, shut, arming := int64(0), false, false, 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.Int64Range(-3, 3).Draw(t, "n")
			switch rapid.SampledFrom([]string{"add", "add to a stripe", "arm", "take", "shut", "open"}).Draw(t, "step") {
			case "add":
				answer, first := s.add(n)
				require.Equal(t, shut, answer == closed)
				require.Equal(t, !shut && !armed, first)
				if !shut {
					want, armed = want+n, true
				}
			case "add to a stripe":
				at, open := s.stripe()
				require.Equal(t, !shut, open)
				if open {
					require.Equal(t, counted, at.add(n))
					want += n
					arming++
				} else if at := s.stripes.Load(); at != nil {
					require.Equal(t, closed, at.add(n))
				}
			case "arm": // the other half of it
				if arming > 0 {
					arming--
					require.Equal(t, !shut && !armed, s.arm())
					armed = armed || !shut
				}
			case "take":
				if shut {
					continue
				}
				then := rapid.SampledFrom([]emptied{toIdle, toIdle, asItWas, asItWas, toClosed}).Draw(t, "then")
				total, exact := s.take(then)
				require.True(t, exact)
				require.Equal(t, want, total)
				want, armed, shut = 0, armed && then == asItWas, then == toClosed
			case "shut":
				if shut {
					continue
				}
				empty := !armed
				for i := range s.stripes.Load().all() {
					empty = empty && i.n.Load() == 0
				}
				require.Equal(t, empty, s.shut(), "it closes if and only if it is idle and each part of it is empty")
				shut = empty
			case "open":
				if shut {
					s.open()
					shut = false
				}
			}
			require.Equal(t, shut, s.isShut())
			require.Equal(t, armed, s.isArmed())
			require.Equal(t, want, s.load())
			require.True(t, want == 0 || armed || arming > 0, "what was counted waits for nobody")
		}
	})
}

func TestStripesAreAsManyAsProcessors(t *testing.T) {
	s := newStripes()
	require.Equal(t, len(s.list), int(s.mask)+1)
	require.LessOrEqual(t, len(s.list), maxStripes)
	require.Zero(t, len(s.list)&(len(s.list)-1), "a power of two")
	var none *stripes
	for range none.all() {
		require.Fail(t, "of nil there are none")
	}
}

// TestG12_ASumLosesNothing has many add, to the word and to the stripes, while it is emptied, closed and opened again. Each time that
// the cell was idle one of them is told to arm the key, and after its addition nothing is left that nobody would collect.
// TestS9_AStripeArms: who counts in a stripe of an idle cell has it flushed.
func TestS9_AStripeArms(t *testing.T) {
	s := newParts()
	for range 2 {
		at, open := s.stripe()
		require.True(t, open)
		require.Equal(t, counted, at.add(3))
		require.True(t, s.arm())
		require.False(t, s.arm(), "once")
		n, _ := s.take(toIdle)
		require.EqualValues(t, 3, n)
	}
}

func TestG12_ASumLosesNothing(t *testing.T) {
	s := newParts()
	var mu sync.Mutex // as the ledger's: stripe, take and shut exclude one another
	var added, taken atomic.Int64
	var armed atomic.Bool // the key is on the stack
	arm := func(first bool) {
		if first && !armed.CompareAndSwap(false, true) {
			t.Error("it was armed twice")
		}
	}
	var adders sync.WaitGroup
	for i := range 6 {
		adders.Go(func() {
			for n := range int64(4000) {
				n %= 7
				for i%2 == 0 {
					if answer, first := s.add(n); answer == counted {
						arm(first)
						break
					}
				}
				for i%2 == 1 {
					mu.Lock()
					at, open := s.stripe()
					mu.Unlock()
					if open && at.add(n) == counted {
						arm(s.arm())
						break
					}
				}
				added.Add(n)
			}
		})
	}
	stop := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() {
		for i := 0; ; i++ {
			mu.Lock()
			switch {
			case armed.CompareAndSwap(true, false):
				total, _ := s.take(toIdle)
				taken.Add(total)
			case i%8 == 0:
				total, _ := s.take(asItWas)
				taken.Add(total)
			case s.shut():
				s.open()
			}
			mu.Unlock()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	adders.Wait()
	close(stop)
	keeper.Wait()
	require.True(t, armed.Load() || s.load() == 0, "something was counted, and the key is not armed")
	total, exact := s.take(toClosed)
	require.True(t, exact)
	require.Equal(t, added.Load(), taken.Load()+total)
	answer, first := s.add(1)
	require.Equal(t, closed, answer)
	require.False(t, first)
	require.Zero(t, s.load())
}
