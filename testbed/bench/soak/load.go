package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

const (
	fillers  = 3   // clients of each shard that fill it
	pipeline = 256 // of one of them
)

// fill makes so many writes to each shard, over so many keys of it, with random
// values of that size, and returns how long it took. With as many writes as keys,
// every key is written once.
func fill(ctx context.Context, shards []systems.Shard, writes, keys, size int) (time.Duration, error) {
	begun := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	for _, shard := range shards {
		for first := range fillers {
			work.Go(func() {
				if err := fillOne(ctx, shard, first, writes, keys, size); err != nil {
					cancel(err)
				}
			})
		}
	}
	work.Wait()
	return time.Since(begun), context.Cause(ctx)
}

// fillOne makes every fillers-th of the writes, from the one at first on.
func fillOne(ctx context.Context, shard systems.Shard, first, writes, keys, size int) error {
	one := redis.NewClient(&redis.Options{Addr: shard.Master, MaxRetries: -1, ReadTimeout: systems.Patience})
	defer one.Close()
	value := make([]byte, size)
	for i := first; i < writes; {
		pipe := one.Pipeline()
		for ; i < writes && pipe.Len() < pipeline; i += fillers {
			randomize(value)
			pipe.Set(ctx, fmt.Sprintf("%s%d", shard.Tag, i%keys), string(value), 0)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// randomize makes a value that does not compress.
func randomize(value []byte) {
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
}

// latencies are those of single writes.
type latencies []time.Duration

func (l latencies) percentile(p int) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

const (
	loadRate    = 1000 // writes a second
	loadWriters = 16   // of which so many are under way at most
)

// load is a steady load of single writes to a shard's master.
type load struct {
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	phase  latencies
	failed error // the first
}

func startLoad(ctx context.Context, shard systems.Shard) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel}
	one := redis.NewClient(&redis.Options{Addr: shard.Master, MaxRetries: -1, PoolSize: loadWriters})
	due := make(chan time.Time, loadRate)
	l.work.Go(func() {
		defer close(due)
		ticker := time.NewTicker(time.Second / loadRate)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				select {
				case due <- now:
				default: // a second behind: that shows
				}
			case <-ctx.Done():
				return
			}
		}
	})
	var writers sync.WaitGroup
	for w := range loadWriters {
		writers.Go(func() {
			for begun := range due {
				err := one.Set(ctx, fmt.Sprintf("%sload:%d", shard.Tag, w), begun.UnixNano(), 0).Err()
				l.note(time.Since(begun), err)
			}
		})
	}
	l.work.Go(func() {
		writers.Wait()
		_ = one.Close()
	})
	return l
}

// note counts a write from when it was due, so that a stall counts for all that
// it held up.
func (l *load) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.failed == nil && !errors.Is(err, context.Canceled) {
		l.failed = err
	}
	l.phase = append(l.phase, took)
}

// next returns the latencies since the last call.
func (l *load) next() latencies {
	l.mu.Lock()
	defer l.mu.Unlock()
	phase := l.phase
	l.phase = nil
	return phase
}

// failure returns the first error of a write.
func (l *load) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) stop() {
	l.cancel()
	l.work.Wait()
}
