package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

// Every user has a bucket of their own. Do waits for the user's turn and calls.
func Example() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)

	api, err := bucket.NewFamily(sys, "api", bucket.Config{
		Limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}},
	})
	if err != nil {
		panic(err)
	}
	for _, user := range []string{"ada", "grace"} {
		profile, err := bucket.Do(ctx, api.Bucket(user), bucket.Request{}, func(context.Context) (string, error) {
			return "profile of " + user, nil // call the rate-limited API here
		})
		fmt.Println(profile, err)
	}
	// Output:
	// profile of ada <nil>
	// profile of grace <nil>
}

// TryAcquire never waits: it says when room is expected.
func ExampleBucket_TryAcquire() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())
	logins, _ := bucket.NewFamily(sys, "logins", bucket.Config{
		Limits: []limit.Limit{{Name: "attempts", Events: 3, Per: time.Minute}},
	})
	for range 4 {
		d := logins.Bucket("203.0.113.7").TryAcquire(bucket.Request{})
		fmt.Println(d.Allowed, d.Limit, d.Remaining, d.RetryAfter.Round(time.Minute))
	}
	// Output:
	// true attempts 2 0s
	// true attempts 1 0s
	// true attempts 0 0s
	// false attempts 0 1m0s
}

// A request may cost more than one, and differently of each limit. What was estimated is corrected afterwards.
func ExamplePermit_Settle() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	models, _ := bucket.NewFamily(sys, "models", bucket.Config{Limits: []limit.Limit{
		{Name: "requests", Events: 500, Per: time.Minute},
		{Name: "tokens", Events: 90_000, Per: time.Minute},
	}})
	account := models.Bucket("account-17")
	permit, _ := account.Acquire(ctx, bucket.Request{Costs: map[string]int{"tokens": 4_000}})
	// … call the model; it says what it took:
	permit.Settle(map[string]int{"tokens": 1_250})
	for _, l := range account.Info().Limits {
		fmt.Println(l.Name, l.Used)
	}
	// Output:
	// requests 1
	// tokens 1250
}

// A caller that gives up has spent nothing.
func ExampleBucket_Acquire() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())
	api, _ := bucket.NewFamily(sys, "api", bucket.Config{Limits: []limit.Limit{{Events: 1, Per: time.Hour}}})
	user := api.Bucket("ada")
	_, err := user.Acquire(context.Background(), bucket.Request{})
	fmt.Println(err)

	impatient, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = user.Acquire(impatient, bucket.Request{Nice: -20})
	fmt.Println(errors.Is(err, context.DeadlineExceeded), user.Info().Limits[0].Used)
	// Output:
	// <nil>
	// true 1
}

// Tornex is a ready-made configuration with head-room for urgent requests.
func ExampleTornex() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())
	torn, _ := bucket.NewFamily(sys, "torn", bucket.Tornex())
	user := torn.Bucket("2383326")
	high := 0
	for user.TryAcquire(bucket.Request{Nice: 0}).Allowed {
		high++
	}
	urgent := 0
	for user.TryAcquire(bucket.Request{Nice: -10}).Allowed {
		urgent++
	}
	fmt.Println(high, urgent)
	// Output: 7 3
}

// Tenants that share a key to an API are flows of its bucket: who asks for much holds up nobody else. (A replay shows it
// without waiting.)
func ExampleRequest_flow() {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	tenant := make(map[time.Time]string)
	cfg := bucket.Config{
		Limits:  []limit.Limit{{Events: 1, Per: time.Second}},
		Weights: map[string]int{"gold": 2}, // the others have 1
	}
	replay, err := bucket.NewReplay(cfg, func(o bucket.Outcome) { fmt.Println(tenant[o.At], o.Wait) })
	if err != nil {
		panic(err)
	}
	for i, flow := range []string{"import", "import", "import", "import", "gold", "gold", "ada"} {
		at := noon.Add(time.Duration(i) * time.Millisecond)
		tenant[at] = flow
		_ = replay.Arrive("our-key", at, bucket.Request{Flow: flow})
	}
	replay.Finish()
	// Output:
	// import 0s
	// import 999ms
	// gold 1.996s
	// gold 2.995s
	// ada 3.994s
	// import 4.998s
	// import 5.997s
}

// A replay tells what a configuration would do to requests of the past.
func ExampleReplay() {
	replay, err := bucket.NewReplay(bucket.Config{Limits: []limit.Limit{{Events: 2, Per: time.Second}}}, func(o bucket.Outcome) {
		fmt.Println(o.ID, o.Wait)
	})
	if err != nil {
		panic(err)
	}
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for i := range 3 {
		_ = replay.Arrive("ada", noon.Add(time.Duration(i)*100*time.Millisecond), bucket.Request{})
	}
	replay.Finish()
	// Output:
	// ada 0s
	// ada 0s
	// ada 800ms
}
