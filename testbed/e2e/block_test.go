package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// worker asks the nodes itself, so that it knows of each command whether it was carried
// out: a client that tries again by itself would hide that.
type worker struct {
	nodes map[string]*redis.Client
	at    string // whom to ask
}

func newWorker(t *testing.T, c *cluster) *worker {
	w := &worker{nodes: make(map[string]*redis.Client), at: c.addr(0)}
	for node := range nodes {
		one := redis.NewClient(&redis.Options{
			Addr: c.addr(node), MaxRetries: -1, PoolSize: 1, DialerRetries: 1, ReadTimeout: deadline, ContextTimeoutEnabled: true,
		})
		t.Cleanup(func() { _ = one.Close() })
		w.nodes[c.addr(node)] = one
	}
	return w
}

// do has a command carried out. known is false if it may or may not have been.
func (w *worker) do(ctx context.Context, args ...any) (reply any, known bool) {
	for ctx.Err() == nil {
		v, err := w.nodes[w.at].Do(ctx, args...).Result()
		switch {
		case err == nil || errors.Is(err, redis.Nil):
			return v, true
		case strings.HasPrefix(err.Error(), "MOVED "):
			w.at = strings.Fields(err.Error())[2]
			continue
		case conclude(err) == unknown:
			w.elsewhere()
			return nil, false
		}
		w.elsewhere()
		select {
		case <-time.After(10 * time.Millisecond): // before it asks again
		case <-ctx.Done():
		}
	}
	return nil, false
}

// elsewhere has another node asked next.
func (w *worker) elsewhere() {
	for addr := range w.nodes {
		if addr != w.at {
			w.at = addr
			return
		}
	}
}

