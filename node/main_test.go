package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/genuineh/aikv/node/config"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// aikv runs a command line.
func aikv(env []string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"aikv"}, args...), stdio{strings.NewReader(""), &o, &e}, env)
	return code, o.String(), e.String()
}

// fakeNode answers each command as answer says, and records it.
type fakeNode struct {
	host, port string
	mu         sync.Mutex
	commands   []string
}

func startFake(t *testing.T, answer func(args []string) resp.Value) *fakeNode {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &fakeNode{}
	n.host, n.port, _ = net.SplitHostPort(listener.Addr().String())
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { n.serve(conn, answer) })
		}
	})
	return n
}

func (n *fakeNode) serve(conn net.Conn, answer func(args []string) resp.Value) {
	defer func() { _ = conn.Close() }()
	for reader := resp.NewReader(conn); ; {
		v, err := reader.ReadValue()
		if err != nil {
			return
		}
		args := make([]string, len(v.Elems))
		for i, e := range v.Elems {
			args[i] = string(e.Str)
		}
		n.mu.Lock()
		n.commands = append(n.commands, strings.Join(args, " "))
		n.mu.Unlock()
		if _, err := conn.Write(resp.Append(nil, answer(args), 2)); err != nil {
			return
		}
	}
}

func (n *fakeNode) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.commands, "; ")
}

func failure(format string, args ...any) resp.Value {
	return resp.Value{Kind: resp.KindError, Str: fmt.Appendf(nil, format, args...)}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"--version", "version"} {
		code, out, _ := aikv(nil, arg)
		if code != 0 || !strings.HasPrefix(out, "aikv v0.1.0 (go") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %d %q", arg, code, out)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.toml")
	if err := os.WriteFile(path, []byte("[server]\nport = 7001\nmaxclients = 5\n[logging]\nlevel = \"debug\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Server.Port, want.Server.MaxClients, want.Server.Host = 7002, 5, "::1"
	want.Logging.Level, want.Raft.Seeds = "warn", []string{"a:1", "b:2"}
	want.Raft.HeartbeatTicks = 3
	for _, args := range [][]string{
		{"serve", "-c", path, "-p", "7002", "-H", "::1", "--seeds", "a:1,b:2", "--set", "raft.heartbeat_ticks=3", "--print-config"},
		{"-c", path, "-p", "7002", "--host", "::1", "--seeds", "a:1,b:2", "--set", "raft.heartbeat_ticks=3", "--print-config"},
		{"--port", "9", "--print-config", "--seeds", "a:1,b:2", "serve", "-c", path, "-p", "7002", "-H", "::1", "--set=raft.heartbeat_ticks=3"},
	} {
		code, out, errOut := aikv([]string{"AIKV_LOG_LEVEL=warn", "AIKV_CONFIG=/nowhere"}, args...)
		if code != 0 || out != string(want.TOML()) || errOut != "" {
			t.Errorf("%q: %d %s\n%s", args, code, errOut, out)
		}
	}
	// The file that the environment names; what is printed is a valid file.
	code, out, _ := aikv([]string{"AIKV_CONFIG=" + path}, "--print-config")
	if code != 0 || !strings.Contains(out, "port = 7001\n") {
		t.Errorf("AIKV_CONFIG: %d %s", code, out)
	}
}

func TestEveryErrorIsOneLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"frob"}, `unknown command or argument "frob" (see aikv --help)`},
		{[]string{"serve", "x"}, `unknown command or argument "x" (see aikv --help)`},
		{[]string{"--frob"}, `flag provided but not defined: -frob`},
		{[]string{"serve", "--frob"}, `flag provided but not defined: -frob`},
		{[]string{"-p", "x"}, `--port: server.port: "x" is not a whole number`},
		{[]string{"--set", "x"}, `--set x: want SECTION.KEY=VALUE`},
		{[]string{"--log-file", "/nowhere/x"}, `cannot open the log file: open /nowhere/x: no such file or directory`},
		{[]string{"cli"}, `which command? (see aikv cli --help)`},
		{[]string{"cli", "-p", "x", "PING"}, `invalid value "x" for flag -p: parse error (see aikv cli --help)`},
		{[]string{"cli", "-p", "0", "PING"}, `port 0 is not between 1 and 65535`},
		{[]string{"ping", "x"}, `ping takes no arguments, but there is "x"`},
		{[]string{"ping", "-c"}, `flag provided but not defined: -c (see aikv ping --help)`},
		{[]string{"ping", "-p", "1"}, `cannot connect to 127.0.0.1:1: connect: connection refused`},
	} {
		code, out, errOut := aikv(nil, test.args...)
		if code != 1 || out != "" || errOut != "aikv: "+test.want+"\n" {
			t.Errorf("%q: %d %q\ngot  %swant aikv: %s", test.args, code, out, errOut, test.want)
		}
	}
}

