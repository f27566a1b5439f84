package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestGoRedis: what an application does, over the cluster client.
func TestGoRedis(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	client := c.client()

	for i := range 50 {
		key := fmt.Sprintf("k%d", i)
		if err := client.Set(ctx, key, i, 0).Err(); err != nil {
			t.Fatalf("SET %s: %v", key, err)
		}
		got, err := client.Get(ctx, key).Int()
		if err != nil || got != i {
			t.Fatalf("GET %s = %d, %v, want %d", key, got, err, i)
		}
	}
	if err := client.Get(ctx, "absent").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET of an absent key: %v, want redis.Nil", err)
	}
	if n, err := client.Incr(ctx, "counter").Result(); err != nil || n != 1 {
		t.Errorf("INCR = %d, %v", n, err)
	}
	if ok, err := client.SetNX(ctx, "counter", 9, time.Minute).Result(); err != nil || ok {
		t.Errorf("SETNX of an existing key = %v, %v", ok, err)
	}
	if ok, err := client.Expire(ctx, "counter", time.Minute).Result(); err != nil || !ok {
		t.Errorf("EXPIRE = %v, %v", ok, err)
	}
	if ttl, err := client.TTL(ctx, "counter").Result(); err != nil || ttl <= 0 || ttl > time.Minute {
		t.Errorf("TTL = %v, %v", ttl, err)
	}
	if err := client.MSet(ctx, "{t}a", 1, "{t}b", 2).Err(); err != nil {
		t.Errorf("MSET: %v", err)
	}
	if got, err := client.MGet(ctx, "{t}a", "{t}b", "{t}c").Result(); err != nil || fmt.Sprint(got) != "[1 2 <nil>]" {
		t.Errorf("MGET = %v, %v", got, err)
	}

	// A transaction, and one that a change in between keeps from running.
	replies, err := client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.Incr(ctx, "{tx}n")
		tx.IncrBy(ctx, "{tx}n", 4)
		tx.Get(ctx, "{tx}n")
		return nil
	})
	if err != nil || len(replies) != 3 || replies[2].(*redis.StringCmd).Val() != "5" {
		t.Errorf("TxPipelined: %v, %v", replies, err)
	}
	err = client.Watch(ctx, func(tx *redis.Tx) error {
		if err := client.Incr(ctx, "{tx}n").Err(); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Set(ctx, "{tx}n", "late", 0).Err() })
		return err
	}, "{tx}n")
	if !errors.Is(err, redis.TxFailedErr) {
		t.Errorf("Watch: %v", err)
	}
	if got, err := client.Get(ctx, "{tx}n").Result(); err != nil || got != "6" {
		t.Errorf("after it: %q, %v", got, err)
	}

	// A pipeline over all shards.
	pipe := client.Pipeline()
	for i := range 100 {
		pipe.Incr(ctx, fmt.Sprintf("p%d", i))
	}
	results, err := pipe.Exec(ctx)
	if err != nil || len(results) != 100 {
		t.Fatalf("pipeline: %d results, %v", len(results), err)
	}

	var keys int64
	var mu sync.Mutex
	err = client.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		n, err := master.DBSize(ctx).Result()
		mu.Lock()
		keys += n
		mu.Unlock()
		return err
	})
	if want := int64(50 + 1 + 2 + 1 + 100); err != nil || keys != want {
		t.Errorf("DBSIZE over the masters = %d, %v, want %d", keys, err, want)
	}
	replicas := 0
	err = client.ForEachSlave(ctx, func(ctx context.Context, replica *redis.Client) error {
		mu.Lock()
		replicas++
		mu.Unlock()
		return replica.Ping(ctx).Err()
	})
	if err != nil || replicas != 3 {
		t.Errorf("%d replicas, %v", replicas, err)
	}
}

// acked is the last acknowledged value of each key, and the last one tried: a
// write whose answer never came may or may not have happened.
type acked struct{ done, tried int }

// TestKillAll: every write acknowledged before a kill -9 of all six nodes is
// there after restart.
func TestKillAll(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*deadline)
	defer cancel()
	const writers = 8
	state := make([]acked, writers)

	for round := range 3 {
		writeUntilKilled(ctx, t, c, state)
		c.restart(ctx)
		client := c.client()
		for w := range writers {
			checkWriter(ctx, t, client, w, &state[w], round)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	total := 0
	for w := range writers {
		total += state[w].done
	}
	if total < 100 {
		t.Errorf("only %d writes were acknowledged: nothing was tested", total)
	}
	t.Logf("%d writes acknowledged", total)
}

// writeUntilKilled lets each writer count its key upwards, and kills all nodes in
// the middle of it.
func writeUntilKilled(ctx context.Context, t *testing.T, c *cluster, state []acked) {
	t.Helper()
	client := c.client()
	defer func() { _ = client.Close() }()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var count atomic.Int64
	for w := range state {
		wg.Add(1)
		go func() {
			defer wg.Done()
			key := fmt.Sprintf("writer:%d", w)
			for value := state[w].tried + 1; ; value++ {
				select {
				case <-stop:
					return
				default:
				}
				state[w].tried = value
				if client.Set(ctx, key, value, 0).Err() == nil {
					state[w].done = value
					count.Add(1)
				}
			}
		}()
	}
	eventually(t, func() error {
		if n := count.Load(); n < 500 {
			return fmt.Errorf("%d writes acknowledged", n)
		}
		return nil
	})
	c.signal(syscall.SIGKILL)
	close(stop)
	wg.Wait()
}

// checkWriter: the value is the last acknowledged one, or a later one that was tried.
func checkWriter(ctx context.Context, t *testing.T, client *redis.ClusterClient, w int, s *acked, round int) {
	t.Helper()
	var got int
	eventually(t, func() error {
		var err error
		got, err = client.Get(ctx, fmt.Sprintf("writer:%d", w)).Int()
		if errors.Is(err, redis.Nil) {
			got, err = 0, nil
		}
		return err
	})
	if got < s.done || got > s.tried {
		t.Errorf("round %d, writer %d: value %d, but %d was acknowledged and %d tried", round, w, got, s.done, s.tried)
	}
}
