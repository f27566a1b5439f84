package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

// started is how long a node took, each time from the start of its process.
type started struct {
	addr  string
	begun time.Time
	ping  time.Duration // until it answered PING
	ok    time.Duration // until it said cluster_state:ok, and its keys could be counted
}

// starts starts the nodes that are down, these, and returns how long each took.
// The script's own time does not count.
func starts(ctx context.Context, s *systems.Aikv, addrs []string) ([]started, error) {
	asked := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([]started, len(addrs))
	var work sync.WaitGroup
	for i, addr := range addrs {
		work.Go(func() {
			var err error
			if all[i], err = watchStart(ctx, s, addr, asked); err != nil {
				cancel(err)
			}
		})
	}
	if err := s.Tool(ctx, "start"); err != nil {
		cancel(err)
	}
	work.Wait()
	return all, context.Cause(ctx)
}

func watchStart(ctx context.Context, s *systems.Aikv, addr string, asked time.Time) (started, error) {
	n := started{addr: addr}
	one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer one.Close()
	if err := until(ctx, systems.Patience, addr+" answers PING", func() bool { return one.Ping(ctx).Err() == nil }); err != nil {
		return n, err
	}
	answered := time.Now()
	if err := until(ctx, systems.Patience, addr+" serves again", func() bool {
		info, err := one.ClusterInfo(ctx).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok") && one.DBSize(ctx).Err() == nil
	}); err != nil {
		return n, err
	}
	whole := time.Now()
	// The script writes it down after the process has started.
	if err := until(ctx, systems.Patience, addr+" has a process", func() bool {
		file, err := os.Stat(s.PidFile(addr))
		if err != nil || file.ModTime().Before(asked.Add(-10*time.Millisecond)) { // the file system's clock is coarse
			return false
		}
		n.begun = file.ModTime()
		return true
	}); err != nil {
		return n, err
	}
	n.ping, n.ok = answered.Sub(n.begun), whole.Sub(n.begun)
	return n, nil
}

func (n started) figure(bound time.Duration) figure {
	slowest := max(n.ping, n.ok)
	return figure{
		"start of " + n.addr, fmt.Sprintf("PING after %s, ok after %s", seconds(n.ping), seconds(n.ok)), atMost(seconds(bound)), slowest <= bound,
	}
}

// readable waits until a key of each shard can be read from one of its nodes.
func readable(ctx context.Context, shards []systems.Shard) error {
	for _, shard := range shards {
		if err := until(ctx, systems.Patience, "a read of the shard of "+shard.Master, func() bool {
			for _, addr := range []string{shard.Master, shard.Replica} {
				if _, err := do(ctx, addr, "get", keyOf(shard, 0)); err == nil {
					return true
				}
			}
			return false
		}); err != nil {
			return err
		}
	}
	return nil
}
