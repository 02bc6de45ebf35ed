package fleet

import (
	"time"

	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/internal/puppet"
	"github.com/penstock-go/penstock/limit"
)

// Part is what the program plays that Start starts: it is for [puppet.Main].
const Part = "fleet"

// Parts has Part, for programs that play nothing else.
var Parts = map[string]func(*puppet.Strings) error{Part: Play}

// Order is what a node is to do.
type Order struct {
	Name      string
	File      string // of the leases, in SQLite
	Bind      string // default: a free port of 127.0.0.1
	Advertise string // default: where it listens
	Authority *authority.Authority
	Lease     time.Duration

	API      string   // its URL
	IDs      []string // each of which has callers at each node
	Callers  int      // for each ID
	Limit    limit.Limit
	Slack    time.Duration
	Alone    bool          // buckets that know nothing of the other nodes': a control, which must break the limit
	Patience time.Duration // of a call, from the wish to the permit
}

// Report is what has become of a node's calls.
type Report struct {
	Member   bool           // the node has a lease
	Issued   int            // calls
	Answered int            // by the API, with 200
	Refused  int            // by the API, with 429
	Late     int            // the API found the way there too long, or the caller did before it went
	Errors   map[string]int // calls that failed, by kind
	Texts    map[string]string
	Waits    []time.Duration // of calls that were answered since the report before
	Owned    []string        // IDs
	Members  int             // as the node knows them
	Last     bool            // there is nothing under way any more
}

// Ended is how many calls have an outcome.
func (r Report) Ended() int {
	n := r.Answered + r.Refused + r.Late
	for _, e := range r.Errors {
		n += e
	}
	return n
}

// SentHeader says when a call began its way to the API, in nanoseconds of [Boottime]; who gets it can tell how long the way took.
const SentHeader = "Sent-At"

// StatusLate is the API's answer if the way took too long.
const StatusLate = 408

// What a node is told once it runs.
const (
	stop  = "stop"  // its callers, and report what became of them
	leave = "leave" // the same, leave the cluster, and end
)

// reportEvery is how often a node says how it is.
const reportEvery = 100 * time.Millisecond
