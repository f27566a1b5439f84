package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/node/slot"
)

// system is six nodes: three masters with a replica each.
type system interface {
	name() string
	addrs() []string
	start(ctx context.Context) error
	stop()
	kill(addr string) error
	// revive starts the killed node again and returns when the cluster is whole.
	revive(ctx context.Context, addr string) error
}

// shard is a master with slots, its replica, and a hash tag for one of them.
type shard struct{ master, replica, tag string }

// topologyOf asks until three masters have a replica each.
func topologyOf(ctx context.Context, s system) ([]shard, error) {
	one := redis.NewClient(&redis.Options{Addr: s.addrs()[0]})
	defer one.Close()
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		//lint:ignore SA1019 CLUSTER SLOTS names a range with its nodes, which is all that is asked.
		slots, err := one.ClusterSlots(ctx).Result()
		if err == nil {
			if shards := shardsOf(slots); len(shards) == 3 {
				return shards, nil
			}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("there are not three masters with a replica each")
}

func shardsOf(slots []redis.ClusterSlot) (shards []shard) {
	for _, r := range slots {
		if len(r.Nodes) == 2 {
			shards = append(shards, shard{r.Nodes[0].Addr, r.Nodes[1].Addr, tagIn(r.Start, r.End)})
		}
	}
	return shards
}

// tagIn returns a hash tag whose slot lies in the range.
func tagIn(first, last int) string {
	for i := 0; ; i++ {
		tag := strconv.Itoa(i)
		if n := int(slot.Of([]byte(tag))); n >= first && n <= last {
			return "{" + tag + "}"
		}
	}
}

// aikv is our six nodes, by the scripts.
type aikv struct {
	root, dir string
	base      int
}

func newAikv(root, dir string) *aikv { return &aikv{root, filepath.Join(dir, "aikv"), 17360} }

func (a *aikv) name() string    { return "aikv" }
func (a *aikv) addrs() []string { return addrs(a.base) }

func addrs(base int) (all []string) {
	for port := base; port < base+6; port++ {
		all = append(all, "127.0.0.1:"+strconv.Itoa(port))
	}
	return all
}

func (a *aikv) script(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(a.root, "scripts", name), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (a *aikv) start(ctx context.Context) error {
	return a.script(ctx, "cluster_init.sh", "-q", "--base-port", strconv.Itoa(a.base), "--dir", a.dir)
}

func (a *aikv) stop() {
	_ = a.script(context.Background(), "aikv-tool", "cluster", "clean", "-q", "--dir", a.dir)
}

func (a *aikv) kill(addr string) error {
	text, err := os.ReadFile(filepath.Join(a.dir, "pids", fmt.Sprintf("node%d.pid", portOf(addr)-a.base+1)))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (a *aikv) revive(ctx context.Context, addr string) error {
	if err := a.script(ctx, "aikv-tool", "cluster", "start", "-q", "--dir", a.dir); err != nil {
		return err
	}
	return await(ctx, addr, "raft", func(info string) bool {
		return strings.Contains(info, "role=follower") && !strings.Contains(info, "leader=,")
	}, a)
}

func portOf(addr string) int {
	port, _ := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	return port
}

// await waits until a section of the node's INFO is as it should be, and every
// node says that the cluster is ok.
func await(ctx context.Context, addr, section string, fine func(string) bool, s system) error {
	for limit := time.Now().Add(patience); ; {
		one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		info, err := one.Info(ctx, section).Result()
		_ = one.Close()
		if err == nil && fine(info) && allOK(ctx, s) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s has not come back: %w\n%s", addr, err, info)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func allOK(ctx context.Context, s system) bool {
	for _, addr := range s.addrs() {
		one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		info, err := one.ClusterInfo(ctx).Result()
		_ = one.Close()
		if err != nil || !strings.Contains(info, "cluster_state:ok") {
			return false
		}
	}
	return true
}

// redisCluster is six redis-server processes with appendfsync always.
type redisCluster struct {
	dir   string
	base  int
	nodes map[string]*exec.Cmd
}

func newRedis(dir string) *redisCluster {
	return &redisCluster{filepath.Join(dir, "redis"), 17380, make(map[string]*exec.Cmd)}
}

func (r *redisCluster) name() string    { return "redis" }
func (r *redisCluster) addrs() []string { return addrs(r.base) }

func (r *redisCluster) begin(addr string) error {
	port := strconv.Itoa(portOf(addr))
	dir := filepath.Join(r.dir, port)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("redis-server", "--port", port, "--cluster-enabled", "yes", "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--bind", "127.0.0.1", "--cluster-node-timeout", "5000")
	r.nodes[addr] = cmd
	return cmd.Start()
}

func (r *redisCluster) start(ctx context.Context) error {
	for _, addr := range r.addrs() {
		if err := r.begin(addr); err != nil {
			return err
		}
		if err := await(ctx, addr, "server", func(info string) bool { return info != "" }, none{}); err != nil {
			return err
		}
	}
	args := append(append([]string{"--cluster", "create"}, r.addrs()...), "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli --cluster create: %w\n%s", err, out)
	}
	for _, addr := range r.addrs() {
		if err := await(ctx, addr, "replication", linked, r); err != nil {
			return err
		}
	}
	return nil
}

// linked: a master with a replica, or a replica that follows its master.
func linked(info string) bool {
	return strings.Contains(info, "connected_slaves:1") || strings.Contains(info, "master_link_status:up")
}

// none is a system without nodes.
type none struct{ system }

func (none) addrs() []string { return nil }

func (r *redisCluster) stop() {
	for _, cmd := range r.nodes {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func (r *redisCluster) kill(addr string) error {
	cmd := r.nodes[addr]
	err := cmd.Process.Kill()
	_ = cmd.Wait()
	return err
}

func (r *redisCluster) revive(ctx context.Context, addr string) error {
	if err := r.begin(addr); err != nil {
		return err
	}
	return await(ctx, addr, "replication", linked, r)
}
