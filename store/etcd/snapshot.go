package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/penstock-go/penstock/store/lease"
)

// member is the value of a member's key, and what etcd says of the key.
type member struct {
	Incarnation string `json:"incarnation"`
	Address     string `json:"address"`
	Seconds     int64  `json:"seconds"`          // how long it asked to live
	Moving      bool   `json:"moving,omitempty"` // its key is about to move to another etcd lease, see Leases.move

	life    int64 // the revision at which its key was made: no two lives have the same
	changed int64 // the revision at which its key was written last
	lease   clientv3.LeaseID
}

// snapshot is what there was at one revision.
type snapshot struct {
	revision int64
	term     uint64 // of the leader
	members  map[string]member
	table    table // of those who live
	written  int64 // the revision at which the table was written last
}

// look is the reading part of a transaction; snapshot makes sense of its answer.
func (l *Leases) look() []clientv3.Op {
	return []clientv3.Op{clientv3.OpGet(l.members, clientv3.WithPrefix()), clientv3.OpGet(l.table)}
}

// read reads all there is, at one revision that was the newest when it began.
func (l *Leases) read(ctx context.Context) (*snapshot, error) {
	resp, err := l.client.Txn(ctx).Then(l.look()...).Commit()
	if err != nil {
		return nil, err
	}
	return l.snapshot(resp.Header, resp.Responses)
}

// snapshot makes sense of a transaction that ends with a look.
func (l *Leases) snapshot(h *etcdserverpb.ResponseHeader, answers []*etcdserverpb.ResponseOp) (*snapshot, error) {
	answers = answers[len(answers)-2:]
	s := &snapshot{revision: h.Revision, term: h.RaftTerm, members: make(map[string]member)}
	for _, kv := range answers[0].GetResponseRange().Kvs {
		m, err := memberOf(kv)
		if err != nil {
			return nil, err
		}
		s.members[strings.TrimPrefix(string(kv.Key), l.members)] = m
	}
	for _, kv := range answers[1].GetResponseRange().Kvs {
		if err := json.Unmarshal(kv.Value, &s.table); err != nil {
			return nil, fmt.Errorf("key %q is not what Penstock wrote: %w", kv.Key, err)
		}
		s.written = kv.ModRevision
	}
	s.table.bury(s.members)
	return s, nil
}

func memberOf(kv *mvccpb.KeyValue) (m member, err error) {
	if err := json.Unmarshal(kv.Value, &m); err != nil {
		return m, fmt.Errorf("key %q is not what Penstock wrote: %w", kv.Key, err)
	}
	if kv.Lease == 0 {
		return m, fmt.Errorf("key %q has no lease, so it would live for ever: it is a copy of what Penstock wrote, and is to be deleted", kv.Key)
	}
	m.life, m.changed, m.lease = kv.CreateRevision, kv.ModRevision, clientv3.LeaseID(kv.Lease)
	return m, nil
}

// find finds a member, in the life that the caller means.
func (s *snapshot) find(m lease.Member) (member, bool) {
	me, ok := s.members[m.Name]
	return me, ok && me.Incarnation == m.Incarnation
}

func (s *snapshot) view() lease.View {
	v := lease.View{Shards: s.table.shards()}
	for _, name := range slices.Sorted(maps.Keys(s.members)) {
		m := s.members[name]
		v.Members = append(v.Members, lease.Member{Name: name, Incarnation: m.Incarnation, Address: m.Address})
	}
	return v
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings and numbers
	}
	return string(text)
}
