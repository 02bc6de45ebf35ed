package queue

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
)

// Producer generates the jobs of a queue that takes no requests: see [Produce] and [ProduceFrom].
type Producer interface {
	// Next makes the next job, when the regulators let it go. [ErrExhausted] ends the producing, with the queue staying;
	// after any other error it goes on, a second later. ctx ends with the queue. One call is made at a time.
	Next(ctx context.Context) (func(context.Context) error, error)
}

// ErrExhausted says that a [Producer] has no more jobs.
var ErrExhausted = errors.New("queue: the producer is exhausted")

// producerPause is how long a producer that failed is left alone.
const producerPause = time.Second

// Produce makes a stateless producer: each job is a run of fn. Jobs run on goroutines of their own, as many at once as the
// regulators allow.
func Produce(fn func(context.Context) error) Producer { return produceFunc(fn) }

type produceFunc func(context.Context) error

func (p produceFunc) Next(context.Context) (func(context.Context) error, error) { return p, nil }

// ProduceFrom makes a producer with state: next returns a job and the state from then on.
func ProduceFrom[S any](initial S, next func(context.Context, S) (job func(context.Context) error, state S, err error)) Producer {
	return &produceState[S]{state: initial, next: next}
}

type produceState[S any] struct {
	state S
	next  func(context.Context, S) (func(context.Context) error, S, error)
}

func (p *produceState[S]) Next(ctx context.Context) (func(context.Context) error, error) {
	job, state, err := p.next(ctx, p.state)
	if err == nil {
		p.state = state
	}
	return job, err
}

// producing is a queue's producer at work. It belongs to the queue and not to the actor, which only starts and stops it: a
// producer keeps its state when the actor fails.
type producing struct {
	queue    *Queue
	producer Producer
	mu       struct {
		sync.Mutex
		stop    context.CancelFunc // of the round of producing under way
		running chan struct{}      // closed when that has ended; nil before the first
		ended   bool               // it is exhausted, or the queue lets nothing in any more
		jobs    context.Context    // of the jobs; it ends when a closing was cut short
		cancel  context.CancelFunc
	}
	done, failed uint64 // jobs; guarded by mu
}

func newProducing(q *Queue, p Producer) *producing {
	pr := &producing{queue: q, producer: p}
	pr.mu.jobs, pr.mu.cancel = context.WithCancel(context.Background())
	return pr
}

// produce starts the producing, unless it goes on already or is over.
func (q *Queue) produce() {
	if p := q.producer; p != nil {
		p.start()
	}
}

// stopProducing ends the producing until produce is called again. Jobs that run go on.
func (q *Queue) stopProducing() {
	if p := q.producer; p != nil {
		p.halt(false)
	}
}

func (p *producing) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.ended || p.mu.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	before, running := p.mu.running, make(chan struct{})
	p.mu.stop, p.mu.running = stop, running
	p.queue.room.crowd.Enter()
	go func() {
		defer p.queue.room.crowd.Leave(1)
		defer close(running)
		defer stop()
		if before != nil {
			<-before // Next is called by one at a time
		}
		p.loop(ctx)
	}()
}

// halt ends the round of producing under way, or all of it.
func (p *producing) halt(forGood bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.ended = p.mu.ended || forGood
	if p.mu.stop != nil {
		p.mu.stop()
		p.mu.stop = nil
	}
}

// loop waits for each job's turn, makes it and lets it run.
func (p *producing) loop(ctx context.Context) {
	q := p.queue
	for {
		var g grant
		if err := q.enter(ctx, &Request{}, &g); err != nil {
			if ctx.Err() != nil || errors.Is(err, penstock.ErrClosed) || !p.pause(ctx) {
				return
			}
			continue
		}
		job, err := p.next(ctx)
		switch {
		case err == nil && job != nil:
			p.queue.room.crowd.Enter()
			go p.work(g, job)
			continue
		case err == nil:
			err = errors.New("the producer made no job")
		}
		q.entry.Value.undo(&g)
		if errors.Is(err, ErrExhausted) {
			p.halt(true)
			return
		}
		if ctx.Err() != nil {
			return
		}
		q.logger.LogAttrs(ctx, slog.LevelWarn, "a producer failed and is tried again", slog.Any("err", err), slog.Duration("after", producerPause))
		if !p.pause(ctx) {
			return
		}
	}
}

// pause waits after a failure and reports whether to go on.
func (p *producing) pause(ctx context.Context) bool {
	timer := time.NewTimer(producerPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// next calls the producer and turns its panic into an error.
func (p *producing) next(ctx context.Context) (job func(context.Context) error, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	return p.producer.Next(ctx)
}

// work runs a job on a goroutine of its own.
func (p *producing) work(g grant, job func(context.Context) error) {
	defer p.queue.room.crowd.Leave(1)
	p.mu.Lock()
	ctx := p.mu.jobs
	p.mu.Unlock()
	err := p.queue.run(ctx, &g, job)
	p.mu.Lock()
	p.done++
	if err != nil {
		p.failed++
	}
	p.mu.Unlock()
	if err != nil {
		level := slog.LevelDebug
		if panicked := new(penstock.PanicError); errors.As(err, &panicked) {
			level = slog.LevelWarn
		}
		p.queue.logger.LogAttrs(ctx, level, "a produced job failed", slog.Any("err", err))
	}
}

// ProducerInfo is what a producing queue can tell of its producer.
type ProducerInfo struct {
	Producing    bool // false: it is exhausted, or the queue is closed
	Done, Failed uint64
}

func (p *producing) info() *ProducerInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &ProducerInfo{Producing: !p.mu.ended, Done: p.done, Failed: p.failed}
}
