package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/internal/victim"
)

func TestMain(m *testing.M) {
	victim.Main(serve)
	goleak.VerifyTestMain(m)
}

// What a peer's handler understands.
const (
	kindEcho   = iota + 1 // the payload comes back
	kindHold              // no answer; when nobody waits any more, the peer says so
	kindOnce              // how often this kind was handled before
	kindPanic             // the handler panics
	kindBig               // the answer is longer than answers may be
	kindNumber            // as echo; what was handled late is said
	kindLate              // the answer comes after a pause in milliseconds
)

// spec is what a peer's process is told.
type spec struct {
	Bind  string
	CA    *authority.Authority // what signs the certificates; nil: plaintext
	Limit int
	Hasty bool // it loses its patience after a second, as nodes do
}

// patient is for tests that are not about that: the machine may be as slow as it likes.
func patient(c *Config) { c.patience = 5 * time.Minute }

func hasty(c *Config) { c.patience = 0 }

// serve is the work of a peer's process.
func serve(s spec) error {
	cfg := Config{Bind: s.Bind, MaxPending: s.Limit, Handle: new(handled).handle}
	if !s.Hasty {
		patient(&cfg)
	}
	if s.CA != nil {
		mutual, err := s.CA.Node()
		if err != nil {
			return err
		}
		cfg.TLS = mutual
	}
	cfg.Logger = slog.New(slog.NewTextHandler(sayer{}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	t, err := New(cfg)
	if err != nil {
		return err
	}
	victim.Say("at ", fmt.Sprintf("%d %s", os.Getpid(), t.Address()))
	for parent := os.Getppid(); os.Getppid() == parent; { // a test that ran out of time kills nobody
		time.Sleep(time.Second)
	}
	return nil
}

// sayer is a log that the test reads.
type sayer struct{}

func (sayer) Write(line []byte) (int, error) {
	victim.Say("log ", strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

type handled struct{ once atomic.Uint64 }

func (h *handled) handle(r *Request, reply func(uint32, []byte)) {
	if !r.Deadline.IsZero() && time.Now().After(r.Deadline) {
		victim.Say("late ", fmt.Sprint(r.ID))
	}
	switch r.Kind {
	case kindEcho:
		reply(kindEcho, r.Payload)
	case kindNumber:
		victim.Say("number ", fmt.Sprint(binary.BigEndian.Uint64(r.Payload)))
		reply(kindNumber, r.Payload)
	case kindHold:
		victim.Say("held ", fmt.Sprint(r.ID))
		go func() {
			<-r.Canceled()
			victim.Say("canceled ", fmt.Sprint(r.ID))
		}()
	case kindOnce:
		reply(kindOnce, binary.BigEndian.AppendUint64(nil, h.once.Add(1)))
	case kindPanic:
		panic("deliberate")
	case kindBig:
		reply(kindBig, make([]byte, MaxPayload+1))
	case kindLate:
		time.AfterFunc(time.Duration(binary.BigEndian.Uint64(r.Payload))*time.Millisecond, func() {
			reply(kindLate, binary.BigEndian.AppendUint64(nil, h.once.Add(1)))
		})
	}
}

// neighbour is a node in a process of its own.
type neighbour struct {
	*victim.Process
	t       *testing.T
	address string
	pid     int

	mu    sync.Mutex
	lines []string
	news  chan struct{}
	read  chan struct{} // closed at the end of what it says
}

func startPeer(t *testing.T, s spec) *neighbour {
	t.Helper()
	if s.Bind == "" {
		s.Bind = "127.0.0.1:0"
	}
	p := &neighbour{Process: victim.Start(t, s), t: t, news: make(chan struct{}, 1), read: make(chan struct{})}
	first := make(chan string, 1)
	go func() {
		defer close(p.read)
		for line := range p.Lines() {
			if at, ok := strings.CutPrefix(line, "at "); ok {
				first <- at
				continue
			}
			p.mu.Lock()
			p.lines = append(p.lines, line)
			p.mu.Unlock()
			select {
			case p.news <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(p.end)
	select {
	case at := <-first:
		_, err := fmt.Sscan(at, &p.pid, &p.address)
		require.NoError(t, err)
	case <-time.After(time.Minute):
		require.Fail(t, "the peer does not start")
	}
	return p
}

// end kills it and waits for what it has said.
func (p *neighbour) end() {
	p.Kill()
	<-p.read
	p.Wait()
}

// said is the lines that begin with a word, without it.
func (p *neighbour) said(word string) (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

// await waits until it has said a line that holds both.
func (p *neighbour) await(word, text string) {
	p.t.Helper()
	limit := time.After(time.Minute)
	for {
		for _, line := range p.said(word) {
			if strings.Contains(line, text) {
				return
			}
		}
		select {
		case <-p.news:
		case <-limit:
			require.Fail(p.t, "the peer does not say: "+word+" "+text)
		}
	}
}

func (p *neighbour) signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, syscall.Kill(p.pid, s))
}

func (p *neighbour) thaw() { p.signal(syscall.SIGCONT) }

// elsewhere has a test with a node run in a process of its own under the race detector, and reports whether it did: the library sets the
// logger of all of gRPC at each start, and nothing tells the race detector that the goroutines of the node before are gone.
func elsewhere(t *testing.T) bool {
	t.Helper()
	const variable = "PENSTOCK_TRANSPORT_ALONE"
	if !raceEnabled || os.Getenv(variable) != "" {
		return false
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=5m"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), variable+"=1")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	t.Logf("in a process of its own:\n%s", said)
	return true
}

// open starts this process's node.
func open(t *testing.T, change ...func(*Config)) *Transport {
	t.Helper()
	cfg := Config{Bind: "127.0.0.1:0", Handle: func(*Request, func(uint32, []byte)) {}}
	patient(&cfg)
	for _, c := range change {
		c(&cfg)
	}
	node, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { closeNode(t, node) })
	return node
}

func closeNode(t *testing.T, node *Transport) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, node.Close(ctx))
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// awaitUp asks until the peer answers.
func awaitUp(t *testing.T, node *Transport, address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := node.Call(within(t, 10*time.Second), address, kindEcho, 0, nil)
		return err == nil
	}, time.Minute, 5*time.Millisecond)
}

func newAuthority(t *testing.T) *authority.Authority {
	ca, err := authority.New()
	require.NoError(t, err)
	return ca
}

// nodeOf is what a node signed by the authority has.
func nodeOf(t *testing.T, ca *authority.Authority) *tls.Config {
	c, err := ca.Node()
	require.NoError(t, err)
	return c
}
