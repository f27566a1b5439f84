// Package e2e drives a real six-node cluster, brought up by the script, with a
// real client library.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/genuineh/aikv/testbed/limit"
	"github.com/redis/go-redis/v9"
)

const (
	nodes      = 6
	raftOffset = 10000 // Raft port = client port + this, as the scripts have it
)

// deadline is how long a test waits for one thing that must happen.
var deadline = limit.Wait()

// cluster is six aikv processes in one folder, started by cluster_init.sh.
type cluster struct {
	t    *testing.T
	root string // the project
	dir  string
	base int
	bin  string
	env  []string // besides the test's own
}

// startCluster builds the binary, brings six nodes up, with env besides the test's
// own environment, and takes them down when the test ends. Skipped where a tool of
// the scripts is missing.
func startCluster(t *testing.T, env ...string) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts six processes")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, root: root, dir: filepath.Join(t.TempDir(), "cluster"), bin: buildBinary(t), env: env}
	c.base = freePorts(t, 17340, nodes, raftOffset)
	t.Cleanup(func() { c.signal(syscall.SIGKILL) })
	c.script("cluster_init.sh", "--base-port", strconv.Itoa(c.base), "--dir", c.dir)
	return c
}

// handedOut counts the calls of freePorts, so that two tests at once get
// different ports.
var handedOut atomic.Int64

// freePorts finds count consecutive client ports above first that are free, as are those at the
// offsets from them. It stays below first + 2000: with all offsets outside the
// range that the kernel hands out to outgoing connections.
func freePorts(t *testing.T, first, count int, offsets ...int) int {
	t.Helper()
	const blocks, size = 100, 20
	start := os.Getpid()
search:
	for range blocks {
		base := first + size*((start+int(handedOut.Add(1)))%blocks)
		for port := base; port < base+count; port++ {
			for _, offset := range append(offsets, 0) {
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
				if err != nil {
					continue search
				}
				_ = l.Close()
			}
		}
		return base
	}
	t.Fatal("no free ports")
	return 0
}

func (c *cluster) script(name string, args ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.root, "scripts", name), args...)
	cmd.Env = slices.Concat(os.Environ(), c.env, []string{"AIKV_BIN=" + c.bin})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%s %v: %v\n%s", name, args, err, out.String())
	}
}

// signal sends every node of the folder a signal and waits until it is gone.
func (c *cluster) signal(sig syscall.Signal) { c.signalNodes(sig, 0, 1, 2, 3, 4, 5) }

// stop kills one node.
func (c *cluster) stop(node int) { c.signalNodes(syscall.SIGKILL, node) }

func (c *cluster) signalNodes(sig syscall.Signal, which ...int) {
	var pids []int
	for _, node := range which {
		text, err := os.ReadFile(filepath.Join(c.dir, "pids", fmt.Sprintf("node%d.pid", node+1)))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err == nil && syscall.Kill(pid, sig) == nil {
			pids = append(pids, pid)
		}
	}
	limit := time.Now().Add(deadline)
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil && time.Now().Before(limit) {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// start starts the stopped nodes.
func (c *cluster) start() { c.script("aikv-tool", "cluster", "start", "--dir", c.dir) }

// restart does, and waits until every one says state ok.
func (c *cluster) restart(ctx context.Context) {
	c.t.Helper()
	c.start()
	for node := range nodes {
		one := redis.NewClient(&redis.Options{Addr: c.addr(node)})
		eventually(c.t, func() error {
			info, err := one.ClusterInfo(ctx).Result()
			if err == nil && !strings.Contains(info, "cluster_state:ok") {
				err = errors.New(info)
			}
			return err
		})
		_ = one.Close()
	}
}

func (c *cluster) addr(node int) string { return fmt.Sprintf("127.0.0.1:%d", c.base+node) }

func (c *cluster) client() *redis.ClusterClient {
	var addrs []string
	for node := range nodes {
		addrs = append(addrs, c.addr(node))
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, MaxRedirects: 8})
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// eventually calls f until it succeeds.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	if err := poll(f); err != nil {
		t.Fatal(err)
	}
}

// poll calls f until it succeeds or the deadline has passed.
func poll(f func() error) error {
	limit := time.Now().Add(deadline)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("gave up: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
