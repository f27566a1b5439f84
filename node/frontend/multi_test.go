package frontend

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/multiraft"
)

// TestTransactions plays testdata/multi. A line is a pipeline of a connection: its
// name, and commands between bars; behind the replies stands what the shard was asked.
// Other lines prepare something:
//
//	fail ERROR       the next call of the shard's ends so
//	clock MS         the time goes on
//	leads BOOL       the replica leads
func TestTransactions(t *testing.T) {
	datadriven.Walk(t, "testdata/multi", func(t *testing.T, path string) {
		f := start(t, nil)
		conns := map[string]*client{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				name, commands, ok := strings.Cut(line, ": ")
				if !ok {
					f.prepare(t, strings.Fields(line))
					continue
				}
				c := conns[name]
				if c == nil {
					c = f.dial()
					conns[name] = c
				}
				f.node.own.takeEvents()
				fmt.Fprintf(&out, "%s> %s\n", name, commands)
				pipeline := strings.Split(commands, " | ")
				c.send(strings.Join(pipeline, "\r\n") + "\r\n")
				if strings.HasPrefix(commands, "CLIENT REPLY SKIP") {
					pipeline = pipeline[2:]
				}
				for range pipeline {
					fmt.Fprintf(&out, "  %s\n", c.reply())
				}
				if events := f.node.own.takeEvents(); len(events) > 0 {
					fmt.Fprintf(&out, "  : %s\n", strings.Join(events, ", "))
				}
			}
			return out.String()
		})
	})
}

// prepare carries out a line of testdata/multi that is no pipeline.
func (f *fixture) prepare(t *testing.T, words []string) {
	t.Helper()
	own := f.node.own
	number := func() int64 {
		n, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch words[0] {
	case "fail":
		failures := map[string]error{
			"moved": multiraft.ErrNotLeader, "superseded": multiraft.ErrSuperseded, "uncertain": multiraft.ErrUncertain,
			"quorum": multiraft.ErrNoQuorum,
		}
		own.mu.Lock()
		own.submitErrs = append(own.submitErrs, failures[words[1]])
		own.mu.Unlock()
	case "clock":
		own.local.Add(number())
		own.entry.Add(number())
	case "leads":
		own.leads.Store(words[1] == "true")
	default:
		t.Fatalf("what is %q?", words)
	}
}

// A queue that outgrows client-query-buffer-limit ends the connection, as in Redis.
func TestQueueIsBounded(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.QueryBuffer = 1 << 20 })
	c := f.dial()
	c.want([]string{"MULTI"}, "OK")
	value := strings.Repeat("v", 10_000)
	queued := 0
	for range 200 {
		if _, err := c.Write([]byte("SET k " + value + "\r\n")); err != nil {
			break
		}
		v, err := c.v.ReadValue()
		if err != nil {
			break
		}
		if got := show(v); got != "QUEUED" {
			t.Fatalf("answered %q", got)
		}
		queued++
	}
	if queued < 90 || queued > 110 {
		t.Errorf("the connection was closed after %d commands", queued)
	}
	eventually(t, "the client is gone", func() bool { return f.server.Stats().ConnectedClients == 0 })
	if n := f.server.Stats().QueryLimitDisconnections; n != 1 {
		t.Errorf("%d were closed for what they sent", n)
	}
	if got := f.dial().do("EXISTS k"); got[0] != ":0" {
		t.Errorf("EXISTS k: %v", got)
	}
}

// A reply to EXEC that takes more than reads may hold is not kept in memory; what was
// to be done is done.
func TestReplyOfTransactionIsBounded(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.ReadMemory = 4 << 20 })
	c := f.dial()
	c.want([]string{"SETRANGE k 999999 x"}, ":1000000")
	lines := []string{"MULTI"}
	replies := []string{"OK"}
	for range 10 {
		lines, replies = append(lines, "GET k"), append(replies, "QUEUED")
	}
	lines, replies = append(lines, "INCR n{k}", "EXEC", "GET n{k}"), append(replies, "QUEUED", "-"+errExecReplyTooBig.Error(), "1")
	c.want(lines, replies...)
	// One that fits is answered, and what it took is given back.
	for range 3 {
		if got := c.do("MULTI", "GET k", "INCR n{k}", "EXEC"); len(got[3]) < 1_000_000 {
			t.Fatalf("EXEC: %.80q", got[3])
		}
	}
	eventually(t, "all memory is given back", func() bool {
		c.want([]string{"PING"}, "PONG")
		f.server.reads.mu.Lock()
		defer f.server.reads.mu.Unlock()
		return f.server.reads.used == 0
	})
}

// Commands that wait elsewhere do not in a transaction.
func TestNothingWaitsInTransaction(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.want([]string{"MULTI", "WAIT 1 0", "EXEC"}, "OK", "QUEUED", "[:0]")
	c.want([]string{"MULTI", "BZPOPMIN z 0", "ZADD z 1 a", "BZPOPMIN z 0", "BZMPOP 0 1 z MIN", "EXEC"},
		"OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED", "[(nil) :1 [z a 1] (nil)]")
}

