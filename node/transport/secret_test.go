package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func tokens(list ...string) func(*Options, *testNode) {
	return func(o *Options, _ *testNode) { o.Tokens = list }
}

// While a secret is replaced, nodes that know the old one, both, or the new one
// are there at the same time: each two that share one talk, in both directions.
func TestTokensRotate(t *testing.T) {
	for _, test := range []struct {
		a, b []string
		ok   bool
	}{
		{[]string{"old"}, []string{"old"}, true},
		{[]string{"old"}, []string{"new", "old"}, true},
		{[]string{"new", "old"}, []string{"old", "new"}, true},
		{[]string{"new"}, []string{"new", "old"}, true},
		{[]string{"new", ""}, []string{"new"}, true},
		{nil, []string{"", ""}, true},
		{[]string{"old"}, []string{"new"}, false},
		{[]string{"old"}, nil, false},
		{nil, []string{"new", "old"}, false},
	} {
		a, b := start(t, 7, 1, tokens(test.a...)), start(t, 7, 2, tokens(test.b...))
		serve := func(context.Context, Identity, uint8, []byte) ([]byte, error) { return nil, nil }
		a.serve, b.serve = serve, serve
		if test.ok {
			connect(t, a, b)
			connect(t, b, a)
		}
		for _, ends := range [][2]*testNode{{a, b}, {b, a}} {
			ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
			_, err := ends[0].Call(ctx, ends[1].addr(), 1, nil)
			cancel()
			if test.ok != (err == nil) || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%q and %q: %v", test.a, test.b, err)
			}
		}
	}
}

// record notes what passes through a connection.
type record struct {
	net.Conn
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (r record) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.b.Write(p[:n])
	return n, err
}

func (r record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.b.Write(p)
	return r.Conn.Write(p)
}

// The secret is not on the wire, and what was recorded of one connection opens no
// other one.
func TestHandshakeTellsNothing(t *testing.T) {
	const secret = "a secret of some length"
	b := start(t, 7, 2, tokens(secret))
	var mu sync.Mutex
	var wire bytes.Buffer
	dial := func() error {
		conn, err := net.Dial("tcp", b.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		h := handshake{TransportCredentials: insecure.NewCredentials(), secrets: newSecrets([]string{secret}), dialer: &dialer{}}
		ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
		defer cancel()
		_, _, err = h.ClientHandshake(ctx, "", record{conn, &mu, &wire})
		return err
	}
	if err := dial(); err != nil {
		t.Fatal(err)
	}
	if wire.Len() == 0 || bytes.Contains(wire.Bytes(), []byte(secret)) {
		t.Errorf("%d bytes went over the wire, the secret among them: %v", wire.Len(), bytes.Contains(wire.Bytes(), []byte(secret)))
	}

	// Replayed, the dialer's half is refused.
	begin := wire.Bytes()[:len(handshakeMagic)+nonceSize+2]
	proofs := wire.Bytes()[2*len(handshakeMagic)+2*nonceSize+2:][:maxSecrets*32]
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	if _, err := conn.Write(append(bytes.Clone(begin), proofs...)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	verdict := answer[len(handshakeMagic)+nonceSize:]
	if len(verdict) < 2 || verdict[0] != handshakeRefused || string(verdict[2:]) != errToken.Error() {
		t.Errorf("the replay was answered %q", verdict)
	}
}

// Whoever does not know the secret cannot make the node hold more than a few
// hundred bytes, whatever it sends and however long it stays.
func TestStrangersCostNothing(t *testing.T) {
	b := start(t, 7, 2, tokens("secret"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	// Twelve calls of 120 MiB that never end, as gRPC sends them.
	cc, err := grpc.NewClient("passthrough:///"+b.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()
	if _, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, callMethod); err == nil {
		t.Error("a stream was opened without the secret")
	}
	// The same bytes without waiting for an answer.
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	sent := 0
	flood := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), make([]byte, 1<<20)...)
	for err == nil && sent < 1<<30 {
		var n int
		n, err = conn.Write(flood)
		sent += n
	}
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("after %d bytes: %v", sent, err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 16<<20 {
		t.Errorf("%d bytes were allocated for strangers, of %d that they sent", grown, sent)
	}

	// One that says nothing is cut off.
	silent, err := net.Dial("tcp", b.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_ = silent.SetDeadline(time.Now().Add(2 * testDeadline))
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a silent connection ends with %v", err)
	}
	eventually(t, "nobody waits at the door", func() bool { return b.door.size() == 0 })
	if !strings.Contains(b.log.String(), errNoHandshake.Error()) {
		t.Errorf("the log does not name the stranger: %s", b.log.String())
	}
}

// A crowd of strangers does not keep a peer out: there is room for so many, and
// the oldest make way.
func TestCrowdMakesWay(t *testing.T) {
	b := start(t, 7, 2, tokens("secret"))
	var crowd []net.Conn
	for range maxUnproved + 20 {
		conn, err := net.Dial("tcp", b.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		crowd = append(crowd, conn)
	}
	eventually(t, "the first was pushed out", func() bool {
		_ = crowd[0].SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := crowd[0].Read(make([]byte, 1))
		var timeout net.Error
		return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
	})
	if n := b.door.size(); n > maxUnproved {
		t.Errorf("%d wait", n)
	}
	connect(t, start(t, 7, 1, tokens("secret")), b)
}

// Something else than a node answers: the error says so at once.
func TestDialsOnlyNodes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("-ERR unknown command\r\n"))
			_ = conn.Close()
		}
	}()
	a := start(t, 7, 1, tokens("secret"))
	ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
	defer cancel()
	_, err = a.Call(ctx, l.Addr().String(), 1, nil)
	if !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), "no aikv node") {
		t.Errorf("a call to another server: %v", err)
	}
}
