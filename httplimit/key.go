package httplimit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientBits is how much of an IPv6 address makes a caller: a /64 is what one gets as a matter of course, so
// single addresses would give everybody 2⁶⁴ buckets.
const clientBits = 64

// unknownPeer is the key of callers without an address, as behind a Unix socket: they share one bucket.
const unknownPeer = "unknown"

// RemoteIP is the default key of [Middleware]: the address of the peer that is connected to us, without its port, and
// of an IPv6 address the /64 network. Callers without an IP address (a Unix socket) share the key "unknown".
//
// It does not look at X-Forwarded-For or Forwarded: anybody can send these, and with them a new key for each
// request. Behind a proxy use [TrustProxies].
func RemoteIP(r *http.Request) string {
	if addr, ok := parseAddr(r.RemoteAddr); ok {
		return clientKey(addr)
	}
	return unknownPeer
}

// TrustProxies makes a key like [RemoteIP] for servers behind proxies with addresses in the given networks. Each proxy appends
// the address it was called from to X-Forwarded-For, so the list is read from its end: the caller is the last address that
// is not one of ours. What stands before it was claimed by the caller, and is not read.
func TrustProxies(networks ...netip.Prefix) func(*http.Request) string {
	trusted := func(addr netip.Addr) bool {
		for _, n := range networks {
			if n.Contains(addr) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) string {
		caller, ok := parseAddr(r.RemoteAddr)
		if !ok {
			return unknownPeer
		}
		for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
			for line != "" {
				if !trusted(caller) {
					return clientKey(caller)
				}
				hop := line[strings.LastIndexByte(line, ',')+1:]
				line = strings.TrimSuffix(line[:len(line)-len(hop)], ",")
				addr, ok := parseAddr(strings.TrimSpace(hop))
				if !ok {
					return clientKey(caller)
				}
				caller = addr
			}
		}
		return clientKey(caller)
	}
}

// parseAddr reads the address of a peer, or one in X-Forwarded-For, with or without a port.
func parseAddr(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		at, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = at.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// clientKey is the key of a caller's address.
func clientKey(addr netip.Addr) string {
	if addr.Is6() {
		if network, err := addr.Prefix(clientBits); err == nil {
			return network.String()
		}
	}
	return addr.String()
}
