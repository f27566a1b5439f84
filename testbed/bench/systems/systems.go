// Package systems starts what the benchmarks in Go compare: AiKv's six nodes and a
// six-node Redis cluster, on this machine.
package systems

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

// System is six nodes: three masters with a replica each.
type System interface {
	Name() string
	Addrs() []string
	Start(ctx context.Context) error
	Stop()
	Kill(addr string) error
	// Revive starts the killed node again and returns when the cluster is whole.
	Revive(ctx context.Context, addr string) error
}

// Shard is a master with slots, its replica, and a hash tag for one of them.
type Shard struct{ Master, Replica, Tag string }

// Topology asks until three masters have a replica each.
func Topology(ctx context.Context, s System) ([]Shard, error) {
	one := redis.NewClient(&redis.Options{Addr: s.Addrs()[0]})
	defer one.Close()
	for limit := time.Now().Add(Patience); time.Now().Before(limit); {
		//lint:ignore SA1019 CLUSTER SLOTS names a range with its nodes, which is all that is asked.
		slots, err := one.ClusterSlots(ctx).Result()
		if err == nil {
			if shards := shardsOf(slots); len(shards) == 3 {
				return shards, nil
			}
		}
		if err := Pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("there are not three masters with a replica each")
}

func shardsOf(slots []redis.ClusterSlot) (shards []Shard) {
	for _, r := range slots {
		if len(r.Nodes) == 2 {
			shards = append(shards, Shard{r.Nodes[0].Addr, r.Nodes[1].Addr, tagIn(r.Start, r.End)})
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

// Aikv is our six nodes, by the scripts.
type Aikv struct {
	// Env is what Start starts them with beside the present environment.
	Env []string

	root, dir string
	base      int
}

// NewAikv returns nodes that root's scripts start, with their data in a folder
// below dir.
func NewAikv(root, dir string) *Aikv {
	return &Aikv{root: root, dir: filepath.Join(dir, "aikv"), base: basePort("AIKV_BASE_PORT", 17360)}
}

// basePort returns the first of six ports, as the environment has it.
func basePort(name string, usual int) int {
	if port, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return port
	}
	return usual
}

// NodeDir returns the folder of a node's data.
func (a *Aikv) NodeDir(addr string) string {
	return filepath.Join(a.dir, "data", fmt.Sprintf("node%d", portOf(addr)-a.base+1))
}

// Tool runs a verb of aikv-tool on the nodes.
func (a *Aikv) Tool(ctx context.Context, verb string, args ...string) error {
	return a.script(ctx, "aikv-tool", append([]string{"cluster", verb, "-q", "--dir", a.dir}, args...)...)
}

// Name implements System.
func (a *Aikv) Name() string { return "aikv" }

// Addrs implements System.
func (a *Aikv) Addrs() []string { return addrsFrom(a.base) }

func addrsFrom(base int) (all []string) {
	for port := base; port < base+6; port++ {
		all = append(all, "127.0.0.1:"+strconv.Itoa(port))
	}
	return all
}

func (a *Aikv) script(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(a.root, "scripts", name), args...)
	cmd.Env = append(os.Environ(), a.Env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Start implements System.
func (a *Aikv) Start(ctx context.Context) error {
	return a.script(ctx, "cluster_init.sh", "-q", "--base-port", strconv.Itoa(a.base), "--dir", a.dir)
}

// Stop implements System.
func (a *Aikv) Stop() {
	if err := a.Tool(context.Background(), "clean", "--yes"); err != nil {
		fmt.Fprintln(os.Stderr, "the nodes may still run:", err)
	}
}

// PidFile returns the file with a node's process id, which is written as soon as
// the process has started.
func (a *Aikv) PidFile(addr string) string {
	return filepath.Join(a.dir, "pids", fmt.Sprintf("node%d.pid", portOf(addr)-a.base+1))
}

// Kill implements System.
func (a *Aikv) Kill(addr string) error {
	text, err := os.ReadFile(a.PidFile(addr))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// Revive implements System.
func (a *Aikv) Revive(ctx context.Context, addr string) error {
	if err := a.Tool(ctx, "start"); err != nil {
		return err
	}
	return await(ctx, addr, "raft", func(info string) bool {
		return strings.Contains(info, "role=follower") && !strings.Contains(info, "leader=,")
	}, a)
}

// portOf returns the port of an address.
func portOf(addr string) int {
	port, _ := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	return port
}

// await waits until a section of the node's INFO is as it should be, and every
// node says that the cluster is ok.
func await(ctx context.Context, addr, section string, fine func(string) bool, s System) error {
	for limit := time.Now().Add(Patience); ; {
		one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		info, err := one.Info(ctx, section).Result()
		_ = one.Close()
		if err == nil && fine(info) && AllOK(ctx, s) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s has not come back: %w\n%s", addr, err, info)
		}
		if err := Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// AllOK reports whether every node says that the cluster is ok.
func AllOK(ctx context.Context, s System) bool {
	for _, addr := range s.Addrs() {
		one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		info, err := one.ClusterInfo(ctx).Result()
		_ = one.Close()
		if err != nil || !strings.Contains(info, "cluster_state:ok") {
			return false
		}
	}
	return true
}

// Redis is six redis-server processes with appendfsync always.
type Redis struct {
	dir   string
	base  int
	nodes map[string]*exec.Cmd
}

// NewRedis returns nodes with their data in a folder below dir.
func NewRedis(dir string) *Redis {
	return &Redis{filepath.Join(dir, "redis"), basePort("REDIS_BASE_PORT", 17380), make(map[string]*exec.Cmd)}
}

// Name implements System.
func (r *Redis) Name() string { return "redis" }

// Addrs implements System.
func (r *Redis) Addrs() []string { return addrsFrom(r.base) }

func (r *Redis) begin(addr string) error {
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

// Start implements System.
func (r *Redis) Start(ctx context.Context) error {
	for _, addr := range r.Addrs() {
		if err := r.begin(addr); err != nil {
			return err
		}
		if err := await(ctx, addr, "server", func(info string) bool { return info != "" }, none{}); err != nil {
			return err
		}
	}
	args := append(append([]string{"--cluster", "create"}, r.Addrs()...), "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli --cluster create: %w\n%s", err, out)
	}
	for _, addr := range r.Addrs() {
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
type none struct{ System }

func (none) Addrs() []string { return nil }

// Stop implements System.
func (r *Redis) Stop() {
	for _, cmd := range r.nodes {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// Kill implements System.
func (r *Redis) Kill(addr string) error {
	cmd := r.nodes[addr]
	err := cmd.Process.Kill()
	_ = cmd.Wait()
	return err
}

// Revive implements System.
func (r *Redis) Revive(ctx context.Context, addr string) error {
	if err := r.begin(addr); err != nil {
		return err
	}
	return await(ctx, addr, "replication", linked, r)
}

// Patience is how long anything may take.
const Patience = 60 * time.Second

// Pause waits for d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
