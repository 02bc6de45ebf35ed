package bucket

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

// wanted is how often a second the callers of each node ask, and had how often they may in fact.
func simulateLending(t *testing.T, events int, delay time.Duration, wanted []int) (had []int) {
	const life, tick, seconds = 40 * time.Millisecond, 10 * time.Millisecond, 4
	plan, err := limit.NewPlan([]limit.Limit{{Events: events, Per: time.Second}}, life)
	require.NoError(t, err)
	set, l, full := plan.NewSet(), &lender{epoch: 1, life: life}, plan.Capacity()
	purses := make([]purse, len(wanted))
	had = make([]int, len(wanted))
	at := make(map[time.Duration][]func(time.Duration))
	for now := time.Duration(0); now < (seconds+1)*time.Second; now += time.Millisecond {
		real := plan.Epoch().Add(now)
		for _, do := range at[now] {
			do(now)
		}
		delete(at, now)
		for i := range purses {
			i, p := i, &purses[i]
			if (now-time.Duration(i)*3*time.Millisecond)%tick == 0 {
				want, back, _ := p.look(now, life)
				seen, stamp, rate := p.last.number, now, p.rate(life)
				at[now+delay+time.Millisecond] = append(at[now+delay+time.Millisecond], func(now time.Duration) {
					for _, r := range back {
						if got, then := l.repay(fmt.Sprint(i), r.number, r.n); got > 0 {
							costs := plan.Costs(int(got))
							set.Refund(plan.Epoch().Add(now), plan.Epoch().Add(then), &costs)
						}
					}
					l.ask(now, fmt.Sprint(i), want, rate, seen, 0, stamp)
				})
			}
			before := int64(now) * int64(wanted[i]) / int64(time.Second)
			for range int64(now+time.Millisecond)*int64(wanted[i])/int64(time.Second) - before {
				if p.take(now) == nil {
					p.miss()
				} else if now >= time.Second {
					had[i]++
				}
			}
		}
		if now%tick == 0 {
			for _, out := range l.share(now, roomOf(&set, real, &full)) {
				costs := plan.Costs(int(out.n))
				_, _, ok := set.Take(real, &costs, &full)
				require.True(t, ok)
				i := out.to[0] - '0'
				at[now+delay+time.Millisecond] = append(at[now+delay+time.Millisecond], func(time.Duration) {
					purses[i].put(&slice{epoch: 1, number: out.number, at: out.at, until: out.stamp + life, left: out.n})
				})
			}
		}
	}
	for i := range had {
		had[i] /= seconds
	}
	return had
}

func TestSlicesAreSharedMaxMin(t *testing.T) {
	for _, c := range []struct {
		name   string
		events int
		delay  time.Duration
		wanted []int
		least  []int
		total  int
	}{
		{"three alike", 1000, 0, []int{2000, 2000, 2000}, []int{290, 290, 290}, 900},
		{"one wants little", 1000, 0, []int{2000, 50, 2000}, []int{400, 49, 400}, 900},
		{"one wants much more", 1000, 2 * time.Millisecond, []int{600, 900, 50_000}, []int{280, 280, 280}, 900},
		{"there is enough", 10_000, 2 * time.Millisecond, []int{600, 1200, 20}, []int{590, 1190, 19}, 1800},
		{"there is little", 30, time.Millisecond, []int{100, 100, 100}, []int{6, 6, 6}, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			had := simulateLending(t, c.events, c.delay, c.wanted)
			total := 0
			for i, n := range had {
				require.GreaterOrEqual(t, n, c.least[i], "%v", had)
				total += n
			}
			require.GreaterOrEqual(t, total, c.total, "%v", had)
			t.Log(had)
		})
	}
}
