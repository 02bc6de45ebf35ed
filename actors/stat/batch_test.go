package stat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type (
	sumBatch  = batch[string, string, sum]
	sumOutbox = outbox[string, string, sum]
)

func TestTheOutboxTriesWhatIsNewInOrder(t *testing.T) {
	var o sumOutbox
	require.Nil(t, o.next(0))
	a, b, c := &sumBatch{}, &sumBatch{}, &sumBatch{}
	o.add(a)
	o.add(b)
	require.Equal(t, 2, o.len())
	require.Same(t, a, o.next(0))
	o.add(c)
	require.Same(t, b, o.next(0))
	require.Same(t, c, o.next(0))
	require.Nil(t, o.next(0))
	require.Zero(t, o.len())
	o.running = 2
	require.Equal(t, 2, o.len())
}

func TestTheOutboxHasWhatFailedWaitForItsBackoff(t *testing.T) {
	var o sumOutbox
	_, ok := o.again()
	require.False(t, ok)
	a, b, c := &sumBatch{attempts: 1}, &sumBatch{attempts: 1}, &sumBatch{}
	o.retry(a, 20)
	o.retry(b, 10)
	o.add(c)
	at, ok := o.again()
	require.True(t, ok)
	require.EqualValues(t, 10, at)
	require.Same(t, c, o.next(9), "what fails holds up no other")
	require.Nil(t, o.next(9))
	o.add(c)
	require.Same(t, b, o.next(10), "what has waited goes before what is new")
	require.Same(t, c, o.next(19))
	require.Same(t, a, o.next(20))
	require.Zero(t, o.len())
}

func TestTheOutboxHurriesOne(t *testing.T) {
	var o sumOutbox
	a, b, c := &sumBatch{attempts: 1}, &sumBatch{attempts: 1}, &sumBatch{}
	o.retry(a, 20)
	o.retry(b, 30)
	o.hurry(c, 5) // it is not there
	o.hurry(b, 5)
	require.Same(t, b, o.next(5))
	require.Nil(t, o.next(5))
	o.hurry(b, 6)
	require.Nil(t, o.next(6))
	o.hurry(a, 25) // it has waited
	require.Same(t, a, o.next(25))
}

func TestTheOutboxWakesThoseOfAnOutage(t *testing.T) {
	var o sumOutbox
	a, b, c := &sumBatch{}, &sumBatch{}, &sumBatch{}
	fail := func(x *sumBatch, at time.Duration) {
		x.attempts++
		o.retry(x, at)
	}
	fail(a, 100)
	fail(b, 200)
	o.succeeded(1)
	require.NotNil(t, o.next(1))
	require.NotNil(t, o.next(1))
	fail(a, 100) // while another was stored
	o.succeeded(2)
	require.Nil(t, o.next(2), "it fails while others are stored")
	fail(c, 300)
	require.Same(t, a, o.next(100))
	fail(a, 400)
	o.succeeded(101)
	require.Same(t, c, o.next(101), "it failed once, and that may have been the sink")
	require.Nil(t, o.next(101))
	require.Same(t, a, o.next(400))
	fail(a, 500) // one was stored in between
	require.True(t, a.alone)
	require.Same(t, a, o.next(500))
	fail(a, 600) // none was: from now on it may be the sink
	require.False(t, a.alone)
	o.succeeded(501)
	require.Same(t, a, o.next(501))
}

// TestTheOutboxAgreesWithANaiveOne draws what fails, waits, hurries and is stored; time goes on.
func TestTheOutboxAgreesWithANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o sumOutbox
		now := time.Duration(0)
		var fresh, failed, out []*sumBatch // out: being tried
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1:
				b := &sumBatch{}
				o.add(b)
				fresh = append(fresh, b)
			case 2, 3:
				b := o.next(now)
				due := earliest(failed)
				switch {
				case due >= 0 && failed[due].again <= now:
					require.NotNil(t, b)
					require.Equal(t, failed[due].again, b.again)
					failed = without(failed, b)
				case len(fresh) > 0:
					require.Same(t, fresh[0], b)
					fresh = fresh[1:]
				default:
					require.Nil(t, b)
				}
				if b != nil {
					require.Zero(t, b.place)
					out = append(out, b)
				}
			case 4:
				if len(out) > 0 {
					b := out[0]
					out = out[1:]
					b.attempts++
					o.retry(b, now+time.Duration(rapid.IntRange(0, 50).Draw(t, "back-off")))
					failed = append(failed, b)
				}
			case 5:
				if len(out) > 0 {
					out = out[1:]
					o.succeeded(now)
					for _, b := range failed {
						require.True(t, b.alone || b.again <= now)
					}
				}
			case 6:
				if len(failed) > 0 {
					b := rapid.SampledFrom(failed).Draw(t, "hurried")
					o.hurry(b, now)
					require.LessOrEqual(t, b.again, now)
				}
			case 7:
				now += time.Duration(rapid.IntRange(0, 30).Draw(t, "time"))
			}
			require.Equal(t, len(fresh)+len(failed), o.len())
			at, any := o.again()
			require.Equal(t, len(failed) > 0, any)
			if any {
				require.Equal(t, failed[earliest(failed)].again, at)
			}
			for _, b := range failed {
				require.Same(t, b, o.failed[b.place-1], "it knows its place")
			}
		}
		require.ElementsMatch(t, append(fresh, failed...), o.all())
		require.Zero(t, o.len())
	})
}

// earliest is where the one is that may be tried first; -1 if there is none.
func earliest(list []*sumBatch) int {
	best := -1
	for i, b := range list {
		if best < 0 || b.again < list[best].again {
			best = i
		}
	}
	return best
}

func without(list []*sumBatch, b *sumBatch) []*sumBatch {
	var rest []*sumBatch
	for _, x := range list {
		if x != b {
			rest = append(rest, x)
		}
	}
	return rest
}
