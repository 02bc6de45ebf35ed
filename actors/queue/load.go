package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
)

// Load sets up samplers, shared regulators and queues from a file of YAML:
//
//	samplers:
//	  cpu: {source: cpu, interval: 1s, thresholds: [0.8, 0.9, 1]}  # cpu, memory, heap, scheduler or gc
//	group_rates:
//	  mail: 100                                    # a second; short for {per_second: 100}
//	  api: {per_second: 50, clustered: true, away: wait, local_share: 0.3} # that of all nodes together
//	counters:
//	  connections: {limit: 20, modifiers: [{sampler: cpu, local: 10, remote: 5, remote_by: highest}]}
//	queues:
//	  api:
//	    regulators:
//	      - rate: {per_second: 50, name: steady}   # or rate: 50
//	      - counter: {limit: 10, increment: 2}     # or counter: 10
//	      - adaptive: {min: 1, max: 100, initial: 10}
//	      - group_rate: mail
//	      - named_counter: {name: connections, increment: 2}
//	    order: adaptive                            # fifo, lifo or adaptive
//	    target: 5ms
//	    target_interval: 100ms
//	    weights: {paid: 3}
//	    max_time: 5s
//	    max_size: 1000                             # or none: nobody waits
//	    action: regulate                           # regulate, approve or reject
//	    check_interval: 10ms
//	  batch:
//	    regulators: [{standard_rate: 5}, {standard_counter: 2}]
//	default: api
//
// Keys are the fields of [Config], of the regulators and of sampler.Config, and a key that is left out has the field's
// default. Because a file says what it means no key takes a 0 that would stand for a default. What is not data, such as a
// producer, has no key.
//
// A file may be loaded again while the system runs. Then what it names and the system has is changed to what the file says
// now, a key that is left out meaning its default; what the system has not is added; and what the file does not name stays
// as it is. Jobs that run and requests that wait are served on, and what has not changed is left alone. Some things cannot
// change at run time: a sampler, a queue's order, its targets, its check interval, which regulators it has, which
// queue is the default, and whether a regulator is clustered. The queue, sampler or regulator must be deleted first.
//
// A bad file is a [penstock.ErrInvalid] that names everything that is wrong with it, each a [LoadError]; then nothing has
// been started or changed. It is no more than 1 MiB of UTF-8, one document, and without aliases. If a good file cannot be
// put in force, for instance because the system is being closed, the error says how far that came.
func Load(sys *penstock.System, r io.Reader) error {
	if r == nil {
		return fmt.Errorf("%w configuration file: the reader is nil", penstock.ErrInvalid)
	}
	m, err := roomOf(sys)
	if err != nil {
		return err
	}
	l, err := penstock.Part(sys, func() (*loads, error) { return new(loads), nil })
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return l.load(m, data)
}

// LoadFile is [Load] of the file of this name.
func LoadFile(sys *penstock.System, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close() // it was only read
	if err := Load(sys, f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

const (
	maxFile   = 1 << 20 // bytes
	maxFaults = 100     // that are told of one file
)

// LoadError is something that is wrong with a configuration file.
type LoadError struct {
	Line, Column int    // from 1
	Key          string // such as queues.api.regulators[0].rate.per_second; empty if it is the file as a whole
	Reason       string // what is wrong, and what the key takes
}

func (e *LoadError) Error() string {
	at := fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	if e.Key != "" {
		at += e.Key + ": "
	}
	return at + e.Reason
}

// faults are what is wrong with a file.
type faults []*LoadError

// err is nil if nothing is wrong.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b *LoadError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	var errs []error
	for i, e := range f {
		if i == maxFaults {
			errs = append(errs, fmt.Errorf("and %d errors more", len(f)-i))
			break
		}
		errs = append(errs, e)
	}
	return fmt.Errorf("%w configuration:\n%w", penstock.ErrInvalid, errors.Join(errs...))
}

// loads is what a system remembers of the files it was set up from. It loads one at a time.
type loads struct {
	mu       sync.Mutex
	samplers map[string]loadedSampler // by name
}

// loadedSampler is a sampler that a file set up, and how: samplers do not tell all of that.
type loadedSampler struct {
	sampler *sampler.Sampler
	as      samplerSection
}

// load reads a file, finds out what it changes, and does that if nothing is wrong.
func (l *loads) load(m *room, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wrong faults
	f := parseFile(data, &wrong)
	p := planFor(m, l, f, &wrong)
	if err := wrong.err(); err != nil {
		return err
	}
	return p.apply()
}
