package wheel

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type thing struct {
	link Link[*thing]
	n    int
	tick int64 // with which it is to come out
}

func (t *thing) Link() *Link[*thing] { return &t.link }

// TestTheWheelAgreesWithAList compares with a list that is searched each time: a thing comes out with the first tick after it is
// due and was put in, whatever comes and goes, and however long the wheel stood still.
func TestTheWheelAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.SampledFrom([]int64{0, 1e6, 3e6, 100e6, 10e9, 3600e9}).Draw(t, "span"))
		w := New[*thing](span)
		far := time.Duration(len(w.spokes)) * w.tick
		var now time.Duration
		var at int64
		var in []*thing
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				x := &thing{n: i}
				x.link.Due = max(0, now+time.Duration(rapid.Int64Range(-int64(w.tick)*2, int64(far)*3).Draw(t, "due")))
				if rapid.Bool().Draw(t, "soon") {
					x.link.Due = now + (x.link.Due-now)%(4*w.tick)
				}
				if rapid.Bool().Draw(t, "on a tick") {
					x.link.Due = x.link.Due / w.tick * w.tick
				}
				x.tick = max(int64((x.link.Due+w.tick-1)/w.tick), at+1)
				in = append(in, x)
				w.Add(x)
			case 3:
				if len(in) > 0 {
					k := rapid.IntRange(0, len(in)-1).Draw(t, "removed")
					w.Remove(in[k])
					in = slices.Delete(in, k, k+1)
				}
			default:
				d := w.Next(now)
				if d <= 0 || d > w.tick || (now+d)%w.tick != 0 {
					t.Fatalf("the next tick is in %v", d)
				}
				switch rapid.IntRange(0, 3).Draw(t, "pace") {
				case 0:
					d = time.Duration(rapid.Int64Range(0, int64(w.tick)).Draw(t, "a little"))
				case 1:
					d = time.Duration(rapid.Int64Range(0, int64(far)*2).Draw(t, "long"))
				}
				now += d
				at = max(at, int64(now/w.tick))
				var want, got []int
				in = slices.DeleteFunc(in, func(x *thing) bool {
					if x.tick <= at {
						want = append(want, x.n)
					}
					return x.tick <= at
				})
				w.Advance(now, func(x *thing) {
					if x.link.Due > now {
						t.Fatalf("%d is due at %v and comes at %v", x.n, x.link.Due, now)
					}
					got = append(got, x.n)
				})
				slices.Sort(got)
				require.Equal(t, want, got, "at %v", now)
			}
			require.Equal(t, len(in), w.Len())
		}
		var left []int
		w.Advance(now+1000*far, func(x *thing) { left = append(left, x.n) })
		require.Len(t, left, len(in), "nothing is lost")
		require.Zero(t, w.Len())
	})
}

func TestTicksAreNeitherTooFineNorTooCoarse(t *testing.T) {
	for span, tick := range map[time.Duration]time.Duration{
		0: time.Millisecond, 100 * time.Millisecond: time.Millisecond, 512 * time.Millisecond: 2 * time.Millisecond,
		time.Hour: time.Second, 366 * 24 * time.Hour: time.Second,
	} {
		w := New[*thing](span)
		require.Equal(t, tick, w.tick, span)
		require.LessOrEqual(t, len(w.spokes), maxSpokes)
		require.GreaterOrEqual(t, len(w.spokes), 2)
	}
}

// TestAThingCanBeTakenOutOfTheMiddle has three in one spoke.
func TestAThingCanBeTakenOutOfTheMiddle(t *testing.T) {
	for out := range 3 {
		w := New[*thing](time.Second)
		things := []*thing{{n: 0}, {n: 1}, {n: 2}}
		for _, x := range things {
			x.link.Due = 50 * time.Millisecond
			w.Add(x)
		}
		w.Remove(things[out])
		var got []int
		w.Advance(time.Second, func(x *thing) { got = append(got, x.n) })
		require.ElementsMatch(t, slices.Delete([]int{0, 1, 2}, out, out+1), got)
		w.Add(things[out]) // it can come again
		require.Equal(t, 1, w.Len())
		w.Remove(things[out])
		require.Zero(t, w.Len())
	}
}

// TestWhatGoesRoundComesWithItsTickToo has one that is due later than the wheel reaches, and an Advance between two ticks.
func TestWhatGoesRoundComesWithItsTickToo(t *testing.T) {
	w := New[*thing](0)
	far := time.Duration(len(w.spokes)+1) * w.tick
	x := &thing{link: Link[*thing]{Due: far + 1}}
	w.Add(x)
	w.Advance(far+1, func(*thing) { t.Fatal("its tick is the next one") })
	w.Advance(far+w.tick, func(x *thing) {})
	require.Zero(t, w.Len())
}

// TestNothingIsAllocated is what the wheel is for.
func TestNothingIsAllocated(t *testing.T) {
	w := New[*thing](time.Second)
	x := new(thing)
	var now time.Duration
	require.Zero(t, testing.AllocsPerRun(100, func() {
		x.link.Due = now + 5*time.Millisecond
		w.Add(x)
		w.Remove(x)
		w.Add(x)
		now += 10 * time.Millisecond
		w.Advance(now, func(*thing) {})
	}))
	require.Zero(t, w.Len())
}

func TestTheQueueAgreesWithASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[*thing]
		var want []*thing
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				x := &thing{n: len(want)}
				q.Push(x)
				want = append(want, x)
			} else if len(want) > 0 {
				x := q.Pop()
				require.Same(t, want[0], x)
				want = want[1:]
				if rapid.Bool().Draw(t, "again") {
					q.Push(x)
					want = append(want, x)
				}
			}
			require.Equal(t, len(want) == 0, q.Empty())
		}
		for _, x := range want {
			require.Same(t, x, q.Pop(), fmt.Sprint(x.n))
		}
		require.True(t, q.Empty())
	})
}
