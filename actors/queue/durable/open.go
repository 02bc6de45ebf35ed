package durable

import (
	"errors"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/limit"
)

// openVault opens the file and puts in line what it holds.
func openVault(r *room, name, path string, lockTimeout time.Duration, line queue.LineConfig, cfg *rules) (*vault, error) {
	st, err := openStore(path, lockTimeout)
	if err != nil {
		return nil, err
	}
	now := r.clock.Now()
	c, err := st.load(now, cfg.maxTries)
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	v := &vault{
		room: r, name: name, rules: cfg, store: st, next: limit.Never,
		state: newState(cfg, queue.NewLine[stand](line)),
		quiet: make(chan struct{}), stopped: make(chan struct{}),
	}
	s := &v.state
	s.nextID, s.dead = c.lastID, c.dead
	for i := range c.items {
		s.restore(now, &c.items[i])
	}
	if c.damaged > 0 {
		r.logger.Error("a durable queue's file has damaged records; what could not be read is in the dead-letter list",
			"queue", name, "path", path, "damaged", c.damaged)
	}
	return v, nil
}

// restore puts an item in its place that was found in the file.
func (s *state) restore(now time.Time, f *loaded) {
	x := s.item(f.id, &f.record)
	x.Tries = f.turn.tries
	x.Value.reason = f.turn.reason
	s.items[x.Seq] = x
	if f.turn.notBefore.After(now) {
		x.Value.where, x.Value.back = delayed, true
		s.sendAway(x, now.Add(f.turn.notBefore.Sub(now)))
		return
	}
	s.comeBack(now, x)
}
