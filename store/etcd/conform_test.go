package etcd

import (
	"testing"

	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/storetest"
)

func TestG11_Conformance(t *testing.T) {
	t.Parallel()
	storetest.Leases(t, func(t testing.TB) storetest.LeasesBackend {
		_, prefix := newClient(t)
		proxy := newProxy(t, server)
		return storetest.LeasesBackend{
			Leases: func() lease.Store { return newLeases(t, connect(t, proxy.addr()), prefix) },
			Cut:    proxy.cut,
			Late:   late,
		}
	})
}
