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
		return rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}).Draw(t, name)
	}
	return rapid.Int64().Draw(t, name)
}

func TestPlusEndsWhereSumsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawN(t, "a"), drawN(t, "b")
		if a == gone {
			a++
		}
		total, exact := plus(a, b)
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		switch {
		case want.Cmp(big.NewInt(math.MaxInt64)) > 0:
			require.False(t, exact)
			require.EqualValues(t, math.MaxInt64, total)
		case want.Cmp(big.NewInt(-math.MaxInt64)) < 0:
			require.False(t, exact)
			require.EqualValues(t, -math.MaxInt64, total)
		default:
			require.True(t, exact)
			require.Equal(t, want.Int64(), total)
		}
	})
}

// TestASumAgreesWithANumber draws what is added to the word and to the stripes, taken, closed and opened again.
func TestASumAgreesWithANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := parts{new(sum), new(atomic.Pointer[stripes])}
		want, shut := int64(0), false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.Int64Range(-3, 3).Draw(t, "n")
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				answer := s.add(n)
				require.Equal(t, shut, answer == closed)
				if !shut {
					want += n
				}
			case 2, 3:
				at, open := s.stripe()
				require.Equal(t, !shut, open)
				if open {
					require.Equal(t, counted, at.add(n))
					want += n
				} else if at := s.stripes.Load(); at != nil {
					require.Equal(t, closed, at.add(n))
				}
			case 4:
				last := !shut && rapid.IntRange(0, 5).Draw(t, "last") == 0
				if shut {
					continue
				}
				total, exact := s.take(last)
				require.True(t, exact)
				require.Equal(t, want, total)
				want, shut = 0, last
			case 5:
				if shut {
					continue
				}
				parts := s.n.Load() == 0
				for i := range s.stripes.Load().all() {
					parts = parts && i.n.Load() == 0
				}
				require.Equal(t, parts, s.shut(), "it closes if and only if each part of it is empty")
				shut = parts
			case 6:
				if shut {
					s.reopen()
					shut = false
				}
			}
			require.Equal(t, shut, s.isShut())
			require.Equal(t, want, s.load())
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

// TestG12_ASumLosesNothing has many add, to the word and to the stripes, while it is emptied, closed and opened again.
func TestG12_ASumLosesNothing(t *testing.T) {
	s := parts{new(sum), new(atomic.Pointer[stripes])}
	var mu sync.Mutex // as the ledger's: stripe, take and shut exclude one another
	var added, taken atomic.Int64
	var adders sync.WaitGroup
	for i := range 6 {
		adders.Go(func() {
			for n := range int64(4000) {
				n %= 7
				for i%2 == 0 && s.add(n) != counted {
				}
				for i%2 == 1 {
					mu.Lock()
					at, open := s.stripe()
					mu.Unlock()
					if open && at.add(n) == counted {
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
		for {
			mu.Lock()
			total, _ := s.take(false)
			taken.Add(total)
			if s.shut() {
				s.reopen()
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
	total, exact := s.take(true)
	require.True(t, exact)
	require.Equal(t, added.Load(), taken.Load()+total)
	require.Equal(t, closed, s.add(1))
	require.Zero(t, s.load())
}
