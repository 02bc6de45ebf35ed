package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

// Service is a kind of room.
type Service uint32

// The services. Their numbers travel, and are never used for anything else.
const (
	Buckets  Service = 1
	Queues   Service = 2
	Samplers Service = 3
	Stats    Service = 4
	Batches  Service = 5
	Pools    Service = 6
)

// Policy says what a room does for an ID whose owner is away.
type Policy uint8

// The policies.
const (
	Wait   Policy = iota // for an owner, until the caller's context ends
	Refuse               // at once, with an error that is an ErrAway
)

// RoomSpec is a room of a node: what it is called, and who answers for it. Service, Name and Handle are required.
type RoomSpec struct {
	// Service is what kind of room it is
	Service Service
	// Name is the room's, 1 to 512 bytes of UTF-8, and the same on all nodes
	Name string
	// Handle is called for what the same room of other nodes asks. It must not block, and replies now or later
	Handle func(*Call)
	// Gained is told of each shard that the node comes to own, of those too that it owned before. It must not block. May be nil
	Gained func(Gain)
	// Dropped is told of each shard that the node no longer owns, maybe late. It must not block. May be nil
	Dropped func(shard int, epoch int64)
	// Members is told the names of the other members, first of all and whenever they change. It must not block. May be nil
	Members func(names []string)
}

func (s RoomSpec) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(s.Service != 0, "Service is 0; it takes one of those of this package")
	check(len(s.Name) > 0 && len(s.Name) <= maxText && utf8.ValidString(s.Name), "Name is %.512q; it takes 1 to %d bytes of UTF-8", s.Name, maxText)
	check(s.Handle != nil, "Handle is nil; it takes what answers calls")
	return errors.Join(errs...)
}

// Gain is a shard that has come to a node.
type Gain struct {
	Shard int
	Epoch int64
	// From is who served it before, if that is proven: nobody has served it in between. It may be the node itself. Otherwise it is zero
	From Owner
}

// Port is a room's way to its like on the other nodes. It is safe for concurrent use.
type Port struct {
	node *Node
	spec RoomSpec
	told notices
}

// place is where calls to a room go.
type place struct {
	service Service
	name    string
}

// Open makes a room reachable for its like on the other nodes, and lets it reach them.
//
// Errors: [penstock.ErrInvalid], naming every bad field, also if the node has no Config.Bind; [penstock.ErrExists];
// [penstock.ErrClosed] if the node has left.
func (n *Node) Open(spec RoomSpec) (*Port, error) {
	err := spec.validate()
	if n.wire == nil {
		err = errors.Join(err, errors.New("the node does not listen: its Config.Bind is empty"))
	}
	if err != nil {
		return nil, fmt.Errorf("%w room of cluster node %q: %w", penstock.ErrInvalid, n.name, err)
	}
	p := &Port{node: n, spec: spec}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := place{spec.Service, spec.Name}
	switch {
	case n.leaves():
		return nil, fmt.Errorf("cluster node %q: %w", n.name, penstock.ErrClosed)
	case n.ports[at] != nil:
		return nil, fmt.Errorf("cluster node %q: room %q: %w", n.name, spec.Name, penstock.ErrExists)
	}
	n.ports[at] = p
	p.welcome()
	return p, nil
}

// Close ends the port: calls of other nodes find no room of its name here any more. Those that were handed over may still be replied to.
func (p *Port) Close() {
	p.node.mu.Lock()
	defer p.node.mu.Unlock()
	if at := (place{p.spec.Service, p.spec.Name}); p.node.ports[at] == p {
		delete(p.node.ports, at)
	}
	p.told.close()
}

// Members are the names of the other members, in their order.
func (p *Port) Members() []string { return p.node.routes.Load().others(p.node.name) }

// Ask is what the owner of an ID is asked.
type Ask struct {
	ID   string
	Body []byte
	// Once is true if it must not be done twice
	Once bool
	// Refuse is true if the caller does not want to wait for an owner that is away
	Refuse bool
}

// Ask asks the owner of an ID, wherever it is: it follows the ID when that moves, and waits for an owner that is away.
//
// Errors: [ErrMine] if this node is the owner: then there is nobody else to ask; [AwayError] if it does not wait; [UnknownError] for what must
// not be done twice, when the answer is lost for good; [RemoteError]; [penstock.ErrFull] if too many calls to the owner wait;
// [penstock.ErrInvalid] for a body that does not fit into a message of 64 KiB; [penstock.ErrClosed]; that of ctx.
func (p *Port) Ask(ctx context.Context, a Ask) ([]byte, error) {
	n := p.node
	payload, err := p.payload(a.ID, a.Body)
	if err != nil {
		return nil, err
	}
	shard := n.Shard(a.ID)
	var hint Owner // of a member that knows better
	for try := 0; ; try++ {
		routes := n.routes.Load()
		owner := routes.owner(shard)
		if hint.Epoch > owner.Epoch {
			owner = hint
		}
		if _, mine := n.Epoch(shard); mine {
			return nil, ErrMine
		}
		why := errNobody
		switch {
		case n.isDone():
			return nil, fmt.Errorf("cluster node %q: %w", n.name, penstock.ErrClosed)
		case owner.Name == n.name: // it was, or is about to be
		case owner.Epoch != 0:
			var body []byte
			var next Owner
			body, next, why = p.ask(ctx, owner, payload, a.Once)
			if why == nil || !errors.Is(why, errAgain) {
				return body, why
			}
			if next.Epoch > owner.Epoch {
				hint = next
				continue
			}
		}
		if a.Refuse {
			return nil, &AwayError{ID: a.ID, Member: owner.Name, Why: why}
		}
		if err := routes.await(ctx, pause(try)); err != nil {
			return nil, err
		}
	}
}

