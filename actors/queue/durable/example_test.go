package durable_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue/durable"
)

// Mail is what the examples put in.
type Mail struct{ To, Text string }

// What was put in is there after a crash, until it is acknowledged.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	cfg := durable.Config[Mail]{Path: filepath.Join(dir, "mails.queue")}

	sys, _ := penstock.New()
	mails, err := durable.Add(sys, "mails", cfg)
	if err != nil {
		panic(err)
	}
	_ = mails.Enqueue(ctx, Mail{To: "ada", Text: "hello"})
	_ = mails.Enqueue(ctx, Mail{To: "grace", Text: "hello"})
	done, _ := mails.Dequeue(ctx, 1)
	fmt.Println("sent to", done[0].Value.To, mails.Ack(ctx, done[0].Receipt))
	_ = sys.Close(ctx)

	sys, _ = penstock.New() // another process
	defer sys.Close(ctx)
	mails, _ = durable.Add(sys, "mails", cfg)
	left, _ := mails.Dequeue(ctx, 10)
	fmt.Println(len(left), "left, to", left[0].Value.To, mails.Ack(ctx, left[0].Receipt))
	// Output:
	// sent to ada <nil>
	// 1 left, to grace <nil>
}

// What failed comes again; what failed too often goes to the dead-letter list.
func ExampleQueue_Nack() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	sys, _ := penstock.New()
	defer sys.Close(ctx)
	mails, err := durable.Add(sys, "mails", durable.Config[Mail]{Path: filepath.Join(dir, "mails.queue"), MaxTries: 2})
	if err != nil {
		panic(err)
	}
	_ = mails.Enqueue(ctx, Mail{To: "nobody"})
	for range 2 {
		list, _ := mails.Dequeue(ctx, 1)
		fmt.Println("try", list[0].Tries, mails.Nack(ctx, list[0].Receipt, 0, errors.New("no such mailbox")))
	}
	dead, _ := mails.Dead(ctx, 10)
	fmt.Println(dead[0].Value.To, "after", dead[0].Tries, "tries:", dead[0].Reason)
	// Output:
	// try 1 <nil>
	// try 2 <nil>
	// nobody after 2 tries: no such mailbox
}
