package transport

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/penstock-go/penstock"
)

// Config says where a node listens, whom it trusts, and who answers its peers' requests. Bind and Handle are required.
type Config struct {
	// Bind is the host and port to listen at. With port 0 the system chooses one
	Bind string
	// Advertise is the host and port at which peers reach this node. Default: where it listens
	Advertise string
	// TLS has the node's certificate, and in RootCAs and ClientCAs those who may sign its peers': both sides of every connection
	// show one. Nil is plaintext, which is for loopback addresses only
	TLS *tls.Config
	// Logger is told of links that go up and down, and of what was refused. Default: nowhere
	Logger *slog.Logger
	// MaxPending is how many requests to one peer may wait for their answers, and how many of one peer's may be under way here,
	// 1 to 1,000,000. Default 10,000
	MaxPending int
	// Handle is called for each request that comes in time
	Handle Handler
	// Now is a clock that never goes back. Default: Go's monotonic one, which stands still while the machine sleeps
	Now func() time.Duration

	patience time.Duration // default: patience, which tests that are not about it do without
}

// Handler answers a request of a peer. It must not block: it may keep reply, and calls it once, from any goroutine, now or later; what
// is said after the first time is not heard. A panic of the handler is an answer, a [RemoteError], and nothing else happens.
type Handler func(r *Request, reply func(kind uint32, payload []byte))

const (
	defaultPending = 10_000
	maxPending     = 1_000_000
)

var started = time.Now()

func monotonic() time.Duration { return time.Since(started) }

func (c Config) withDefaults() Config {
	c.MaxPending = cmp.Or(c.MaxPending, defaultPending)
	c.patience = cmp.Or(c.patience, patience)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = monotonic
	}
	return c
}

func (c Config) validate() error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("%w transport: %w", penstock.ErrInvalid, err)
	}
	return nil
}

// Check names every bad field and the values it takes.
func (c Config) Check() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bindHost, _, bound := hostPort(c.Bind)
	check(bound, "Bind is %.512q; it takes a host and a port, as in 127.0.0.1:7300", c.Bind)
	host := bindHost
	if c.Advertise != "" {
		advertised, port, ok := hostPort(c.Advertise)
		check(ok && port != 0 && !unspecified(advertised),
			"Advertise is %.512q; it takes the host and the port at which peers reach this node, as in node1.example.com:7300", c.Advertise)
		host = advertised
	} else {
		check(!bound || !unspecified(bindHost), "Advertise is empty; it is needed where Bind (%.512q) is no address that peers can dial", c.Bind)
	}
	if c.TLS == nil {
		check(!bound || loopback(bindHost) && loopback(host),
			"TLS is nil; plaintext is for loopback addresses only, and here Bind is %.512q and Advertise %.512q", c.Bind, c.Advertise)
	} else {
		errs = append(errs, validateTLS(c.TLS)...)
	}
	check(c.MaxPending >= 0 && c.MaxPending <= maxPending, "MaxPending is %d; it takes 1 to %d, or 0 for %d", c.MaxPending, maxPending, defaultPending)
	check(c.Handle != nil, "Handle is nil; it takes what answers requests")
	return errors.Join(errs...)
}

// validateTLS refuses what would let in more than those whose certificates were signed for this.
func validateTLS(c *tls.Config) (errs []error) {
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	check(len(c.Certificates) > 0 || c.GetCertificate != nil && c.GetClientCertificate != nil,
		"TLS has no certificate; it takes one in Certificates, or both GetCertificate and GetClientCertificate")
	check(c.RootCAs != nil, "TLS.RootCAs is nil; it takes those who may sign certificates of nodes")
	check(c.ClientCAs != nil, "TLS.ClientCAs is nil; it takes those who may sign certificates of nodes")
	check(!c.InsecureSkipVerify, "TLS.InsecureSkipVerify is true; it takes false, since peers are told from others by their certificates")
	check(c.GetConfigForClient == nil, "TLS.GetConfigForClient is set; it takes nil, since every peer is asked for the same")
	return errs
}

func hostPort(address string) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(address)
	if err != nil || len(address) > 512 {
		return "", 0, false
	}
	port, err = strconv.Atoi(text)
	return host, port, err == nil && port >= 0 && port <= 65535
}

// unspecified hosts stand for all addresses of a machine: one can listen there, but not dial.
func unspecified(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
