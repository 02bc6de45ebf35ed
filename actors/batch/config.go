package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"time"

	"github.com/penstock-go/penstock/cluster"
)

// NoWait is a MinDuration for group commit: a key that nobody works on is saved at once, and a busy one saves everything that
// came during its last save.
const NoWait time.Duration = -1

// Config says how resources are loaded and saved, and when. Every field is optional.
type Config[K comparable, R any] struct {
	// MinDuration is how long a batch collects, from its first operation. NoWait: not at all. Default 100ms
	MinDuration time.Duration
	// MaxDuration is how long after its first operation, or after the key was free for it, a batch's load and save have: their
	// context ends then. Default 2 × MinDuration, or 5s with NoWait
	MaxDuration time.Duration
	// Grace is how long after that a function that ignores its context may take; then its callers get a [StuckError]. Default
	// MaxDuration, at least 1s
	Grace time.Duration
	// MaxOperations closes a batch that has as many. Default 0: no bound
	MaxOperations int
	// MaxBytes closes a batch whose resource has become as large, by Size. Default 0: no bound
	MaxBytes int64
	// Size is a resource's size, in bytes; it is called after each operation. Required with MaxBytes
	Size func(R) int64

	// Load loads a key's resource at the start of a batch. Its error is that of every caller of the batch. Default: the zero R
	Load func(ctx context.Context, key K) (R, error)
	// Save saves the resource at the end of a batch. Its error is that of every caller of the batch; whether it was saved is then
	// up to the error. After [ErrConflict] the batch is loaded and run again. Default: nothing
	Save func(ctx context.Context, key K, value R) error
	// LoadMany loads many keys' resources in one round trip, instead of Load: a result and an error for each key, in their order.
	LoadMany func(ctx context.Context, keys []K) ([]R, []error)
	// SaveMany saves many in one round trip, instead of Save: an error, or nil, for each key, in their order.
	SaveMany func(ctx context.Context, keys []K, values []R) []error
	// MaxMany is how many keys one call of LoadMany or SaveMany has at most. Default 1,000
	MaxMany int

	// MaxConflicts is how often a batch is run again. Default 10
	MaxConflicts int
	// Backoff is how long after its first conflict a batch is run again; it doubles each time up to 64 times, less a random
	// part of up to half. Default 1ms
	Backoff time.Duration
	// KeepLoaded is how long a resource is kept after a save, so that the next batch needs no load. Only for resources that
	// nobody else writes, or whose Save answers ErrConflict if somebody has. Default 0: not at all
	KeepLoaded time.Duration

	// MaxWaiting is how many operations may wait at one key; one more is refused at once. Default 100,000
	MaxWaiting int
	// MaxPending is how many operations there may be in all, answered ones left out. Default 1,000,000
	MaxPending int
	// MaxKeys is how many keys there may be. Default 1,000,000
	MaxKeys int
	// Idle is how long a key that nobody uses is kept. Default 10s, or KeepLoaded if that is more
	Idle time.Duration

	// Shards is how many loads and saves run at once. Default 16 × GOMAXPROCS
	Shards int
	// ShardForKey says which shard, of 0 to shards-1, does a key's loads and saves, one after the other: so that keys of a
	// database that is slow wait for one another and for nobody else. It must give a key the same each time. Default: any
	// shard does any key's
	ShardForKey func(key K, shards int) int

	// Clustered has each key's batches run at the node that owns the key: see [Register]. The system must be a node of a cluster,
	// which is joined before. Default false
	Clustered bool
	// Away is what becomes of an operation whose key's owner is away: [cluster.Wait] until its context ends, or [cluster.Refuse] at
	// once. Default Wait
	Away cluster.Policy
	// KeyCodec writes keys as text, for other nodes. Required with Clustered unless keys are strings or integers. Default: those as
	// they are, and in decimal
	KeyCodec KeyCodec[K]
}

const (
	maxSpan  = 366 * 24 * time.Hour
	maxCount = math.MaxInt32
)

