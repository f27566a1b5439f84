package frontend

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/multiraft"
)

func newSession() *command.Session { return &command.Session{Authenticated: true} }

func newBareServer() *Server {
	table := command.NewTable(data.Commands(), admin.Commands(nil))
	s := &Server{
		opts:  Options{Table: table, RequirePass: func() string { return "" }, Now: time.Now},
		calls: newCallStats(table),
	}
	s.inspection.Store(noInspection())
	return s
}

// capture ends every call with err and keeps the last calls.
type capture struct {
	Replica
	err   error
	calls []*multiraft.Call
}

func (r *capture) Submit(calls ...*multiraft.Call) {
	r.calls = append([]*multiraft.Call(nil), calls...)
	for _, call := range calls {
		call.Err = r.err
		call.Done.Done()
	}
}

func TestProtocolErrorAfterGoodCommands(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.send("SET k 1\r\n*1\r\n$3\r\nfoo\r\n*1\r\nx\r\nSET k 2\r\n")
	want := "+OK\r\n-ERR unknown command 'foo', with args beginning with: \r\n-ERR Protocol error: expected '$', got 'x'\r\n"
	if got := c.closed(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.dial().want([]string{"GET k"}, "1")
}

// The error arrives although the client goes on sending.
func TestProtocolErrorReachesTalkativeClient(t *testing.T) {
	f := start(t, nil)
	for range 20 {
		c := f.dial()
		c.send("*1000000000\r\n" + strings.Repeat("x", 100_000))
		if got := c.closed(); got != "-ERR Protocol error: invalid multibulk length\r\n" {
			t.Fatalf("got %q", got)
		}
	}
}

func TestQuitAndHTTP(t *testing.T) {
	f := start(t, nil)
	for send, want := range map[string]string{
		"QUIT\r\nPING\r\n": "+OK\r\n",
		"PING\r\nPOST / HTTP/1.1\r\nHost: x\r\nPING\n": "+PONG\r\n",
		"PING\r\nhost: x\r\nPING\r\n":                  "+PONG\r\n",
		"GET k\r\nhost: x\r\nPING\r\n":                 "$-1\r\n",
	} {
		c := f.dial()
		c.send(send)
		if got := c.closed(); got != want {
			t.Errorf("%q: got %q, want %q", send, got, want)
		}
	}
}

func TestByteByByte(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	for _, b := range []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv\r\nGET k\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n") {
		c.send(string(b))
	}
	for _, want := range []string{"OK", "vv", ""} {
		if got := c.reply(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAuthentication(t *testing.T) {
	f := start(t, nil)
	early := f.dial()
	early.want([]string{"PING"}, "PONG")
	if err := f.node.config.Set(t.Context(), [][]byte{[]byte("requirepass"), []byte("secret")}); err != nil {
		t.Fatal(err)
	}
	early.want([]string{"PING"}, "PONG") // as in Redis

	c := f.dial()
	const no = "-NOAUTH Authentication required."
	c.want([]string{"PING", "GET k", "FOO", "GET"}, no, no,
		"-ERR unknown command 'FOO', with args beginning with: ", "-ERR wrong number of arguments for 'get' command")
	c.want([]string{"AUTH wrong", "GET k", "AUTH secret", "GET k"},
		"-WRONGPASS invalid username-password pair or user is disabled.", no, "OK", "(nil)")
	// What follows AUTH in its pipeline is not held to the narrow limits.
	c = f.dial()
	big := strings.Repeat("v", 20_000)
	c.send(fmt.Sprintf("AUTH secret\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n", len(big), big))
	for range 2 {
		if got := c.reply(); got != "OK" {
			t.Errorf("got %s", got)
		}
	}
	c = f.dial()
	c.send("*11\r\n")
	if got := c.closed(); got != "-ERR Protocol error: unauthenticated multibulk length\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestClientReply(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.send("CLIENT REPLY SKIP\r\nSET k 1\r\nGET k\r\n")
	if got := c.reply(); got != "1" {
		t.Errorf("got %s", got)
	}
	c.send("CLIENT REPLY SKIP\r\nGET k\r\nGET k\r\nNOSUCH\r\nSTRLEN k\r\nGET none\r\n")
	for _, want := range []string{"1", "-ERR unknown command 'NOSUCH', with args beginning with: ", ":1", "(nil)"} {
		if got := c.reply(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	c.send("CLIENT REPLY OFF\r\nSET k 2\r\nGET k\r\nNOSUCH\r\nCLIENT REPLY ON\r\nGET k\r\n")
	for _, want := range []string{"OK", "2"} {
		if got := c.reply(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestProtocol3(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.send("GET none\r\nHELLO 3\r\nGET none\r\n")
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c.r, buf); err != nil || string(buf) != "$-1\r\n" {
		t.Fatalf("got %q, %v", buf, err)
	}
	if got := c.reply(); !strings.Contains(got, "proto :3") {
		t.Errorf("HELLO: %s", got)
	}
	if line, err := c.r.ReadString('\n'); err != nil || line != "_\r\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestLimitOfStrings: the server's MaxBulk reaches the commands that need it,
// also in a pipeline where reads and writes meet.
func TestLimitOfStrings(t *testing.T) {
	const tooLong = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	f := start(t, func(o *Options) { o.Limits.MaxBulk = 1000 })
	c := f.dial()
	c.want([]string{"SETRANGE k 999 ab", "SETRANGE k 998 ab", "APPEND k c", "STRLEN k", "GETBIT k 7999", "GETBIT k 8000", "SETBIT k 8000 1"},
		tooLong, ":1000", tooLong, ":1000", ":0",
		"-ERR bit offset is not an integer or out of range", "-ERR bit offset is not an integer or out of range")
	f.server.SetLimits(Limits{MaxBulk: 1001})
	c.want([]string{"APPEND k c", "STRLEN k"}, ":1001", ":1001")
}

func TestMaxClients(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.MaxClients = 2 })
	first := f.dial()
	first.want([]string{"PING"}, "PONG")
	f.dial().want([]string{"PING"}, "PONG")
	if got := f.dial().closed(); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("got %q", got)
	}
	if got := f.server.Stats(); got.RejectedConnections != 1 || got.ConnectedClients != 2 || got.TotalConnections != 3 {
		t.Errorf("stats %+v", got)
	}
	first.want([]string{"QUIT"}, "OK")
	eventually(t, "room for a client", func() bool { return f.server.Stats().ConnectedClients == 1 })
	f.dial().want([]string{"PING"}, "PONG")
}

func TestIdleTimeout(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.Timeout = 50 * time.Millisecond })
	if got := f.dial().closed(); got != "" {
		t.Errorf("got %q", got)
	}
	// A timeout that is set later, and lifted, concerns those that wait.
	f.server.SetLimits(Limits{})
	c := f.dial()
	c.want([]string{"PING"}, "PONG")
	f.server.SetLimits(Limits{Timeout: time.Hour})
	f.server.SetLimits(Limits{})
	c.want([]string{"PING"}, "PONG")
	f.server.SetLimits(Limits{Timeout: 20 * time.Millisecond})
	if got := c.closed(); got != "" {
		t.Errorf("got %q", got)
	}
}

// A client that connected while a password was needed is welcome when it is not
// needed any more.
func TestHelloAfterPasswordIsRemoved(t *testing.T) {
	f := start(t, nil)
	admin := f.dial()
	admin.want([]string{"CONFIG SET requirepass secret"}, "OK")
	c := f.dial()
	if got := c.do("HELLO")[0]; !strings.HasPrefix(got, "-NOAUTH") {
		t.Errorf("with a password: %s", got)
	}
	admin.want([]string{`CONFIG SET requirepass ""`}, "OK")
	if got := c.do("HELLO 3")[0]; !strings.Contains(got, "proto :3") {
		t.Errorf("without one: %s", got)
	}
}

func TestKillListPause(t *testing.T) {
	f := start(t, nil)
	a, b := f.dial(), f.dial()
	a.want([]string{"CLIENT SETNAME alice"}, "OK")
	id := b.do("CLIENT ID")[0]
	list := a.do("CLIENT LIST")[0]
	if strings.Count(list, "\n") != 2 || !strings.Contains(list, "name=alice") || !strings.Contains(list, "cmd=client|list") {
		t.Errorf("CLIENT LIST: %q", list)
	}
	// Alice has sent these two commands, the other one his.
	if !regexp.MustCompile(`tot-net-in=35 tot-net-out=5 tot-cmds=2\n`).MatchString(list) ||
		!regexp.MustCompile(`tot-net-in=11 tot-net-out=[45] tot-cmds=1\n`).MatchString(list) {
		t.Errorf("what went through the connections: %q", list)
	}
	a.want([]string{"CLIENT KILL ID " + strings.TrimPrefix(id, ":")}, ":1")
	if got := b.closed(); got != "" {
		t.Errorf("got %q", got)
	}
	eventually(t, "one session", func() bool { return len(f.server.List()) == 1 })

	b = f.dial()
	a.want([]string{"CLIENT PAUSE 100000 WRITE"}, "OK")
	b.want([]string{"GET k"}, "(nil)")
	b.send("PING\r\nSET k 1\r\nGET k\r\n")
	if got := b.reply(); got != "PONG" { // arrives although the next one is held
		t.Errorf("got %s", got)
	}
	eventually(t, "a held client", func() bool { return f.server.Stats().BlockedClients == 1 })
	a.want([]string{"GET k", "CLIENT UNPAUSE"}, "(nil)", "OK")
	if got := b.reply() + b.reply(); got != "OK1" {
		t.Errorf("got %s", got)
	}
	a.want([]string{"CLIENT PAUSE 30 ALL", "GET k"}, "OK", "1")
}

// Clients may write a whole pipeline before they read the first reply, even if
// neither fits into the socket buffers.
func TestHugePipelineIsReadLate(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	value := strings.Repeat("v", 16<<10)
	c.want([]string{"SET k " + value}, "OK")
	const n = 1500 // 24 MB of replies
	c.send(strings.Repeat("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$4\r\nECHO\r\n$4096\r\n"+strings.Repeat("e", 4096)+"\r\n", n))
	for i := range n {
		if got := c.reply(); got != value {
			t.Fatalf("reply %d has %d bytes", i, len(got))
		}
		if got := c.reply(); len(got) != 4096 {
			t.Fatalf("echo %d has %d bytes", i, len(got))
		}
	}
}

// A client that never reads costs bounded memory and is cut off.
func TestClientThatNeverReads(t *testing.T) {
	f := start(t, func(o *Options) {
		o.Limits.OutputBuffer = 1 << 20
		o.Limits.WriteTimeout = 300 * time.Millisecond
	})
	c := f.dial()
	c.want([]string{"SET k " + strings.Repeat("v", 16<<10)}, "OK")
	wrote := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(c.Conn, endless("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"))
		wrote <- n
	}()
	eventually(t, "the client is gone", func() bool { return f.server.Stats().ConnectedClients == 0 })
	<-wrote
	// The socket buffers of both sides take some megabytes, we take one.
	if sent := f.server.Stats().NetOutputBytes; sent > 64<<20 {
		t.Errorf("%d bytes of replies were made", sent)
	}
}

type repeated struct{ text, rest string }

func endless(text string) io.Reader { return &repeated{text: text} }

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.rest == "" {
			r.rest = r.text
		}
		k := copy(p[n:], r.rest)
		n, r.rest = n+k, r.rest[k:]
	}
	return n, nil
}

