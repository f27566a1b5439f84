package frontend

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// garbage is what broken and odd clients send. Whatever leaves the connection
// open ends where a command ends.
func garbage() []string {
	return []string{
		"*0\r\nPING\r\n",
		"*-1\r\nPING\r\n",
		"*-5\r\nPING\r\n",
		"\r\n\r\nPING\r\n",
		"\n\nPING\n",
		"  PING  \r\n",
		"*x\r\n",
		"*+1\r\n",
		"*01\r\n",
		"*-0\r\n",
		"*\r\n",
		"* 1\r\n",
		"*2147483648\r\n",
		"*99999999999999999999\r\n",
		"*1\n$4\r\nPING\r\n",
		"*1\rx$4\r\nPING\r\n",
		"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
		"*1\r\n$9223372036854775800\r\n",
		"*1\r\n$99999999999999999999\r\n",
		"*1\r\n$-1\r\n",
		"*1\r\n$536870913\r\n",
		"*1\r\n$x\r\n",
		"*1\r\n$\r\n",
		"*1\r\n$04\r\nPING\r\n",
		"*1\r\n$0\r\n\r\n",
		"*1\r\nPING\r\n",
		"*1\r\n:1\r\n",
		"*1\r\n\r\n",
		"*1\r\n\nx\r\n",
		"*1\r\n\x01\r\n",
		"*1\r\n\xff\r\n",
		"PING\r\n*1\r\nx\r\nPING\r\n",
		"\"PING\r\n",
		"PING \"a\"b\r\n",
		"PING 'a'b\r\n",
		"PING \"a\"\"b\"\r\n",
		"ECHO \"abc\r\nPING\r\n",
		"ECHO \"a\\x41\\n\\r\\t\\b\\a\\q\\xzz\\x4\"\r\n",
		"ECHO 'a\\'b\\n'\r\n",
		"ECHO a\"b c\"\r\n",
		"ECHO \"\"\r\n",
		"ECHO a\tb\x0bc\r\n",
		"ECHO a\\nb\r\n",
		"$3\r\nabc\r\n",
		"+OK\r\n",
		":1\r\n",
		strings.Repeat("x", 200_000),
		"*" + strings.Repeat("1", 70_000),
		"*1\r\n$" + strings.Repeat("1", 70_000),
		"*2\r\n$4\r\nECHO\r\n$3\r\nab\r\n\r\n",
		"ping\r\nfoo bar\r\n",
		"foo\r\n",
		"get\r\nget a b\r\nset a\r\n",
		"cluster\r\ncluster foo\r\n",
		"QUIT\r\nPING\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
		"Host: x\r\nPING\r\n",
	}
}

// converse sends text and returns the answers, and whether the connection
// stayed open.
func converse(t *testing.T, addr, text string) (answers string, open bool) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	const question, sentinel = "ECHO the-end-of-it\r\n", "$13\r\nthe-end-of-it\r\n"
	if _, err := nc.Write([]byte(text + question)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		got = append(got, buf[:n]...)
		if before, ok := bytes.CutSuffix(got, []byte(sentinel)); ok {
			return string(before), true
		}
		if err != nil {
			return string(got), false
		}
	}
}

// TestGarbageAsRedis holds our answers to garbage against those of a real
// server.
func TestGarbageAsRedis(t *testing.T) {
	theirs := startRedis(t)
	ours := start(t, nil).server.Addr().String()
	for _, text := range garbage() {
		wantAnswers, wantOpen := converse(t, theirs, text)
		answers, open := converse(t, ours, text)
		if answers != wantAnswers || open != wantOpen {
			t.Errorf("%.60q:\n got %q, open %v\nwant %q, open %v", text, answers, open, wantAnswers, wantOpen)
		}
	}
}

