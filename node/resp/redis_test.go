package resp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
)

// redisServer starts a real redis-server in a folder of its own and returns
// its port; the test is skipped where none is installed.
func redisServer(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	server := exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	ctx, cancel := limit.Context(t)
	defer cancel()
	for {
		if c, err := Dial(ctx, "127.0.0.1:"+port); err == nil {
			v, err := c.Do(ctx, "PING")
			c.Close()
			if err == nil && string(v.Str) == "PONG" {
				return port
			}
		}
		if ctx.Err() != nil {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestFormatCLIReply: FormatCLIReply prints what the real redis-cli prints.
func TestFormatCLIReply(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	port := redisServer(t)
	ctx, cancel := limit.Context(t)
	defer cancel()
	client, err := Dial(ctx, "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	commands := [][]string{
		{"SET", "k", "v\n\x01\"\\é"},
		{"GET", "k"},
		{"GET", "nosuch"},
		{"INCR", "k"},
		{"INCR", "n"},
		{"NOSUCH", "a", "b"},
		{"RPUSH", "l", "a", "b", "", "d", "e", "f", "g", "h", "i", "j", "k"},
		{"LRANGE", "l", "0", "-1"},
		{"LRANGE", "nosuch", "0", "-1"},
		{"EVAL", "return {1,{2,'x',{3}},false,redis.error_reply('ERR in')}", "0"},
		{"COMMAND", "INFO", "get", "nosuch", "set"},
		{"CONFIG", "GET", "maxclients"},
		{"HGETALL", "nosuch"},
		{"COMMAND", "DOCS", "get"},
		{"INFO", "modules"},
		{"CLIENT", "LIST", "ID", "1"},
		{"MEMORY", "DOCTOR"},
		{"LOLWUT", "nonsense"},
	}
	for _, command := range commands {
		v, err := client.Do(ctx, command...)
		if err != nil {
			t.Fatal(err)
		}
		for flag, tty := range map[string]bool{"--raw": false, "--no-raw": true, "": false} {
			args := []string{"-p", port}
			if flag != "" {
				args = append(args, flag)
			}
			want, _ := exec.CommandContext(ctx, cli, append(args, command...)...).Output()
			if command[0] == "RPUSH" || command[0] == "INCR" && command[1] == "n" {
				continue // every call changes the reply
			}
			if got := FormatCLIReply(command, v, tty); !bytes.Equal([]byte(got), want) {
				t.Errorf("%q %s:\n%q\nredis-cli prints\n%q", command, flag, got, want)
			}
		}
	}
}

func TestClientDeadline(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it never answers
	c, err := Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, "PING"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do without an answer returned %v", err)
	}
	if _, err := c.Do(context.Background(), "PING"); err != ErrBroken {
		t.Errorf("Do after a failed one returned %v, want ErrBroken", err)
	}
}
