package transport

import (
	"crypto/tls"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// credentials are those of both sides: each shows a certificate and checks the other's.
func (t *Transport) credentials() credentials.TransportCredentials {
	if t.cfg.TLS == nil {
		return insecure.NewCredentials()
	}
	c := t.cfg.TLS.Clone()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	return guard{credentials.NewTLS(c), t.cfg.Logger}
}

// guard logs who was not let in, which gRPC keeps to itself.
type guard struct {
	credentials.TransportCredentials
	logger *slog.Logger
}

func (g guard) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	safe, info, err := g.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		g.logger.Warn("a connection was refused", "remote", conn.RemoteAddr().String(), "err", err)
	}
	return safe, info, err
}

func (g guard) Clone() credentials.TransportCredentials {
	return guard{g.TransportCredentials.Clone(), g.logger}
}
