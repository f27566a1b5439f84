package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// node is one aikv process that serves all slots.
type node struct {
	t    *testing.T
	addr string
	pid  int
	log  *lockedBuffer
	// admin is a connection that limits of clients do not concern: it was there first.
	admin *redis.Client
}

// lockedBuffer is the log of a running process.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startNode runs a node until the test ends; openFiles, if not 0, is its limit of
// open files.
func startNode(t *testing.T, openFiles int, flags ...string) *node {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a process")
	}
	port := freePorts(t, 17340, nodes, raftOffset)
	n := &node{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), log: &lockedBuffer{}}
	args := append([]string{
		"serve", "-p", strconv.Itoa(port), "--raft-port", strconv.Itoa(port + raftOffset),
		"--data-dir", filepath.Join(t.TempDir(), "data"),
	}, flags...)
	cmd := exec.Command(buildBinary(t), args...)
	if openFiles > 0 {
		shell := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, openFiles)
		cmd = exec.Command("bash", append([]string{"-c", shell, cmd.Path}, args...)...)
	}
	cmd.Stdout, cmd.Stderr = n.log, n.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.pid = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { n.stop(ended) })

	n.admin = redis.NewClient(&redis.Options{Addr: n.addr, PoolSize: 1, ReadTimeout: deadline})
	t.Cleanup(func() { _ = n.admin.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	eventually(t, func() error { return n.admin.Ping(ctx).Err() })
	if err := n.admin.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return n.admin.Set(ctx, "k", "v", 0).Err() })
	return n
}

// stop ends the node, which must still be there and well.
func (n *node) stop(ended chan error) {
	if err := syscall.Kill(n.pid, syscall.SIGTERM); err != nil {
		n.t.Errorf("the node is gone: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			n.t.Errorf("the node ended with %v", err)
		}
	case <-time.After(deadline):
		_ = syscall.Kill(n.pid, syscall.SIGKILL)
		n.t.Error("the node does not stop")
		<-ended
	}
	if n.t.Failed() {
		log := n.log.String()
		n.t.Logf("the node's log:\n%s", log[max(0, len(log)-4000):])
	}
}

// do sends one command on the admin's connection.
func (n *node) do(args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	reply, err := n.admin.Do(ctx, args...).Result()
	return fmt.Sprint(reply), err
}

func (n *node) must(args ...any) string {
	n.t.Helper()
	reply, err := n.do(args...)
	if err != nil {
		n.t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// info returns a number of INFO.
func (n *node) info(name string) int {
	n.t.Helper()
	for line := range strings.Lines(n.must("INFO")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			number, err := strconv.Atoi(value)
			if err != nil {
				n.t.Fatal(err)
			}
			return number
		}
	}
	n.t.Fatalf("INFO has no %s", name)
	return 0
}

// rss returns the memory of the process in bytes.
func (n *node) rss() int {
	n.t.Helper()
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(n.pid)).Output()
	kb, err2 := strconv.Atoi(strings.TrimSpace(string(out)))
	if err := errors.Join(err, err2); err != nil {
		n.t.Fatal(err)
	}
	return kb << 10
}

// dial opens a plain connection that is closed when the test ends.
func (n *node) dial() net.Conn {
	n.t.Helper()
	nc, err := net.Dial("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(2 * deadline))
	return nc
}

// talk sends text, which ends with a PING, and reads up to its PONG.
func talk(nc net.Conn, text string) error {
	if _, err := nc.Write([]byte(text)); err != nil {
		return err
	}
	r := bufio.NewReader(nc)
	for {
		switch line, err := r.ReadString('\n'); {
		case err != nil:
			return fmt.Errorf("after %q: %w", line, err)
		case line == "+PONG\r\n":
			return nil
		}
	}
}

// each runs fn for every connection, some at a time.
func each(t *testing.T, conns []net.Conn, fn func(i int, nc net.Conn) error) {
	t.Helper()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i, nc := range conns {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := fn(i, nc); err != nil {
				t.Error(err)
			}
			<-slots
		}()
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// wantFiles skips a test for which this process may not open files enough. (Go
// has raised the soft limit to the hard one.)
func wantFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	raised := syscall.Rlimit{Cur: n, Max: max(limit.Max, n)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		t.Skipf("cannot here: needs %d open files, the limit is %d (ulimit -n): %v", n, limit.Cur, err)
	}
}
