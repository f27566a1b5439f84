package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

const (
	checkpointRate  = 2000 // writes a second
	checkpointsSeen = 10
)

// besideCheckpoints compares single writes while a node of their shard brings changes to
// its store with those while none does.
func besideCheckpoints(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const keys, size = 1_000_000, 64
	shards, err := systems.Topology(ctx, s)
	if err != nil {
		return nil, err
	}
	shard := shards[0]
	took, err := fill(ctx, s, shards[:1], keys, keys, sizes{size, size})
	if err != nil {
		return nil, err
	}
	figures := []figure{{what: fmt.Sprintf("%d keys of %d bytes", keys, size), value: rate(keys, took)}}
	if err := quiet(ctx, s); err != nil {
		return nil, err
	}
	load := startLoad(ctx, shard, checkpointRate, keys, size)
	defer load.stop()
	if err := systems.Pause(ctx, 2*time.Second); err != nil { // the connections come about
		return nil, err
	}
	without, during, err := sortByCheckpoint(ctx, shard, load)
	if err != nil {
		return nil, err
	}
	load.stop()
	p99, bound := during.percentile(99), 2*without.percentile(99)
	return append(figures,
		figure{what: "writes without a checkpoint", value: without.String()},
		figure{what: "writes while one runs", value: during.String()},
		figure{"p99 of writes while a checkpoint runs", millis(p99), atMost(millis(bound)), p99 <= bound},
	), load.failure()
}

// sortByCheckpoint watches until the shard's master and replica have made some
// checkpoints. A write that ends about when one begins or ends counts as beside it.
func sortByCheckpoint(ctx context.Context, shard systems.Shard, load *load) (without, during latencies, err error) {
	master := redis.NewClient(&redis.Options{Addr: shard.Master, MaxRetries: -1})
	replica := redis.NewClient(&redis.Options{Addr: shard.Replica, MaxRetries: -1})
	defer func() { _, _ = master.Close(), replica.Close() }()
	writing := func(one *redis.Client) bool {
		info, err := one.Info(ctx, "persistence").Result()
		return err == nil && strings.Contains(info, "rdb_bgsave_in_progress:1")
	}
	load.next()
	before, seen := false, 0
	err = until(ctx, 5*time.Minute, fmt.Sprintf("%d checkpoints", checkpointsSeen), func() bool {
		now := writing(master) || writing(replica)
		if now || before {
			during = append(during, load.next()...)
		} else {
			without = append(without, load.next()...)
		}
		if before && !now {
			seen++
		}
		before = now
		return seen >= checkpointsSeen
	})
	return without, during, err
}
