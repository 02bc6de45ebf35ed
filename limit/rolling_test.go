package limit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// within sums the grants of the half-open window of length w that ends with now.
func within(grants []grant, now time.Time, w time.Duration) (sum int) {
	for i := len(grants) - 1; i >= 0 && now.Sub(grants[i].at) < w; i-- {
		sum += grants[i].cost
	}
	return sum
}

func drawRolling(t *rapid.T) (Limit, time.Duration) {
	l := Limit{
		Name:   "x",
		Events: rapid.OneOf(rapid.IntRange(1, 12), rapid.SampledFrom([]int{255, 256, 257, 300, 90_000})).Draw(t, "events"),
		Per:    rapid.SampledFrom([]time.Duration{time.Microsecond, time.Millisecond, 6 * time.Second, time.Minute}).Draw(t, "per"),
	}
	return l, drawSlack(t, l.Per)
}

// No window that ends with a grant holds more than the limit in force at that
// grant, counted over everything granted before: also under other limits.
func TestG1_RollingNeverExceedsInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, slack := drawRolling(t)
		p := must(NewPlan([]Limit{l}, slack))
		s, now := p.NewSet(), origin
		var grants []grant
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now = now.Add(drawGap(t, l.Per))
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				l, slack = drawRolling(t)
				p = must(p.Change([]Limit{l}, slack))
				s.Change(now, p)
			case 1:
				if len(grants) > 0 {
					g := &grants[rapid.IntRange(0, len(grants)-1).Draw(t, "grant")]
					back := rapid.IntRange(0, g.cost).Draw(t, "back")
					s.Refund(now, g.at, &Costs{int32(back)})
					g.cost -= back
				}
			default:
				cost := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, l.Events)).Draw(t, "cost")
				ceiling := p.Share(rapid.SampledFrom([]float64{1, 1, 0.7}).Draw(t, "share"))
				for range rapid.SampledFrom([]int{1, 1, 3, 20}).Draw(t, "times") {
					if _, _, ok := s.Take(now, &Costs{int32(cost)}, &ceiling); ok {
						grants = append(grants, grant{now, cost})
						if sum := within(grants, now, l.Per+slack); sum > int(ceiling[0]) {
							t.Fatalf("%d in a window of %v + %v of %v, ceiling %d", sum, l.Per, slack, l, ceiling[0])
						}
					}
				}
			}
			if n := s.single.len(); n > maxEntries {
				t.Fatalf("%d entries", n)
			}
		}
	})
}

// Who always asks as soon as there is room gets at least 99 % of the limit,
// however what was there before is spread over the window.
func TestG1_RollingDelivers(t *testing.T) {
	for _, events := range []int{1, 10, 256, 257, 300, 5_000, 90_000} {
		t.Run(fmt.Sprint(events), func(t *testing.T) {
			const spans = 4
			l := Limit{Events: events, Per: time.Minute}
			rapid.Check(t, func(t *rapid.T) {
				p := must(NewPlan([]Limit{l}, 0))
				s, now := p.NewSet(), origin
				each := max(1, events/3000)
				one, full := p.Costs(each), p.Capacity()
				pauses := rapid.SliceOfN(rapid.Int64Range(0, 2*int64(each)*int64(l.Per)/int64(events)), 1, 7).Draw(t, "pauses")
				delivered := 0
				warm, end := now.Add(l.Per), now.Add((1+spans)*l.Per)
				for i := 0; now.Before(end); i++ {
					if _, _, ok := s.Take(now, &one, &full); !ok {
						d, _ := s.Wait(now, &one, &full)
						now = now.Add(d)
						continue
					}
					if now.Before(warm) {
						now = now.Add(time.Duration(pauses[i%len(pauses)]))
						continue
					}
					delivered += each
				}
				if least := spans * events * 99 / 100; delivered < least || delivered > (spans+1)*events {
					t.Fatalf("%d delivered, want %d to %d", delivered, least, (spans+1)*events)
				}
			})
		})
	}
}

// naiveRolling says the same as rolling, up to 256 events, without a ring.
type naiveRolling struct {
	takes  []grant
	forgot *time.Time
}

func (m *naiveRolling) clamp(now time.Time, span time.Duration) time.Time {
	if m.forgot != nil && now.Before(m.forgot.Add(span)) {
		now = m.forgot.Add(span)
	}
	if n := len(m.takes); n > 0 && now.Before(m.takes[n-1].at) {
		now = m.takes[n-1].at
	}
	for len(m.takes) > 0 && now.Sub(m.takes[0].at) >= span {
		m.forgot = &m.takes[0].at
		m.takes = m.takes[1:]
	}
	return now
}

func (m *naiveRolling) used() (sum int) {
	for _, g := range m.takes {
		sum += g.cost
	}
	return sum
}

func TestRollingAsNaiveModelWithClocksSetBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{Events: rapid.IntRange(1, 20).Draw(t, "events"), Per: 1000}
		slack := drawSlack(t, l.Per)
		span := l.Per + slack
		p := must(NewPlan([]Limit{l}, slack))
		s, now, full := p.NewSet(), origin, p.Capacity()
		var m naiveRolling
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(-300, 700), rapid.Int64Range(-5, 5)).Draw(t, "gap")))
			cost := rapid.IntRange(1, 5).Draw(t, "cost")
			at := m.clamp(now, span)
			want := m.used()+cost <= l.Events
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				s.Charge(now, &Costs{int32(cost)})
				m.takes = append(m.takes, grant{at, cost})
			default:
				_, remaining, ok := s.Take(now, &Costs{int32(cost)}, &full)
				if ok != want {
					t.Fatalf("take %d: %v, want %v", cost, ok, want)
				}
				if ok {
					m.takes = append(m.takes, grant{at, cost})
					if remaining != l.Events-m.used() {
						t.Fatalf("remaining %d, want %d", remaining, l.Events-m.used())
					}
				}
			}
			if got := s.Used(now, 0); got != m.used() {
				t.Fatalf("used %d, want %d", got, m.used())
			}
		}
	})
}
