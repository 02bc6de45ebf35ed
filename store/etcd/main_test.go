package etcd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store/lease"
)

func TestMain(m *testing.M) {
	victim.Main(live)
	goleak.VerifyTestMain(m)
}

// spec is what a member in another process has.
type spec struct {
	Prefix string
	Member lease.Member
	TTL    time.Duration
}

// live is a member that renews its lease for as long as it can, and says each time when it began to.
func live(s spec) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server}})
	if err != nil {
		return err
	}
	l, err := NewLeases(client, Config{Prefix: s.Prefix})
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		called := time.Now()
		if _, err := l.Renew(context.Background(), s.Member, s.TTL); err != nil {
			return err
		}
		victim.Say("renewed ", strconv.FormatInt(called.UnixNano(), 10))
		if first {
			taken, err := l.Take(context.Background(), s.Member, []int{1, 2})
			if err != nil {
				return err
			}
			victim.Say("took ", fmt.Sprint(taken[0].Epoch))
		}
	}
}

// TestG11_AProcessIsKilled kills a member; its shards are another's when its lease has ended, and not before.
func TestG11_AProcessIsKilled(t *testing.T) {
	t.Parallel()
	client, prefix := newClient(t)
	l, heir := newLeases(t, client, prefix), newMember("heir")
	renew(t, l, heir, aLong)
	const ttl = 2 * time.Second
	p := victim.Start(t, spec{Prefix: prefix, Member: newMember("victim"), TTL: ttl})
	var renewed time.Time
	var epoch int64
	renewals := 0
	for line := range p.Lines() {
		if text, ok := strings.CutPrefix(line, "renewed "); ok {
			ns, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			renewed = time.Unix(0, ns)
			renewals++
		} else if text, ok := strings.CutPrefix(line, "took "); ok {
			var err error
			epoch, err = strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
		}
		if renewals == 20 {
			require.Empty(t, take(t, l, heir, 1, 2), "its owner lives")
			p.Kill()
		}
	}
	p.Wait()
	var taken []lease.Shard
	require.Eventually(t, func() bool {
		taken = take(t, l, heir, 1, 2)
		return len(taken) > 0
	}, time.Minute, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(renewed), ttl, "the lease has ended too early")
	require.Len(t, taken, 2)
	require.Greater(t, taken[0].Epoch, epoch)
}
