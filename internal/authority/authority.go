// Package authority signs certificates for the nodes of a cluster on one machine: for tests, benchmarks and the demo.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"
)

// Authority signs. As JSON it can be given to another process, with its key.
type Authority struct {
	Cert []byte // DER
	Key  []byte // DER, as SEC 1 has it
}

// lifetime is how long what is signed is good for.
const lifetime = 24 * time.Hour

// New makes an authority.
func New() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodes"}, NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := new(Authority)
	if a.Cert, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		return nil, err
	}
	a.Key, err = x509.MarshalECPrivateKey(key)
	return a, err
}

// Node is the configuration of a node at 127.0.0.1: a certificate that is signed, and the authority as the one whose signatures are good.
func (a *Authority) Node() (*tls.Config, error) {
	signer, err := x509.ParseECPrivateKey(a.Key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(a.Cert)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(lifetime), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, root, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool,
	}, nil
}
