package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// What a client that idles may cost the node, in bytes of its memory (RSS). Half
// of the first is the stack of a goroutine, the rest its socket and session.
const (
	freshClient = 10 << 10
	usedClient  = 24 << 10 // after work: stacks that grew, garbage
)

// TestTenThousandIdleClients: they cost little, whatever they did before, the one
// too many is told so, and others are served.
func TestTenThousandIdleClients(t *testing.T) {
	wantFiles(t, 10_000+1_000)
	n := startNode(t, 0)
	const clients = 10_000 - 1 // and the admin: maxclients
	base := n.rss()
	// costs waits until the node has given back what it needed for work.
	costs := func(after string, each int) {
		t.Helper()
		eventually(t, func() error {
			got := (n.rss() - base) / clients
			t.Logf("%d bytes a client after %s", got, after)
			if got > each {
				return fmt.Errorf("%d bytes a client after %s, want at most %d", got, after, each)
			}
			return nil
		})
	}
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = n.dial()
	}
	eventually(t, func() error {
		if got := n.info("connected_clients"); got != clients+1 {
			return fmt.Errorf("%d clients", got)
		}
		return nil
	})
	costs("connecting", freshClient)

	refused, err := io.ReadAll(n.dial())
	if string(refused) != "-ERR max number of clients reached\r\n" || err != nil {
		t.Errorf("the one too many: %q, %v", refused, err)
	}
	if got := n.info("rejected_connections"); got != 1 {
		t.Errorf("%d rejected", got)
	}

	n.must("SET", "big", strings.Repeat("v", 100<<10))
	work := strings.Repeat("SET k v\r\n", 20) + strings.Repeat("GET k\r\n", 20) + "CLUSTER SLOTS\r\nGET big\r\nPING\r\n"
	each(t, conns, func(_ int, nc net.Conn) error { return talk(nc, work) })
	costs("work", usedClient)

	const first, second = "*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$10\r\nhalf", "-whole\r\n*1\r\n$4\r\nPING\r\n"
	each(t, conns, func(_ int, nc net.Conn) error {
		_, err := nc.Write([]byte(first))
		return err
	})
	costs("half a command", usedClient+4<<10)
	if got := n.must("GET", "k"); got != "v" {
		t.Errorf("GET k: %s", got)
	}
	each(t, conns, func(_ int, nc net.Conn) error { return talk(nc, second) })
	if got := n.must("GET", "half"); got != "half-whole" {
		t.Errorf("GET half: %s", got)
	}
	each(t, conns, func(_ int, nc net.Conn) error { return nc.Close() })
	eventually(t, func() error {
		if got := n.info("connected_clients"); got != 1 {
			return fmt.Errorf("%d clients", got)
		}
		return nil
	})
}

// TestFewFilesFewClients: with a low limit of open files the node says how many
// clients it can have, keeps to that, and keeps what it needs itself.
func TestFewFilesFewClients(t *testing.T) {
	n := startNode(t, 1500)
	const allowed = 1500 - 640
	if got := n.info("maxclients"); got != allowed {
		t.Errorf("maxclients %d, want %d", got, allowed)
	}
	if !strings.Contains(n.log.String(), "maxclients is lowered") {
		t.Error("the log does not tell that maxclients was lowered")
	}
	_, err := n.do("CONFIG", "SET", "maxclients", 1_000_000_000)
	want := fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument 'maxclients') - "+
		"The operating system is not able to handle the specified number of clients, try with %d", 1500-640)
	if err == nil || err.Error() != want {
		t.Errorf("CONFIG SET maxclients: %v, want %s", err, want)
	}
	for range 2 * allowed {
		n.dial()
	}
	eventually(t, func() error {
		connected, rejected := n.info("connected_clients"), n.info("rejected_connections")
		if connected != allowed || rejected != allowed+1 {
			return fmt.Errorf("%d connected, %d rejected", connected, rejected)
		}
		return nil
	})
	value := strings.Repeat("v", 1<<20)
	for i := range 20 { // several times what fills a table
		n.must("SET", fmt.Sprint("key", i), value)
	}
}

// TestSlowSenders: a command may arrive over a long time, in any pieces, and
// nobody else waits for it.
func TestSlowSenders(t *testing.T) {
	n := startNode(t, 0)
	base := n.rss()
	const clients, size = 500, 20_000
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = n.dial()
	}
	command := func(i int) []byte {
		return fmt.Appendf(nil, "*3\r\n$3\r\nSET\r\n$6\r\nkey%03d\r\n$%d\r\n%s\r\nPING\r\n", i, size, bytes.Repeat([]byte{byte('a' + i%26)}, size))
	}
	for from := 0; from < len(command(0)); {
		step := 1 // byte by byte up to the value, then in pieces
		if from > 40 {
			step = 997
		}
		each(t, conns, func(i int, nc net.Conn) error {
			text := command(i)
			_, err := nc.Write(text[from:min(from+step, len(text))])
			return err
		})
		from += step
		begin := time.Now()
		n.must("SET", "other", from)
		if took := time.Since(begin); took > deadline/4 {
			t.Errorf("another client's write took %v", took)
		}
	}
	each(t, conns, func(_ int, nc net.Conn) error { return talk(nc, "") })
	for _, i := range []int{0, clients / 2, clients - 1} {
		if got := n.must("GET", fmt.Sprintf("key%03d", i)); got != strings.Repeat(string(rune('a'+i%26)), size) {
			t.Errorf("key%03d has %d bytes", i, len(got))
		}
	}
	// The buffers of unfinished commands double, and garbage is as much again.
	if grown := n.rss() - base; grown > 8*clients*size {
		t.Errorf("the node grew by %d bytes", grown)
	}
}

