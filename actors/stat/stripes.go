package stat

import (
	"iter"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// stripes are parts of one sum that lie so far apart in memory that cores which count at the same time do not wait for one
// another's cache lines.
type stripes struct {
	mask uint32
	list []stripe
}

type stripe struct {
	n atomic.Int64
	_ [120]byte // two cache lines: processors fetch neighbours together
}

// maxStripes bounds what a striped key costs; more cores than that share.
const maxStripes = 64

func newStripes() *stripes {
	n := 1 << bits.Len(uint(min(runtime.GOMAXPROCS(0), maxStripes)-1))
	return &stripes{mask: uint32(n - 1), list: make([]stripe, n)}
}

// all walks over the stripes; of nil there are none.
func (s *stripes) all() iter.Seq[*stripe] {
	return func(yield func(*stripe) bool) {
		if s == nil {
			return
		}
		for i := range s.list {
			if !yield(&s.list[i]) {
				return
			}
		}
	}
}

// token says which stripe its owner uses. Tokens are kept by sync.Pool, which gives one back to the processor that had it.
type token struct{ at uint32 }

var tokens = sync.Pool{New: func() any { return &token{at: rand.Uint32()} }}

// add counts in one of the stripes. closed: that one was closed.
func (s *stripes) add(n int64) answer {
	t := tokens.Get().(*token)
	for {
		word := &s.list[t.at&s.mask].n
		before := word.Load()
		after, exact := plus(before, n)
		if before == gone || !exact {
			tokens.Put(t)
			if before == gone {
				return closed
			}
			return saturated // a part of the sum is full, which does not mean that the sum is
		}
		if word.CompareAndSwap(before, after) {
			tokens.Put(t)
			return counted
		}
		t.at = rand.Uint32() // somebody else uses it
	}
}
