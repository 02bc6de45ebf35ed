package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/keys"
)

// node is what is used of a [cluster.Node].
type node interface {
	Name() string
	Shard(id string) int
	Epoch(shard int) (epoch int64, mine bool)
	Owner(shard int) (cluster.Owner, bool)
}

// port is what is used of a [cluster.Port].
type port interface {
	Ask(ctx context.Context, a cluster.Ask) ([]byte, error)
	Close()
}

// service is what a processor is to its like on other nodes.
type service struct {
	name    string
	handle  func(r request)
	dropped func(shard int)
}

// request is a [cluster.Call].
type request struct {
	from     string
	body     []byte
	deadline time.Time       // zero if there is none
	gone     <-chan struct{} // closed when nobody waits any more
	reply    func(body []byte)
	refuse   func(err error)
}

// opener makes a processor known to its node.
type opener func(s service) (node, port, error)

// openerOf opens a port at the node that the system is.
func openerOf(sys *penstock.System) opener {
	return func(s service) (node, port, error) {
		n, err := cluster.Here(sys)
		if err != nil {
			return nil, nil, err
		}
		p, err := n.Open(cluster.RoomSpec{
			Service: cluster.Batches, Name: s.name,
			Handle: func(c *cluster.Call) {
				s.handle(request{c.From, c.Body, c.Deadline, c.Canceled(), c.Reply, c.Refuse})
			},
			Dropped: func(shard int, _ int64) { s.dropped(shard) },
		})
		if err != nil {
			return nil, nil, err
		}
		return n, p, nil
	}
}

// peers is a processor's way to those of its name on other nodes. Nil: there are none.
type peers[K comparable, R any] struct {
	processor *Processor[K, R]
	codec     KeyCodec[K]
	node      node
	port      port
	asking    atomic.Int64 // operations that other nodes were asked for
}

func newPeers[K comparable, R any](p *Processor[K, R], open opener) (*peers[K, R], error) {
	q := &peers[K, R]{processor: p, codec: p.cfg.KeyCodec.orPlain()}
	ready := make(chan struct{})
	var err error
	q.node, q.port, err = open(service{
		name: p.name,
		handle: func(r request) {
			go func() { // it waits for a batch
				<-ready
				q.serve(r)
			}()
		},
		dropped: func(shard int) {
			<-ready
			q.dropped(shard)
		},
	})
	if err != nil {
		return nil, err
	}
	close(ready)
	return q, nil
}

func (q *peers[K, R]) close() {
	if q != nil {
		q.port.Close()
	}
}

// asks is how many operations other nodes have not answered.
func (q *peers[K, R]) asks() int {
	if q == nil {
		return 0
	}
	return int(q.asking.Load())
}

// epoch is under which epoch a shard is this node's, right now; 0: it is not.
func (q *peers[K, R]) epoch(shard int) int64 {
	if epoch, mine := q.node.Epoch(shard); mine {
		return epoch
	}
	return 0
}