// What a transaction leaves in a key serves who waits for it; what it takes away again
// does not.
func TestTransactionServesBlocked(t *testing.T) {
	f := start(t, nil)
	blocked, c := f.dial(), f.dial()
	blocked.send("BZPOPMIN z 0\r\n")
	eventually(t, "a blocked client", func() bool { return f.server.Stats().BlockedClients == 1 })
	c.want([]string{"MULTI", "ZADD z 1 a", "ZREM z a", "EXEC"}, "OK", "QUEUED", "QUEUED", "[:1 :1]")
	c.want([]string{"MULTI", "ZADD z 2 b", "ZADD z 1 a", "DBSIZE", "EXEC"}, "OK", "QUEUED", "QUEUED", "QUEUED", "[:1 :1 :1]")
	if got := blocked.reply(); got != "[z a 1]" {
		t.Errorf("the blocked client got %s", got)
	}
	c.want([]string{"ZRANGE z 0 -1"}, "[b]")
}

// CLIENT LIST and INFO tell how it stands with a transaction.
func TestTransactionIsListed(t *testing.T) {
	f := start(t, nil)
	c, other := f.dial(), f.dial()
	line := func() string {
		for _, line := range strings.Split(other.do("CLIENT LIST")[0], "\n") {
			if strings.Contains(line, "addr="+c.LocalAddr().String()+" ") {
				return line
			}
		}
		t.Fatal("the client is not listed")
		return ""
	}
	wants := func(parts ...string) {
		t.Helper()
		for _, part := range parts {
			if got := line(); !strings.Contains(got, " "+part+" ") {
				t.Errorf("%q is missing: %s", part, got)
			}
		}
	}
	wants("flags=N", "multi=-1", "watch=0", "multi-mem=0")
	c.do("WATCH a b{a}", "MULTI", "SET a 1", "PING")
	wants("flags=x", "multi=2", "watch=2")
	if s := f.server.Stats(); s.WatchingClients != 1 || s.WatchedKeys != 2 {
		t.Errorf("%d clients watch %d keys", s.WatchingClients, s.WatchedKeys)
	}
	other.do("SET a 2")
	wants("flags=xd")
	c.want([]string{"EXEC"}, "(nil)")
	wants("flags=N", "multi=-1", "watch=0", "multi-mem=0")
	c.do("WATCH a", "MULTI", "PING")
	_ = c.Close()
	eventually(t, "nobody watches", func() bool {
		s := f.server.Stats()
		return s.WatchingClients == 0 && s.WatchedKeys == 0
	})
}

// A client that hangs up before EXEC has changed nothing.
func TestHangUpBeforeExec(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.want([]string{"MULTI", "SET k 1"}, "OK", "QUEUED")
	_ = c.Close()
	eventually(t, "the client is gone", func() bool { return f.server.Stats().ConnectedClients == 0 })
	f.dial().want([]string{"EXISTS k"}, ":0")
}

// While writes are paused, so is EXEC of a transaction that writes, and only that.
func TestPauseHoldsExec(t *testing.T) {
	f := start(t, nil)
	c, other := f.dial(), f.dial()
	other.want([]string{"CLIENT PAUSE 100000 WRITE"}, "OK")
	c.want([]string{"MULTI", "GET k", "EXEC"}, "OK", "QUEUED", "[(nil)]")
	c.want([]string{"MULTI"}, "OK")
	c.send("EXEC\r\n")
	if got := c.reply(); got != "[]" {
		t.Errorf("EXEC of nothing: %s", got)
	}
	other.want([]string{"CLIENT UNPAUSE"}, "OK")
	c.want([]string{"MULTI", "SET k 1"}, "OK", "QUEUED")
	other.want([]string{"CLIENT PAUSE 100000 WRITE"}, "OK")
	c.send("EXEC\r\n")
	eventually(t, "EXEC waits", func() bool { return f.server.Stats().BlockedClients == 1 })
	other.want([]string{"GET k", "CLIENT UNPAUSE"}, "(nil)", "OK")
	if got := c.reply(); got != "[OK]" {
		t.Errorf("EXEC: %s", got)
	}
}

// Commandstats count what EXEC runs as if it had come by itself.
func TestTransactionIsCounted(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.do("CONFIG RESETSTAT", "MULTI", "GET k", "INCR k", "HSET k f v", "PING", "EXEC", "MULTI", "INCR k", "NOSUCH", "EXEC", "EXEC",
		"MULTI", "GET k", "HGET k f", "EXEC")
	got := map[string]string{}
	for _, s := range f.server.CallStats() {
		got[s.Command.Name] = fmt.Sprintf("%d %d %d", s.Calls, s.Failed, s.Rejected)
	}
	for name, want := range map[string]string{
		"multi": "3 0 0", "exec": "4 2 0", "get": "2 0 0", "incr": "1 0 0", "hset": "1 1 0", "hget": "1 1 0", "ping": "1 0 0",
	} {
		if got[name] != want {
			t.Errorf("%s: %s calls, failed and rejected ones, not %s", name, got[name], want)
		}
	}
	errors := fmt.Sprint(f.server.ErrorCounts())
	if errors != "[{ERR 2} {EXECABORT 1} {WRONGTYPE 2}]" {
		t.Errorf("errors: %s", errors)
	}
}