func TestClientSendsArgumentsUntouched(t *testing.T) {
	n := startFake(t, func(args []string) resp.Value { return resp.BulkString(strings.Join(args, "|")) })
	for _, test := range []struct{ args, want []string }{
		{[]string{"-h", n.host, "-p", n.port, "SET", "k", "-c", "-1", "--help", ""}, []string{"SET", "k", "-c", "-1", "--help", ""}},
		{[]string{"-c", "-p", n.port, "--no-auth-warning", "--", "-x", "-h"}, []string{"-x", "-h"}},
		{[]string{"-p", n.port, "CLUSTER", "-h"}, []string{"CLUSTER", "-h"}},
		{[]string{"-p", n.port, "help"}, []string{"help"}},
	} {
		code, out, errOut := aikv(nil, append([]string{"cli"}, test.args...)...)
		if code != 0 || out != strings.Join(test.want, "|")+"\n" {
			t.Errorf("%q: %d %q %q", test.args, code, out, errOut)
		}
	}
}

func TestClientPrintsLikeRedisCLI(t *testing.T) {
	n := startFake(t, func(args []string) resp.Value {
		switch args[0] {
		case "LIST":
			return resp.Array(resp.BulkString("a"), resp.Int(2), resp.Null)
		case "NIL":
			return resp.Null
		default:
			return failure("ERR no %s", args[0])
		}
	})
	for _, test := range []struct {
		command, want string
		code          int
	}{
		{"LIST", "a\n2\n\n", 0}, {"NIL", "\n", 0}, {"WHAT", "ERR no WHAT\n\n", 1},
	} {
		code, out, errOut := aikv(nil, "cli", "-p", n.port, test.command)
		if code != test.code || out != test.want || errOut != "" {
			t.Errorf("%s: %d %q %q", test.command, code, out, errOut)
		}
	}
}

