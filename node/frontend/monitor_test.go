package frontend

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/command/commandtest"
	"github.com/genuineh/aikv/node/resp"
)

// monitored are pipelines that MONITOR shows, or hides.
func monitored() []string {
	return []string{
		`SET k "a\"b\\c\r\n\t\x00\xff\a\b'x"`, `SET k ""`, "GET", "NOSUCH x", "GET zz", "MULTI", "SET k 1", "GET k", "PING", "EXEC",
		"MULTI", "SET k 1", "GET", "EXEC", "MULTI", "DISCARD", "WATCH k", "SET k 2", "MULTI", "GET k", "EXEC", "UNWATCH", "EXEC",
		"MULTI", "EXEC", "AUTH x", "AUTH default x", "HELLO 3 AUTH default x", "HELLO 2 SETNAME ab", "CONFIG GET maxmemory",
		"CLIENT LIST", "CLIENT SETNAME foo", "COMMAND COUNT", "BLPOP nol 0.01", "LPUSH k", "LPUSH list 1", "BLPOP list 1", "MSET a 1 b 2", "ECHO hi",
		"DBSIZE", "FLUSHALL", "OBJECT ENCODING k", "READONLY", "READWRITE", "ASKING", "SLOWLOG LEN", "RESET", "TIME",
		"CLIENT REPLY ON",
	}
}

var monitorHead = regexp.MustCompile(`^\d+\.\d{6} \[0 [0-9.]+:\d+\] `)

// whatMonitorSays plays lines to a server, and returns what a client that monitors sees.
func whatMonitorSays(t *testing.T, addr string) (seen []string) {
	t.Helper()
	m, c := dialTo(t, addr), dialTo(t, addr)
	m.want([]string{"MONITOR"}, "OK")
	for _, line := range monitored() {
		c.do(line)
	}
	c.want([]string{"ECHO end"}, "end")
	for {
		line := m.reply()
		if !monitorHead.MatchString(line) {
			t.Fatalf("MONITOR says %q", line)
		}
		seen = append(seen, monitorHead.ReplaceAllString(line, ""))
		if strings.HasSuffix(line, `"ECHO" "end"`) {
			return seen
		}
	}
}

// TestMonitorIsRedis: MONITOR shows what Redis's shows, and hides the same.
func TestMonitorIsRedis(t *testing.T) {
	ours := strings.Join(whatMonitorSays(t, start(t, nil).server.Addr().String()), "\n")
	if !strings.Contains(ours, `"SET" "k" "a\"b\\c\r\n\t\x00\xff\a\b'x"`) || strings.Contains(ours, "CONFIG") {
		t.Error(ours)
	}
	commandtest.ClusterOracles(t, func(t *testing.T, o *commandtest.Oracle) {
		if ok := o.Ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); ok.Kind == resp.KindError {
			t.Fatal(string(ok.Str))
		}
		eventually(t, "a cluster", func() bool { return o.Ask("GET", "k").Kind != resp.KindError })
		if theirs := strings.Join(whatMonitorSays(t, o.Addr), "\n"); ours != theirs {
			t.Errorf("ours:\n%s\ntheirs:\n%s", ours, theirs)
		}
	})
}

// Who monitors goes on as a client, is shown as one that does, and ends it with RESET.
func TestMonitorEnds(t *testing.T) {
	f := start(t, nil)
	m, c := f.dial(), f.dial()
	m.want([]string{"MULTI", "MONITOR", "EXEC"}, "OK", "QUEUED", "[-ERR MONITOR isn't allowed for DENY BLOCKING client]")
	m.want([]string{"CLIENT REPLY ON", "MONITOR"}, "OK", "OK")
	if list := c.do("CLIENT LIST")[0]; !strings.Contains(list, "flags=O ") || !strings.Contains(list, "cmd=monitor") {
		t.Error(list)
	}
	m.send("RESET\r\n")
	if line := m.reply(); !strings.HasSuffix(line, `"RESET"`) {
		t.Error(line)
	}
	if line := m.reply(); line != "RESET" {
		t.Error(line)
	}
	c.want([]string{"ECHO a"}, "a")
	m.want([]string{"ECHO b"}, "b")
	if f.server.monitors.Load() != nil {
		t.Error("somebody still monitors")
	}
	m.want([]string{"MONITOR"}, "OK")
	_ = m.Close()
	eventually(t, "the end of a client that monitors", func() bool { return f.server.monitors.Load() == nil })
}