func TestCloseDrains(t *testing.T) {
	f := start(t, nil)
	gate := make(chan struct{})
	f.node.own.gate = gate
	busy, idle, half := f.dial(), f.dial(), f.dial()
	const whole, part = "SET k 1\r\nSET k 2\r\nGET k\r\n", "*2\r\n$3\r\nGE"
	busy.send(whole)
	half.send(part)
	eventually(t, "a submitted write", func() bool { return len(f.node.own.takeEvents()) > 0 })
	// A socket that is closed with unread input would be reset.
	eventually(t, "all input read", func() bool {
		stats := f.server.Stats()
		return stats.NetInputBytes == int64(len(whole+part)) && stats.ConnectedClients == 3
	})

	closed := make(chan struct{})
	go func() {
		f.server.Close(context.Background())
		close(closed)
	}()
	if got := idle.closed() + half.closed(); got != "" {
		t.Errorf("got %q", got)
	}
	if nc, err := net.Dial("tcp", f.server.Addr().String()); err == nil {
		// Linux may connect a socket to itself, or give the port to another
		// program: only an answer proves that the server still accepts.
		_ = nc.SetDeadline(time.Now().Add(time.Second)) // deadline: no answer is to come
		_, _ = nc.Write([]byte("PING\r\n"))
		reply := make([]byte, 7)
		if _, err := io.ReadFull(nc, reply); err == nil && string(reply) == "+PONG\r\n" {
			t.Error("the port is still open")
		}
		_ = nc.Close()
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait for the pipeline")
	default:
	}
	close(gate)
	if got := busy.closed(); got != "+OK\r\n+OK\r\n$1\r\n2\r\n" {
		t.Errorf("got %q", got)
	}
	<-closed
}