var errNobody = errors.New("no member has it")

// pause is how long to wait until a member is asked again that was not there, or did not know: who owns an ID may be known sooner than
// this node learns it by itself.
func pause(try int) time.Duration { return min(5*time.Millisecond<<min(try, 10), 200*time.Millisecond) }

// AskMember asks a member, once.
//
// Errors: [AwayError] if it is none, or cannot be reached, or is lost before it has answered; those of [Port.Ask] but [ErrMine] and
// [UnknownError].
func (p *Port) AskMember(ctx context.Context, member string, body []byte) ([]byte, error) {
	to, payload, err := p.letter(member, body)
	if err != nil {
		return nil, err
	}
	return p.askMember(ctx, to, payload)
}

var errNoMember = errors.New("it is no other member of the cluster")

// AskOwner asks who owned a shard, once, also if it is no member any more: see [Node.Leave].
//
// Errors: those of [Port.AskMember].
func (p *Port) AskOwner(ctx context.Context, o Owner, body []byte) ([]byte, error) {
	payload, err := p.payload("", body)
	if err != nil {
		return nil, err
	}
	if o.Address == "" || o.Name == p.node.name {
		return nil, &AwayError{Member: o.Name, Why: errNoMember}
	}
	if m, ok := p.node.routes.Load().member(o.Name); !ok || m.Address != o.Address {
		defer p.node.parting(o.Address)
	}
	return p.askMember(ctx, Owner{Name: o.Name, Address: o.Address}, payload)
}

func (p *Port) askMember(ctx context.Context, to Owner, payload []byte) ([]byte, error) {
	answer, _, err := p.ask(ctx, to, payload, false)
	if err != nil && errors.Is(err, errAgain) {
		return nil, &AwayError{Member: to.Name, Why: err}
	}
	return answer, err
}

// AskMemberOnce is [Port.AskMember] for what must not be done twice: an AwayError says that it was not done, and an [UnknownError] that it is
// not known whether it was. Where the member has lost this node, it is told so: see [Call.Canceled].
func (p *Port) AskMemberOnce(ctx context.Context, member string, body []byte) ([]byte, error) {
	to, payload, err := p.letter(member, body)
	if err != nil {
		return nil, err
	}
	return p.askOnce(ctx, to, payload)
}

// Tell tells a member something, once at most: no error is no promise that it arrives.
func (p *Port) Tell(member string, body []byte) error {
	to, payload, err := p.letter(member, body)
	if err != nil {
		return err
	}
	if err := p.node.wire.Send(to.Address, kindTell, 0, payload); err != nil {
		return fmt.Errorf("node %q: %w", member, err)
	}
	return nil
}

// letter is what is sent to a member, and where.
func (p *Port) letter(member string, body []byte) (to Owner, payload []byte, err error) {
	if payload, err = p.payload("", body); err != nil {
		return to, nil, err
	}
	to, ok := p.node.routes.Load().member(member)
	if !ok || member == p.node.name {
		return to, nil, &AwayError{Member: member, Why: errNoMember}
	}
	return to, payload, nil
}

func (p *Port) payload(id string, body []byte) ([]byte, error) {
	if !utf8.ValidString(id) {
		return nil, fmt.Errorf("%w call of room %q: the ID %.64q is not UTF-8", penstock.ErrInvalid, p.spec.Name, id)
	}
	return roomCall(p.spec.Service, p.spec.Name, id, p.node.name, body), nil
}

// Epoch is under which epoch the node owns what a function is about that is given ctx; ok is false outside a cluster.
func Epoch(ctx context.Context) (epoch int64, ok bool) {
	epoch, ok = ctx.Value(epochKey{}).(int64)
	return epoch, ok
}

// WithEpoch gives a context an epoch.
func WithEpoch(ctx context.Context, epoch int64) context.Context {
	return context.WithValue(ctx, epochKey{}, epoch)
}

type epochKey struct{}

// Epochs is under which epochs the node owns what a function is about that is given ctx and a list: one for each, in the list's order.
// ok is false outside a cluster.
func Epochs(ctx context.Context) (epochs []int64, ok bool) {
	epochs, ok = ctx.Value(epochsKey{}).([]int64)
	return epochs, ok
}

// WithEpochs gives a context the epochs of a list.
func WithEpochs(ctx context.Context, epochs []int64) context.Context {
	return context.WithValue(ctx, epochsKey{}, epochs)
}

type epochsKey struct{}

// Name is the node's.
func (n *Node) Name() string { return n.name }
