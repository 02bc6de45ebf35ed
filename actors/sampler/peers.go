package sampler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/messages"
)

// peers is the way of a system's samplers to those of other nodes. What is told is told again soon, so nothing is answered, and
// what was lost on the way does no harm. The board may call it with its lock in hand, but it never calls the board with its own.
type peers struct {
	room *room
	port port
	mu   struct {
		sync.Mutex
		beat   beat
		timer  *time.Timer         // rings when the levels are to be told
		heard  map[string]struct{} // nodes that have told theirs
		closed bool
	}
}

// port is what is used of a [cluster.Port].
type port interface {
	Tell(member string, body []byte) error
	Members() []string
	Close()
}

// opener makes the system's samplers known to its node.
type opener func(handle func(*cluster.Call), members func(names []string)) (port, error)

// openerOf opens a port at the node that the system is.
func openerOf(sys *penstock.System) opener {
	return func(handle func(*cluster.Call), members func(names []string)) (port, error) {
		node, err := cluster.Here(sys)
		if err != nil {
			return nil, err
		}
		p, err := node.Open(cluster.RoomSpec{Service: cluster.Samplers, Name: "samplers", Handle: handle, Members: members})
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// beat is when a node's levels are told: at once when one has changed, though not too often, and every second even if nothing has.
type beat struct{ last, due time.Time }

const (
	beatMost  = time.Second
	beatLeast = 100 * time.Millisecond
	beatLife  = 3 * beatMost // how long what was told counts
)

// hurry brings the next time forward, because something has changed.
func (b *beat) hurry(now time.Time) {
	if next := b.last.Add(beatLeast); next.Before(b.due) {
		b.due = next
		if now.After(next) {
			b.due = now
		}
	}
}

// tick notes that the levels are told now.
func (b *beat) tick(now time.Time) { b.last, b.due = now, now.Add(beatMost) }

// join begins to tell other nodes of the levels, and to hear of theirs. It does so once.
func (r *room) join() error {
	r.joining.Lock()
	defer r.joining.Unlock()
	if r.peers.Load() != nil {
		return nil
	}
	p := &peers{room: r}
	p.mu.heard = make(map[string]struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.port, err = r.open(p.hear, p.members); err != nil {
		return err
	}
	now := time.Now()
	p.mu.beat.tick(now)
	p.mu.timer = time.AfterFunc(beatMost, p.tell)
	r.peers.Store(p)
	return nil
}

// changed is told that levels are others now, or who is to hear of them.
func (p *peers) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return
	}
	now := time.Now()
	if was := p.mu.beat.due; was.After(now) {
		p.mu.beat.hurry(now)
		if p.mu.beat.due != was {
			p.mu.timer.Reset(p.mu.beat.due.Sub(now))
		}
	}
}

// tell tells all others all levels.
func (p *peers) tell() {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		return
	}
	p.room.workers.begin()
	defer p.room.workers.end()
	p.mu.beat.tick(time.Now())
	p.mu.timer.Reset(beatMost)
	p.mu.Unlock()
	p.send(p.room.board.clustered())
}

// send tells all others these levels.
func (p *peers) send(levels map[string]int) {
	m := &messages.SamplerLevels{Life: int64(beatLife)}
	for name, level := range levels {
		m.Levels = append(m.Levels, &messages.SamplerLevel{Name: name, Level: uint32(level)})
	}
	body, err := proto.Marshal(m)
	for _, member := range p.port.Members() {
		err = errors.Join(err, p.port.Tell(member, body))
	}
	if err != nil {
		p.room.logger.LogAttrs(context.Background(), slog.LevelDebug, "levels of load were not told to all nodes; they will be told again",
			slog.Any("err", err))
	}
}

// hear takes in what another node tells.
func (p *peers) hear(c *cluster.Call) {
	levels, life, err := readLevels(c.Body)
	if err == nil && p.note(c.From) {
		err = p.room.board.setNode(c.From, levels, life)
	}
	if err == nil || errors.Is(err, penstock.ErrClosed) {
		return
	}
	p.room.logger.LogAttrs(context.Background(), slog.LevelWarn, "what another node told of its load is not understood",
		slog.String("from", c.From), slog.Any("err", err))
}

// note remembers who has told something, and reports whether anybody wants to know.
func (p *peers) note(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.closed {
		p.mu.heard[node] = struct{}{}
	}
	return !p.mu.closed
}

// members is told who else there is. Whoever has gone has no levels any more, and who has come is told ours.
func (p *peers) members(names []string) {
	for _, node := range p.gone(names) {
		p.room.board.forgetNode(node)
	}
	p.changed()
}

// gone are the nodes that have told something and are not there any more.
func (p *peers) gone(there []string) (gone []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for node := range p.mu.heard {
		if !slices.Contains(there, node) {
			delete(p.mu.heard, node)
			gone = append(gone, node)
		}
	}
	return gone
}

// close says goodbye.
func (p *peers) close() {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		return
	}
	p.mu.closed = true
	p.mu.timer.Stop()
	p.mu.Unlock()
	p.send(nil)
	p.port.Close()
}

// readLevels reads what another node has told, and believes nothing that could not be.
func readLevels(body []byte) (levels map[string]int, life time.Duration, err error) {
	m := new(messages.SamplerLevels)
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, 0, fmt.Errorf("%w levels: %w", penstock.ErrInvalid, err)
	}
	levels = make(map[string]int, len(m.GetLevels()))
	errs := []error(nil)
	if life = time.Duration(m.GetLife()); life <= 0 || life > maxLife {
		errs = append(errs, fmt.Errorf("life is %v; it takes more than 0 up to %v", life, maxLife))
	}
	for _, l := range m.GetLevels() {
		errs = append(errs, checkName("a sampler's name", l.GetName()))
		if l.GetLevel() > math.MaxInt32 {
			errs = append(errs, fmt.Errorf("the level of %q is %d; it takes up to %d", l.GetName(), l.GetLevel(), math.MaxInt32))
		}
		levels[l.GetName()] = int(l.GetLevel())
	}
	if len(levels) > maxRemoteLevels {
		errs = append(errs, fmt.Errorf("there are %d levels; it takes up to %d", len(levels), maxRemoteLevels))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, 0, fmt.Errorf("%w levels: %w", penstock.ErrInvalid, err)
	}
	return levels, life, nil
}

// maxLife bounds how long another node's levels can be made to count.
const maxLife = time.Minute