func TestClientFollowsRedirects(t *testing.T) {
	var asking bool
	last := startFake(t, func(args []string) resp.Value {
		switch {
		case args[0] == "ASKING":
			asking = true
			return resp.OK
		case asking:
			return resp.BulkString("found")
		}
		return failure("MOVED 1 127.0.0.1:1")
	})
	middle := startFake(t, func([]string) resp.Value { return failure("ASK 1 :%s", last.port) })
	first := startFake(t, func([]string) resp.Value { return failure("MOVED 1 %s:%s", middle.host, middle.port) })

	code, out, errOut := aikv(nil, "cli", "-c", "-p", first.port, "GET", "k")
	if code != 0 || out != "found\n" {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	if got := last.log(); got != "ASKING; GET k" {
		t.Errorf("the last node got %q", got)
	}
	code, out, _ = aikv(nil, "cli", "-p", first.port, "GET", "k")
	if code != 1 || !strings.HasPrefix(out, "MOVED 1 ") {
		t.Errorf("without -c: %d %q", code, out)
	}

	var round *fakeNode
	round = startFake(t, func([]string) resp.Value { return failure("MOVED 1 127.0.0.1:%s", round.port) })
	code, _, errOut = aikv(nil, "cli", "-c", "-p", round.port, "GET", "k")
	if code != 1 || !strings.Contains(errOut, "gave up after 16 redirects") {
		t.Errorf("round and round: %d %q", code, errOut)
	}
	if host, _, ok := redirect(failure("MOVED 1 2001:db8::1:6379"), ""); !ok || host != "[2001:db8::1]:6379" {
		t.Errorf("IPv6 redirect to %q", host)
	}
}

// Names of a compose network mean nothing outside of it, and two dots in a row
// nothing anywhere: then the IP address counts that the redirecting node shows.
func TestClientFollowsRedirectsToUnknownNames(t *testing.T) {
	last := startFake(t, func([]string) resp.Value { return resp.BulkString("found") })
	nodes := fmt.Sprintf("1 127.0.0.1:1@10001,one..x master\n2 127.0.0.1:%s@10002,two..x master\n", last.port)
	answer := func(args []string) resp.Value {
		if args[0] == "CLUSTER" {
			return resp.BulkString(nodes)
		}
		return failure("MOVED 1 %s:%s", map[string]string{"k": "Two..x", "other": "three..x"}[args[1]], last.port)
	}
	first := startFake(t, answer)
	code, out, errOut := aikv(nil, "cli", "-c", "-p", first.port, "GET", "k")
	if code != 0 || out != "found\n" {
		t.Errorf("%d %q %q", code, out, errOut)
	}
	code, _, errOut = aikv(nil, "cli", "-c", "-p", first.port, "GET", "other")
	if code != 1 || !strings.Contains(errOut, "cannot connect to three..x") {
		t.Errorf("a name that nobody has: %d %q", code, errOut)
	}
}

func TestClientAuthenticates(t *testing.T) {
	var password string
	n := startFake(t, func(args []string) resp.Value {
		switch {
		case args[0] == "AUTH" && args[len(args)-1] == "secret":
			password = "secret"
			return resp.OK
		case args[0] == "AUTH":
			return failure("WRONGPASS no")
		case password == "":
			return failure("NOAUTH Authentication required.")
		}
		return resp.Simple("PONG")
	})
	// A node that wants a password is alive.
	if code, out, _ := aikv(nil, "ping", "-p", n.port); code != 0 || !strings.HasPrefix(out, "NOAUTH") {
		t.Errorf("ping without a password: %d %q", code, out)
	}
	if code, _, errOut := aikv(nil, "cli", "-p", n.port, "-a", "wrong", "PING"); code != 1 || !strings.Contains(errOut, "AUTH failed: WRONGPASS no") {
		t.Errorf("wrong password: %d %q", code, errOut)
	}
	if code, out, _ := aikv(nil, "cli", "-p", n.port, "--user", "u", "-a", "secret", "PING"); code != 0 || out != "PONG\n" {
		t.Errorf("right password: %d %q", code, out)
	}
	env := []string{"AIKV_PORT=" + n.port, "AIKV_HOST=0.0.0.0", "REDISCLI_AUTH=secret"}
	if code, out, errOut := aikv(env, "ping"); code != 0 || out != "PONG\n" {
		t.Errorf("node of the environment: %d %q %q", code, out, errOut)
	}
	if got := n.log(); !strings.HasSuffix(got, "AUTH u secret; PING; AUTH secret; PING") {
		t.Errorf("commands %q", got)
	}
}

func TestPing(t *testing.T) {
	broken := startFake(t, func([]string) resp.Value { return failure("MISCONF disk") })
	if code, _, errOut := aikv(nil, "ping", "-p", broken.port); code != 1 || !strings.Contains(errOut, "MISCONF disk") {
		t.Errorf("error reply: %d %q", code, errOut)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	_, port, _ := net.SplitHostPort(silent.Addr().String())
	code, _, errOut := aikv(nil, "ping", "-p", port, "--timeout", "50ms")
	if code != 1 || !strings.Contains(errOut, "deadline exceeded") {
		t.Errorf("a node that hangs: %d %q", code, errOut)
	}
}

// TestJSONLog: what text shows as a text is one in JSON too.
func TestJSONLog(t *testing.T) {
	cfg := config.Default()
	cfg.Logging.Format = config.FormatJSON
	var stderr bytes.Buffer
	log, err := openLog(cfg, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("ready", "node", topology.NodeID(1<<63), "client", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}, "err", io.EOF, "n", 3)
	for _, want := range []string{
		`"level":"INFO"`, `"node":"800000000000000025c26ea579cea98a1bf8e8c6"`, `"client":"127.0.0.1:7"`, `"err":"EOF"`, `"n":3`,
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%s\nlacks %s", stderr.String(), want)
		}
	}
}

func TestLogGoesToBoth(t *testing.T) {
	cfg := config.Default()
	cfg.Logging.File = filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(cfg.Logging.File, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	log, err := openLog(cfg, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("one")
	log.Info("two")
	log.level.Set(-4) // as CONFIG SET loglevel debug does
	log.Debug("three")
	log.failed(fmt.Errorf("four"))
	log.close()
	text, err := os.ReadFile(cfg.Logging.File)
	if err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string]string{"file": strings.TrimPrefix(string(text), "old\n"), "stderr": stderr.String()} {
		if strings.Contains(got, "one") || !strings.Contains(got, "msg=two") || !strings.Contains(got, "msg=three") {
			t.Errorf("%s: %q", where, got)
		}
		if strings.Contains(got, "four") != (where == "file") {
			t.Errorf("%s: the error that ends the process: %q", where, got)
		}
	}
	if !strings.HasPrefix(string(text), "old\n") {
		t.Error("the file was not appended to")
	}
}
