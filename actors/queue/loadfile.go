package queue

import (
	"github.com/penstock-go/penstock/actors/sampler"
)

// file is a configuration file as it was read. What was wrong with it is left out.
type file struct {
	samplers  []samplerSection
	rates     []sharedSection
	counters  []sharedSection
	clustered []value // what needs a cluster
	queues    []*queueSection
	byName    map[string]*queueSection
	named     map[sharedName]bool // the shared regulators that there are
	fallback  *value              // the default queue's name, which it holds; nil if the file has none
}

// sections are the keys of a file.
var sections = []string{"samplers", "group_rates", "counters", "queues", "default"}

// samplerSection is what a file says of a sampler.
type samplerSection struct {
	at     value // its name, as what follows has it
	name   string
	source string
	cfg    sampler.Config // without the source
	faulty bool
}

// sharedName tells shared regulators apart.
type sharedName struct{ kind, name string }

// sharedSection is what a file says of a regulator that queues share.
type sharedSection struct {
	at   value
	name string
	r    Regulator
}

// queueSection is what a file says of a queue.
type queueSection struct {
	at         value
	name       string
	there      map[string]value // its keys
	regulators []value          // one for each of cfg
	cfg        Config
	faulty     bool // something of it is wrong, and left out
}

// where is where a key of the queue stands or, if it was left out, the queue.
func (s *queueSection) where(key string) value {
	if v, ok := s.there[key]; ok {
		return v
	}
	at := s.at
	at.key = at.under(key)
	return at
}

// parseFile reads a file.
func parseFile(data []byte, wrong *faults) *file {
	f := &file{byName: make(map[string]*queueSection), named: make(map[sharedName]bool)}
	top, ok := parse(data, wrong)
	if !ok {
		return f
	}
	top.fields(
		field{"samplers", func(v value) {
			v.section("samplers", func(e fileEntry) { e.sampler(f) })
		}},
		field{"group_rates", func(v value) {
			v.section("group rates", func(e fileEntry) { e.shared(f, &f.rates, e.value.rate(false)) })
		}},
		field{"counters", func(v value) {
			v.section("counters", func(e fileEntry) { e.shared(f, &f.counters, e.value.counter(false)) })
		}},
		field{"queues", func(v value) {
			v.section("queues", func(e fileEntry) { e.queue(f) })
		}},
		field{"default", func(v value) {
			if _, ok := v.text(); ok {
				f.fallback = &v
			}
		}},
	)
	return f
}

// section reads the entries of a section, which may be empty.
func (v value) section(what string, read func(fileEntry)) {
	if v.what() == "empty" {
		return
	}
	entries, _ := v.entries("a mapping of the names of " + what)
	for _, e := range entries {
		read(e)
	}
}

// shared adds a regulator that queues share.
func (e fileEntry) shared(f *file, list *[]sharedSection, r Regulator) {
	if err := checkShared(e.name, r); err != nil {
		e.at.blame(err)
		return
	}
	f.named[sharedName{r.kind(), e.name}] = true
	if isClustered(r) {
		f.clustered = append(f.clustered, e.at)
	}
	*list = append(*list, sharedSection{e.at, e.name, r})
}
