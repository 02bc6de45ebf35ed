package etcd

import (
	"context"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/penstock-go/penstock/store/lease"
)

const server = "127.0.0.1:2379"

// late is how much later than it should a lease may end: a server's least one is 2 s with its usual settings, and it looks twice
// a second.
const late = 4 * time.Second

// aLong is a lease that does not end while a test runs.
const aLong = 30 * time.Minute

// connect makes a client of a server, which is closed with the test. It may not be there.
func connect(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newClient makes a client of the server at its usual port, and a prefix of the test's own, whose keys are deleted with it.
func newClient(t testing.TB) (client *clientv3.Client, prefix string) {
	t.Helper()
	direct, err := net.Dial("tcp", server)
	if err != nil {
		t.Skip("needs a server: etcd at localhost:2379")
	}
	require.NoError(t, direct.Close())
	client = connect(t, server)
	prefix = "test " + rand.Text() + "/"
	t.Cleanup(func() {
		_, err := client.Delete(context.Background(), prefix, clientv3.WithPrefix())
		require.NoError(t, err)
	})
	return client, prefix
}

func newLeases(t testing.TB, client *clientv3.Client, prefix string) *Leases {
	t.Helper()
	l, err := NewLeases(client, Config{Prefix: prefix})
	require.NoError(t, err)
	return l
}

// newMember makes a member in a new life.
func newMember(name string) lease.Member {
	return lease.Member{Name: name, Incarnation: rand.Text(), Address: name + ":7000"}
}

func renew(t testing.TB, l *Leases, m lease.Member, ttl time.Duration) lease.View {
	t.Helper()
	v, err := l.Renew(t.Context(), m, ttl)
	require.NoError(t, err)
	return v
}

func take(t testing.TB, l *Leases, m lease.Member, shards ...int) []lease.Shard {
	t.Helper()
	got, err := l.Take(t.Context(), m, shards)
	require.NoError(t, err)
	return got
}
