package queuetest_test

import (
	"flag"
	"iter"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/actors/queue/queuetest"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.nofailfile", "true") // the broken ones are meant to fail
	os.Exit(m.Run())
}

func line(cfg queue.LineConfig) func(testing.TB) queue.Behavior[int] {
	return func(testing.TB) queue.Behavior[int] { return queue.NewLine[int](cfg) }
}

// ofMostUrgent returns the one to go first of those of the lowest niceness: the first, or the last if newest.
func ofMostUrgent(newest bool) func(waiting []*queue.Item[int]) *queue.Item[int] {
	return func(waiting []*queue.Item[int]) *queue.Item[int] {
		best := waiting[0]
		for _, x := range waiting[1:] {
			if x.Nice < best.Nice || newest && x.Nice == best.Nice {
				best = x
			}
		}
		return best
	}
}

// oneFlow hides the flows of items from the line.
type oneFlow struct{ queue.Behavior[int] }

func (b oneFlow) In(now time.Time, x *queue.Item[int]) error {
	x.Flow = ""
	return b.Behavior.In(now, x)
}

func TestQ17_FIFO(t *testing.T) {
	queuetest.Test(t, queuetest.Config{
		New:  func(testing.TB) queue.Behavior[int] { return oneFlow{queue.NewLine[int](queue.LineConfig{})} },
		Next: ofMostUrgent(false),
	})
}

func TestQ17_LIFO(t *testing.T) {
	queuetest.Test(t, queuetest.Config{
		New: func(testing.TB) queue.Behavior[int] {
			return oneFlow{queue.NewLine[int](queue.LineConfig{Order: queue.LIFO})}
		},
		Next: ofMostUrgent(true),
	})
}

func TestQ17_Fair(t *testing.T) { queuetest.Test(t, queuetest.Config{New: line(queue.LineConfig{})}) }

func TestQ17_Adaptive(t *testing.T) {
	queuetest.Test(t, queuetest.Config{New: line(queue.LineConfig{Order: queue.Adaptive}), Sheds: true})
}

// slice is the most naive Behavior there is: a FIFO that looks at everything. Broken ones are made of it.
type slice struct{ list []*queue.Item[int] }

func (s *slice) In(_ time.Time, x *queue.Item[int]) error {
	i, _ := slices.BinarySearchFunc(s.list, x, func(a, b *queue.Item[int]) int { return int(int64(a.Seq) - int64(b.Seq)) })
	s.list = slices.Insert(s.list, i, x)
	return nil
}
func (s *slice) Peek(time.Time) (*queue.Item[int], bool) { return s.Oldest() }
func (s *slice) Out(time.Time) (*queue.Item[int], bool) {
	x, ok := s.Oldest()
	if ok {
		s.list = s.list[1:]
	}
	return x, ok
}
func (s *slice) Remove(x *queue.Item[int]) bool {
	i := slices.Index(s.list, x)
	if i >= 0 {
		s.list = slices.Delete(s.list, i, i+1)
	}
	return i >= 0
}
func (s *slice) TimedOut(now time.Time, maxTime time.Duration) (gone []*queue.Item[int]) {
	for maxTime > 0 && len(s.list) > 0 && now.Sub(s.list[0].At) >= maxTime {
		gone = append(gone, s.list[0])
		s.list = s.list[1:]
	}
	return gone
}
func (s *slice) Due(now time.Time, maxTime time.Duration) time.Duration {
	if maxTime == 0 || len(s.list) == 0 {
		return limit.Never
	}
	return s.list[0].At.Add(maxTime).Sub(now)
}
func (s *slice) Oldest() (*queue.Item[int], bool) {
	if len(s.list) == 0 {
		return nil, false
	}
	return s.list[0], true
}
func (s *slice) Len() int                        { return len(s.list) }
func (s *slice) All() iter.Seq[*queue.Item[int]] { return slices.Values(s.list) }
func (s *slice) Info() any                       { return nil }
func (s *slice) Close() error                    { return nil }

func TestQ17_TheNaiveOnePasses(t *testing.T) {
	queuetest.Test(t, queuetest.Config{
		New:  func(testing.TB) queue.Behavior[int] { return new(slice) },
		Next: func(waiting []*queue.Item[int]) *queue.Item[int] { return waiting[0] },
	})
}

type (
	losing       struct{ slice }
	doubling     struct{ slice }
	miscounting  struct{ slice }
	lateOuts     struct{ slice }
	earlyOuts    struct{ slice }
	newestOuts   struct{ slice }
	keepsOuts    struct{ slice }
	peeksElse    struct{ slice }
	keepsRemoved struct{ slice }
	removesAny   struct{ slice }
	dueLate      struct{ slice }
	dueNever     struct{ slice }
	newestAll    struct{ slice }
	stuck        struct{ slice }
	misplacing   struct{ slice }
	lastFirst    struct{ slice }
)

