package transport

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// Before gRPC is spoken on a connection, both ends prove that they know a secret
// of the cluster, by challenge:
//
//	dialer    magic(8) nonce(32) CRLF
//	acceptor  magic(8) nonce(32)
//	dialer    proof(32) proof(32)                  of its two secrets
//	acceptor  0 proof(32), or 1 length(1) text
//
// A proof is an HMAC of the prover's role, both nonces and, with TLS, a value
// that only the two ends of that connection can derive: it says nothing about
// the secret, and is of no use on another connection. The acceptor proves last,
// and only to whoever has. Without TLS, what follows is neither encrypted nor
// authenticated: whoever can change packets on their way can take a connection
// over, so nodes off loopback belong into a network of their own.
//
// Until then a connection costs its socket and a few hundred bytes, for
// helloTimeout at most, and there are at most maxUnproved of them. The CRLF lets
// a server that expects lines of text, such as a client port, answer at once.
const (
	handshakeMagic = "aikv/r1\n"
	nonceSize      = 32
	maxSecrets     = 2
	maxRefusal     = 255
	maxUnproved    = 256

	handshakeOK      = 0
	handshakeRefused = 1
)

// Reasons of a failed handshake, in the words that both logs show.
var (
	errToken       = errors.New("its token is not this cluster's (config key raft.token)")
	errNoHandshake = errors.New("it does not begin as an aikv node of this version does")
	errCrowded     = errors.New("too many connections have not proved that they know the token")
)

// handshake are the credentials of all connections: those of TLS, or none, and
// then the challenge.
type handshake struct {
	credentials.TransportCredentials          // TLS or insecure
	secrets                          [][]byte // one or two; an empty one where none is needed
	dialer                           *dialer  // of a client: is told why the handshake failed
	door                             *door    // of a server
	refused                          func(remote net.Addr, reason error)
}

// newSecrets returns what proofs are made with.
func newSecrets(tokens []string) [][]byte {
	var secrets [][]byte
	for _, token := range tokens {
		if token != "" {
			secrets = append(secrets, []byte(token))
		}
	}
	if len(secrets) == 0 {
		secrets = [][]byte{{}}
	}
	return secrets[:min(len(secrets), maxSecrets)]
}

// Clone implements credentials.TransportCredentials.
func (h *handshake) Clone() credentials.TransportCredentials {
	c := *h
	c.TransportCredentials = h.TransportCredentials.Clone()
	return &c
}

// ClientHandshake implements credentials.TransportCredentials.
func (h *handshake) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
		if err = h.introduce(conn, info); !stop() && err == nil {
			err = ctx.Err()
		}
	}
	if err != nil {
		h.dialer.note(err)
		return nil, nil, err
	}
	return conn, info, nil
}

// introduce is the dialer's part.
func (h *handshake) introduce(conn net.Conn, info credentials.AuthInfo) error {
	binding, err := bindingOf(info)
	if err != nil {
		return err
	}
	own := newNonce()
	if _, err := conn.Write(slices.Concat([]byte(handshakeMagic), own, []byte("\r\n"))); err != nil {
		return err
	}
	var answer [len(handshakeMagic) + nonceSize]byte
	if _, err := io.ReadFull(conn, answer[:len(handshakeMagic)]); err != nil {
		return fmt.Errorf("no answer to the handshake: %w", err)
	}
	if string(answer[:len(handshakeMagic)]) != handshakeMagic {
		return errors.New("whoever listens there is no aikv node, or one of another version")
	}
	if _, err := io.ReadFull(conn, answer[len(handshakeMagic):]); err != nil {
		return err
	}
	c := challenge{dialer: own, acceptor: answer[len(handshakeMagic):], binding: binding}
	proofs := make([]byte, 0, maxSecrets*sha256.Size)
	for _, secret := range h.secrets {
		proofs = append(proofs, c.proof(secret, "dialer")...)
	}
	for len(proofs) < cap(proofs) {
		proofs = append(proofs, proofs[:sha256.Size]...)
	}
	if _, err := conn.Write(proofs); err != nil {
		return err
	}
	return h.verdict(conn, c)
}