// limitTalk is what clients hear of limits, each time after the line before.
func limitTalk() []string {
	set := func(name, value string) string {
		return fmt.Sprintf("*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\nCONFIG GET %s\r\n",
			len(name), name, len(value), value, name)
	}
	talk := []string{
		set("proto-max-bulk-len", "1mb"),
		"*1\r\n$1048577\r\n",
		"*1\r\n$1048576\r\n" + strings.Repeat("x", 1<<20) + "\r\n",
		set("timeout", "-1"), set("timeout", "2147483648"), set("timeout", "10"), set("timeout", "0"),
		set("maxclients", "0"), set("maxclients", "4294967296"), set("maxclients", "x"),
	}
	for _, value := range []string{
		"", "normal", "normal 1mb 2mb", "foo 1 1 1", "master 1 1 1", "normal -1 0 0", "normal x 0 0", "normal 0 0 -1",
		"normal 0 0 1x", "normal 1mb 0 0 slave", "normal  5  6 7", "normal 1zb 0 0", "normal 1.5mb 0 0",
		"NORMAL 1mb 0 0", "replica 1mb 0 5", "normal 1 1 1 normal 2 2 2", "normal 3mb 512k 60 pubsub 1 2 3",
	} {
		talk = append(talk, set("client-output-buffer-limit", value))
	}
	return append(
		talk,
		set("requirepass", "secret"),
		"PING\r\nGET k\r\n", "*10\r\n"+strings.Repeat("$4\r\nPING\r\n", 10), "*11\r\n", "*1\r\n$16384\r\n"+strings.Repeat("x", 16<<10)+"\r\n",
		"*1\r\n$16385\r\n", "AUTH wrong\r\n", "AUTH secret\r\n*11\r\n"+strings.Repeat("$4\r\nPING\r\n", 11),
		"AUTH secret\r\n"+set("client-output-buffer-limit", "normal 100kb 0 0")+
			"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n"+strings.Repeat("v", 200_000)+"\r\n",
		"AUTH secret\r\nGET k\r\n",
	)
}

// TestLimitsAsRedis holds what clients hear of limits against a real server.
func TestLimitsAsRedis(t *testing.T) {
	theirs := startRedis(t)
	if _, open := converse(t, theirs, "CLUSTER ADDSLOTSRANGE 0 16383\r\n"); !open {
		t.Fatal("redis-server takes no slots")
	}
	f := start(t, nil)
	ours := f.server.Addr().String()
	eventually(t, "redis-server serves", func() bool {
		answers, _ := converse(t, theirs, "GET k\r\n")
		return answers == "$-1\r\n"
	})
	for _, text := range limitTalk() {
		text += "QUIT\r\n" // who has not authenticated may say nothing else
		want, _ := converse(t, theirs, text)
		if got, _ := converse(t, ours, text); got != want {
			t.Errorf("%.150q:\n got %q\nwant %q", text, got, want)
		}
		// What the node's hooks do.
		maxBulk, err := strconv.Atoi(f.node.config.Value("proto-max-bulk-len"))
		limits, why := admin.ParseOutputLimits(f.node.config.Value("client-output-buffer-limit"), admin.OutputLimits{})
		if err != nil || why != "" {
			t.Fatal(err, why)
		}
		f.server.SetLimits(Limits{MaxBulk: maxBulk, Output: OutputLimit{Hard: int(limits.Normal.Hard)}})
	}
}

// startRedis runs a redis-server in cluster mode until the test ends.
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(),
		"--cluster-enabled", "yes", "--cluster-port", "0")
	if len(port) == 5 && port > "55535" {
		cmd.Args = append(cmd.Args[:len(cmd.Args)-1], "30000") // port+10000 would be out of range
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "redis-server answers", func() bool {
		nc, err := net.DialTimeout("tcp", addr, limit.Wait())
		if err != nil {
			return false
		}
		_ = nc.Close()
		return true
	})
	return addr
}

// TestGoRedis: a real cluster client connects, finds the slots, and works.
func TestGoRedis(t *testing.T) {
	f := start(t, nil)
	shard := &topology.Shard{ID: 10, Master: 1, Members: []topology.Member{{Node: 1}}, Slots: slot.Full()}
	v := buildView(1, 1, shard)
	addr := f.server.Addr().(*net.TCPAddr)
	v.Nodes[0].Address = topology.Address{Host: "127.0.0.1", Port: uint16(addr.Port)}
	f.node.view.Store(v)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr.String()}})
	defer func() { _ = c.Close() }()
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(ctx, "k").Result(); got != "v" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := c.Get(ctx, "none").Err(); err != redis.Nil { //nolint:errorlint // go-redis returns it bare
		t.Errorf("got %v", err)
	}
	pipe := c.Pipeline()
	for i := range 100 {
		pipe.Set(ctx, fmt.Sprint("k", i), i, 0)
		pipe.Get(ctx, fmt.Sprint("k", i))
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if got := cmds[2*i+1].(*redis.StringCmd).Val(); got != fmt.Sprint(i) {
			t.Errorf("k%d is %q", i, got)
		}
	}
}
