package etcd

import (
	"cmp"
	"errors"
	"fmt"
	"unicode/utf8"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/penstock-go/penstock"
)

// Config says where in etcd the leases are. Every field is optional.
type Config struct {
	// Prefix is what all keys begin with, up to 512 bytes of UTF-8. Clusters that share an etcd have different ones, and none
	// begins with another's. Default "penstock/"
	Prefix string
}

const (
	defaultPrefix = "penstock/"
	maxPrefix     = 512 // bytes
)

func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, defaultPrefix)
	return c
}

// validate names everything that is bad and the values it takes.
func (c Config) validate(client *clientv3.Client) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(client != nil, "client is nil; it takes one of etcd's")
	check(len(c.Prefix) <= maxPrefix && utf8.ValidString(c.Prefix),
		"Prefix is %.512q; it takes up to %d bytes of UTF-8, or none for %q", c.Prefix, maxPrefix, defaultPrefix)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w leases in etcd: %w", penstock.ErrInvalid, err)
	}
	return nil
}
