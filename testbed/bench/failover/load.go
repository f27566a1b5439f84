package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/genuineh/aikv/testbed/bench/systems"
)

const (
	warmUp   = time.Second      // of load before the kill
	coolDown = time.Second      // of load after the takeover
	probe    = time.Millisecond // between tries of one prober
)

// killOne kills the n-th master in turn under load, and waits until the system is
// whole again.
func killOne(ctx context.Context, s systems.System, n, rate int) (round, error) {
	top, err := systems.Topology(ctx, s)
	if err != nil {
		return round{}, err
	}
	victim := top[n%len(top)]
	l := &load{system: s, victim: victim, cluster: redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: s.Addrs(), ClusterStateReloadInterval: time.Second, // a minute by default
	})}
	defer l.cluster.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { l.write(running, rate) })
	for _, other := range top {
		if other.Master != victim.Master {
			work.Go(func() { l.probeOther(running, other) })
		}
	}
	if err := systems.Pause(ctx, warmUp); err != nil {
		return round{}, err
	}
	killed := time.Now()
	if err := s.Kill(victim.Master); err != nil {
		return round{}, err
	}
	server, err := l.awaitTakeover(running, killed)
	if err != nil {
		return round{}, err
	}
	for l.last.Load() < time.Now().UnixNano() { // until the client is back, too
		if time.Since(killed) > systems.Patience {
			return round{}, errors.New("the go-redis client does not find the new master")
		}
		if time.Unix(0, l.last.Load()).After(killed.Add(server)) {
			break
		}
		if err := systems.Pause(ctx, probe); err != nil {
			return round{}, err
		}
	}
	if err := systems.Pause(ctx, coolDown); err != nil {
		return round{}, err
	}
	stop()
	work.Wait()
	if err := s.Revive(ctx, victim.Master); err != nil {
		return round{}, err
	}
	lost, err := l.lost(ctx)
	return round{server, l.gap, time.Duration(l.others.Load()), len(l.acked), lost}, err
}

// load is the writers of one round.
type load struct {
	system  systems.System
	victim  systems.Shard
	cluster *redis.ClusterClient

	last   atomic.Int64  // when a write of the client last succeeded, unix ns
	gap    time.Duration // write's
	acked  map[string]string
	others atomic.Int64 // longest gap so far, ns
}

// writers is how many writes of the client are under way at most.
const writers = 64

// write keeps the rate of writes to the victim's slots, by a client as an
// application has one, and notes what was acknowledged.
func (l *load) write(ctx context.Context, rate int) {
	l.acked = make(map[string]string)
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, writers)
	previous := time.Now()
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			work.Wait()
			return
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			work.Wait()
			return
		case slots <- struct{}{}:
		}
		key, value := fmt.Sprintf("%s%d", l.victim.Tag, i%50000), strconv.Itoa(i)
		work.Go(func() {
			defer func() { <-slots }()
			if l.cluster.Set(ctx, key, value, 0).Err() != nil {
				mu.Lock()
				delete(l.acked, key) // it may have been written or not
				mu.Unlock()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			l.acked[key] = value
			l.gap = max(l.gap, now.Sub(previous))
			previous = now
			l.last.Store(now.UnixNano())
		})
	}
}

// awaitTakeover asks the victim's replica itself, not by redirects, until it
// takes a write.
func (l *load) awaitTakeover(ctx context.Context, killed time.Time) (time.Duration, error) {
	one := redis.NewClient(&redis.Options{Addr: l.victim.Replica, MaxRetries: -1})
	defer one.Close()
	for i := 0; time.Since(killed) < systems.Patience; i++ {
		if one.Set(ctx, l.victim.Tag+"probe", i, 0).Err() == nil {
			return time.Since(killed), nil
		}
		if err := systems.Pause(ctx, probe); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("the replica %s did not take over", l.victim.Replica)
}

// probeOther writes to another shard's master all the time.
func (l *load) probeOther(ctx context.Context, s systems.Shard) {
	one := redis.NewClient(&redis.Options{Addr: s.Master, MaxRetries: -1})
	defer one.Close()
	previous := time.Now()
	for i := 0; systems.Pause(ctx, probe) == nil; i++ {
		if one.Set(ctx, s.Tag+"other", i, 0).Err() != nil {
			continue
		}
		now := time.Now()
		for gap := int64(now.Sub(previous)); ; {
			old := l.others.Load()
			if gap <= old || l.others.CompareAndSwap(old, gap) {
				break
			}
		}
		previous = now
	}
}

// lost counts the acknowledged writes that are not there. Each key was written
// with rising values, and by one round only: an older value is a lost write.
func (l *load) lost(ctx context.Context) (int, error) {
	lost := 0
	for key, value := range l.acked {
		got, err := l.cluster.Get(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, err
		}
		if got != value {
			lost++
		}
	}
	return lost, nil
}
