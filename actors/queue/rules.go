package queue

// rules are a queue's configuration as it stands, never changed once in force.
type rules struct {
	cfg        Config // with its defaults filled in
	names      []string
	increments []int // what a job takes of each regulator, for each of its cost
	quick      bool  // a request may go at once if nobody waits and there is room
	plain      bool  // time alone changes nothing for those who wait
	timed      bool  // whether there is room depends on the time
	measured   bool  // every job's time is measured, for an adaptive limit
}

// newRules compiles a valid configuration.
func newRules(cfg Config) *rules {
	r := &rules{cfg: cfg.withDefaults(), names: regulatorNames(cfg.Regulators)}
	for _, regulator := range cfg.Regulators {
		r.increments = append(r.increments, incrementOf(regulator))
		switch regulator.(type) {
		case Rate, groupRate:
			r.timed = true
		case AdaptiveLimit:
			r.measured = true
		}
	}
	r.quick = cfg.Action == Regulate && cfg.CheckInterval == 0 || cfg.Action == Approve
	r.plain = r.quick && cfg.Action == Regulate && !r.timed && cfg.MaxTime == 0 && cfg.Order != Adaptive && cfg.Behavior == nil
	return r
}

// given is the configuration as a user would give it, with its defaults filled in.
func (r *rules) given() Config {
	cfg := r.cfg
	if cfg.MaxSize == 0 {
		cfg.MaxSize = NoWaiting
	}
	return cfg
}

// newLine makes the line in which requests wait.
func (r *rules) newLine() Behavior[Ticket] {
	if r.cfg.Behavior != nil {
		return r.cfg.Behavior()
	}
	return NewLine[Ticket](LineConfig{Order: r.cfg.Order, Target: r.cfg.Target, TargetInterval: r.cfg.TargetInterval})
}

// weight is that of a flow.
func (r *rules) weight(flow string) int { return max(r.cfg.Weights[flow], 1) }
