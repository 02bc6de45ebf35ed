package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/actors/sampler"
)

// At most three jobs run at once, whoever brings them.
func Example() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)

	db, err := queue.Add(sys, "db", queue.Config{
		Regulators: []queue.Regulator{queue.Counter{Limit: 3}},
	})
	if err != nil {
		panic(err)
	}
	var running, most atomic.Int64
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			err := db.Run(ctx, queue.Request{}, func(context.Context) error {
				n := running.Add(1)
				defer running.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				return nil // query the database here
			})
			if err != nil {
				fmt.Println(err)
			}
		})
	}
	callers.Wait()
	fmt.Println("at most 3 at once:", most.Load() <= 3, "done:", db.Info().Done)
	// Output: at most 3 at once: true done: 20
}

// At most so many a second, evenly spaced.
func ExampleRate() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	mail, _ := queue.Add(sys, "mail", queue.Config{
		Regulators: []queue.Regulator{queue.Rate{PerSecond: 100}},
	})
	start := time.Now()
	for range 6 {
		_ = mail.Run(ctx, queue.Request{}, func(context.Context) error { return nil })
	}
	fmt.Println(time.Since(start) >= 50*time.Millisecond)
	// Output: true
}

// Impatient and patient callers share what an API allows: those who will not wait are told so, the others get their turn.
func ExampleGroupRate() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	_ = queue.AddGroupRate(sys, "api", queue.Rate{PerSecond: 50})
	impatient, _ := queue.Add(sys, "impatient", queue.Config{
		Regulators: []queue.Regulator{queue.GroupRate("api")}, MaxTime: time.Millisecond,
	})
	patient, _ := queue.Add(sys, "patient", queue.Config{
		Regulators: []queue.Regulator{queue.GroupRate("api")},
	})
	call := func(context.Context) error { return nil }
	_ = patient.Run(ctx, queue.Request{}, call)          // takes what there is now
	err := impatient.Run(ctx, queue.Request{}, call)     // there will be more in 20 ms
	fmt.Println(errors.Is(err, queue.ErrTimedOut))       // which is too late
	fmt.Println(patient.Run(ctx, queue.Request{}, call)) // and not too late
	// Output:
	// true
	// <nil>
}

// A producer feeds on a passive queue: what others put there is worked on, at the rate that its regulators let it.
func ExampleProduce() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	inbox, _ := queue.AddPassive(sys, "inbox", queue.PassiveConfig[string]{})
	done := make(chan string)
	_, _ = queue.Add(sys, "workers", queue.Config{
		Regulators: []queue.Regulator{queue.Counter{Limit: 2}, queue.Rate{PerSecond: 1000}},
		Producer: queue.ProduceFrom(0, func(ctx context.Context, n int) (func(context.Context) error, int, error) {
			items, err := inbox.Dequeue(ctx, 1) // waits until there is one
			if err != nil {
				return nil, n, queue.ErrExhausted
			}
			return func(context.Context) error {
				done <- fmt.Sprintf("job %d: %s", n+1, items[0].Value)
				return nil
			}, n + 1, nil
		}),
	})
	for _, item := range []string{"resize", "encode"} {
		_ = inbox.Enqueue(ctx, item)
		fmt.Println(<-done)
	}
	// Output:
	// job 1: resize
	// job 2: encode
}

// Load gives feedback: each level of the sampler takes a tenth of the rate.
func ExampleModifier() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	queries, _ := queue.Add(sys, "queries", queue.Config{
		Regulators: []queue.Regulator{queue.Rate{PerSecond: 100, Modifiers: []queue.Modifier{{Sampler: "replication", Local: 10}}}},
	})
	lag := sampler.SourceFunc(func(context.Context) (float64, error) { return 7, nil }) // seconds, measured somewhere
	_, _ = sampler.Add(sys, "replication", sampler.Config{Source: lag, Interval: 10 * time.Millisecond, Thresholds: []float64{1, 5, 30}})
	for queries.Info().Regulators[0].Limit == 100 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(queries.Info().Regulators[0].Limit, "a second at level", sampler.Current(sys)["replication"].Local)
	// Output: 80 a second at level 2
}

// State that a queue keeps is told to each job: here, which of three servers is next.
func ExampleNewStateful() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	servers := []string{"a", "b", "c"}
	calls, _ := queue.Add(sys, "calls", queue.Config{
		Regulators: []queue.Regulator{queue.Counter{Limit: 10}},
		Stateful: queue.NewStateful(0,
			func(next int, _ queue.Request) (int, any) { return (next + 1) % len(servers), servers[next] },
			func(next int, _ any) (int, any, error) { return next, servers[next], nil }),
	})
	for range 4 {
		job, _ := calls.Ask(ctx, queue.Request{})
		fmt.Print(job.Info(), " ")
		job.Done()
	}
	next, _ := calls.Query(ctx, "who is next?")
	fmt.Println("next:", next)
	// Output: a b c a next: b
}

// Why is it waiting?
func ExampleQueue_Info() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	exports, _ := queue.Add(sys, "exports", queue.Config{
		Regulators: []queue.Regulator{queue.Counter{Limit: 1, Name: "exports at once"}}, MaxSize: 1,
	})
	running, _ := exports.Ask(ctx, queue.Request{})
	waiting := make(chan error)
	go func() { waiting <- exports.Run(ctx, queue.Request{}, func(context.Context) error { return nil }) }()
	for exports.Info().HeldBy == "" {
		time.Sleep(time.Millisecond)
	}
	info := exports.Info()
	fmt.Printf("%d waiting, %d running, held by %q\n", info.Waiting, info.Running, info.HeldBy)
	_, err := exports.Ask(ctx, queue.Request{})
	fmt.Println(errors.Is(err, penstock.ErrFull))
	running.Done()
	fmt.Println(<-waiting)
	// Output:
	// 1 waiting, 1 running, held by "exports at once"
	// true
	// <nil>
}
