package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/supervisor"
)

// room is all pools of a system.
type room struct {
	supervisor.Room[*Pool]
	logger  *slog.Logger
	clock   clock.Clock
	metrics *instruments
	joining sync.Mutex // held while groups are joined
	links   links
	answers sync.Pool // of channels on which jobs with one caller send the one word that they have ended
}

// roomOf is the system's room of pools, which is made when it is needed first.
func roomOf(sys *penstock.System) (*room, error) {
	if sys == nil {
		return nil, fmt.Errorf("%w pool: the system is nil; it takes one from penstock.New", penstock.ErrInvalid)
	}
	return penstock.Part(sys, func() (*room, error) { return newRoom(sys) })
}

func newRoom(sys *penstock.System) (m *room, err error) {
	m = &room{logger: sys.Logger(), clock: clock.New(), links: links{open: openerOf(sys)}}
	m.answers.New = func() any { return make(chan struct{}, 1) }
	if m.metrics, err = newInstruments(sys, m); err != nil {
		return nil, fmt.Errorf("pools: instruments: %w", err)
	}
	err = m.Open(sys.Tree(), supervisor.RoomSpec[*Pool]{
		Kind: "pool",
		Name: "pools",
		Advance: func(p *Pool) time.Duration {
			p.gate().look()
			return supervisor.Never
		},
		Receive:   func(_ *Pool, message any) { message.(*kill).do() },
		Shut:      func(p *Pool, _ error) { p.gate().shut() },
		Abandoned: (*Pool).forsake,
		End:       (*Pool).forsake,
		Drain:     m.drain,
	})
	if err != nil {
		m.metrics.close()
		return nil, fmt.Errorf("pools: %w", err)
	}
	return m, nil
}

// New starts a pool. Its name, 1 to 512 bytes of UTF-8, must not be taken: else the error is [penstock.ErrExists]. Other
// errors: [penstock.ErrInvalid], naming every bad field and the values it takes, and [penstock.ErrClosed].
func New(sys *penstock.System, name string, cfg Config) (*Pool, error) {
	m, err := roomOf(sys)
	if err != nil {
		return nil, err
	}
	if !validName(name) {
		return nil, fmt.Errorf("%w pool: the name is %d bytes long or not UTF-8; it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, len(name), maxName)
	}
	err = cfg.validate()
	if to := cfg.DelegateTo; to != nil && to.room != m {
		err = errors.Join(err, fmt.Errorf("DelegateTo is pool %q of another system; it takes one of the same", to.name))
	}
	if err != nil {
		return nil, fmt.Errorf("%w configuration of pool %q: %w", penstock.ErrInvalid, name, err)
	}
	return m.add(&Pool{name: name}, cfg.withDefaults())
}

// Get finds the pool of this name.
func Get(sys *penstock.System, name string) (*Pool, bool) {
	if sys == nil {
		return nil, false
	}
	m := penstock.LookupPart[room](sys)
	if m == nil {
		return nil, false
	}
	seat, ok := m.Lookup(name)
	if !ok {
		return nil, false
	}
	return seat.Member(), true
}

// add starts a pool that has its name, and its node if that is another one.
func (m *room) add(p *Pool, cfg Config) (*Pool, error) {
	p.room, p.to, p.delegate, p.patience = m, cfg.DelegateTo, cfg.Delegate, cfg.PoolTimeout
	p.logger, p.metrics, p.closed = m.logger.With("pool", p.name), m.metrics.of(p.name), make(chan struct{})
	p.children.configure(cfg.Processes, p.logger)
	if cfg.Clustered || p.member != "" {
		if err := m.links.enter(p); err != nil {
			return nil, p.fault(err)
		}
	}
	if err := m.connect(p, cfg); err != nil {
		m.links.leave(p)
		return nil, err
	}
	if cfg.Clustered {
		p.link.served.Store(p)
	}
	return p, nil
}

// connect makes the pool's entry, and has it share the lock of the pool that it delegates to before anybody can ask it.
func (m *room) connect(p *Pool, cfg Config) error {
	m.joining.Lock()
	defer m.joining.Unlock()
	if to := p.to; to != nil {
		if to.gate().isShut() {
			return p.fault(fmt.Errorf("%w: pool %q, to which it is to delegate", penstock.ErrClosed, to.name))
		}
	}
	return m.Add(p.name, func(seat *supervisor.Seat[*Pool]) *Pool {
		p.seat = seat
		p.gate().open(p, cfg)
		p.routes = wayUp(p)
		if p.to != nil {
			m.merge(p.gate(), p.to.gate())
		}
		return p
	})
}

// wayUp is the one way up from a pool, nil if a delegate function may choose another for each task.
func wayUp(p *Pool) []route {
	var r route
	for at := p; at != nil; at = at.to {
		if at.delegate != nil {
			return nil
		}
		r = append(r, &at.gate().state)
	}
	return []route{r}
}

// forsake tells whoever waits at the pool that its actor is no more, until its next use or for good.
func (p *Pool) forsake(reason error) {
	g := p.gate()
	grp := g.lock()
	defer grp.unlock()
	why := Broken
	if errors.Is(reason, penstock.ErrClosed) {
		why = Closed
	}
	for member := range grp.members {
		for j := range member.jobs.all() {
			if j.phase == waiting && j.claim.waitsFor(&g.state) && j.claim.loses(&g.state) {
				member.turnAway(grp, j, &g.state, why, reason)
			}
		}
	}
}

// drain lets those who wait have their turn, and waits until all have returned.
func (m *room) drain(ctx context.Context) error {
	defer m.metrics.close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, p := range m.All() {
		wg.Go(func() {
			err := p.finish(ctx)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