// A client that monitors and does not read is cut off, and holds up nobody; what it has
// read is whole lines, with whole replies among them.
func TestSlowMonitorIsCutOff(t *testing.T) {
	f := start(t, func(o *Options) {
		o.Limits.Output = OutputLimit{Hard: 1 << 20}
	})
	m, c := f.dial(), f.dial()
	m.want([]string{"MONITOR"}, "OK")
	text := strings.Repeat("x", 32<<10)
	eventually(t, "a slow client that is cut off", func() bool {
		c.want([]string{"STRLEN " + text}, ":0")
		return f.server.monitors.Load() == nil
	})
	eventually(t, "a client that is counted, and nothing that is held", func() bool {
		stats := f.server.Stats()
		return stats.OutputLimitDisconnections == 1 && stats.Backlog == 0
	})
}

// Replies and messages come whole, however they meet.
func TestMessagesAndReplies(t *testing.T) {
	f := start(t, nil)
	m := f.dial()
	m.want([]string{"MONITOR"}, "OK")
	text := strings.Repeat("y", 50<<10)
	const rounds = 40
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := f.dial()
		for n := range rounds * 20 {
			c.do(fmt.Sprintf("ECHO %d", n))
		}
	}()
	go func() {
		for range rounds {
			_, _ = fmt.Fprintf(m, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(text), text)
		}
	}()
	next, own := 0, 0
	for next < rounds*20 || own < rounds {
		switch line := m.reply(); {
		case line == text:
			own++
		case strings.HasSuffix(line, fmt.Sprintf(`"ECHO" "%d"`, next)):
			next++
		case !strings.HasSuffix(line, text+`"`):
			t.Fatalf("%.100q", line)
		}
	}
	<-done
}

// The logs have what reaches their thresholds, with secrets hidden, and what ran in
// transactions.
func TestCommandsAreLogged(t *testing.T) {
	f := start(t, nil)
	for kind := range f.server.logs {
		f.server.logs[kind].SetMost(100)
	}
	shown := func(kind int) string {
		var out []string
		for _, e := range f.server.logs[kind].Latest(100) {
			if e.Addr == "" || e.At.IsZero() || e.Cost < 0 || e.Cost > patience.Microseconds() {
				t.Errorf("%+v", e)
			}
			out = append(out, fmt.Sprintf("%s", e.Args))
		}
		f.server.logs[kind].Reset()
		return strings.Join(out, " ")
	}
	c := f.dial()
	c.do("SET k v", "GET k")
	if got := shown(0) + shown(1) + shown(2); got != "" {
		t.Error("without thresholds: ", got)
	}
	f.server.SetLogThreshold(0, 0)
	c.do("SET k v", "GET k", "MULTI", "SET k w", "GET k", "EXEC", "MULTI", "GET k", "EXEC", "AUTH a b", "GET", "BLPOP list 0.01", "PING")
	want := "[PING] [AUTH (redacted) (redacted)] [GET k] [GET k] [SET k w] [GET k] [SET k v]"
	if got := shown(0); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.server.SetLogThreshold(0, int64(time.Hour/time.Microsecond))
	f.server.SetLogThreshold(1, 100)
	f.server.SetLogThreshold(2, 50)
	long := strings.Repeat("z", 90)
	c.do("SET k "+long, "SET k v", "ECHO "+long, "GET k", "SET k abcdefghij"+long, "GET k")
	if got := shown(0) + shown(1); got != "[SET k abcdefghij"+long+"]" {
		t.Error(got)
	}
	if got := shown(2); got != "[GET k] [ECHO "+long+"]" {
		t.Error(got)
	}
}

// A second MONITOR of a connection is not answered, as in Redis.
func TestMonitorTwice(t *testing.T) {
	m := start(t, nil).dial()
	m.want([]string{"MONITOR"}, "OK")
	m.send("MONITOR\r\nECHO a\r\n")
	if line := m.reply(); !strings.HasSuffix(line, `"ECHO" "a"`) {
		t.Error(line)
	}
	if line := m.reply(); line != "a" {
		t.Error(line)
	}
}
