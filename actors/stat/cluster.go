package stat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/messages"
)

// PartialError says which nodes a question to all of them left open: what is told without them is what the others know.
type PartialError struct {
	Buffer string
	Nodes  map[string]error // by the node's name
}

func (e *PartialError) Error() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(e.Nodes)) {
		list = append(list, fmt.Sprintf("%q: %v", name, e.Nodes[name]))
	}
	return fmt.Sprintf("stat buffer %q: %d nodes have not answered: %s", e.Buffer, len(e.Nodes), strings.Join(list, "; "))
}

// Unwrap is the nodes' errors, in the order of their names.
func (e *PartialError) Unwrap() (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(e.Nodes)) {
		errs = append(errs, e.Nodes[name])
	}
	return errs
}

// port is what is used of a [cluster.Port].
type port interface {
	AskMember(ctx context.Context, member string, body []byte) ([]byte, error)
	Members() []string
	Close()
}

var wireKinds = map[Kind]messages.StatKind{
	KindSum: messages.StatKind_STAT_KIND_SUM, KindMax: messages.StatKind_STAT_KIND_MAX,
	KindLast: messages.StatKind_STAT_KIND_LAST, kindHistogram: messages.StatKind_STAT_KIND_HISTOGRAM,
}

// idPrefix begins the IDs of a node's flushes, for who reads them: nameMost bytes of its name at most, those that ASCII has. What makes
// them unique is what follows.
func idPrefix(node string) string {
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, node)
	return readable[:min(len(readable), nameMost)] + "."
}

const nameMost = 16

// reach makes the buffer known to the other nodes.
func (l *ledger[K, P, C]) reach(n *cluster.Node) (err error) {
	l.port, err = n.Open(cluster.RoomSpec{Service: cluster.Stats, Name: l.name, Handle: func(c *cluster.Call) {
		answer, err := l.answer(c.Body)
		if err != nil {
			c.Refuse(err)
			return
		}
		c.Reply(answer)
	}})
	return err
}

// answer is what this node knows, for another one.
func (l *ledger[K, P, C]) answer(question []byte) ([]byte, error) {
	var ask messages.StatAsk
	if err := proto.Unmarshal(question, &ask); err != nil {
		return nil, fmt.Errorf("%w question: %w", penstock.ErrInvalid, err)
	}
	if ask.GetKind() != wireKinds[l.form.kind] {
		return nil, fmt.Errorf("%w question: it is of another kind of buffer than %q, a %s; all nodes take the same", penstock.ErrInvalid, l.name, l.form.kind)
	}
	key, err := decodeKey[K](ask.GetKey())
	if err != nil {
		return nil, fmt.Errorf("%w question: its key: %w", penstock.ErrInvalid, err)
	}
	n, ok := l.count(key)
	return proto.Marshal(&messages.StatCount{N: n, There: ok})
}

// count is what was counted for a key and is not known to be stored; ok is false if there is nothing of that kind.
func (l *ledger[K, P, C]) count(key K) (n int64, ok bool) {
	e, ok := l.family.Lookup(key)
	if !ok {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.form.count(&e.Value)
}

// countAll asks all nodes for what they know, and puts that together.
func (l *ledger[K, P, C]) countAll(ctx context.Context, key K, join func(a, b int64) int64) (n int64, ok bool, err error) {
	if l.port == nil {
		return 0, false, fmt.Errorf("%w question in stat buffer %q: Clustered is false, so it knows of no other nodes", penstock.ErrInvalid, l.name)
	}
	text, err := encodeKey(key)
	if err == nil {
		var again K
		if again, err = decodeKey[K](text); err == nil && again != key {
			err = fmt.Errorf("it is read as %v; a clustered buffer takes keys that encoding/json keeps apart", again)
		}
	}
	if err != nil {
		return 0, false, fmt.Errorf("%w key %v in stat buffer %q: it cannot be told to other nodes: %w", penstock.ErrInvalid, key, l.name, err)
	}
	question, err := proto.Marshal(&messages.StatAsk{Kind: wireKinds[l.form.kind], Key: text})
	if err != nil {
		return 0, false, fmt.Errorf("%w question in stat buffer %q: %w", penstock.ErrInvalid, l.name, err)
	}
	n, ok = l.count(key)
	answers, missing := askAll(ctx, l.port, question)
	for _, a := range answers {
		switch {
		case !a.GetThere():
		case ok:
			n = join(n, a.GetN())
		default:
			n, ok = a.GetN(), true
		}
	}
	if len(missing) > 0 {
		err = &PartialError{Buffer: l.name, Nodes: missing}
	}
	return n, ok, err
}

// askAll asks all other nodes at the same time.
func askAll(ctx context.Context, p port, question []byte) (answers []*messages.StatCount, missing map[string]error) {
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	for _, name := range p.Members() {
		all.Go(func() {
			a := new(messages.StatCount)
			body, err := p.AskMember(ctx, name, question)
			if err == nil {
				err = proto.Unmarshal(body, a)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				answers = append(answers, a)
				return
			}
			if missing == nil {
				missing = make(map[string]error)
			}
			missing[name] = err
		})
	}
	all.Wait()
	return answers, missing
}
