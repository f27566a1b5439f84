package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

const (
	fillers   = 3   // clients of each shard that fill it
	pipeline  = 256 // of one of them
	fillTries = 20  // of one of them
)

// sizes are the smallest and the largest value.
type sizes struct{ from, to int }

// fill makes so many writes to the shards in turn, over so many keys, with random
// values, and returns how long it took. With as many writes as keys, every key is
// written once.
func fill(ctx context.Context, s systems.System, shards []systems.Shard, writes, keys int, values sizes) (time.Duration, error) {
	begun := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	for n, shard := range shards {
		// Write i goes to shard i modulo their number.
		share := func(of int) int { return (of - n + len(shards) - 1) / len(shards) }
		for first := range fillers {
			work.Go(func() {
				if err := fillOne(ctx, s, shard, first, share(writes), share(keys), values); err != nil {
					cancel(err)
				}
			})
		}
	}
	work.Wait()
	return time.Since(begun), context.Cause(ctx)
}

// fillOne makes every fillers-th of the writes, from the one at first on.
func fillOne(ctx context.Context, s systems.System, shard systems.Shard, first, writes, keys int, values sizes) error {
	one := redis.NewClient(&redis.Options{Addr: shard.Master, MaxRetries: -1, ReadTimeout: systems.Patience})
	defer func() { _ = one.Close() }()
	random := newRandom()
	for i, tries := first, 0; i < writes; {
		from := i
		pipe := one.Pipeline()
		for ; i < writes && pipe.Len() < pipeline; i += fillers {
			size := values.from + int(random.Uint64()%uint64(values.to-values.from+1))
			pipe.Set(ctx, keyOf(shard, i%keys), randomValue(random, size), 0)
		}
		_, err := pipe.Exec(ctx)
		if err == nil {
			continue
		}
		if tries++; tries > fillTries {
			return err
		}
		// The shard has another leader, as may be where the machine has much to do.
		progress("%s: %v, again", one.Options().Addr, err)
		master, err := masterOf(ctx, s, shard)
		if err != nil {
			return err
		}
		_ = one.Close()
		one, i = redis.NewClient(&redis.Options{Addr: master, MaxRetries: -1, ReadTimeout: systems.Patience}), from
	}
	return nil
}

// masterOf returns the node that takes writes for a shard by now.
func masterOf(ctx context.Context, s systems.System, shard systems.Shard) (master string, err error) {
	err = until(ctx, systems.Patience, "a node takes writes for the shard of "+shard.Master, func() bool {
		for _, master = range []string{shard.Master, shard.Replica} {
			one := redis.NewClient(&redis.Options{Addr: master, MaxRetries: -1})
			err := one.Del(ctx, shard.Tag).Err() // nobody writes that key
			_ = one.Close()
			if err == nil {
				return true
			}
		}
		return false
	})
	return master, err
}

func keyOf(shard systems.Shard, i int) string { return shard.Tag + strconv.Itoa(i) }

func newRandom() *rand.ChaCha8 {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	return rand.NewChaCha8(seed)
}

// randomValue makes a value that does not compress.
func randomValue(random *rand.ChaCha8, size int) string {
	value := make([]byte, size)
	_, _ = random.Read(value) // never fails
	return string(value)
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

func (l latencies) String() string {
	return fmt.Sprintf("%d: p50 %s, p99 %s, longest %s", len(l), millis(l.percentile(50)), millis(l.percentile(99)), millis(l.percentile(100)))
}

const (
	usualRate   = 1000 // writes a second
	loadWriters = 16   // of which so many are under way at most
)

// load is a steady load of single writes to a shard's master, of keys that it has.
type load struct {
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	phase  latencies
	failed error // the first
}

// startLoad begins it, with so many writes a second.
func startLoad(ctx context.Context, shard systems.Shard, rate, keys, size int) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel}
	one := redis.NewClient(&redis.Options{Addr: shard.Master, MaxRetries: -1, PoolSize: loadWriters})
	due := make(chan time.Time, 60*rate) // a minute behind at most: that shows
	l.work.Go(func() {
		defer close(due)
		for next := time.Now(); systems.Pause(ctx, time.Until(next)) == nil; next = next.Add(time.Second / time.Duration(rate)) {
			select {
			case due <- next:
			case <-ctx.Done():
			}
		}
	})
	var writers sync.WaitGroup
	for range loadWriters {
		writers.Go(func() {
			random := newRandom()
			for begun := range due {
				key := keyOf(shard, int(random.Uint64()%uint64(keys)))
				err := one.Set(ctx, key, randomValue(random, size), 0).Err()
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
	switch {
	case errors.Is(err, context.Canceled): // stop cut it off
		return
	case err != nil && l.failed == nil:
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
