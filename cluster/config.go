package cluster

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster/internal/transport"
	"github.com/penstock-go/penstock/store/lease"
)

// Config says who a node is, and where the cluster agrees on who owns what. Name and Leases are required.
type Config struct {
	// Name is the node's, 1 to 512 bytes of UTF-8 without a NUL, and the same after a restart. No two living nodes have the same
	Name string
	// Bind is the host and port where the node listens for the others; with port 0 the system chooses one. Default: the node does not
	// listen, and only owns: its rooms cannot be Clustered
	Bind string
	// Advertise is the host and port where the other nodes reach this one. Default: where it listens; the name if it does not
	Advertise string
	// TLS has the node's certificate, and in RootCAs and ClientCAs those who may sign its peers': both sides of every connection show
	// one. Nil is plaintext, which is for loopback addresses only
	TLS *tls.Config
	// MaxPending is how many calls to one node may wait for their answers, and how many of one node may be under way here, 1 to
	// 1,000,000. Default 10,000
	MaxPending int
	// Leases is the store that all nodes share: of package store/sqlite, store/postgres or store/etcd, or one of your own
	Leases lease.Store
	// Lease is how long a node may be silent before others take what it owns, 100 ms to 1 h. All nodes must have the same. Default 3s
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
	check(c.Leases != nil, "Leases is nil; it takes a store of leases")
	check(c.Lease == 0 || c.Lease >= minLease && c.Lease <= maxLease, "Lease is %v; it takes %v to %v, or 0 for 3s", c.Lease, minLease, maxLease)
	check(c.Shards >= 0 && c.Shards <= maxShards, "Shards is %d; it takes 1 to %d, or 0 for 256", c.Shards, maxShards)
	if c.Bind != "" {
		errs = append(errs, c.transport(new(Node), nil).Check())
	} else {
		text("Advertise", c.Advertise, 0)
		check(c.TLS == nil, "TLS is set, and Bind is empty: there is nothing to protect")
		check(c.MaxPending >= 0, "MaxPending is %d; it takes 1 or more", c.MaxPending)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w cluster node %.512q: %w", penstock.ErrInvalid, c.Name, err)
	}
	return nil
}

// transport is the part of it that is the transport's.
func (c Config) transport(n *Node, now func() time.Duration) transport.Config {
	return transport.Config{
		Bind: c.Bind, Advertise: c.Advertise, TLS: c.TLS, Logger: n.logger, MaxPending: c.MaxPending, Handle: n.handle, Now: now,
	}
}
