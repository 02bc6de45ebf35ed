// Package batch loads once, changes many times, and saves once: after batch.Processor (Go).
//
// Operations on the same resource that come at about the same time are a batch: the resource is loaded, they run on it one
// after another, in the order of their coming and without locks, and it is saved. A row that hundreds of requests a second
// want to change is written ten times a second, and each request is answered when its change is in the database.
//
//	wallets, err := batch.NewProcessor(sys, "wallets", batch.Config[string, *Wallet]{Load: load, Save: save})
//	left, err := batch.Do(ctx, wallets, "ada", func(w *Wallet) (int, error) {
//		if w.Balance < 5 {
//			return w.Balance, ErrTooLittle // tells this caller only
//		}
//		w.Balance -= 5
//		return w.Balance, nil
//	})
//
// # When a batch is saved
//
// MinDuration after its first operation (100 ms), when it has MaxOperations, or when its resource has grown to MaxBytes. With
// [NoWait] at once, if the key is free; and while one batch of a key is saved, the next one collects. A key has one batch at a
// time. Keys do not wait for one another, but for the Shards that bound how many loads and saves run at once.
//
// # Other writers
//
// Save may answer [ErrConflict]: somebody else has written the resource since it was loaded. The batch then loads it again and
// runs its operations again, so they must be replayable: change nothing but the resource, and what they hand to their caller.
// Resources of package store find conflicts by a version column.
//
// # Several nodes
//
// With Clustered, each key has one owner among the nodes of a cluster, and its batches run there. Functions do not travel, so
// operations have names: every node registers the same ones.
//
//	withdraw, err := batch.Register(wallets, "withdraw", func(w *Wallet, amount int) (int, error) { … })
//	left, err := withdraw.Do(ctx, "ada", 5) // at any node
//
// Run and Do take functions at the key's owner only; elsewhere they answer with a [NotOwnerError].
//
// Load and Save get a context with the epoch of the ownership: [cluster.Epoch] tells it, and [cluster.Epochs] those of LoadMany's
// and SaveMany's keys. An owner that was stopped, and goes on when another has taken over, looks at its lease before it saves. The
// rest is up to the database: a Save that compares versions loses nothing, and one that remembers epochs refuses the old owner with
// [ErrStaleEpoch]. Resources of package store do both. What is loaded is never used under another epoch.
//
// # What it promises
//
// G9: operations of a key run one after another, in the order of their coming; each caller is answered once, after the save that
// holds its change, or with the error that kept it from being saved. An error of Save itself may leave that open, as errors of
// databases do: it is handed on as it is.
//
// G11: an operation of a clustered processor is stored once at most, wherever its key goes meanwhile and whoever stops or dies. After
// a [cluster.ErrUnknown] it is not known whether it was; it is never run again by itself.
package batch
