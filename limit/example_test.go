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
