package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock/actors/queue"
)

// Config says where a durable queue keeps its items and how it hands them out. Only Path is required.
type Config[T any] struct {
	// Path is the queue's file, made if there is none. One queue at a time has it.
	Path string
	// LockTimeout is how long to wait for the file if another queue or process has it. Default 1s
	LockTimeout time.Duration
	// Visibility is how long who took an item has it to itself; an item that was not acknowledged by then is handed out
	// again. Default 30s
	Visibility time.Duration
	// MaxTries is how often an item is handed out; when its last try has failed it goes to the dead-letter list. Default 5
	MaxTries int
	// MaxSize is how many items there may be, waiting, handed out or dead; one more is refused at once. Default 10,000
	MaxSize int
	// MaxTakers is how many callers may wait in Dequeue; one more is refused at once. Default 10,000
	MaxTakers int
	// MaxTime is how long after it was put in an item may wait in line; then it goes to the dead-letter list. It goes by the
	// wall clock, since it outlives processes. Default 0: as long as it takes
	MaxTime time.Duration
	// MaxItem is how large an encoded item may be, in bytes. Default 1 MiB
	MaxItem int
	// Line is which item goes first inside a niceness and a flow. Default FIFO
	Line queue.LineConfig
	// Weights are the shares of flows inside a niceness, by Request.Flow. Default: 1 for each flow
	Weights map[string]int
	// Encode makes bytes of an item, on the goroutine of who puts it in. Default: encoding/json
	Encode func(T) ([]byte, error)
	// Decode makes an item of bytes, on the goroutine of who takes it. An item that it cannot read goes to the dead-letter
	// list. Default: encoding/json
	Decode func([]byte) (T, error)
}

const (
	maxCount  = math.MaxInt32
	maxSpan   = 366 * 24 * time.Hour
	maxWeight = 1_000_000
	maxFlow   = 512 // bytes
	maxName   = 512 // bytes
	maxValue  = 1 << 30
)

func (c Config[T]) withDefaults() Config[T] {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&c.MaxTries, 5)
	def(&c.MaxSize, 10_000)
	def(&c.MaxTakers, 10_000)
	def(&c.MaxItem, 1<<20)
	if c.LockTimeout == 0 {
		c.LockTimeout = time.Second
	}
	if c.Visibility == 0 {
		c.Visibility = 30 * time.Second
	}
	if c.Encode == nil {
		c.Encode = func(x T) ([]byte, error) { return json.Marshal(x) }
	}
	if c.Decode == nil {
		c.Decode = func(b []byte) (x T, err error) { err = json.Unmarshal(b, &x); return x, err }
	}
	return c
}

// validate names every bad field and the values it takes.
func (c Config[T]) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Path != "", "Path is empty; it takes the path of the queue's file")
	check(c.LockTimeout >= 0 && c.LockTimeout <= time.Hour, "LockTimeout is %v; it takes a positive duration up to 1h, or 0 for 1s", c.LockTimeout)
	check(c.Visibility >= 0 && c.Visibility <= maxSpan, "Visibility is %v; it takes a positive duration up to %v, or 0 for 30s", c.Visibility, maxSpan)
	check(c.MaxTries >= 0 && c.MaxTries <= maxCount, "MaxTries is %d; it takes 1 to %d, or 0 for 5", c.MaxTries, maxCount)
	check(c.MaxSize >= 0 && c.MaxSize <= maxCount, "MaxSize is %d; it takes 1 to %d, or 0 for 10,000", c.MaxSize, maxCount)
	check(c.MaxTakers >= 0 && c.MaxTakers <= maxCount, "MaxTakers is %d; it takes 1 to %d, or 0 for 10,000", c.MaxTakers, maxCount)
	check(c.MaxTime >= 0 && c.MaxTime <= maxSpan, "MaxTime is %v; it takes 0 (no bound) to %v", c.MaxTime, maxSpan)
	check(c.MaxItem >= 0 && c.MaxItem <= maxValue, "MaxItem is %d; it takes 1 to %d bytes, or 0 for 1 MiB", c.MaxItem, maxValue)
	for flow, w := range c.Weights {
		check(w >= 1 && w <= maxWeight, "Weights[%q] is %d; it takes 1 to %d", flow, w, maxWeight)
	}
	check((c.Encode == nil) == (c.Decode == nil), "Encode and Decode: only one is set; it takes both or none")
	err := c.Line.Validate()
	check(err == nil, "Line: %v", err)
	return errors.Join(errs...)
}

func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("its name is empty; it takes 1 to %d bytes of UTF-8", maxName)
	case len(name) > maxName:
		return fmt.Errorf("its name has %d bytes (%.16q…); it takes 1 to %d bytes of UTF-8", len(name), name, maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("its name %q is not UTF-8", name)
	}
	return nil
}
