// Command acked writes keys into a cluster and remembers which writes were
// acknowledged, or checks that those are still there.
//
//	acked write ADDR,… >FILE    write new keys until SIGTERM; one acknowledged key a line
//	acked check ADDR,… <FILE    exit 1 if one of them is not there
//	acked steady ADDR,…         write and read until SIGTERM; exit 1 if a command failed, or a
//	                            write was lost or counted twice, or a read stale
//
// Every key is written once, so its value is known whatever a write that was
// not acknowledged has become. It is a static binary, so it also runs as the
// only program of a container.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

const (
	workers  = 4
	patience = 30 * time.Second     // of check, for one key
	pace     = 5 * time.Millisecond // of a writer: what matters is what happens to writes, not their number
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "acked:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: acked write|check|steady ADDR,…")
	}
	logging.Disable() // nodes fail on purpose here
	options := &redis.ClusterOptions{
		Addrs:       strings.Split(args[1], ","),
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
		MaxRetries: -1,
		// By default the library looks once a minute who has taken a dead master over.
		ClusterStateReloadInterval: time.Second,
	}
	if args[0] == "steady" {
		// Nobody fails here, so the library's own settings have to do; a machine with much
		// to do is no error.
		options = &redis.ClusterOptions{Addrs: options.Addrs, ReadTimeout: patience, WriteTimeout: patience, DialTimeout: patience, PoolTimeout: patience, MaxRetries: -1}
	}
	client := redis.NewClusterClient(options)
	defer func() { _ = client.Close() }()
	switch args[0] {
	case "write":
		return write(ctx, client, os.Stdout)
	case "check":
		return check(ctx, client, os.Stdin)
	case "steady":
		return steady(ctx, client, os.Stdout)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// valueOf is what a key holds.
func valueOf(key string) string { return "value of " + key }

// write writes until ctx ends. A read right after an acknowledged write must
// already see it.
func write(ctx context.Context, client *redis.ClusterClient, out io.Writer) error {
	start := time.Now().UnixNano()
	var mu sync.Mutex // guards out and failure
	var failure error
	var work sync.WaitGroup
	for worker := range workers {
		work.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-tick.C
				key := fmt.Sprintf("acked:%d:%d:%d", start, worker, n)
				// Not ctx: a write that was begun is seen through.
				if client.Set(context.Background(), key, valueOf(key), 0).Err() != nil {
					continue
				}
				got, err := client.Get(context.Background(), key).Result()
				mu.Lock()
				if _, werr := fmt.Fprintln(out, key); werr != nil && failure == nil {
					failure = werr
				}
				if (err == nil && got != valueOf(key) || errors.Is(err, redis.Nil)) && failure == nil {
					failure = fmt.Errorf("stale read: %s is %q right after its write", key, got)
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	return failure
}

// check reads every key of in.
func check(ctx context.Context, client *redis.ClusterClient, in io.Reader) error {
	keys := make(chan string)
	var lost atomic.Int64
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for key := range keys {
				if err := there(ctx, client, key); err != nil {
					lost.Add(1)
					fmt.Fprintf(os.Stderr, "lost %s: %v\n", key, err)
				}
			}
		})
	}
	total := 0
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		total++
		keys <- lines.Text()
	}
	close(keys)
	work.Wait()
	if err := lines.Err(); err != nil {
		return err
	}
	if lost.Load() > 0 || total == 0 {
		return fmt.Errorf("%d of %d acknowledged writes are lost", lost.Load(), total)
	}
	fmt.Printf("%d acknowledged writes, all there\n", total)
	return nil
}

// there returns nil if key has its value. An answer other than that is final; an
// error is not, for a while: the cluster may still be healing.
func there(ctx context.Context, client *redis.ClusterClient, key string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := client.Get(ctx, key).Result()
		switch {
		case errors.Is(err, redis.Nil):
			return errors.New("no such key")
		case err == nil && got != valueOf(key):
			return fmt.Errorf("it is %q", got)
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
