package queue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// A passive queue holds items until somebody takes them.
func ExampleAddPassive() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	inbox, err := queue.AddPassive(sys, "inbox", queue.PassiveConfig[string]{MaxSize: 3})
	if err != nil {
		panic(err)
	}
	for _, mail := range []string{"one", "two", "three", "four"} {
		if err := inbox.Enqueue(ctx, mail); errors.Is(err, penstock.ErrFull) {
			fmt.Println("no room for", mail)
		}
	}
	items, _ := inbox.Dequeue(ctx, 10)
	for _, x := range items {
		fmt.Println(x.Value)
	}
	// Output:
	// no room for four
	// one
	// two
	// three
}

// Dequeue waits for an item, as long as its context lets it.
func ExamplePassive_Dequeue() {
	sys, _ := penstock.New()
	defer sys.Close(context.Background())
	inbox, _ := queue.AddPassive(sys, "inbox", queue.PassiveConfig[string]{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := inbox.Dequeue(ctx, 1)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), inbox.Info().Takers)
	// Output: true 0
}

// The more urgent go first, and flows share by weight.
func ExamplePassive_EnqueueRequest() {
	ctx := context.Background()
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	inbox, _ := queue.AddPassive(sys, "inbox", queue.PassiveConfig[string]{})
	for i := range 3 {
		_ = inbox.EnqueueRequest(ctx, fmt.Sprint("bulk ", i), queue.Request{Flow: "bulk"})
	}
	_ = inbox.EnqueueRequest(ctx, "ada", queue.Request{Flow: "ada"})
	_ = inbox.EnqueueRequest(ctx, "alarm", queue.Request{Nice: -20})
	items, _ := inbox.Dequeue(ctx, 10)
	for _, x := range items {
		fmt.Println(x.Value)
	}
	// Output:
	// alarm
	// bulk 0
	// ada
	// bulk 1
	// bulk 2
}