func (c Config[K, R]) withDefaults() Config[K, R] {
	c.MinDuration = cmp.Or(c.MinDuration, 100*time.Millisecond)
	if c.MinDuration == NoWait {
		c.MaxDuration = cmp.Or(c.MaxDuration, 5*time.Second)
	}
	c.MaxDuration = cmp.Or(c.MaxDuration, 2*c.MinDuration)
	c.Grace = cmp.Or(c.Grace, max(c.MaxDuration, time.Second))
	c.MaxMany = cmp.Or(c.MaxMany, 1000)
	c.MaxConflicts = cmp.Or(c.MaxConflicts, 10)
	c.Backoff = cmp.Or(c.Backoff, time.Millisecond)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 100_000)
	c.MaxPending = cmp.Or(c.MaxPending, 1_000_000)
	c.MaxKeys = cmp.Or(c.MaxKeys, 1_000_000)
	c.Idle = cmp.Or(c.Idle, max(10*time.Second, c.KeepLoaded))
	c.Shards = cmp.Or(c.Shards, 16*runtime.GOMAXPROCS(0))
	return c
}

func (c Config[K, R]) rules() rules {
	return rules{
		min: max(c.MinDuration, 0), max: c.MaxDuration, grace: c.Grace, keep: c.KeepLoaded,
		operations: c.MaxOperations, load: c.Load != nil || c.LoadMany != nil,
	}
}

// validate names every bad field and the values it takes.
func (c Config[K, R]) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	span := func(name string, d time.Duration, byDefault string) {
		check(d >= 0 && d <= maxSpan, "%s is %v; it takes 0 (%s) to %v", name, d, byDefault, maxSpan)
	}
	count := func(name string, n int, byDefault string) {
		check(n >= 0 && n <= maxCount, "%s is %d; it takes 1 to %d, or 0 for %s", name, n, maxCount, byDefault)
	}
	check(c.MinDuration == NoWait || c.MinDuration >= 0 && c.MinDuration <= maxSpan, "MinDuration is %v; it takes NoWait, or 0 (100ms) to %v", c.MinDuration, maxSpan)
	span("MaxDuration", c.MaxDuration, "2 × MinDuration")
	check(c.MaxDuration == 0 || c.MinDuration < 0 || c.MaxDuration >= c.withDefaults().MinDuration, "MaxDuration is %v; it takes MinDuration (%v) or more", c.MaxDuration, c.withDefaults().MinDuration)
	span("Grace", c.Grace, "MaxDuration, at least 1s")
	count("MaxOperations", c.MaxOperations, "no bound")
	check(c.MaxBytes >= 0, "MaxBytes is %d; it takes 0 (no bound) or more", c.MaxBytes)
	check((c.MaxBytes > 0) == (c.Size != nil), "MaxBytes and Size: only one is set; it takes both or none")
	check(c.Load == nil || c.LoadMany == nil, "Load and LoadMany are both set; it takes one of them")
	check(c.Save == nil || c.SaveMany == nil, "Save and SaveMany are both set; it takes one of them")
	count("MaxMany", c.MaxMany, "1,000")
	count("MaxConflicts", c.MaxConflicts, "10")
	span("Backoff", c.Backoff, "1ms")
	span("KeepLoaded", c.KeepLoaded, "not at all")
	count("MaxWaiting", c.MaxWaiting, "100,000")
	count("MaxPending", c.MaxPending, "1,000,000")
	count("MaxKeys", c.MaxKeys, "1,000,000")
	span("Idle", c.Idle, "10s")
	check(c.Away == cluster.Wait || c.Away == cluster.Refuse, "Away is %d; it takes cluster.Wait or cluster.Refuse", c.Away)
	check((c.KeyCodec.Encode == nil) == (c.KeyCodec.Decode == nil), "KeyCodec has only one function; it takes both or none")
	check(!c.Clustered || c.KeyCodec.Encode != nil || plainKeys[K](), "KeyCodec is empty, and a %v has no text of its own; with Clustered it takes functions that write and read one", reflect.TypeFor[K]())
	check(c.Shards >= 0 && c.Shards <= 65536, "Shards is %d; it takes 1 to 65536, or 0 for 16 × GOMAXPROCS", c.Shards)
	return errors.Join(errs...)
}
