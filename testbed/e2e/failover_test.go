package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestManualFailover: CLUSTER FAILOVER moves each master's role to its replica
// and back, quickly, and clients that follow redirects see no failed write.
func TestManualFailover(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*deadline)
	defer cancel()
	client := c.client()
	var stop atomic.Bool
	var writers sync.WaitGroup
	counts := make([]int64, 6)
	for w := range counts {
		writers.Go(func() {
			for !stop.Load() {
				got, err := client.Incr(ctx, fmt.Sprintf("counter:%d", w)).Result()
				if counts[w]++; err != nil || got != counts[w] {
					t.Errorf("writer %d: %d, %v, want %d", w, got, err, counts[w])
					return
				}
			}
		})
	}
	var longest time.Duration
	for round := range 12 {
		node := redis.NewClient(&redis.Options{Addr: c.addr((round%6 + 3) % 6)})
		if !strings.Contains(node.Info(ctx, "replication").Val(), "role:slave") {
			t.Fatalf("round %d: node %s is no replica", round, c.addr((round%6+3)%6))
		}
		start := time.Now()
		if err := node.ClusterFailover(ctx).Err(); err != nil {
			t.Fatalf("round %d: CLUSTER FAILOVER: %v", round, err)
		}
		longest = max(longest, time.Since(start))
		for other := range nodes {
			one := redis.NewClient(&redis.Options{Addr: c.addr(other)})
			if text := one.ClusterNodes(ctx).Val(); !masterIs(text, c.addr((round%6+3)%6)) {
				t.Errorf("round %d: after OK node %s shows\n%s", round, c.addr(other), text)
			}
			_ = one.Close()
		}
		if err := node.ClusterFailover(ctx).Err(); err == nil || err.Error() != "ERR You should send CLUSTER FAILOVER to a replica" {
			t.Errorf("round %d: CLUSTER FAILOVER to a master: %v", round, err)
		}
		_ = node.Close()
	}
	stop.Store(true)
	writers.Wait()
	t.Logf("the longest failover took %v", longest)
}

// masterIs reports whether CLUSTER NODES shows the node at addr as a master with
// slots.
func masterIs(text, addr string) bool {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 8 && strings.HasPrefix(f[1], addr+"@") {
			return strings.Contains(f[2], "master")
		}
	}
	return false
}

// TestForcedFailover: without its master a replica takes over on demand, unless
// no majority can be reached; and the master that returns is a replica.
func TestForcedFailover(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*deadline)
	defer cancel()
	replica := redis.NewClient(&redis.Options{Addr: c.addr(3)}) // of node 0
	defer func() { _ = replica.Close() }()
	c.stop(0)
	force := redis.NewStatusCmd(ctx, "cluster", "failover", "force")
	if err := replica.Process(ctx, force); err != nil && !isReplicaNoMore(err) {
		t.Fatalf("CLUSTER FAILOVER FORCE: %v", err)
	}
	if text := replica.ClusterNodes(ctx).Val(); !masterIs(text, c.addr(3)) {
		t.Fatalf("after OK:\n%s", text)
	}
	c.restart(ctx)
	eventually(t, func() error {
		old := redis.NewClient(&redis.Options{Addr: c.addr(0)})
		defer func() { _ = old.Close() }()
		if text := old.Info(ctx, "replication").Val(); !strings.Contains(text, "role:slave") {
			return errors.New(text)
		}
		return nil
	})
}

// isReplicaNoMore: the ordinary takeover was faster than the forced one.
func isReplicaNoMore(err error) bool {
	return err.Error() == "ERR You should send CLUSTER FAILOVER to a replica"
}

// A replica that comes back far behind says so, instead of waiting for what cannot
// come in time.
func TestFailoverOfALaggingReplica(t *testing.T) {
	t.Parallel()
	const keys = 20000
	f := startShard(t, 5, "AIKV_RAFT_SNAPSHOT_RATE=4kb", "AIKV_WAL_GROUP_ENTRIES=16", "AIKV_CLUSTER_ARBITER_GRACE=1h")
	master, replica := f.nodes[0], f.nodes[1]
	replica.kill()
	master.fill("k", keys)
	master.cut("data", 5)
	replica.mustStart("")
	for range 5 {
		text := replica.order("cluster", "failover")
		if !strings.HasPrefix(text, "ERR This replica has not received") && !strings.HasPrefix(text, "ERR This node has not received") {
			t.Errorf("FAILOVER of a replica that lags: %q", text)
		}
	}
	master.holds("k", keys)
}
