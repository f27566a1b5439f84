package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	secure := func(o *Options, _ *testNode) {
		o.ListenTLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
		o.DialTLS = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
	}
	a, b := start(t, 7, 1, secure), start(t, 7, 2, secure)
	b.serve = func(_ context.Context, _ Identity, _ uint8, request []byte) ([]byte, error) { return request, nil }
	connect(t, a, b)
	if !a.Send(2, Control, []byte("secret")) {
		t.Fatal("not taken")
	}
	if r := b.next(t); string(r.frame) != "secret" {
		t.Errorf("received %q", r.frame)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()
	if answer, err := a.Call(ctx, b.addr(), 1, []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("call: %q, %v", answer, err)
	}

	plain := start(t, 7, 3)
	plain.SetPeers(map[uint64]string{2: b.addr()})
	eventually(t, "a node without TLS fails", func() bool { return plain.Contact(2).LastError != "" })
	if _, err := plain.Call(ctx, b.addr(), 1, nil); err == nil {
		t.Error("a call without TLS is answered")
	}
	if c := plain.Contact(2); c.Connected || strings.Contains(c.LastError, "refused:") {
		t.Errorf("contact without TLS: %+v", c)
	}
}
