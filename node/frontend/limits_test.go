package frontend

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// deaf connects a client with a small receive buffer that sends text without
// end, or as often as times says, and reads nothing.
func (f *fixture) deaf(text string, times int) *client {
	f.t.Helper()
	c := f.dial()
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		f.t.Fatal(err)
	}
	go func() { _, _ = io.CopyN(c.Conn, endless(text), int64(len(text)*times)) }()
	return c
}

const forEver = 1 << 30

// put stores a value of n bytes at k.
func (f *fixture) put(n int) {
	f.t.Helper()
	f.dial().want([]string{"SET k " + strings.Repeat("v", n)}, "OK")
}

// gone waits until the server has closed so many connections over a limit.
func (f *fixture) gone(what string, count func(Stats) int64) {
	f.t.Helper()
	eventually(f.t, what, func() bool { return count(f.server.Stats()) == 1 })
}

func outputDisconnections(s Stats) int64 { return s.OutputLimitDisconnections }

func TestOutputHardLimit(t *testing.T) {
	f := start(t, func(o *Options) {
		o.Limits.Output.Hard = 1 << 20
		o.Limits.WriteTimeout = time.Hour
	})
	f.put(60 << 10)
	// Also a client that would read it is refused a larger reply, as in Redis.
	c := f.dial()
	c.send("MGET" + strings.Repeat(" k", 20) + "\r\n")
	if got := c.closed(); got != "" {
		t.Errorf("got %d bytes", len(got))
	}
	f.gone("the large reply's client is closed", outputDisconnections)

	f.server.ResetStats()
	f.deaf("GET k\r\n", forEver)
	f.gone("the deaf client is closed", outputDisconnections)
	if made := f.server.Stats().NetOutputBytes; made > 64<<20 {
		t.Errorf("%d bytes of replies were made", made)
	}
	eventually(t, "an empty backlog", func() bool { return f.server.Stats().Backlog == 0 })
}

// A list that is larger than the hard limit alone is not sent, as in Redis, which
// counts all of it; of another reply, the first 16 KB are free.
func TestOutputHardLimitOfOneReply(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Output.Hard = 100_000 })
	c := f.dial()
	for i := range 110 {
		c.want([]string{fmt.Sprintf("SET %03d%s 1", i, strings.Repeat("k", 990))}, "OK")
	}
	c.send("KEYS *\r\n")
	if got := c.closed(); got != "" {
		t.Errorf("got %d bytes of the keys", len(got))
	}
	f.gone("the client is closed", outputDisconnections)
	c = f.dial()
	c.send("KEYS 00*\r\n")
	if got := c.reply(); strings.Count(got, " ") != 9 {
		t.Errorf("a list below the limit: %.100s", got)
	}
	c.send(fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$110000\r\n%s\r\nGET v\r\n", strings.Repeat("v", 110_000)))
	if got := c.reply() + c.reply(); len(got) != len("OK")+110_000 {
		t.Errorf("got %d bytes of a value", len(got))
	}
}

func TestOutputSoftLimit(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.WriteTimeout = time.Hour })
	f.put(60 << 10)
	set := func(soft int, after time.Duration) {
		f.server.SetLimits(Limits{WriteTimeout: time.Hour, Output: OutputLimit{Soft: soft, SoftFor: after}})
	}
	// Over the limit, but not for long.
	set(1<<20, time.Hour)
	c := f.deaf("GET k\r\n", 300)
	eventually(t, "a backlog over the limit", func() bool { return f.server.Stats().Backlog > 1<<20 })
	for range 300 {
		if got := c.reply(); len(got) != 60<<10 {
			t.Fatalf("a reply of %d bytes", len(got))
		}
	}
	c.want([]string{"PING"}, "PONG")

	// Over it for longer. The limit comes when the client waits already.
	f.deaf("GET k\r\n", 300)
	eventually(t, "a backlog over the limit", func() bool { return f.server.Stats().Backlog > 1<<20 })
	set(1<<20, 50*time.Millisecond)
	f.gone("the deaf client is closed", outputDisconnections)
	c.want([]string{"PING"}, "PONG")
}

// A new limit concerns clients that exceed it already.
func TestOutputLimitActsAtOnce(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.WriteTimeout, o.Limits.OutputBuffer = time.Hour, 2<<20 })
	f.put(60 << 10)
	f.deaf("GET k\r\n", forEver)
	eventually(t, "a backlog over the limit", func() bool { return f.server.Stats().Backlog > 1<<20 })
	f.server.SetLimits(Limits{WriteTimeout: time.Hour, Output: OutputLimit{Hard: 1 << 20}})
	f.gone("the deaf client is closed", outputDisconnections)
}

