package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestLeaseTable(t *testing.T) {
	table, cluster, err := LeaseTable{}.Resolve()
	require.NoError(t, err)
	require.Equal(t, Name{Table: "penstock_leases"}, table)
	require.Equal(t, "penstock", cluster)
	table, cluster, err = LeaseTable{Table: "shop.leases", Cluster: "eu"}.Resolve()
	require.NoError(t, err)
	require.Equal(t, Name{Schema: "shop", Table: "leases"}, table)
	require.Equal(t, "eu", cluster)
	for _, bad := range []LeaseTable{
		{Table: "."}, {Table: "shop."}, {Table: ".leases"}, {Table: "a\x00"}, {Table: "\xff"}, {Table: strings.Repeat("t", 2000)},
		{Cluster: "\xff"}, {Cluster: "\x00"}, {Cluster: strings.Repeat("c", 513)},
	} {
		_, _, err := bad.Resolve()
		require.ErrorIs(t, err, penstock.ErrInvalid, "%.40q", bad)
	}
	_, _, err = LeaseTable{Table: ".leases", Cluster: "\xff"}.Resolve()
	require.ErrorContains(t, err, "Table")
	require.ErrorContains(t, err, "Cluster")
}