func (s *losing) In(now time.Time, x *queue.Item[int]) error {
	if x.Seq%5 == 0 {
		return nil
	}
	return s.slice.In(now, x)
}

func (s *doubling) Out(now time.Time) (*queue.Item[int], bool) {
	x, ok := s.slice.Out(now)
	if ok && x.Seq == 5 {
		_ = s.In(now, x)
	}
	return x, ok
}

func (s *miscounting) Len() int { return min(len(s.list), 7) }

func (s *lateOuts) TimedOut(now time.Time, maxTime time.Duration) []*queue.Item[int] {
	return s.slice.TimedOut(now.Add(-1), maxTime)
}

func (s *earlyOuts) TimedOut(now time.Time, maxTime time.Duration) []*queue.Item[int] {
	return s.slice.TimedOut(now.Add(1), maxTime)
}

func (s *newestOuts) TimedOut(now time.Time, maxTime time.Duration) []*queue.Item[int] {
	gone := s.slice.TimedOut(now, maxTime)
	slices.Reverse(gone)
	return gone
}

func (s *keepsOuts) TimedOut(now time.Time, maxTime time.Duration) []*queue.Item[int] {
	kept := slices.Clone(s.list)
	gone := s.slice.TimedOut(now, maxTime)
	s.list = kept
	return gone
}

func (s *peeksElse) Peek(time.Time) (*queue.Item[int], bool) {
	if len(s.list) == 0 {
		return nil, false
	}
	return s.list[len(s.list)-1], true
}

func (s *keepsRemoved) Remove(x *queue.Item[int]) bool { return slices.Contains(s.list, x) }

func (s *removesAny) Remove(x *queue.Item[int]) bool { s.slice.Remove(x); return true }

func (s *dueLate) Due(now time.Time, maxTime time.Duration) time.Duration {
	return s.slice.Due(now.Add(-1), maxTime)
}

func (s *dueNever) Due(time.Time, time.Duration) time.Duration { return limit.Never }

func (s *newestAll) All() iter.Seq[*queue.Item[int]] {
	return func(yield func(*queue.Item[int]) bool) {
		for _, x := range slices.Backward(s.list) {
			if !yield(x) {
				return
			}
		}
	}
}

func (s *stuck) Peek(time.Time) (*queue.Item[int], bool) { return nil, false }
func (s *stuck) Out(time.Time) (*queue.Item[int], bool)  { return nil, false }

func (s *misplacing) In(_ time.Time, x *queue.Item[int]) error {
	s.list = append(s.list, x)
	return nil
}

func (s *lastFirst) Peek(time.Time) (*queue.Item[int], bool) {
	if len(s.list) == 0 {
		return nil, false
	}
	return s.list[len(s.list)-1], true
}

func (s *lastFirst) Out(now time.Time) (*queue.Item[int], bool) {
	x, ok := s.Peek(now)
	if ok {
		s.list = s.list[:len(s.list)-1]
	}
	return x, ok
}

// TestQ17_BrokenOnesFail proves the suite itself.
func TestQ17_BrokenOnesFail(t *testing.T) {
	broken := map[string]func() queue.Behavior[int]{
		"loses some":                    func() queue.Behavior[int] { return new(losing) },
		"gives one twice":               func() queue.Behavior[int] { return new(doubling) },
		"counts wrong":                  func() queue.Behavior[int] { return new(miscounting) },
		"times out late":                func() queue.Behavior[int] { return new(lateOuts) },
		"times out early":               func() queue.Behavior[int] { return new(earlyOuts) },
		"times out newest first":        func() queue.Behavior[int] { return new(newestOuts) },
		"keeps what timed out":          func() queue.Behavior[int] { return new(keepsOuts) },
		"Peek is not Out":               func() queue.Behavior[int] { return new(peeksElse) },
		"Remove leaves it":              func() queue.Behavior[int] { return new(keepsRemoved) },
		"Remove is always glad":         func() queue.Behavior[int] { return new(removesAny) },
		"due too late":                  func() queue.Behavior[int] { return new(dueLate) },
		"never due":                     func() queue.Behavior[int] { return new(dueNever) },
		"yields all newest first":       func() queue.Behavior[int] { return new(newestAll) },
		"gives nothing":                 func() queue.Behavior[int] { return new(stuck) },
		"who comes back is at the end":  func() queue.Behavior[int] { return new(misplacing) },
		"does not keep to what it says": func() queue.Behavior[int] { return new(lastFirst) },
	}
	for name, make := range broken {
		assert.True(t, roomtest.Fails(t, queuetest.Cases(), queuetest.Config{
			New:  func(testing.TB) queue.Behavior[int] { return make() },
			Next: func(waiting []*queue.Item[int]) *queue.Item[int] { return waiting[0] },
		}), "%s, and passed", name)
	}
}
