package limit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Algorithm says how a [Limit] counts. The zero value is [Rolling].
type Algorithm uint8

const (
	// Rolling holds at most Events in any half-open window of length Per,
	// wherever it starts. Up to 256 Events it is exact to the nanosecond;
	// beyond that neighbouring events are remembered as one, at the later
	// time, which never exceeds the limit and still delivers 99 % of it.
	Rolling Algorithm = iota
	// Smooth lets at most Burst pass at once, then one each Per/Events,
	// rounded up to the nanosecond (GCRA).
	Smooth
	// Calendar holds at most Events in each window [k·Per, (k+1)·Per) since
	// the Unix epoch, in UTC. While a clock that was set back catches up, its
	// window stays the one it was in.
	Calendar
)

// String returns "rolling", "smooth" or "calendar".
func (a Algorithm) String() string {
	switch a {
	case Rolling:
		return "rolling"
	case Smooth:
		return "smooth"
	case Calendar:
		return "calendar"
	}
	return "Algorithm(" + strconv.Itoa(int(a)) + ")"
}

// Limit is a number of events in a span of time.
type Limit struct {
	// Name identifies the limit in costs, decisions and changes; UTF-8, at
	// most 64 bytes, unique in a plan. Default: the String form, as "10/6s".
	Name string
	// Events that Per may hold, 1 to 2,147,483,647. Required.
	Events int
	// Per is the span, 1 µs to 366 days. Required. A Smooth limit's Per/Events
	// must be 100 ns or more.
	Per time.Duration
	// Algorithm says how events are counted. Default: Rolling.
	Algorithm Algorithm
	// Burst is how many events may pass at once; Smooth only. Burst × Per/Events
	// must be 366 days or less. Default: 1.
	Burst int
}

// Bounds of a Limit's fields. They keep every sum of times and of costs far
// from the ends of an int64.
const (
	maxEvents   = math.MaxInt32
	minPer      = time.Microsecond
	maxPer      = 366 * 24 * time.Hour
	minInterval = 100 * time.Nanosecond // rounding up to 1 ns costs at most 1 % of the rate
	maxName     = 64
)

// String returns the form that [Parse] reads, as "10/6s",
// "10/6s:smooth:burst=3" or "60/1m:calendar". It does not tell the Name.
func (l Limit) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(l.Events))
	b.WriteByte('/')
	b.WriteString(shortDuration(l.Per))
	if l.Algorithm != Rolling {
		b.WriteByte(':')
		b.WriteString(l.Algorithm.String())
	}
	if l.Algorithm == Smooth && l.Burst > 0 {
		b.WriteString(":burst=")
		b.WriteString(strconv.Itoa(l.Burst))
	}
	return b.String()
}

// shortDuration is d.String without the zeros at its end: 1m, not 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Parse reads a limit as events/span, the span as [time.ParseDuration] takes
// it or a bare unit, followed by the algorithm when it is not rolling:
// "10/6s", "100/1m", "5/s", "10/6s:smooth", "10/6s:smooth:burst=3",
// "60/1m:calendar". The limit it returns has no Name and is valid.
func Parse(s string) (Limit, error) {
	l, err := parse(s)
	if err == nil {
		err = l.validate()
	}
	if err != nil {
		return Limit{}, fmt.Errorf("limit %q: %w", clip(s), err)
	}
	return l, nil
}

func parse(s string) (Limit, error) {
	var l Limit
	fields := strings.Split(s, ":")
	events, per, ok := strings.Cut(fields[0], "/")
	if !ok {
		return l, errors.New("want events/span, as 10/6s")
	}
	var err error
	if l.Events, err = strconv.Atoi(events); err != nil {
		return l, fmt.Errorf("events %q: want a whole number from 1 to %d", events, maxEvents)
	}
	if per != "" && (per[0] < '0' || per[0] > '9') && per[0] != '.' {
		per = "1" + per
	}
	if l.Per, err = time.ParseDuration(per); err != nil {
		return l, fmt.Errorf("span %q: want a duration, as 6s, 1m or 24h", per)
	}
	for i, f := range fields[1:] {
		if i > 1 || (i == 0) == strings.HasPrefix(f, "burst=") {
			return l, fmt.Errorf("%q: want the algorithm behind the span, then burst=N, and nothing else", clip(f))
		}
		if err := l.option(f); err != nil {
			return l, err
		}
	}
	return l, nil
}

// option reads one field behind a colon.
func (l *Limit) option(f string) error {
	burst, isBurst := strings.CutPrefix(f, "burst=")
	switch {
	case isBurst:
		n, err := strconv.Atoi(burst)
		if err != nil || n < 1 || n > maxEvents {
			return fmt.Errorf("burst %q: want a whole number from 1 to %d", burst, maxEvents)
		}
		l.Burst = n
	case f == "rolling":
		l.Algorithm = Rolling
	case f == "smooth":
		l.Algorithm = Smooth
	case f == "calendar":
		l.Algorithm = Calendar
	default:
		return fmt.Errorf("option %q: want rolling, smooth, calendar or burst=N", f)
	}
	return nil
}

// validate returns one error naming each bad field and the values it takes.
func (l Limit) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if l.Events < 1 || l.Events > maxEvents {
		bad("Events: %d, want 1 to %d", l.Events, maxEvents)
	}
	if l.Per < minPer || l.Per > maxPer {
		bad("Per: %v, want %v to %v", l.Per, minPer, shortDuration(maxPer))
	}
	if l.Algorithm > Calendar {
		bad("Algorithm: %d, want Rolling, Smooth or Calendar", l.Algorithm)
	}
	if len(l.Name) > maxName || !utf8.ValidString(l.Name) {
		bad("Name: %q (%d bytes), want UTF-8 of at most %d bytes", clip(l.Name), len(l.Name), maxName)
	}
	if l.Burst != 0 && l.Algorithm != Smooth {
		bad("Burst: %d, want 0: only a Smooth limit has a burst", l.Burst)
	} else if l.Burst < 0 || l.Burst > maxEvents {
		bad("Burst: %d, want 0 to %d", l.Burst, maxEvents)
	}
	if len(errs) == 0 && l.Algorithm == Smooth {
		if l.Per < time.Duration(l.Events)*minInterval {
			bad("Per: %v for %d Events, want at least %v an event of a Smooth limit", l.Per, l.Events, minInterval)
		} else if most := int64(maxPer) / l.interval(); int64(l.Burst) > most {
			bad("Burst: %d, want at most %d: it has to refill within %v", l.Burst, most, shortDuration(maxPer))
		}
	}
	return errors.Join(errs...)
}

// interval is the nanoseconds between two events of a Smooth limit, rounded up.
func (l Limit) interval() int64 {
	return (int64(l.Per) + int64(l.Events) - 1) / int64(l.Events)
}

// capacity is the most that one request may ever take.
func (l Limit) capacity() int {
	if l.Algorithm == Smooth {
		return max(l.Burst, 1)
	}
	return l.Events
}

// clip keeps an error readable when its subject is huge.
func clip(s string) string {
	if len(s) > maxName {
		return s[:maxName] + "…"
	}
	return s
}
