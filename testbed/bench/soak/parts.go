package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

const (
	folderBound  = 512 << 20
	restartBound = 3 * time.Second
	coldBound    = 2 * time.Second
)

// overwrites writes few keys over and over: the log is cut, tables are compacted,
// and what the node keeps stays small.
func overwrites(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const writes, keys = 10_000_000, 1000
	shards, err := systems.Topology(ctx, s)
	if err != nil {
		return nil, err
	}
	took, err := fill(ctx, s, shards, writes, keys, sizes{64, 100})
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
			"data folder of " + addr, fmt.Sprintf("%d MB (log %d MB, stores %d MB)", (log+rest)>>20, log>>20, rest>>20),
			atMost("512 MB"), log+rest <= folderBound,
		})
	}
	for _, addr := range s.Addrs() {
		if err := s.Kill(addr); err != nil {
			return nil, err
		}
		nodes, err := starts(ctx, s, []string{addr})
		if err != nil {
			return nil, err
		}
		figures = append(figures, nodes[0].figure(restartBound))
	}
	return figures, nil
}

// coldStart starts six nodes at once that have a million keys each: after an
// orderly stop, and after a kill of all of them.
func coldStart(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const keys = 1_000_000
	shards, err := systems.Topology(ctx, s)
	if err != nil {
		return nil, err
	}
	took, err := fill(ctx, s, shards, keys*len(shards), keys*len(shards), sizes{64, 64})
	if err != nil {
		return nil, err
	}
	figures := []figure{{what: fmt.Sprintf("%d keys in each of %d shards", keys, len(shards)), value: rate(keys*len(shards), took)}}
	for _, how := range []struct {
		name string
		end  func() error
	}{
		{"a stop", func() error { return s.Tool(ctx, "stop") }},
		{"kill -9", func() error { return each(s.Addrs(), s.Kill) }},
	} {
		if err := how.end(); err != nil {
			return nil, err
		}
		nodes, err := starts(ctx, s, s.Addrs())
		if err != nil {
			return nil, err
		}
		if err := readable(ctx, shards); err != nil {
			return nil, err
		}
		figures = append(figures, startOfAll(how.name, nodes, time.Now()))
		for _, shard := range shards {
			if err := hold(ctx, shard, keys); err != nil {
				return nil, err
			}
		}
	}
	return figures, nil
}

func each(addrs []string, do func(string) error) error {
	var errs []error
	for _, addr := range addrs {
		errs = append(errs, do(addr))
	}
	return errors.Join(errs...)
}

// startOfAll is the figure of nodes that were started together; served is when all
// shards could be read. It counts from the start of the first process.
func startOfAll(after string, nodes []started, served time.Time) figure {
	begun, ping, ok := nodes[0].begun, time.Duration(0), time.Duration(0)
	for _, n := range nodes {
		if n.begun.Before(begun) {
			begun = n.begun
		}
		ping, ok = max(ping, n.ping), max(ok, n.ok)
	}
	all := served.Sub(begun)
	return figure{
		"all six start after " + after,
		fmt.Sprintf("slowest: PING after %s, ok after %s; all of it, with reads of all shards: %s", seconds(ping), seconds(ok), seconds(all)),
		atMost(seconds(coldBound)), all <= coldBound,
	}
}

// hold waits until both nodes of a shard have so many keys.
func hold(ctx context.Context, shard systems.Shard, keys int64) error {
	var counts [2]int64
	err := until(ctx, systems.Patience, "both nodes of a shard have its keys", func() bool {
		for i, addr := range []string{shard.Master, shard.Replica} {
			counts[i], _ = keysOf(ctx, addr) // 0 for an error: that is too few
		}
		return counts[0] == keys && counts[1] == keys
	})
	if err != nil {
		return fmt.Errorf("%s has %d keys and %s %d, of %d: %w", shard.Master, counts[0], shard.Replica, counts[1], keys, err)
	}
	return nil
}

// steady is for how long writes are measured before a replica is replaced.
const steady = 20 * time.Second

// catchUp replaces the replica of a shard with much data while the master serves.
func catchUp(ctx context.Context, s *systems.Aikv) ([]figure, error) {
	const keys, size = 1_000_000, 1024
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
	if shards, err = systems.Topology(ctx, s); err != nil { // the leader may be another by now
		return nil, err
	}
	tag := shard.Tag
	for _, now := range shards {
		if now.Tag == tag {
			shard = now
		}
	}
	load := startLoad(ctx, shard, usualRate, keys, size)
	defer load.stop()
	if err := systems.Pause(ctx, 2*time.Second); err != nil { // the connections come about
		return nil, err
	}
	load.next()
	if err := systems.Pause(ctx, steady); err != nil { // what is measured
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
	took = time.Since(begun)
	during := load.next()
	load.stop()
	if err := hold(ctx, shard, keys); err != nil {
		return nil, err
	}
	p99, bound := during.percentile(99), 2*before.percentile(99)
	return append(figures,
		figure{what: "a new replica has caught up after", value: seconds(took)},
		figure{what: "writes before", value: before.String()},
		figure{what: "writes meanwhile", value: during.String()},
		figure{"p99 of writes meanwhile", millis(p99), atMost(millis(bound)), p99 <= bound},
	), load.failure()
}

// quiet waits until nobody tidies up what was written: the size of all folders
// has stayed the same for a while.
func quiet(ctx context.Context, s *systems.Aikv) error {
	last, since := int64(-1), time.Now()
	return until(ctx, 5*time.Minute, "the stores have come to rest", func() bool {
		now := int64(0)
		for _, addr := range s.Addrs() {
			_, rest, _ := sizeOf(s.NodeDir(addr)) // again in a moment
			now += rest
		}
		if d := now - last; d > 1<<20 || d < -1<<20 {
			last, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second
	})
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

func atMost(bound string) string { return "at most " + bound }
