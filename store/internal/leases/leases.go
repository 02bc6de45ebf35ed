// Package leases is what the adapters for SQL databases share of leases: what is in a member's row, and how a view is made of rows.
package leases

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/penstock-go/penstock/store/lease"
)

// Remember is how long it is known of an incarnation that it has ended, so that a call of its that comes late does not bring it back.
// It is as long as the longest lease.
const Remember = time.Hour

// Owned are the epochs of shards. In a row it is a JSON object: {"17":1767225600000} says that shard 17 is owned.
type Owned map[int]int64

// Parse reads what is in a row.
func Parse(text []byte) (o Owned, err error) { return o, json.Unmarshal(text, &o) }

// Text is what is written to a row.
func (o Owned) Text() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // there is no such map
	}
	return string(text)
}

// Life is a member that lives, and what it owns.
type Life struct {
	Member lease.Member
	Owned  Owned
}

// View is what is seen of members that live.
func View(lives []Life) (v lease.View) {
	for _, l := range lives {
		v.Members = append(v.Members, l.Member)
		v.Shards = append(v.Shards, Shards(l.Member.Name, l.Owned)...)
	}
	slices.SortFunc(v.Members, func(a, b lease.Member) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Shards, byNumber)
	return v
}

// Shards are those of an owner, by their numbers.
func Shards(owner string, owned Owned) []lease.Shard {
	list := make([]lease.Shard, 0, len(owned))
	for number, epoch := range owned {
		list = append(list, lease.Shard{Number: number, Owner: owner, Epoch: epoch})
	}
	slices.SortFunc(list, byNumber)
	return list
}

func byNumber(a, b lease.Shard) int { return a.Number - b.Number }
