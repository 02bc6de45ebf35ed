package stat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/internal/keys"
	"github.com/penstock-go/penstock/internal/wheel"
	"github.com/penstock-go/penstock/registry"
	"github.com/penstock-go/penstock/supervisor"
)

// form is what makes one kind of buffer different from another: how a cell is emptied, and how what could not be stored gets
// back into it. P is what the sink knows a key as.
type form[K, P comparable, C any] struct {
	kind Kind
	// size is how many bytes a key is reckoned as beyond keyCost.
	size int64
	// open makes the cell of a new tally idle; nil: a zero cell is.
	open func(t *tally[K, P, C])
	// take empties a tally's cell. exact is false if not everything could be told.
	take func(t *tally[K, P, C], then emptied, into []Delta[P]) (list []Delta[P], exact bool)
	// restore puts back what was taken before what the cell holds now. first: the cell was idle, and the caller arms the tally.
	restore func(t *tally[K, P, C], list []Delta[P]) (first, exact bool)
	// shut closes the cell if it is idle and holds nothing, and reports whether it did.
	shut func(t *tally[K, P, C]) bool
	// unrecorded is what the cell holds beyond what the journal knows of it, which it notes; nil: no journal.
	unrecorded func(t *tally[K, P, C], was *recorded) (more int64, ok bool)
	// replaces says whether a value takes the place of an earlier one; nil: they are summed.
	replaces func(there, n int64) bool
	// count is what was counted and is not known to be stored; ok is false if there is nothing of that kind. The mutex is held.
	count func(t *tally[K, P, C]) (n int64, ok bool)
	// isShut reports whether the cell is closed.
	isShut func(t *tally[K, P, C]) bool
	// isArmed reports whether something was added to the cell since it was emptied, be it 0. One addition at a time is told that it
	// was the first after that, and arms the tally.
	isArmed func(t *tally[K, P, C]) bool
	// key is the key that a delta counts for.
	key func(P) K
	// known is what the sink knows a key as; only for those with unrecorded.
	known func(K) P
}

// ledger is a buffer without its handle: all keys and what is on its way to the sink.
type ledger[K, P comparable, C any] struct {
	name    string
	form    form[K, P, C]
	cfg     Config[P]
	logger  *slog.Logger
	clock   clock.Clock
	family  *supervisor.Family[K, tally[K, P, C]]
	metrics *metrics
	journal *journal[K, P, C] // nil if there is none
	port    port              // to the other nodes; nil if the buffer is not Clustered

	stack   atomic.Pointer[tally[K, P, C]] // armed, and not yet in the schedule
	ticking atomic.Bool                    // a tick is to come
	opened  chan struct{}                  // closed when family is set
	ticker  *time.Timer
	bytes   atomic.Int64 // of all keys

	life context.Context // ends when the buffer has closed
	end  context.CancelFunc

	mu       sync.Mutex
	wheel    wheel.Wheel[*tally[K, P, C]]
	ready    wheel.Queue[*tally[K, P, C]]
	called   int // actors that have been called and have not collected yet
	pumping  bool
	turn     *sync.Cond               // fewer are called
	open     [levels]*batch[K, P, C]  // being filled
	outbox   outbox[K, P, C]          // sealed
	flying   map[*batch[K, P, C]]bool // at the sink right now
	retry    *time.Timer              // rings for the next batch that failed
	prefix   string                   // of flush IDs
	sealed   uint64
	refusals int // ErrNotStored in a row
	closing  bool
	over     bool          // what becomes of flushes is of no interest any more
	settled  chan struct{} // closed when nothing is on its way while the buffer closes
	counts   Totals
}

type entry[K, P comparable, C any] = registry.Entry[K, tally[K, P, C]]

