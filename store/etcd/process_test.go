package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store/lease"
)

// node is an etcd process of the test's own.
type node struct {
	t    testing.TB
	args []string
	cmd  *exec.Cmd
	url  string
}

// startNodes starts so many etcd processes, which are one store.
func startNodes(t testing.TB, n int) []*node {
	t.Helper()
	binary, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("needs a server: etcd's binary, to start and stop it")
	}
	nodes := make([]*node, n)
	var cluster []string
	for i := range nodes {
		peer := "http://" + freeAddress(t)
		nodes[i] = &node{t: t, url: "http://" + freeAddress(t)}
		nodes[i].args = []string{
			binary, "--name", fmt.Sprint(i), "--data-dir", t.TempDir(), "--log-level", "fatal", "--unsafe-no-fsync",
			"--listen-client-urls", nodes[i].url, "--advertise-client-urls", nodes[i].url,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		}
		cluster = append(cluster, fmt.Sprintf("%d=%s", i, peer))
	}
	for _, n := range nodes {
		n.args = append(n.args, "--initial-cluster", strings.Join(cluster, ","))
		n.start()
	}
	return nodes
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (n *node) start() {
	n.cmd = exec.Command(n.args[0], n.args[1:]...)
	n.cmd.Stderr = os.Stderr
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(n.t, n.cmd.Start())
	n.t.Cleanup(n.kill)
}

// kill is kill −9. It may be called more than once.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

func (n *node) signal(s syscall.Signal) { require.NoError(n.t, n.cmd.Process.Signal(s)) }

// within calls the store with a context of its own.
func within[T any](t testing.TB, d time.Duration, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return call(ctx)
}

// untilRenewed renews until the store answers.
func untilRenewed(t testing.TB, l *Leases, m lease.Member, ttl time.Duration) (v lease.View) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		v, err = within(t, 5*time.Second, func(ctx context.Context) (lease.View, error) { return l.Renew(ctx, m, ttl) })
		require.False(t, errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrNameTaken), "%v", err)
		return err == nil
	}, 2*time.Minute, 10*time.Millisecond)
	return v
}

// TestG11_AServerThatStops has the only server stopped, and go on, and killed, and started again.
func TestG11_AServerThatStops(t *testing.T) {
	t.Parallel()
	server := startNodes(t, 1)[0]
	l := newLeases(t, connect(t, server.url), "")
	a, b := newMember("a"), newMember("b")
	untilRenewed(t, l, a, aLong)
	owned := take(t, l, a, 1, 2)
	untilRenewed(t, l, b, time.Second)
	take(t, l, b, 3)

	victim.Freeze(t, server.cmd.Process)
	_, err := within(t, 300*time.Millisecond, func(ctx context.Context) (lease.View, error) { return l.Renew(ctx, a, aLong) })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = within(t, 300*time.Millisecond, func(ctx context.Context) ([]lease.Shard, error) { return l.Take(ctx, b, []int{1}) })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	server.signal(syscall.SIGCONT)
	untilRenewed(t, l, a, aLong)
	ended(t, l, b)
	_, err = l.Renew(t.Context(), b, aLong)
	require.ErrorIs(t, err, lease.ErrLost)
	require.Equal(t, owned, untilRenewed(t, l, a, aLong).Shards, "what it owned when the server stopped")

	server.kill()
	_, err = within(t, 300*time.Millisecond, func(ctx context.Context) (lease.View, error) { return l.Renew(ctx, a, aLong) })
	requireUnknown(t, err)
	server.start()
	require.Equal(t, owned, untilRenewed(t, l, a, aLong).Shards, "what it owned when the server was killed")
	_, err = l.Renew(t.Context(), b, aLong)
	require.ErrorIs(t, err, lease.ErrLost)
	require.NoError(t, l.Give(t.Context(), a, owned))
	again := take(t, l, a, 1, 2)
	require.Greater(t, again[0].Epoch, owned[0].Epoch)
}

// TestG11_TheLeaderDies kills the server that leads, of three, each time a member has a lease that is short, and has renewed it.
func TestG11_TheLeaderDies(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes three servers, and elections")
	}
	nodes := startNodes(t, 3)
	urls := []string{nodes[0].url, nodes[1].url, nodes[2].url}
	l := newLeases(t, connect(t, urls...), "")
	a := newMember("a")
	untilRenewed(t, l, a, aLong)
	owned := take(t, l, a, 1, 2, 3)
	for range 2 {
		leader := leaderOf(t, nodes)
		leader.kill()
		require.Equal(t, owned, untilRenewed(t, l, a, aLong).Shards)
		leader.start()
		require.NotNil(t, leaderOf(t, nodes))
	}
}

// leaderOf is the node that leads, once there is one and all know it.
func leaderOf(t testing.TB, nodes []*node) (leader *node) {
	t.Helper()
	clients := make([]*clientv3.Client, len(nodes))
	for i, n := range nodes {
		clients[i] = connect(t, n.url)
	}
	require.Eventually(t, func() bool {
		leads := make(map[uint64]int)
		leader = nil
		for i, c := range clients {
			s, err := within(t, time.Second, func(ctx context.Context) (*clientv3.StatusResponse, error) { return c.Status(ctx, nodes[i].url) })
			if err != nil {
				return false
			}
			if leads[s.Leader]++; s.Leader == s.Header.MemberId {
				leader = nodes[i]
			}
		}
		return leader != nil && len(leads) == 1
	}, 2*time.Minute, 50*time.Millisecond)
	return leader
}

// TestAUserWithARole has authentication on: who has a role for the prefix may do everything, and who has none is told so.
func TestAUserWithARole(t *testing.T) {
	t.Parallel()
	server := startNodes(t, 1)[0]
	admin := connect(t, server.url)
	ctx := t.Context()
	require.Eventually(t, func() bool {
		_, err := within(t, time.Second, func(ctx context.Context) (*clientv3.GetResponse, error) { return admin.Get(ctx, "/") })
		return err == nil
	}, 2*time.Minute, 10*time.Millisecond)
	_, err := admin.RoleAdd(ctx, "leases")
	require.NoError(t, err)
	_, err = admin.RoleGrantPermission(ctx, "leases", "shop/", clientv3.GetPrefixRangeEnd("shop/"), clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	for user, role := range map[string]string{"root": "root", "node": "leases", "stranger": ""} {
		_, err := admin.UserAdd(ctx, user, "secret")
		require.NoError(t, err)
		if role != "" {
			_, err = admin.UserGrantRole(ctx, user, role)
			require.NoError(t, err)
		}
	}
	_, err = admin.AuthEnable(ctx)
	require.NoError(t, err)
	login := func(user string) *Leases {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.url}, Username: user, Password: "secret", Logger: zap.NewNop()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		return newLeases(t, client, "shop/")
	}
	node, m := login("node"), newMember("a")
	renew(t, node, m, aLong)
	require.Len(t, take(t, node, m, 1), 1)
	renew(t, node, m, time.Minute)
	require.Len(t, renew(t, node, m, time.Minute).Shards, 1)
	require.NoError(t, node.Leave(ctx, m))
	_, err = login("stranger").Renew(ctx, m, aLong)
	requireUnknown(t, err)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
}
