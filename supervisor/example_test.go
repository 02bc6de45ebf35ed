package supervisor_test

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
	"github.com/penstock-go/penstock/supervisor"
)

// account is what must survive a restart of its actor: it is the entry's Value.
type account struct {
	balance       int
	registry.Life // where its actor is; every Value has one
}

// deposit is a message that waits for its answer.
type deposit struct {
	amount int
	reply  chan answer // room for one
}

type answer struct {
	balance int
	err     error
}

// Undelivered answers when no actor will: the one that had it in its hand failed, or the system closed.
func (d deposit) Undelivered(reason error) { d.reply <- answer{err: reason} }

// ledger is the actor of one account.
type ledger struct{ account *account }

func (l ledger) Receive(ctx actor.Context) {
	if d, ok := ctx.Message().(deposit); ok {
		if d.amount < 0 {
			panic("a deposit below zero")
		}
		l.account.balance += d.amount
		d.reply <- answer{balance: l.account.balance}
	}
}

// A room of your own: one supervised actor for each account, started at its first use.
func Example() {
	tree := supervisor.New(supervisor.Config{})
	defer func() { _ = tree.Close(context.Background()) }()

	accounts, err := supervisor.NewFamily(tree, supervisor.Spec[string, account]{
		Kind: "ledger",
		Name: "accounts",
		New:  func(e *registry.Entry[string, account]) actor.Actor { return ledger{&e.Value} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	pay := func(id string, amount int) {
		d := deposit{amount, make(chan answer, 1)}
		e, err := accounts.Get(id)
		if err != nil {
			fmt.Println(err)
			return
		}
		accounts.Send(e, d)
		a := <-d.reply
		fmt.Println(id, a.balance, a.err)
	}
	pay("ann", 10)
	pay("bob", 7)
	pay("ann", -1) // fails, and Ann's actor is started again
	pay("ann", 5)
	// Output:
	// ann 10 <nil>
	// bob 7 <nil>
	// ann 0 panic: a deposit below zero
	// ann 15 <nil>
}

// What happens in a tree can be followed by anyone, and nobody who follows it can hold it up.
func ExampleTree_Subscribe() {
	tree := supervisor.New(supervisor.Config{})
	events := tree.Subscribe(100)

	accounts, err := supervisor.NewFamily(tree, supervisor.Spec[string, account]{
		Kind: "ledger",
		Name: "accounts",
		New:  func(e *registry.Entry[string, account]) actor.Actor { return ledger{&e.Value} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := accounts.Get("ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	d := deposit{-1, make(chan answer, 1)}
	accounts.Send(e, d)
	<-d.reply

	for range 3 {
		event := <-events.Events()
		fmt.Printf("%s %q %v: %v\n", event.Kind, event.ID, event.What, event.Err)
	}
	_ = tree.Close(context.Background())
	for event := range events.Events() { // closed with the tree
		fmt.Printf("%s %q %v\n", event.Kind, event.ID, event.What)
	}
	// Output:
	// ledger "" started: <nil>
	// ledger "ann" started: <nil>
	// ledger "ann" restarted: panic: a deposit below zero
	// ledger "ann" stopped
	// ledger "" stopped
}
