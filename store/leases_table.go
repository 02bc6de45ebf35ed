package store

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/keys"
)

// LeaseTable says where an SQL database keeps the leases of a cluster. Every field is optional.
type LeaseTable struct {
	// Table is the table, or a schema and a table with a dot between. It is made if it is missing; a schema is not. Default
	// "penstock_leases"
	Table string
	// Cluster is the cluster's name, 1 to 512 bytes of UTF-8: several may share a table. Default "penstock"
	Cluster string
}

// Resolve checks the description and fills in the defaults. The error is a [penstock.ErrInvalid] and names every bad field and the
// values it takes.
func (l LeaseTable) Resolve() (table Name, cluster string, err error) {
	name := cmp.Or(l.Table, "penstock_leases")
	cluster = cmp.Or(l.Cluster, "penstock")
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	table.Schema, table.Table = cutSchema(name)
	why := badName(table.Table)
	if why == "" && strings.Contains(name, ".") {
		why = badName(table.Schema)
	}
	check(why == "", "Table is %.512q, of which a part %s; it takes a table's name, or a schema's and a table's with a dot between", name, why)
	check(len(cluster) <= keys.Max && utf8.ValidString(cluster) && !strings.Contains(cluster, "\x00"),
		"Cluster is %.512q; it takes 1 to %d bytes of UTF-8 without a NUL", cluster, keys.Max)
	if err := errors.Join(errs...); err != nil {
		return Name{}, "", fmt.Errorf("%w table of leases: %w", penstock.ErrInvalid, err)
	}
	return table, cluster, nil
}