// Close's context bounds the drain: a command that waits for ever is cut off,
// and nothing is left running.
func TestCloseCutsOffAndLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	f := start(t, func(o *Options) { o.Limits.WriteTimeout = time.Hour })
	waiting, deaf, idle := f.dial(), f.dial(), f.dial()
	idle.want([]string{"SET k " + strings.Repeat("v", 60<<10)}, "OK")
	waiting.send("WAIT 1 0\r\n")
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		_, _ = io.Copy(deaf.Conn, endless("GET k\r\n"))
	}()
	eventually(t, "a blocked client", func() bool { return f.server.Stats().BlockedClients == 1 })
	eventually(t, "a backlog", func() bool { return f.server.Stats().NetOutputBytes > 24<<20 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	f.server.Close(ctx)
	<-stop
	if n := len(f.server.List()); n != 0 {
		t.Errorf("%d sessions left", n)
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+1 })
}

func TestStats(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.want([]string{"PING", "NOSUCH", "SET k 1"}, "PONG", "-ERR unknown command 'NOSUCH', with args beginning with: ", "OK")
	got := f.server.Stats()
	if got.TotalCommands != 3 || got.TotalErrorReplies != 1 || got.NetInputBytes != int64(len("PING\r\nNOSUCH\r\nSET k 1\r\n")) {
		t.Errorf("stats %+v", got)
	}
	f.server.ResetStats()
	if got := f.server.Stats(); got.TotalCommands != 0 || got.ConnectedClients != 1 {
		t.Errorf("stats after the reset %+v", got)
	}

	var rates counters
	now := time.Unix(1000, 0)
	for range 20 {
		rates.mark(now)
		rates.commands.Add(100)
		rates.received.Add(1024)
		now = now.Add(250 * time.Millisecond)
	}
	s := &Server{}
	s.counters.marks, s.counters.next = rates.marks, rates.next
	if got := s.Stats(); got.OpsPerSec != 400 || got.InputKbps != 4 {
		t.Errorf("rates %+v", got)
	}
}

func TestPortInUse(t *testing.T) {
	f := start(t, nil)
	_, err := New(Options{Address: f.server.Addr().String(), Table: command.NewTable(data.Commands(), admin.Commands(nil))})
	if err == nil || !strings.Contains(err.Error(), f.server.Addr().String()+" is in use by another process") {
		t.Errorf("error %v", err)
	}
}
