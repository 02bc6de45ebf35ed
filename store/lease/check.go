package lease

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

const (
	minLease       = 100 * time.Millisecond
	maxLease       = time.Hour
	maxShard       = 1<<16 - 1
	maxMember      = 512 // bytes of a name or an address
	maxIncarnation = 64
	maxBadShards   = 8 // how many an error names
)

// Check refuses what no adapter of [Store] takes. The error is a [penstock.ErrInvalid] and names everything that is bad and the
// values it takes. A ttl of 0 is not looked at: only Renew has one, and asks [CheckRenew].
func Check(m Member, ttl time.Duration, shards []int) error {
	return checkAll(m, ttl, ttl != 0, shards)
}

// CheckRenew is [Check] for Renew, which takes no ttl of 0.
func CheckRenew(m Member, ttl time.Duration) error { return checkAll(m, ttl, true, nil) }

// CheckGive is [Check] for Give. Epochs that there cannot be are nobody's, and no error.
func CheckGive(m Member, shards []Shard) error {
	numbers := make([]int, len(shards))
	for i, s := range shards {
		numbers[i] = s.Number
	}
	return checkAll(m, 0, false, numbers)
}

func checkAll(m Member, ttl time.Duration, timed bool, shards []int) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	text := func(field, s string, least, most int) {
		ok := len(s) >= least && len(s) <= most && utf8.ValidString(s) && !strings.Contains(s, "\x00")
		check(ok, "%s is %.512q; it takes %d to %d bytes of UTF-8 without a NUL", field, s, least, most)
	}
	text("Name", m.Name, 1, maxMember)
	text("Incarnation", m.Incarnation, 1, maxIncarnation)
	text("Address", m.Address, 0, maxMember)
	check(!timed || ttl >= minLease && ttl <= maxLease, "the lease's time is %v; it takes %v to %v", ttl, minLease, maxLease)
	check(len(shards) <= maxShard+1, "there are %d shards; it takes up to %d", len(shards), maxShard+1)
	bad := 0
	for i, s := range shards {
		if s >= 0 && s <= maxShard {
			continue
		}
		if bad++; bad <= maxBadShards {
			check(false, "shards[%d] is %d; it takes 0 to %d", i, s, maxShard)
		}
	}
	check(bad <= maxBadShards, "so are %d more shards", bad-maxBadShards)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w lease of %.512q: %w", penstock.ErrInvalid, m.Name, err)
	}
	return nil
}
