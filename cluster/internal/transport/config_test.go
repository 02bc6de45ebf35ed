package transport

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestBadConfigurations(t *testing.T) {
	_, err := New(Config{Bind: "nowhere", MaxPending: -1, TLS: &tls.Config{InsecureSkipVerify: true, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }}})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, text := range []string{
		`Bind is "nowhere"; it takes a host and a port`, "MaxPending is -1; it takes 1 to 1000000, or 0 for 10000", "Handle is nil",
		"TLS has no certificate", "TLS.RootCAs is nil", "TLS.ClientCAs is nil", "TLS.InsecureSkipVerify is true", "TLS.GetConfigForClient is set",
	} {
		require.ErrorContains(t, err, text)
	}
	handle := func(*Request, func(uint32, []byte)) {}
	ca := newAuthority(t)
	for _, test := range []struct {
		cfg  Config
		text string
	}{
		{Config{Bind: "192.0.2.1:0"}, "TLS is nil; plaintext is for loopback addresses only"},
		{Config{Bind: "127.0.0.1:0", Advertise: "192.0.2.1:7300"}, "TLS is nil; plaintext is for loopback addresses only"},
		{Config{Bind: "127.0.0.1:0", Advertise: "127.0.0.1:0"}, "Advertise is"},
		{Config{Bind: "127.0.0.1:0", Advertise: "0.0.0.0:7300"}, "Advertise is"},
		{Config{Bind: "0.0.0.0:0", TLS: nodeOf(t, ca)}, "Advertise is empty; it is needed"},
		{Config{Bind: "127.0.0.1:70000"}, "Bind is"},
	} {
		test.cfg.Handle = handle
		_, err := New(test.cfg)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, test.text)
	}
}

func TestAPortThatIsTakenIsAnError(t *testing.T) {
	if elsewhere(t) {
		return
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	_, err = New(Config{Bind: taken.Addr().String(), Handle: func(*Request, func(uint32, []byte)) {}})
	require.ErrorContains(t, err, "it cannot listen at "+taken.Addr().String())
}

func TestAdvertise(t *testing.T) {
	if elsewhere(t) {
		return
	}
	node := open(t, func(c *Config) { c.Advertise = "localhost:7300" })
	require.Equal(t, "localhost:7300", node.Address())
}

func TestIPv6(t *testing.T) {
	if elsewhere(t) {
		return
	}
	six, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	require.NoError(t, six.Close())
	node := open(t, func(c *Config) { c.Bind = "[::1]:0" })
	require.Regexp(t, `^\[::1\]:\d+$`, node.Address())
}
