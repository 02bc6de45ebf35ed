package limit_test

import (
	"fmt"
	"time"

	"github.com/penstock-go/penstock/limit"
)

func ExampleParse() {
	for _, s := range []string{"10/6s", "100/m:smooth:burst=5", "60/1m:calendar", "0/s"} {
		l, err := limit.Parse(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(l, l.Events, l.Per, l.Algorithm)
	}
	// Output:
	// 10/6s 10 6s rolling
	// 100/1m:smooth:burst=5 100 1m0s smooth
	// 60/1m:calendar 60 1m0s calendar
	// limit "0/s": Events: 0, want 1 to 2147483647
}

// An API that allows 3 requests in any second, and 1,000 tokens a minute.
func ExampleSet() {
	plan, err := limit.NewPlan([]limit.Limit{
		{Name: "requests", Events: 3, Per: time.Second},
		{Name: "tokens", Events: 1000, Per: time.Minute},
	}, 0)
	if err != nil {
		panic(err)
	}
	user, ceiling := plan.NewSet(), plan.Capacity()
	names := plan.Limits()

	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	costs := limit.Costs{1, 300}
	for range 4 {
		tightest, remaining, ok := user.Take(now, &costs, &ceiling)
		if ok {
			fmt.Println("passed,", remaining, "left of", names[tightest].Name)
			continue
		}
		wait, held := user.Wait(now, &costs, &ceiling)
		fmt.Println("held back by", names[held].Name, "for", wait)
	}
	// Output:
	// passed, 2 left of requests
	// passed, 1 left of requests
	// passed, 0 left of requests
	// held back by tokens for 1m0s
}

func ExamplePriority() {
	type visitor struct {
		limit.Turn
		name string
	}
	var line limit.Priority[*visitor]
	late := &visitor{name: "changed her mind"}
	line.Push(&visitor{name: "background"}, 10, 1)
	line.Push(&visitor{name: "user"}, -10, 2)
	line.Push(late, 0, 3)
	line.Push(&visitor{name: "another user"}, -10, 4)
	line.Remove(late)
	for v, ok := line.Pop(); ok; v, ok = line.Pop() {
		fmt.Println(v.name)
	}
	// Output:
	// user
	// another user
	// background
}

// One user sends three requests before another sends one.
func ExampleFair() {
	type request struct {
		limit.Slot
		user string
	}
	var line limit.Fair[*request]
	for seq, user := range []string{"ann", "ann", "ann", "bob", "cat"} {
		p := limit.Position{Flow: user, Seq: uint64(seq)}
		if user == "cat" {
			p.Rank = -1 // more urgent
		}
		line.Push(&request{user: user}, p)
	}
	for r, ok := line.Pop(); ok; r, ok = line.Pop() {
		fmt.Println(r.user)
	}
	// Output:
	// cat
	// ann
	// bob
	// ann
	// ann
}

// Ten a second, for somebody who wants more than that, and is late once.
func ExampleRate() {
	rate, err := limit.NewRate(10)
	if err != nil {
		panic(err)
	}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now := start
	for i := range 5 {
		wait := rate.Wait(now, 1)
		now = now.Add(wait)
		if i == 2 {
			now = now.Add(70 * time.Millisecond)
		}
		rate.Take(now, start, 1)
		fmt.Println("waited", wait, "and went at", now.Sub(start))
	}
	// Output:
	// waited 0s and went at 0s
	// waited 100ms and went at 100ms
	// waited 100ms and went at 270ms
	// waited 30ms and went at 300ms
	// waited 100ms and went at 400ms
}

// A line that may be 20 ms long, and longer for 200 ms.
func ExampleCoDel() {
	line := limit.NewCoDel(20*time.Millisecond, 200*time.Millisecond)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	tell := func(after, oldest time.Duration, empty bool) {
		now = now.Add(after)
		line.Update(now, oldest, empty)
		fmt.Println(line.Overloaded(now), line.Patience(now, time.Minute))
	}
	tell(0, 0, false)                                       // somebody comes
	tell(100*time.Millisecond, 100*time.Millisecond, false) // and still waits
	tell(130*time.Millisecond, 150*time.Millisecond, false) // has gone, but the next one waits nearly as long
	tell(10*time.Millisecond, 15*time.Millisecond, false)   // the line has got short
	fmt.Println(line.Until(now))
	tell(10*time.Millisecond, 0, true) // nobody is left
	// Output:
	// false 1m0s
	// false 1m0s
	// true 200ms
	// false 1m0s
	// 205ms
	// false 1m0s
}

// A service that runs 20 jobs at once in 10 ms each, and more of them slower.
func ExampleAdaptive() {
	concurrency, err := limit.NewAdaptive(limit.AdaptiveConfig{Max: 200})
	if err != nil {
		panic(err)
	}
	fmt.Println("begins with", concurrency.Limit())
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for range 100_000 {
		running := concurrency.Limit()
		took := 10 * time.Millisecond * time.Duration(max(running, 20)) / 20
		now = now.Add(took / time.Duration(running)) // one of them finishes
		concurrency.Sample(now, took, running, false)
	}
	fmt.Println("comes to", concurrency.Limit(), "where jobs take half as long again as", concurrency.Unloaded())
	// Output:
	// begins with 10
	// comes to 30 where jobs take half as long again as 10ms
}