// verdict reads the acceptor's answer to the dialer's proofs.
func (h *handshake) verdict(conn net.Conn, c challenge) error {
	var head [1]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("no verdict on the token: %w", err)
	}
	if head[0] != handshakeOK {
		var size [1]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return err
		}
		text := make([]byte, size[0])
		if _, err := io.ReadFull(conn, text); err != nil {
			return err
		}
		return &refusal{text: string(text)}
	}
	var proof [sha256.Size]byte
	if _, err := io.ReadFull(conn, proof[:]); err != nil {
		return err
	}
	for _, secret := range h.secrets {
		if hmac.Equal(proof[:], c.proof(secret, "acceptor")) {
			return nil
		}
	}
	return errors.New("whoever listens there does not know this cluster's token (config key raft.token)")
}

// ServerHandshake implements credentials.TransportCredentials. gRPC has set a
// deadline of helloTimeout.
func (h *handshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	h.door.enter(raw)
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err == nil {
		err = h.examine(conn, info)
	}
	if pushed := h.door.leave(raw); pushed && err != nil {
		err = errCrowded
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			h.refused(raw.RemoteAddr(), err)
		}
		_ = raw.Close()
		return nil, nil, err
	}
	return conn, info, nil
}

// examine is the acceptor's part.
func (h *handshake) examine(conn net.Conn, info credentials.AuthInfo) error {
	binding, err := bindingOf(info)
	if err != nil {
		return err
	}
	var begin [len(handshakeMagic) + nonceSize + 2]byte
	if n, err := io.ReadFull(conn, begin[:len(handshakeMagic)]); err != nil {
		if n == 0 {
			return io.EOF // a probe of the port
		}
		return errNoHandshake
	}
	if string(begin[:len(handshakeMagic)]) != handshakeMagic {
		return errNoHandshake
	}
	if _, err := io.ReadFull(conn, begin[len(handshakeMagic):]); err != nil {
		return errNoHandshake
	}
	c := challenge{dialer: begin[len(handshakeMagic):][:nonceSize], acceptor: newNonce(), binding: binding}
	if _, err := conn.Write(slices.Concat([]byte(handshakeMagic), c.acceptor)); err != nil {
		return err
	}
	var proofs [maxSecrets * sha256.Size]byte
	if _, err := io.ReadFull(conn, proofs[:]); err != nil {
		return fmt.Errorf("no proof of the token came: %w", err)
	}
	for _, secret := range h.secrets {
		want := c.proof(secret, "dialer")
		if hmac.Equal(proofs[:sha256.Size], want) || hmac.Equal(proofs[sha256.Size:], want) {
			_, err := conn.Write(append([]byte{handshakeOK}, c.proof(secret, "acceptor")...))
			return err
		}
	}
	text := errToken.Error()
	_, _ = conn.Write(append([]byte{handshakeRefused, byte(min(len(text), maxRefusal))}, text...))
	return errToken
}

// challenge is what the proofs of one connection are about.
type challenge struct{ dialer, acceptor, binding []byte }

func (c challenge) proof(secret []byte, role string) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, part := range [][]byte{[]byte(handshakeMagic), []byte(role), {0}, c.dialer, c.acceptor, c.binding} {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	return nonce
}

// bindingOf returns what only the two ends of a TLS connection know; nil without
// TLS.
func bindingOf(info credentials.AuthInfo) ([]byte, error) {
	t, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil
	}
	return t.State.ExportKeyingMaterial("EXPORTER-aikv-peer", nil, sha256.Size)
}

// door knows the connections that have not proved anything yet. When there are
// too many, the one that has taken longest goes: a node needs a round trip or
// two, a flood of strangers must not keep it out.
type door struct {
	mu      sync.Mutex
	waiting []net.Conn // in the order of arrival
}

func (d *door) enter(conn net.Conn) {
	d.mu.Lock()
	var oldest net.Conn
	if len(d.waiting) >= maxUnproved {
		oldest, d.waiting = d.waiting[0], d.waiting[1:]
	}
	d.waiting = append(d.waiting, conn)
	d.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
}

// leave reports whether the connection had been pushed out.
func (d *door) leave(conn net.Conn) (pushed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, conn)
	if i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	return i < 0
}

// size is how many connections have not proved anything yet.
func (d *door) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting)
}
