// Package kit runs AiKv clusters inside Go tests: real processes on free ports
// of 127.0.0.1, ready when Start returns, gone when the test ends.
//
//	func TestGreeting(t *testing.T) {
//		cluster := kit.Start(t, kit.Options{})
//		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
//		…
//	}
//
// Ready means that every node answers cluster_state:ok and shows the same
// nodes, roles and slots, that every Raft group has its wished members and all
// of them have caught up, and that a key written through each node is read
// through the next one: the checklist of cluster_init.sh.
package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Options describe a cluster. The zero value is three masters with a replica
// each.
type Options struct {
	Shards           int // masters; default 3
	ReplicasPerShard int // default 1; NoReplicas for none

	// Binary is the aikv program. Default: the environment's AIKV_BIN, else one
	// that Build makes for this cluster.
	Binary string
	// Args are further flags of every node, such as "--set", "raft.tick=100ms".
	Args []string
	// Timeout is how long the cluster may take to become ready, a build aside;
	// default one minute.
	Timeout time.Duration
}

// NoReplicas as ReplicasPerShard makes masters only.
const NoReplicas = -1

func (o Options) withDefaults() Options {
	if o.Shards == 0 {
		o.Shards = 3
	}
	switch o.ReplicasPerShard {
	case 0:
		o.ReplicasPerShard = 1
	case NoReplicas:
		o.ReplicasPerShard = 0
	}
	if o.Binary == "" {
		o.Binary = os.Getenv("AIKV_BIN")
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	return o
}

// Cluster is a running cluster. Its methods are for one goroutine at a time.
type Cluster struct {
	opts  Options
	dir   string
	nodes []*node
}

// Start runs a cluster for the duration of a test: it returns when the cluster
// is ready and stops it when the test ends. If the test fails, the last lines of
// each node's log are shown.
func Start(t testing.TB, opts Options) *Cluster {
	t.Helper()
	c, err := Run(context.Background(), t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Stop()
		if t.Failed() {
			for i := range c.nodes {
				t.Logf("the last lines of node %d (%s):\n%s", i, c.nodes[i].addr, c.nodes[i].tail())
			}
		}
	})
	return c
}

// portTries is how often other ports are tried when somebody takes them first.
const portTries = 5

// Run is Start without a test, for TestMain or a program: data and logs go to
// dir, and the caller calls Stop. After an error nothing runs.
func Run(ctx context.Context, dir string, opts Options) (*Cluster, error) {
	opts = opts.withDefaults()
	if opts.Shards < 1 || opts.ReplicasPerShard < 0 {
		return nil, fmt.Errorf("kit: %d shards with %d replicas each make no cluster", opts.Shards, opts.ReplicasPerShard)
	}
	if opts.Binary == "" {
		var err error
		if opts.Binary, err = Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	for try := 1; ; try++ {
		c := &Cluster{opts: opts, dir: filepath.Join(dir, fmt.Sprintf("try%d", try))}
		err := c.start(ctx)
		if err == nil {
			return c, nil
		}
		c.Stop()
		if !errors.Is(err, errPortTaken) || try == portTries {
			return nil, fmt.Errorf("kit: %w", err)
		}
	}
}

// Build builds aikv into dir and returns its path. The module of the current
// folder must have it: it is this one, or one that once ran
// "go get -tool github.com/genuineh/aikv/node".
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "aikv")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/genuineh/aikv/node")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("kit: cannot build aikv (AIKV_BIN may name one that is built): %w\n%s", err, out)
	}
	return path, nil
}

// start starts the nodes, makes them a cluster and waits until it is ready.
func (c *Cluster) start(ctx context.Context) error {
	count := c.opts.Shards * (1 + c.opts.ReplicasPerShard)
	base, err := freePorts(count)
	if err != nil {
		return err
	}
	for i := range count {
		n := &node{
			addr: address(base + i), dir: filepath.Join(c.dir, fmt.Sprintf("node%d", i)),
			command: c.command(base+i, filepath.Join(c.dir, fmt.Sprintf("node%d", i))),
		}
		if err := n.start(); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		if err := n.answers(ctx); err != nil {
			return err
		}
	}
	if err := c.form(ctx); err != nil {
		return err
	}
	return c.Ready(ctx)
}

// Addrs returns the client addresses of all nodes. Those of a new cluster's
// masters come first.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, n.addr)
	}
	return addrs
}

// Kill ends the node with that index of Addrs at once, as kill -9 does.
func (c *Cluster) Kill(i int) { c.nodes[i].kill() }

// Restart starts a node that was killed, with its data, and waits until the
// cluster is ready again, for at most Options.Timeout.
func (c *Cluster) Restart(i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.Timeout)
	defer cancel()
	if err := c.nodes[i].start(); err != nil {
		return fmt.Errorf("kit: %w", err)
	}
	if err := c.Ready(ctx); err != nil {
		return fmt.Errorf("kit: %w", err)
	}
	return nil
}

// Log returns the path of a node's log.
func (c *Cluster) Log(i int) string { return c.nodes[i].log() }

// Stop kills all nodes and waits until they are gone. Data and logs stay.
func (c *Cluster) Stop() {
	for _, n := range c.nodes {
		n.kill()
	}
}