// TestClientsThatNeverRead: pipelines of large GETs whose replies nobody takes
// cost bounded memory, and client-output-buffer-limit ends it.
func TestClientsThatNeverRead(t *testing.T) {
	n := startNode(t, 0)
	n.must("SET", "big", strings.Repeat("v", 1<<20))
	base := n.rss()
	const clients = 40
	pipeline := []byte(strings.Repeat("*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n", 1000)) // 1 GB of replies
	for range clients {
		nc := n.dial()
		go func() { _, _ = nc.Write(pipeline) }()
	}
	eventually(t, func() error {
		if got := n.info("client_output_backlog"); got < 100<<20 {
			return fmt.Errorf("%d bytes wait to be taken", got)
		}
		return nil
	})
	for range 20 {
		begin := time.Now()
		if got := n.must("GET", "big"); len(got) != 1<<20 {
			t.Fatalf("GET big: %d bytes", len(got))
		}
		if took := time.Since(begin); took > deadline/4 {
			t.Errorf("another client's read took %v", took)
		}
	}
	backlog, grown := n.info("client_output_backlog"), n.rss()-base
	t.Logf("backlog %d MB, the node grew by %d MB", backlog>>20, grown>>20)
	// 128 MB for all, a share of one for each, and a reply beyond the limit.
	if bound := 128<<20 + clients*(1+2)<<20; backlog > bound {
		t.Errorf("a backlog of %d bytes, bound %d", backlog, bound)
	}
	if grown > 800<<20 {
		t.Errorf("the node grew by %d bytes", grown)
	}
	list := n.must("CLIENT", "LIST")
	if strings.Count(list, " omem=0 ") != 1 {
		t.Errorf("CLIENT LIST shows the backlogs of others than the %d clients:\n%s", clients, list)
	}

	n.must("CONFIG", "SET", "client-output-buffer-limit", "normal 512kb 0 0")
	eventually(t, func() error {
		if got := n.info("connected_clients"); got != 1 {
			return fmt.Errorf("%d clients", got)
		}
		return nil
	})
	if got := n.info("client_output_buffer_limit_disconnections"); got != clients {
		t.Errorf("%d clients were cut off, want %d", got, clients)
	}
	if got := n.info("client_output_backlog"); got != 0 {
		t.Errorf("a backlog of %d bytes without clients", got)
	}
}

// TestGarbageStorm: random bytes, and commands with bytes changed, from many
// connections; the node lives and is left with no client and no large memory.
func TestGarbageStorm(t *testing.T) {
	n := startNode(t, 0)
	base := n.rss()
	conns := make([]net.Conn, 400)
	for i := range conns {
		conns[i] = n.dial()
	}
	each(t, conns, func(i int, nc net.Conn) error {
		garbage := makeGarbage(rand.New(rand.NewPCG(1, uint64(i))))
		go func() {
			_, _ = nc.Write(garbage)
			_ = nc.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, nc) // a reset is one way to end this
		return nc.Close()
	})
	eventually(t, func() error {
		if got := n.info("connected_clients"); got != 1 {
			return fmt.Errorf("%d clients", got)
		}
		return nil
	})
	if got := n.must("PING"); got != "PONG" {
		t.Errorf("PING: %s", got)
	}
	if grown := n.rss() - base; grown > 100<<20 {
		t.Errorf("the node grew by %d bytes", grown)
	}
}

// makeGarbage returns commands in which some bytes are wrong, or noise.
func makeGarbage(r *rand.Rand) []byte {
	var b []byte
	for len(b) < 50_000 {
		switch r.IntN(4) {
		case 0:
			b = fmt.Appendf(b, "*3\r\n$3\r\nSET\r\n$4\r\ng%03d\r\n$%d\r\n%s\r\n", r.IntN(1000), 100, strings.Repeat("g", 100))
		case 1:
			b = fmt.Appendf(b, "*%d\r\n", r.Int64N(1<<uint(r.IntN(62)+1)))
		case 2:
			b = fmt.Appendf(b, "*1\r\n$%d\r\n", r.Int64N(1<<uint(r.IntN(62)+1)))
		default:
			for range 50 {
				b = append(b, byte(r.Uint32()))
			}
		}
	}
	for range r.IntN(20) {
		b[r.IntN(len(b))] = byte(r.Uint32())
	}
	return b
}
