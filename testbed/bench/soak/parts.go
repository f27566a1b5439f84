package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

// overwrites writes few keys over and over: the log is cut, tables are compacted,
// and what the node keeps stays small.
func overwrites(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const writes, keys = 10_000_000, 1000
	shards, err := systems.Topology(ctx, s)
	if err != nil {
		return nil, err
	}
	took, err := fill(ctx, shards, writes/len(shards), keys/len(shards), 64)
	if err != nil {
		return nil, err
	}
	figures := []figure{{what: fmt.Sprintf("%d writes over %d keys", writes, keys), value: rate(writes, took)}}
	for _, addr := range s.Addrs() {
		log, rest, err := sizeOf(s.NodeDir(addr))
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{
			"data folder of " + addr, fmt.Sprintf("%d MB, of that the log %d MB", (log+rest)>>20, log>>20), "512 MB", log+rest <= 512<<20,
		})
	}
	for _, addr := range s.Addrs() {
		if err := s.Kill(addr); err != nil {
			return nil, err
		}
		took, err := starts(ctx, s, []string{addr})
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"restart of " + addr, seconds(took), "3 s", took <= 3*time.Second})
	}
	return figures, nil
}

// coldStart starts six nodes at once that have a million keys each.
func coldStart(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const keys = 1_000_000
	shards, err := systems.Topology(ctx, s)
	if err != nil {
		return nil, err
	}
	took, err := fill(ctx, shards, keys, keys, 64)
	if err != nil {
		return nil, err
	}
	figures := []figure{{what: fmt.Sprintf("%d keys in each of %d shards", keys, len(shards)), value: rate(keys*len(shards), took)}}
	if err := s.Tool(ctx, "stop"); err != nil {
		return nil, err
	}
	if took, err = starts(ctx, s, s.Addrs()); err != nil {
		return nil, err
	}
	for _, shard := range shards {
		if n, err := keysOf(ctx, shard.Master); err != nil || n != keys {
			return nil, fmt.Errorf("%s has %d keys (%w), not %d", shard.Master, n, err, keys)
		}
	}
	return append(figures, figure{"all six start and serve", seconds(took), "2 s", took <= 2*time.Second}), nil
}

// catchUp replaces the replica of a shard with much data while the master serves.
func catchUp(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const keys, size = 1_000_000, 1024
	shards, err := systems.Topology(ctx, s)
	if err != nil {
		return nil, err
	}
	shard := shards[0]
	if _, err := fill(ctx, shards[:1], keys, keys, size); err != nil {
		return nil, err
	}
	load := startLoad(ctx, shard)
	defer load.stop()
	if err := systems.Pause(ctx, 15*time.Second); err != nil { // what is measured
		return nil, err
	}
	before := load.next()
	if err := lose(ctx, s, shard); err != nil {
		return nil, err
	}
	load.next()
	begun := time.Now()
	if err := replace(ctx, s, shard); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	during := load.next()
	there, err := keysOf(ctx, shard.Replica)
	if err != nil {
		return nil, err
	}
	if there < keys {
		return nil, fmt.Errorf("the new replica has %d keys", there)
	}
	p99, bound := during.percentile(99), 2*before.percentile(99)
	return []figure{
		{what: fmt.Sprintf("a new replica of %d keys of %d bytes", keys, size), value: seconds(took)},
		{what: fmt.Sprintf("writes before it: p50 %s, p99", millis(before.percentile(50))), value: millis(before.percentile(99))},
		{
			fmt.Sprintf("writes meanwhile (%d): p50 %s, p99", len(during), millis(during.percentile(50))), millis(p99),
			millis(bound), p99 <= bound,
		},
	}, load.failure()
}

// lose kills the shard's replica for good, and has the cluster forget it.
func lose(ctx context.Context, s *systems.Aikv, shard systems.Shard) error {
	id, err := do(ctx, shard.Replica, "cluster", "myid")
	if err != nil {
		return err
	}
	if err := s.Kill(shard.Replica); err != nil {
		return err
	}
	if err := os.RemoveAll(s.NodeDir(shard.Replica)); err != nil {
		return err
	}
	_, err = do(ctx, shard.Master, "cluster", "forget", id)
	return err
}

// replace starts a fresh node in the lost one's place and returns when it is the
// shard's replica and has caught up.
func replace(ctx context.Context, s *systems.Aikv, shard systems.Shard) error {
	if err := os.MkdirAll(s.NodeDir(shard.Replica), 0o755); err != nil {
		return err
	}
	if err := s.Tool(ctx, "start"); err != nil {
		return err
	}
	id, err := do(ctx, shard.Master, "cluster", "myid")
	if err != nil {
		return err
	}
	host, port, _ := strings.Cut(shard.Master, ":")
	if _, err := do(ctx, shard.Replica, "cluster", "meet", host, port); err != nil {
		return err
	}
	if _, err := do(ctx, shard.Replica, "cluster", "replicate", id); err != nil {
		return err
	}
	return until(ctx, 10*time.Minute, "the replica has caught up", func() bool {
		info, err := do(ctx, shard.Master, "info", "raft")
		return err == nil && ledAndWhole(info)
	})
}

// ledAndWhole: the node leads a shard that has three voters with all of its log.
func ledAndWhole(info string) bool {
	for line := range strings.Lines(info) {
		if strings.Contains(line, ",kind=data,role=leader,") && strings.Contains(line, ",voters=3,learners=0,") &&
			strings.Contains(line, ",settled=1,") {
			return true
		}
	}
	return false
}

// starts starts the nodes that are down and returns how long it took until these
// say that the cluster is ok and answer for their data.
func starts(ctx context.Context, s *systems.Aikv, addrs []string) (time.Duration, error) {
	begun := time.Now()
	if err := s.Tool(ctx, "start"); err != nil {
		return 0, err
	}
	err := until(ctx, systems.Patience, "the nodes serve again", func() bool {
		return !slices.ContainsFunc(addrs, func(addr string) bool {
			info, err := do(ctx, addr, "cluster", "info")
			if err != nil || !strings.Contains(info, "cluster_state:ok") {
				return true
			}
			_, err = keysOf(ctx, addr)
			return err != nil
		})
	})
	return time.Since(begun), err
}

// sizeOf returns the bytes of a node's log, and of everything else in its folder.
func sizeOf(dir string) (log, rest int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		switch {
		case os.IsNotExist(err): // compacted away
			return nil
		case err != nil:
			return err
		case strings.HasPrefix(path, filepath.Join(dir, "wal")+string(filepath.Separator)):
			log += info.Size()
		default:
			rest += info.Size()
		}
		return nil
	})
	return log, rest, err
}

// until polls.
func until(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", limit, what)
		}
		if err := systems.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// do asks one node one thing.
func do(ctx context.Context, addr string, args ...any) (string, error) {
	one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, Protocol: 2})
	defer one.Close()
	return one.Do(ctx, args...).Text()
}

// keysOf returns how many keys a node has, as it has applied them.
func keysOf(ctx context.Context, addr string) (int64, error) {
	one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer one.Close()
	return one.DBSize(ctx).Result()
}

func rate(n int, took time.Duration) string {
	return fmt.Sprintf("%.0f writes/s", float64(n)/took.Seconds())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