// place is a key as text, and the shard it belongs to: that of the processor's name, a slash, and the text.
func (q *peers[K, R]) place(key K) (text string, shard int, err error) {
	if err := keys.Check(key); err != nil {
		return "", 0, fmt.Errorf("%w key of batch processor %q: %w", penstock.ErrInvalid, q.processor.name, err)
	}
	err = protect(func() (err error) {
		text, err = q.codec.Encode(key)
		return err
	})
	if err == nil {
		err = keys.Check(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%w key %v of batch processor %q: its text: %w", penstock.ErrInvalid, key, q.processor.name, err)
	}
	return text, q.node.Shard(q.id(text)), nil
}

// id is what a key's owner is the owner of.
func (q *peers[K, R]) id(text string) string { return q.processor.name + "/" + text }

// check reports why an operation cannot run here: another node owns its key.
func (q *peers[K, R]) check(key K) (moved bool, err error) {
	if q == nil {
		return false, nil
	}
	text, shard, err := q.place(key)
	switch {
	case err != nil:
		return false, err
	case q.epoch(shard) == 0:
		return true, q.notOwner(shard, text)
	}
	return false, nil
}

func (q *peers[K, R]) notOwner(shard int, text string) error {
	o, _ := q.node.Owner(shard)
	if o.Name == q.node.Name() { // it was, and its lease is over
		o.Name = ""
	}
	return &NotOwnerError{Processor: q.processor.name, Key: text, Owner: o.Name}
}

// dropped has the keys of a shard look at what has become of them.
func (q *peers[K, R]) dropped(shard int) {
	p := q.processor
	select {
	case <-p.opened:
	default:
		return // there are no keys yet
	}
	for e := range p.family.All() {
		if e.Value.shard == shard {
			e.Value.wake()
		}
	}
}

// ask asks the owner of a key, once: what has no answer is not asked again.
func (q *peers[K, R]) ask(ctx context.Context, id string, body []byte) ([]byte, error) {
	p := q.processor
	if p.pending.Add(1) > int64(p.cfg.MaxPending) {
		p.done(1)
		p.refused.Add(1)
		return nil, fmt.Errorf("%w: there are %d operations, as many as may be", penstock.ErrFull, p.cfg.MaxPending)
	}
	defer p.done(1)
	q.asking.Add(1)
	defer q.asking.Add(-1)
	if p.closing.Load() { // after it was counted: who closes waits for what was
		return nil, penstock.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(penstock.ErrClosed) })()
	return q.port.Ask(ctx, cluster.Ask{ID: id, Body: body, Once: true, Refuse: p.cfg.Away == cluster.Refuse})
}

// serve does what another node asks.
func (q *peers[K, R]) serve(r request) {
	p := q.processor
	<-p.opened
	result, moved, err := q.run(r)
	switch {
	case moved:
		r.refuse(cluster.ErrMoved)
		return
	case err == nil && len(result) > maxArguments:
		err = fmt.Errorf("%w: it has %d bytes as text; it may have up to %d", ErrUnsent, len(result), maxArguments)
	}
	body, failure := ending{member: q.node.Name(), result: result, err: err}.wire()
	if failure != nil {
		p.logger.LogAttrs(context.Background(), slog.LevelError, "an answer to another node cannot be written", slog.String("to", r.from), slog.Any("err", failure))
		r.refuse(failure)
		return
	}
	r.reply(body)
}

// run runs what another node asks for, and returns what it is to be told. Moved: nothing was stored, and the new owner is to be asked.
func (q *peers[K, R]) run(r request) (result []byte, moved bool, err error) {
	p := q.processor
	c, err := readCall(r.body)
	if err != nil {
		return nil, false, err
	}
	ctx := context.Background()
	if !r.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.deadline)
		defer cancel()
	}
	op, err := p.operationOf(ctx, r.gone, c.operation)
	if err != nil {
		return nil, false, fmt.Errorf("batch processor %q: %w", p.name, err)
	}
	var key K
	err = protect(func() (err error) {
		key, err = q.codec.Decode(c.key)
		return err
	})
	if err != nil { // whatever class the codec's error is of, this is one of the key
		return nil, false, fmt.Errorf("%w key %q of batch processor %q: %v", penstock.ErrInvalid, c.key, p.name, err)
	}
	fn, encode, err := op(c.arguments)
	if err != nil {
		return nil, false, fmt.Errorf("%w arguments of operation %q of batch processor %q: %v", penstock.ErrInvalid, c.operation, p.name, err)
	}
	o := p.spare.Get().(*operation[R])
	o.fn = fn
	moved, err = p.try(ctx, r.gone, key, o)
	if !moved && p.closing.Load() && errors.Is(err, penstock.ErrClosed) {
		err = fmt.Errorf("%w: %w", cluster.ErrUnknown, err) // it was let in, and what was under way may have been saved
	}
	if moved || err != nil {
		return nil, moved, err
	}
	if result, err = encode(); err != nil {
		return nil, false, fmt.Errorf("operation %q of batch processor %q: %w: %v", c.operation, p.name, ErrUnsent, err)
	}
	return result, false, nil
}