func newLedger[K, P comparable, C any](sys *penstock.System, name string, f form[K, P, C], cfg Config[P]) (*ledger[K, P, C], error) {
	if sys == nil {
		return nil, fmt.Errorf("%w stat buffer %q: the system is nil; it takes one from penstock.New", penstock.ErrInvalid, name)
	}
	if name == "" || len(name) > keys.Max || !utf8.ValidString(name) {
		return nil, fmt.Errorf("%w stat buffer: its name is %q; it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, name, keys.Max)
	}
	if err := validate(cfg.validate); err != nil {
		return nil, fmt.Errorf("%w stat buffer %q: %w", penstock.ErrInvalid, name, err)
	}
	keeps := Kind(f.kind)
	if keeps == kindHistogram {
		keeps = KindSum
	}
	if k, ok := cfg.Sink.(Keeper); ok && k.Keeps() != keeps {
		return nil, fmt.Errorf("%w stat buffer %q: Sink keeps a %s; a %s buffer takes one that keeps a %s", penstock.ErrInvalid, name, k.Keeps(), f.kind, keeps)
	}
	if cfg.Journal.Path != "" && f.unrecorded == nil {
		return nil, fmt.Errorf("%w stat buffer %q: Journal is set; a %s takes none", penstock.ErrInvalid, name, f.kind)
	}
	cfg = cfg.withDefaults()
	prefix := rand.Text() + "-"
	var node *cluster.Node
	if cfg.Clustered {
		var err error
		if node, err = cluster.Here(sys); err != nil {
			return nil, fmt.Errorf("stat buffer %q: %w", name, err)
		}
		prefix = idPrefix(node.Name()) + prefix
	}
	l := &ledger[K, P, C]{
		name: name, form: f, cfg: cfg,
		logger:  sys.Logger().With("buffer", name),
		clock:   clock.New(),
		wheel:   wheel.New[*tally[K, P, C]](cfg.Interval + cfg.Jitter),
		flying:  make(map[*batch[K, P, C]]bool),
		prefix:  prefix,
		settled: make(chan struct{}),
		opened:  make(chan struct{}),
	}
	l.turn = sync.NewCond(&l.mu)
	l.life, l.end = context.WithCancel(context.Background())
	l.ticker = time.AfterFunc(time.Hour, l.tick)
	l.ticker.Stop()
	l.retry = time.AfterFunc(time.Hour, l.wakeFlushers)
	l.retry.Stop()
	most := cfg.MaxKeys
	if cfg.Overflow != nil {
		most++ // the overflow key is on top
	}
	var err error
	if l.metrics, err = newMetrics(sys, l.form.kind, name, l.Info); err != nil {
		return nil, fmt.Errorf("stat buffer %q: instruments: %w", name, err)
	}
	before, err := l.openJournal()
	if err != nil {
		l.metrics.close()
		return nil, fmt.Errorf("stat buffer %q: %w", name, err)
	}
	l.family, err = supervisor.NewFamily(sys.Tree(), supervisor.Spec[K, tally[K, P, C]]{
		Kind:        "stat",
		Name:        name,
		New:         func(*entry[K, P, C]) actor.Actor { return collector[K, P, C]{l} },
		Init:        l.admit,
		MayForget:   l.mayForget,
		Drain:       l.drain,
		MaxChildren: most,
		Idle:        cfg.Idle,
		Dispatcher:  actor.NewSynchronizedDispatcher(1), // a key's actor is done in a moment
	})
	if err != nil {
		l.metrics.close()
		l.end()
		if l.journal != nil {
			err = errors.Join(err, l.journal.file.close())
		}
		return nil, err
	}
	close(l.opened) // metrics can be read and the tree can close before that
	err = l.recover(before)
	if err == nil && cfg.Overflow != nil {
		if _, err = l.tally(l.form.key(*cfg.Overflow)); err != nil {
			err = fmt.Errorf("the key Overflow: %w", err)
		}
	}
	if err == nil && node != nil {
		err = l.reach(node)
	}
	if err != nil {
		return nil, fmt.Errorf("stat buffer %q: %w", name, errors.Join(err, l.abandon()))
	}
	l.wakeFlushers()
	return l, nil
}

// tally is the key's, made if there is none. The error is [penstock.ErrFull], [penstock.ErrInvalid] or why the buffer takes
// nothing any more.
func (l *ledger[K, P, C]) tally(key K) (*tally[K, P, C], error) {
	if e, ok := l.family.Lookup(key); ok {
		return &e.Value, nil
	}
	return l.newcomer(key)
}

func (l *ledger[K, P, C]) newcomer(key K) (*tally[K, P, C], error) {
	if err := keys.Check(key); err != nil {
		return nil, fmt.Errorf("%w key in stat buffer %q: %w", penstock.ErrInvalid, l.name, err)
	}
	var e *entry[K, P, C]
	err := l.tooMuch(key)
	if err == nil && l.journal != nil {
		_, err = l.journal.name(key)
	}
	if err == nil {
		e, err = l.family.Get(key)
	}
	if err == nil {
		return &e.Value, nil
	}
	if l.cfg.Overflow != nil && errors.Is(err, penstock.ErrFull) {
		l.metrics.overflowed()
		if e, err = l.family.Get(l.form.key(*l.cfg.Overflow)); err == nil {
			return &e.Value, nil
		}
	}
	return nil, fmt.Errorf("stat buffer %q: %w", l.name, err)
}

// keyCost is how many bytes a key is reckoned as, beside what is in it.
const keyCost = 1024

// weight is what a key is reckoned as.
func (l *ledger[K, P, C]) weight(key K) int64 {
	s, _ := keys.Text(key)
	return keyCost + l.form.size + int64(len(s))
}

func (l *ledger[K, P, C]) tooMuch(key K) error {
	if l.cfg.MaxBytes > 0 && l.bytes.Load()+l.weight(key) > l.cfg.MaxBytes {
		return fmt.Errorf("%w: its keys are reckoned as %d bytes, and MaxBytes is %d", penstock.ErrFull, l.bytes.Load(), l.cfg.MaxBytes)
	}
	return nil
}

// admit prepares a new key's tally.
func (l *ledger[K, P, C]) admit(e *entry[K, P, C]) {
	e.Value.course = &course[K, P, C]{ledger: l, entry: e}
	if l.form.open != nil {
		l.form.open(&e.Value)
	}
	l.bytes.Add(l.weight(e.Key()))
	if l.journal != nil {
		name, err := l.journal.name(e.Key())
		if err != nil {
			panic(err) // it could be encoded a moment ago
		}
		e.Value.note = &note[K, P, C]{tally: &e.Value, name: name}
	}
}

// mayForget closes an idle key's cell, unless something has been counted in it just now.
func (l *ledger[K, P, C]) mayForget(e *entry[K, P, C]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forget(&e.Value)
}

// forget closes the cell of a tally that nobody needs. The mutex is held.
func (l *ledger[K, P, C]) forget(t *tally[K, P, C]) bool {
	if l.cfg.Overflow != nil && t.entry.Key() == l.form.key(*l.cfg.Overflow) {
		return false
	}
	if !t.idle() {
		return false
	}
	if l.form.isShut(t) {
		return true // it was closed before, and its actor is still there
	}
	if !l.form.shut(t) {
		return false
	}
	l.bytes.Add(-l.weight(t.entry.Key()))
	return true
}

// renew makes room for a key whose cell was found closed. Whoever closed it is about to do that too, or to open it again.
func (l *ledger[K, P, C]) renew(t *tally[K, P, C]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.form.isShut(t) {
		l.family.Discard(t.entry)
	}
}

// flushID is the next. The mutex is held.
func (l *ledger[K, P, C]) flushID() string {
	l.sealed++
	return l.prefix + strconv.FormatUint(l.sealed, 36)
}