// Deaf clients share what all may have together, and others are served.
func TestTotalOutput(t *testing.T) {
	f := start(t, func(o *Options) {
		o.Limits.OutputBuffer = 2 << 20
		o.Limits.TotalOutput = 4 << 20
		o.Limits.WriteTimeout = time.Hour
	})
	f.put(60 << 10)
	const deaf = 8
	for range deaf {
		f.deaf("GET k\r\n", forEver)
	}
	c := f.dial()
	// Everybody's fair share, and up to one flush beyond the limit each.
	const bound = 4<<20 + deaf*(fairBacklog+flushAt+60<<10)
	settled := func() bool {
		before := f.server.Stats()
		c.want([]string{"GET k"}, strings.Repeat("v", 60<<10))
		after := f.server.Stats()
		if after.Backlog > bound {
			t.Fatalf("a backlog of %d bytes, bound %d", after.Backlog, bound)
		}
		return after.NetInputBytes-before.NetInputBytes == int64(len("GET k\r\n")) && after.Backlog > 4<<20
	}
	eventually(t, "all deaf clients wait", settled)
}

func TestUnauthenticatedOutput(t *testing.T) {
	f := start(t, nil)
	if err := f.node.config.Set(t.Context(), [][]byte{[]byte("requirepass"), []byte("secret")}); err != nil {
		t.Fatal(err)
	}
	f.deaf("GET k\r\n", forEver)
	f.gone("the deaf client is closed", outputDisconnections)
}

// CONFIG SET's limits of a command act on connections that there are, even in
// the middle of a command.
func TestCommandLimitsActAtOnce(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	big := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n", 2<<20, strings.Repeat("v", 2<<20))
	c.send(big)
	if got := c.reply(); got != "OK" {
		t.Fatal(got)
	}
	f.server.SetLimits(Limits{MaxBulk: 1 << 20})
	// Not the value: whether it can still be sent when the answer is there is chance.
	c.send(big[:strings.Index(big, "v")])
	if got := c.closed(); got != "-ERR Protocol error: invalid bulk length\r\n" {
		t.Errorf("got %q", got)
	}

	f.server.SetLimits(Limits{})
	c = f.dial()
	f.server.ResetStats()
	c.send(big[:1<<20+100])
	// A socket that is closed with unread input would be reset.
	eventually(t, "it has arrived", func() bool { return f.server.Stats().NetInputBytes == 1<<20+100 })
	f.server.SetLimits(Limits{QueryBuffer: 1 << 20})
	if got := c.closed(); got != "" {
		t.Errorf("got %q", got)
	}
	f.gone("the client is counted", func(s Stats) int64 { return s.QueryLimitDisconnections })
}

// idleConn returns the only connection of the server, once it waits.
func (f *fixture) idleConn(pending int64) *conn {
	f.t.Helper()
	var c *conn
	eventually(f.t, "the connection waits", func() bool {
		f.server.mu.Lock()
		defer f.server.mu.Unlock()
		for _, c = range f.server.conns {
		}
		return len(f.server.conns) == 1 && c.unread.Load() == pending &&
			(pending > 0 || c.spare.Load() == 0) && c.session.LastCommand.Load() != nil
	})
	return c
}

// A connection that waits holds no buffers, or one that fits the part of a
// command that it has, whatever it did before.
func TestIdleConnectionHoldsNothing(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	big := strings.Repeat("v", 300<<10)
	for _, work := range []string{
		"PING\r\n",
		strings.Repeat("SET k v\r\n", 500) + strings.Repeat("GET k\r\n", 500) + "PING\r\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$307200\r\n" + big + "\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n",
	} {
		c.send(work)
		for c.reply() != "PONG" {
		}
		server := f.idleConn(0)
		if b := server.buffers(); b.Query != 0 || b.QueryFree != 0 || b.Output != 0 {
			t.Errorf("after %.20q: %+v", work, b)
		}
	}
	const half = "*2\r\n$4\r\nECHO\r\n$5\r\nhel"
	c.send(half)
	server := f.idleConn(int64(len(half)))
	eventually(t, "half a command to be in a small buffer", func() bool {
		b := server.buffers()
		return b.Query+b.QueryFree <= firstBuffer
	})
	c.send("lo\r\n")
	if got := c.reply(); got != "hello" {
		t.Errorf("got %q", got)
	}
}

// The replies of a pipeline's reads are not all made before the first is sent:
// large ones are confirmed and sent in pieces.
func TestLargeReadsGoInPieces(t *testing.T) {
	f := start(t, nil)
	f.put(60 << 10)
	f.node.own.leases = []bool{true, true, false} // the third piece needs a barrier, for itself and the rest
	f.node.own.takeEvents()
	c := f.dial()
	const n = 22
	c.send(strings.Repeat("GET k\r\n", n))
	for range n {
		if got := c.reply(); len(got) != 60<<10 {
			t.Fatalf("a reply of %d bytes", len(got))
		}
	}
	var places []int
	reads := 0
	for _, event := range f.node.own.takeEvents() {
		if event == "read get" {
			reads++
		} else {
			places = append(places, reads)
		}
	}
	// Five replies make a flush; those under the lost lease are read again.
	if want := "[5 10 15 15]"; fmt.Sprint(places) != want || reads != n+5 {
		t.Errorf("leases and barriers after %v reads of %d, want %s of %d", places, reads, want, n+5)
	}
}