// TestEveryElementComesOutOnce: producers push to a list and to a sorted set, consumers
// wait for the elements, and the master of both is killed in between. Each element
// whose push was acknowledged comes out exactly once, or was popped by one of the
// pops whose outcome nobody knows.
func TestEveryElementComesOutOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*deadline)
	defer cancel()
	var mu sync.Mutex
	pushed, popped := make(map[string]bool), make(map[string]int)
	var unknown, got atomic.Int64
	var pushing, popping atomic.Bool
	pushing.Store(true)
	popping.Store(true)
	var producers, consumers sync.WaitGroup
	for id := range 6 {
		w := newWorker(t, c)
		producers.Go(func() {
			for i := 0; pushing.Load() && ctx.Err() == nil; i++ {
				element := fmt.Sprintf("%d.%d", id, i)
				args := []any{"RPUSH", "{q}list", element}
				if i%2 == 0 {
					args = []any{"ZADD", "{q}set", i, element}
				}
				if _, known := w.do(ctx, args...); known {
					mu.Lock()
					pushed[element] = true
					mu.Unlock()
				}
			}
		})
	}
	for id := range 12 {
		w := newWorker(t, c)
		consumers.Go(func() {
			for popping.Load() && ctx.Err() == nil {
				args := []any{"BLPOP", "{q}none", "{q}list", "0.5"}
				if id%2 == 0 {
					args = []any{"BZPOPMIN", "{q}set", "0.5"}
				}
				v, known := w.do(ctx, args...)
				if !known {
					unknown.Add(1)
				}
				if reply, ok := v.([]any); ok {
					got.Add(1)
					mu.Lock()
					popped[reply[1].(string)]++
					mu.Unlock()
				}
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		from := got.Load()
		eventually(t, func() error {
			if now := got.Load(); now < from+n {
				return fmt.Errorf("%d elements came out", now-from)
			}
			return nil
		})
	}
	more(200)
	node := c.masterOf(ctx, "{q}list")
	c.stop(node)
	more(200)
	c.restart(ctx)
	more(100)
	pushing.Store(false)
	producers.Wait()
	reader := c.client()
	eventually(t, func() error {
		if n, m := reader.LLen(ctx, "{q}list").Val(), reader.ZCard(ctx, "{q}set").Val(); n+m > 0 {
			return fmt.Errorf("%d and %d elements are left", n, m)
		}
		return nil
	})
	popping.Store(false)
	consumers.Wait()
	missing := 0
	for element := range pushed {
		if popped[element] == 0 {
			missing++
		}
	}
	for element, n := range popped {
		if n > 1 {
			t.Errorf("%s came out %d times", element, n)
		}
	}
	t.Logf("%d elements were pushed, %d came out, %d are missing, %d pops are unknown", len(pushed), len(popped), missing, unknown.Load())
	if missing > int(unknown.Load()) {
		t.Errorf("%d elements are missing, and %d pops unknown", missing, unknown.Load())
	}
}

// masterOf returns the node that serves a key.
func (c *cluster) masterOf(ctx context.Context, key string) int {
	one := redis.NewClient(&redis.Options{Addr: c.addr(0)})
	defer one.Close()
	err := one.Exists(ctx, key).Err()
	if err == nil {
		return 0
	}
	_, port, _ := net.SplitHostPort(strings.Fields(err.Error())[2])
	n, _ := strconv.Atoi(port)
	return n - c.base
}

// cpu returns how much processor time a process has used.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skip("needs /proc")
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * (time.Second / 100)
}

// TestTenThousandBlockedClients: they cost no processor time, also while others write,
// and all are served.
func TestTenThousandBlockedClients(t *testing.T) {
	wantFiles(t, 10_000+1_000)
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*deadline)
	defer cancel()
	const clients = 9_900 // on one node: the master of the keys
	node := c.masterOf(ctx, "{q}list")
	pid := func() int {
		text, err := os.ReadFile(filepath.Join(c.dir, "pids", fmt.Sprintf("node%d.pid", node+1)))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return n
	}()
	one := redis.NewClient(&redis.Options{Addr: c.addr(node)})
	defer one.Close()
	blocked := func(want int) {
		t.Helper()
		eventually(t, func() error {
			if info := one.Info(ctx, "clients").Val(); !strings.Contains(info, fmt.Sprintf("blocked_clients:%d\r\n", want)) {
				return fmt.Errorf("not %d blocked: %s", want, info)
			}
			return nil
		})
	}
	const window = 4 * time.Second
	idle := func(what string) time.Duration {
		before := cpu(t, pid)
		time.Sleep(window)
		took := cpu(t, pid) - before
		t.Logf("%s: %v of processor time in %v", what, took, window)
		return took
	}
	without := idle("nobody is blocked")
	conns := make([]net.Conn, clients)
	for i := range conns {
		nc, err := net.Dial("tcp", c.addr(node))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns[i] = nc
		_, _ = fmt.Fprintf(nc, "BLPOP {q}list {q}%d 0\r\n", i)
	}
	blocked(clients)
	if with := idle("all are blocked"); with > without+window/20 {
		t.Errorf("%d blocked clients take %v of %v, without them it is %v", clients, with, window, without)
	}
	for i := 0; i < clients; i += 100 {
		elements := make([]any, 100)
		for j := range elements {
			elements[j] = i + j
		}
		if err := one.RPush(ctx, "{q}list", elements...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	served := make(map[int64]bool)
	for i, nc := range conns {
		_ = nc.SetReadDeadline(time.Now().Add(deadline))
		var element int64
		if _, err := fmt.Fscanf(nc, "*2\r\n$7\r\n{q}list\r\n$%d\r\n%d\r\n", new(int), &element); err != nil || served[element] {
			t.Fatalf("client %d got %d, twice: %v, %v", i, element, served[element], err)
		}
		served[element] = true
	}
	blocked(0)
}

// TestBlockedClientsAreSentOn: who waits for a key is told at once when another node
// serves it, or none does.
func TestBlockedClientsAreSentOn(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*deadline)
	defer cancel()
	const key = "{q}list"
	// blocked returns the reply to BLPOP on the key's master, which comes when something
	// happens to that.
	blocked := func(what string, happen func(node int), want ...string) {
		t.Helper()
		node := c.masterOf(ctx, key)
		nc, err := net.Dial("tcp", c.addr(node))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = fmt.Fprintf(nc, "BLPOP %s 0\r\n", key)
		one := redis.NewClient(&redis.Options{Addr: c.addr(node)})
		defer one.Close()
		eventually(t, func() error {
			if info := one.Info(ctx, "clients").Val(); !strings.Contains(info, "blocked_clients:1\r\n") {
				return errors.New(info)
			}
			return nil
		})
		happen(node)
		_ = nc.SetReadDeadline(time.Now().Add(deadline))
		var buf [200]byte
		n, err := nc.Read(buf[:])
		for _, prefix := range want {
			if strings.HasPrefix(string(buf[:n]), prefix) {
				return
			}
		}
		t.Errorf("%s: %q, %v, want %q", what, buf[:n], err, want)
	}
	do := func(node int, args ...any) string {
		t.Helper()
		one := redis.NewClient(&redis.Options{Addr: c.addr(node)})
		defer one.Close()
		var reply any
		eventually(t, func() (err error) {
			reply, err = one.Do(ctx, args...).Result()
			return err
		})
		return fmt.Sprint(reply)
	}
	blocked("failover", func(node int) {
		replica := strings.Fields(do(node, "CLUSTER", "REPLICAS", do(node, "CLUSTER", "MYID")))[1]
		host, _, _ := strings.Cut(replica, "@")
		one := redis.NewClient(&redis.Options{Addr: host})
		defer one.Close()
		if err := one.ClusterFailover(ctx).Err(); err != nil {
			t.Error(err)
		}
	}, "-MOVED ", "-CLUSTERDOWN ")
	eventually(t, func() error { return c.client().LLen(ctx, key).Err() })
	slot := c.client().ClusterKeySlot(ctx, key).Val()
	owner := 0
	blocked("the slot is taken away", func(node int) {
		owner = node
		do(node, "CLUSTER", "DELSLOTS", slot)
	}, "-CLUSTERDOWN ")
	do(owner, "CLUSTER", "ADDSLOTS", slot)
	eventually(t, func() error { return c.client().LLen(ctx, key).Err() })
	blocked("the node stops", func(node int) { c.signalNodes(syscall.SIGTERM, node) }, "-MOVED ", "-CLUSTERDOWN ")
}
