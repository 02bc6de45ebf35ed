package supervisor

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is the value of a test's entries: it survives restarts.
type desk struct {
	mu    sync.Mutex
	notes []string
	ended []error
	registry.Life
}

func (d *desk) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, s)
}

func (d *desk) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.notes...)
}

type (
	entry         = registry.Entry[string, desk]
	registryEntry = registry.Entry[int, tally]
	family        = Family[string, desk]
	spec          = Spec[string, desk]
)

// worker is the tests' actor: it does what its messages say, and on is told of its beginning and end.
type worker struct {
	entry *entry
	on    func(ctx actor.Context, e *entry, moment string)
}

func (w *worker) Receive(ctx actor.Context) {
	moment := ""
	switch m := ctx.Message().(type) {
	case *request:
		m.do(ctx, w.entry)
		m.reply <- nil
	case string:
		w.entry.Value.note(m)
	case *actor.Started:
		moment = "started"
	case *actor.Stopping:
		moment = "stopping"
	case *actor.Stopped:
		moment = "stopped"
	}
	if moment != "" && w.on != nil {
		w.on(ctx, w.entry, moment)
	}
}

// request has an actor do something; its reply comes, once, whatever happens to it. Room for more shows a second one.
type request struct {
	do    func(ctx actor.Context, e *entry)
	reply chan error
}

func (r *request) Undelivered(reason error) { r.reply <- reason }

func newRequest(do func(ctx actor.Context, e *entry)) *request {
	return &request{do: do, reply: make(chan error, 8)}
}

func note(s string) *request {
	return newRequest(func(_ actor.Context, e *entry) { e.Value.note(s) })
}

func crash(why any) *request {
	return newRequest(func(actor.Context, *entry) { panic(why) })
}

func leave() *request {
	return newRequest(func(ctx actor.Context, _ *entry) { ctx.Stop(ctx.Self()) })
}

// house is a tree with everything that its test looks at.
type house struct {
	*testing.T
	tree   *Tree
	events *Subscription[Event]
}

func newHouse(t *testing.T, d actor.Dispatcher) *house {
	tree := New(Config{Name: "house", Dispatcher: d})
	return &house{T: t, tree: tree, events: tree.Subscribe(1 << 16)}
}

func plain(name string) spec {
	return spec{
		Kind: "desk", Name: name, Spawners: 2,
		New: func(e *entry) actor.Actor { return &worker{entry: e} },
		Ended: func(e *entry, reason error) {
			e.Value.mu.Lock()
			defer e.Value.mu.Unlock()
			e.Value.ended = append(e.Value.ended, reason)
		},
	}
}

func (h *house) family(s spec) *family {
	h.Helper()
	f, err := NewFamily(h.tree, s)
	require.NoError(h, err)
	return f
}

func (h *house) get(f *family, key string) *entry {
	h.Helper()
	e, err := f.Get(key)
	require.NoError(h, err)
	return e
}

// ask sends the request to the key's actor and waits until nothing happens any more at this moment.
func (h *house) ask(f *family, key string, r *request) error {
	h.Helper()
	f.Send(h.get(f, key), r)
	synctest.Wait()
	select {
	case err := <-r.reply:
		require.Empty(h, r.reply, "answered twice")
		return err
	default:
		return errUnanswered
	}
}

var errUnanswered = fmt.Errorf("no answer yet")

func (h *house) close() {
	h.Helper()
	require.NoError(h, h.tree.Close(context.Background()))
}

// history returns the events so far, in short, and forgets them.
func (h *house) history() (lines []string) {
	for {
		select {
		case e, ok := <-h.events.Events():
			if !ok {
				return lines
			}
			lines = append(lines, fmt.Sprintf("%s %s", e.What, e.Family+"/"+e.ID))
		default:
			return lines
		}
	}
}

// inBubbles runs a test in virtual time, once with goroutines and once with everything on the sender's goroutine.
func inBubbles(t *testing.T, test func(h *house)) {
	t.Helper()
	for name, d := range map[string]actor.Dispatcher{"goroutines": nil, "synchronized": actor.NewSynchronizedDispatcher(300)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, d)
				test(h)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				require.NoError(t, h.tree.Close(ctx))
			})
		})
	}
}
