package penstock

import (
	"reflect"
	"sync"
)

// parts are what rooms keep for a system, by the type of what they keep.
type parts struct {
	mu   sync.Mutex
	list map[reflect.Type]*part
}

type part struct {
	mu    sync.Mutex
	value any // nil until it has been made
}

// Part returns what a room keeps for the system, which make makes when it is asked for first. T tells the parts of rooms
// apart: a type that the room does not export. It is for rooms whose handles are found by name in the system, such as
// queues. If make fails, its error is returned and the next call tries again. make may ask for parts of other types.
func Part[T any](s *System, make func() (*T, error)) (*T, error) {
	p := s.parts.of(reflect.TypeFor[T]())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.value == nil {
		made, err := make()
		if err != nil {
			return nil, err
		}
		p.value = made
	}
	return p.value.(*T), nil
}

// LookupPart returns what a room keeps for the system, if that has been made; nil if not. It makes nothing.
func LookupPart[T any](s *System) *T {
	p := s.parts.of(reflect.TypeFor[T]())
	p.mu.Lock()
	defer p.mu.Unlock()
	made, _ := p.value.(*T)
	return made
}

func (p *parts) of(t reflect.Type) *part {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = make(map[reflect.Type]*part)
	}
	if p.list[t] == nil {
		p.list[t] = new(part)
	}
	return p.list[t]
}
