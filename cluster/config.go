package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store/lease"
)

// Config says who a node is, and where the cluster agrees on who owns what. Name and Leases are required.
type Config struct {
	// Name is the node's, 1 to 512 bytes of UTF-8 without a NUL, and the same after a restart. No two living nodes have the same
	Name string
	// Address is where the other nodes reach this one, up to 512 bytes. Default: the name
	Address string
	// Leases is the store that all nodes share: of package store/sqlite, store/postgres or store/etcd, or one of your own
	Leases lease.Store
	// Lease is how long a node may be silent before others take what it owns, 100 ms to 1 h. All nodes should have the same.
	// Default 3s
	Lease time.Duration
	// Shards is how many parts the IDs are shared out in, 1 to 65,536. All nodes of a cluster must have the same. Default 256
	Shards int
}

const (
	minLease  = 100 * time.Millisecond
	maxLease  = time.Hour
	maxShards = 1 << 16
	maxText   = 512 // bytes of a name or an address
)

func (c Config) withDefaults() Config {
	c.Address = cmp.Or(c.Address, c.Name)
	c.Lease = cmp.Or(c.Lease, 3*time.Second)
	c.Shards = cmp.Or(c.Shards, 256)
	return c
}

func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	text := func(field, s string, least int) {
		check(len(s) >= least && len(s) <= maxText && utf8.ValidString(s) && !strings.Contains(s, "\x00"),
			"%s is %.512q; it takes %d to %d bytes of UTF-8 without a NUL", field, s, least, maxText)
	}
	text("Name", c.Name, 1)
	text("Address", c.Address, 0)
	check(c.Leases != nil, "Leases is nil; it takes a store of leases")
	check(c.Lease == 0 || c.Lease >= minLease && c.Lease <= maxLease, "Lease is %v; it takes %v to %v, or 0 for 3s", c.Lease, minLease, maxLease)
	check(c.Shards >= 0 && c.Shards <= maxShards, "Shards is %d; it takes 1 to %d, or 0 for 256", c.Shards, maxShards)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w cluster node %.512q: %w", penstock.ErrInvalid, c.Name, err)
	}
	return nil
}
