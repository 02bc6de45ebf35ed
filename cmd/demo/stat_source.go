package main

import (
	"context"
	"io"
	"time"
)

// taker gives requests to a goroutine that counts them: as many as it returns. [io.EOF] says that there are no more.
type taker func(into []request) (int, error)

// source is where requests come from, with a plain count of those that were taken.
type source struct {
	name   string
	takers []taker
	counts []*plainCount
	log    *requestLog // nil if they are drawn
}

// openSource opens the log, or prepares the drawing.
func (a statAct) openSource(ctx context.Context, stdin io.Reader) (*source, error) {
	s := new(source)
	if a.log != "" {
		log, err := openRequestLog(ctx, a.log, stdin)
		if err != nil {
			return nil, err
		}
		s.name, s.log, s.counts = log.name, log, []*plainCount{log.count}
		for range countersHere() {
			s.takers = append(s.takers, log.take)
		}
		return s, nil
	}
	s.name = "drawn traffic"
	for i := range countersHere() {
		d := newDrawn(a.seed, uint64(i))
		s.takers, s.counts = append(s.takers, d.take), append(s.counts, d.count)
	}
	return s, nil
}

// want is what the file has to come to. Nothing may be taken any more.
func (s *source) want() *plainCount {
	all := newPlainCount()
	for _, c := range s.counts {
		all.add(c)
	}
	return all
}

// failure says why there was nothing to count.
func (s *source) failure() error {
	if s.log == nil {
		return nil
	}
	return s.log.failure()
}

// tell notes where the requests came from.
func (s *source) tell(r *statResult) {
	r.Source = s.name
	if s.log != nil {
		r.Malformed, r.malformed = s.log.malformed, s.log.quoted
	}
}

// progress shows how far the counting is until ctx ends. Nobody knows how long standard input is.
func (s *source) progress(ctx context.Context, w io.Writer, d time.Duration) {
	const what = "paths and clients counted"
	switch {
	case s.log == nil:
		progress(ctx, w, what, d)
	case s.log.size > 0:
		progressOf(ctx, w, what+", bytes of the log", int(s.log.size), func() int { return int(s.log.read.Load()) })
	}
}

func (s *source) close() error {
	if s.log == nil {
		return nil
	}
	return s.log.src.Close()
}
