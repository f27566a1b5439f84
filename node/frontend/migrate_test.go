package frontend

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
)

// TestMigrateAsRedis plays MIGRATE to a node and to a real server; both send to servers of
// their own, which are of the same version.
func TestMigrateAsRedis(t *testing.T) {
	commandtest.ClusterOracles(t, func(t *testing.T, o *commandtest.Oracle) {
		if o.Name != "redis-server" {
			t.Skip("the targets are of another version")
		}
		o.Ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
		eventually(t, "the server serves", func() bool { return o.Ask("SET", "probe", "1").Kind != resp.KindError })
		o.Ask("FLUSHALL")
		c := start(t, nil).dial()
		c.t = t
		ours, theirs := commandtest.Redis(t), commandtest.Redis(t)
		to := func(s *commandtest.Oracle) string { return strings.Replace(s.Addr, ":", " ", 1) }
		for _, line := range []string{
			"SET {k}1 a", "SET {k}2 b PX 5000000", "RPUSH {k}3 x y z", "HSET {k}4 f v", "ZADD {k}5 1 m", "SADD {k}6 m", "SET k b",
			"MIGRATE @ k 0 500 FOO", "MIGRATE @ k x 500", "MIGRATE @ k 0 x", "MIGRATE @ k 0 500 AUTH", "MIGRATE @ k 0 500 AUTH2 a",
			"MIGRATE @ k 0 500 AUTH pw", "MIGRATE @ k 0 500 AUTH2 u pw", "MIGRATE @ k 0 500 KEYS k", "MIGRATE @ \"\" 0 500 KEYS",
			"MIGRATE @ \"\" 0 500 KEYS k foo", "MIGRATE @ k 0", "MIGRATE @ \"\" 0 500", "MIGRATE @ nosuch 0 500",
			"MIGRATE @ \"\" 0 500 KEYS {k}no {k}nope", "MIGRATE nosuchhost.invalid 1 k 0 500", "MIGRATE 127.0.0.1 1 k 0 500",
			"MIGRATE 127.0.0.1 99999 k 0 500", "MIGRATE 127.0.0.1 port k 0 500", "MIGRATE @ k 99999 500",
			"EXISTS k", "> DBSIZE",
			"MIGRATE @ k 0 500 COPY", "EXISTS k", "> GET k", "MIGRATE @ k 0 500 COPY", "MIGRATE @ k 0 500", "SET k c", "MIGRATE @ k 0 500 REPLACE COPY",
			"> GET k", "MIGRATE @ k 0 500 REPLACE", "EXISTS k", "> GET k", "MIGRATE @ k 0 500",
			"> SET {k}1 mine", "MIGRATE @ \"\" 0 500 KEYS {k}1 {k}2 {k}3", "EXISTS {k}1", "EXISTS {k}2", "EXISTS {k}3", "> GET {k}1", "> GET {k}2",
			"> LRANGE {k}3 0 -1", "MIGRATE @ \"\" 0 500 REPLACE KEYS {k}1 {k}2 {k}4 {k}5 {k}6", "> GET {k}1", "> HGETALL {k}4", "> ZRANGE {k}5 0 -1",
			"> SMEMBERS {k}6", "DBSIZE", "SET k x", "MIGRATE @ k 7 0", "> DBSIZE",
			"MULTI", "SET k y", "MIGRATE @ k 0 500 REPLACE", "EXISTS k", "EXEC", "> GET k", "EXISTS k",
			"COMMAND GETKEYS MIGRATE h p \"\" 0 5 KEYS a b", "COMMAND GETKEYS MIGRATE h p a 0 5 KEYS a b", "COMMAND GETKEYS MIGRATE h p a 0 5",
			"COMMAND GETKEYS MIGRATE h p a 0 5 AUTH KEYS", "COMMAND GETKEYS MIGRATE h p \"\" 0 5 AUTH2 KEYS KEYS KEYS x KEYS y",
		} {
			line, there := strings.CutPrefix(line, "> ")
			var got, want string
			if words := strings.Fields(line); there {
				got, want = show(ours.Ask(words...)), show(theirs.Ask(words...))
			} else {
				c.send(string(resp.AppendCommand(nil, texts(commandtest.Words(t, strings.ReplaceAll(line, "@", to(ours))))...)))
				got, want = c.reply(), show(o.Ask(texts(commandtest.Words(t, strings.ReplaceAll(line, "@", to(theirs))))...))
			}
			if line == "EXEC" { // what the node answers for itself runs behind the rest
				got = strings.Replace(got, "[OK OK :1]", "[OK OK :0]", 1)
			}
			if got != want {
				t.Errorf("%s\n%s\nthe server says\n%s", line, got, want)
			}
		}
		if ttl := ours.Ask("PTTL", "{k}2").Int; ttl < 4_000_000 || ttl > 5_000_000 {
			t.Errorf("the time to live is %d", ttl)
		}
	})
}

func texts(words [][]byte) (texts []string) {
	for _, w := range words {
		texts = append(texts, string(w))
	}
	return texts
}

// slowTarget is a server that takes a pipeline of MIGRATE for one key, and answers when it is
// told to.
type slowTarget struct {
	addr  string // "host port"
	taken chan struct{}
	reply chan string
}

func newSlowTarget(t *testing.T) *slowTarget {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowTarget{
		addr: strings.Replace(ln.Addr().String(), ":", " ", 1), taken: make(chan struct{}, 16), reply: make(chan string, 16),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r := resp.NewReader(conn)
			_, _ = r.ReadValue()
			_, _ = r.ReadValue()
			s.taken <- struct{}{}
			_, _ = io.WriteString(conn, <-s.reply)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		close(s.reply)
		<-done
	})
	return s
}

const restored = "+OK\r\n+OK\r\n"

// Writes to a key wait while it is being migrated, and find that it has gone; what else there
// is goes on.
func TestMigrateHoldsWrites(t *testing.T) {
	f := start(t, nil)
	target := newSlowTarget(t)
	c, other := f.dial(), f.dial()
	other.want([]string{"SET k 1", "SET {k}2 1"}, "OK", "OK")
	c.send("MIGRATE " + target.addr + " k 0 60000\r\n")
	<-target.taken
	other.want([]string{"GET k", "APPEND {k}2 x", "SET free 1"}, "1", ":2", "OK")
	waiting := map[*client]string{}
	for line, want := range map[string]string{
		"APPEND k 2\r\n": ":1", "FLUSHDB\r\n": "OK", "MULTI\r\nSTRLEN k\r\nSET {k}3 1\r\nEXEC\r\n": "OK",
	} {
		w := f.dial()
		w.send(line)
		waiting[w] = want
	}
	eventually(t, "all others wait", func() bool {
		f.server.holds.passing.RLock()
		defer f.server.holds.passing.RUnlock()
		return f.server.holds.freed != nil
	})
	other.want([]string{"GET k"}, "1")
	target.reply <- restored
	if got := c.reply(); got != "OK" {
		t.Errorf("MIGRATE: %s", got)
	}
	for w, want := range waiting {
		if got := w.reply(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
