// Package durable has passive queues that survive their process: what [Queue.Enqueue] has returned for is on disk, and
// stays there until it is acknowledged, also through kill −9. It is jobs' passive queue with an acknowledgement.
//
//	mails, err := durable.Add(sys, "mails", durable.Config[Mail]{Path: "mails.queue"})
//	err = mails.Enqueue(ctx, mail) // it is on disk
//
//	list, err := mails.Dequeue(ctx, 10) // waits for the first one
//	for _, d := range list {
//		if err := send(ctx, d.Value); err != nil {
//			err = mails.Nack(ctx, d.Receipt, time.Minute, err) // again in a minute
//			continue
//		}
//		err = mails.Ack(ctx, d.Receipt) // done
//	}
//
// # What it guarantees
//
// At least once: an item is handed out until it is acknowledged, at most [Config.MaxTries] times; then it goes to the
// dead-letter list ([Queue.Dead]), with the reason, and waits there to be requeued or purged. An item may be handed out
// again although its work was done, if the acknowledgement did not reach the disk; a [StaleError] tells who comes too late.
// Who takes an item has it to itself for [Config.Visibility]. A try is counted on disk before the item is handed out, so
// that an item which kills its process cannot do so for ever.
//
// By the numbers of docs/guarantees.md: a caller that gives up costs no try, and its error says whether the outcome is known
// (G3); who waits gets an item or an error, and a restart of the queue's actor loses neither (G4); memory is bounded, and
// what is too much is refused at once (G5); after Close nothing is left but the file (G6).
//
// When the disk fails, those are told whose write it was; nothing is acknowledged that is not on disk, and the queue goes on
// when the disk does. Damaged records are known by their checksums: they go to the dead-letter list, and the rest is served.
// A file whose pages are damaged is refused with an error.
//
// # How it works
//
// The file is a bbolt database. In memory is where each item is and whose turn it is, about 300 bytes an item; values are
// on disk only, are read when they are handed out, and so never share anything with what was put in. A queue writes one batch at
// a time, and what comes meanwhile makes the next, so that any number of callers share a sync of the disk. A file does not
// shrink: the room of what is done is used again.
//
// Times that must outlive the process, MaxTime and the delay of [Queue.Nack], go by the wall clock; Visibility does not
// outlive it: what was handed out waits again when the file is opened.
package durable
