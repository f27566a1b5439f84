package frontend

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// blocked waits until so many clients are parked.
func (f *fixture) blocked(n int64) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("%d blocked clients", n), func() bool { return f.server.Stats().BlockedClients == n })
}

// Clients that hang up while their command waits leave nothing behind, whether
// they sent more or not.
func TestParkedClientsHangUp(t *testing.T) {
	before := runtime.NumGoroutine()
	f := start(t, nil)
	f.dial().want([]string{"PING"}, "PONG")
	const count = 30
	var clients []*client
	for i := range count {
		c := f.dial()
		c.send("SET k v\r\nWAIT 9 0\r\n" + strings.Repeat("GET k\r\n", i*100))
		clients = append(clients, c)
	}
	f.blocked(count)
	a := f.dial()
	list := a.do("CLIENT LIST")[0]
	if got := strings.Count(list, " flags=b "); got != count {
		t.Errorf("%d clients of CLIENT LIST are blocked", got)
	}
	for _, c := range clients {
		_ = c.Close()
	}
	f.blocked(0)
	eventually(t, "the end of their connections", func() bool { return len(f.server.List()) <= 2 })
	eventually(t, "the end of their goroutines", func() bool { return runtime.NumGoroutine() <= before+10 })
	f.node.waits.Range(func(w, _ any) bool {
		t.Errorf("a wait was not stopped: %v", w)
		return true
	})
}

// A parked command goes on when its event comes, and what was sent behind it
// follows; nothing asks meanwhile.
func TestParkedCommandGoesOn(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	big := strings.Repeat("v", 100<<10)
	c.send("SET k 1\r\nWAIT 2 0\r\nECHO one\r\n")
	if got := c.reply(); got != "OK" {
		t.Errorf("before the wait: %s", got)
	}
	w := f.node.wait(t)
	more := fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\nSET k 2\r\n", len(big), big)
	c.send(more)
	f.blocked(1)
	eventually(t, "all input read", func() bool {
		return f.server.Stats().NetInputBytes == int64(len("SET k 1\r\nWAIT 2 0\r\nECHO one\r\n"+more))
	})
	if asked := w.asked.Load(); asked > 100 { // once for each piece of input
		t.Errorf("the wait was looked at %d times", asked)
	}
	w.end(2, false)
	for _, want := range []string{":2", "one", big, "OK"} {
		if got := c.reply(); got != want {
			t.Errorf("got %.20s, want %.20s", got, want)
		}
	}
	c.want([]string{"GET k"}, "2")

	// Its time passes.
	c.send("WAIT 2 20\r\n")
	f.node.wait(t).stored.Store(1)
	if got := c.reply(); got != ":1" {
		t.Errorf("after the timeout: %s", got)
	}
	f.blocked(0)

	// The node is a master no more.
	c.send("WAIT 2 0\r\nPING\r\n")
	f.node.wait(t).end(1, true)
	if got := c.closed(); got != "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n" {
		t.Errorf("a master no more: %q", got)
	}
}

func TestUnblockAndKill(t *testing.T) {
	f := start(t, nil)
	a, c := f.dial(), f.dial()
	id := strings.TrimPrefix(c.do("CLIENT ID")[0], ":")
	a.want([]string{"CLIENT UNBLOCK " + id}, ":0")
	unblock := func(how, want string) {
		t.Helper()
		c.send("WAIT 2 0\r\nPING\r\n")
		f.node.wait(t).stored.Store(1)
		f.blocked(1)
		a.want([]string{"CLIENT UNBLOCK " + id + how}, ":1")
		if got := c.reply() + " " + c.reply(); got != want+" PONG" {
			t.Errorf("unblocked by%s: %s", how, got)
		}
	}
	unblock("", ":1")
	unblock(" TIMEOUT", ":1")
	unblock(" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK")

	c.send("WAIT 2 0\r\n")
	f.blocked(1)
	a.want([]string{"CLIENT KILL ID " + id}, ":1")
	if got := c.closed(); got != "" {
		t.Errorf("killed: %q", got)
	}
	f.blocked(0)
}

// Those that CLIENT PAUSE holds are parked like others; UNBLOCK is not for them.
func TestPausedClients(t *testing.T) {
	f := start(t, nil)
	a, b, c := f.dial(), f.dial(), f.dial()
	id := strings.TrimPrefix(b.do("CLIENT ID")[0], ":")
	a.want([]string{"CLIENT PAUSE 100000 WRITE"}, "OK")
	b.send("SET k 1\r\n")
	c.send("SET k 2\r\n")
	f.blocked(2)
	a.want([]string{"CLIENT UNBLOCK " + id}, ":0")
	_ = b.Close()
	f.blocked(1)
	// A shorter pause of another kind takes the place of the first.
	a.want([]string{"CLIENT PAUSE 20 WRITE"}, "OK")
	if got := c.reply(); got != "OK" {
		t.Errorf("after the pause: %s", got)
	}
	// The client that hung up has written nothing.
	a.want([]string{"CLIENT PAUSE 20 ALL", "GET k"}, "OK", "2")
}

// A server that stops sends parked clients home at once, and runs nothing that a
// pause holds.
func TestCloseUnparks(t *testing.T) {
	f := start(t, nil)
	waiting, held := f.dial(), f.dial()
	f.dial().want([]string{"CLIENT PAUSE 100000 WRITE"}, "OK")
	waiting.send("WAIT 1 0\r\nSET k 1\r\n")
	held.send("SET k 2\r\nSET k 3\r\n")
	f.blocked(2)
	f.node.own.takeEvents()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	f.server.Close(ctx)
	if got := waiting.closed(); got != ":0\r\n" {
		t.Errorf("a client that waited got %q", got)
	}
	if got := held.closed(); got != "" {
		t.Errorf("a client that was held got %q", got)
	}
	if events := f.node.own.takeEvents(); len(events) > 0 {
		t.Errorf("the replica was asked: %q", events)
	}
}

// What a client sends behind a command that waits counts as its query buffer.
func TestParkedInputIsBounded(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.QueryBuffer = 64 << 10 })
	c := f.dial()
	c.send("WAIT 2 0\r\n")
	f.blocked(1)
	go func() { _, _ = fmt.Fprint(c.Conn, strings.Repeat("PING\r\n", 100_000)) }()
	f.blocked(0)
	eventually(t, "a client that is closed for its input", func() bool { return f.server.Stats().QueryLimitDisconnections == 1 })
}
