// AiKv from go-redis, with every family of commands, while a master dies.
//
//	go run ./testbed/clients/go HOST:PORT,... [FAMILY ...]
//
// See ../README.md for what is proved, and connect for what to copy.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// patience is for one write to succeed while a master is replaced.
const patience = time.Minute

// start tells the keys of one run from those of another.
var start = time.Now().Unix()

// connect returns a client that survives the loss of any one node.
func connect(addresses string) *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:       strings.Split(addresses, ","),
		DialTimeout: time.Second,
		// By default a client that only knew a dead master looks for the new one after up to a minute.
		ClusterStateReloadInterval: time.Second,
	})
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: client HOST:PORT,... [FAMILY ...]")
		os.Exit(2)
	}
	logging.Disable() // a node fails on purpose
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write is a write that was acknowledged.
type write struct {
	key string
	n   int
}

func run(ctx context.Context, addresses string, names []string) error {
	r := connect(addresses)
	defer func() { _ = r.Close() }()
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	for _, f := range chosen {
		if err := f.uses(ctx, r, "before"); err != nil {
			return err
		}
	}
	written, err := writeUntilStopped(ctx, r, chosen)
	if err != nil {
		return err
	}
	for i, f := range chosen {
		for _, w := range written[i] {
			err := again(func() error {
				held, err := f.held(ctx, r, w.key, w.n)
				if err == nil && !held {
					err = lostError{f.name, w}
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if err := f.uses(ctx, r, "after"); err != nil {
			return err
		}
		fmt.Printf("%s: %d writes held\n", f.name, len(written[i]))
	}
	return nil
}

// writeUntilStopped goes on until somebody sets clients:stop, whatever dies.
func writeUntilStopped(ctx context.Context, r *redis.ClusterClient, chosen []family) ([][]write, error) {
	written := make([][]write, len(chosen))
	for n := 0; ; n++ {
		var stop int64
		err := again(func() (err error) {
			stop, err = r.Exists(ctx, "clients:stop").Result()
			return err
		})
		if err != nil || stop == 1 {
			return written, err
		}
		for i, f := range chosen {
			w := write{fmt.Sprintf("go:%d:{%s%d}:", start, f.name, n%8), n}
			if err := again(func() error { return f.write(ctx, r, w.key, w.n) }); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			written[i] = append(written[i], w)
		}
		if n == 10 {
			fmt.Println("ready")
		}
		time.Sleep(5 * time.Millisecond) // what matters is what happens to writes, not their number
	}
}

// lostError says that an acknowledged write is not there.
type lostError struct {
	family string
	w      write
}

func (e lostError) Error() string { return fmt.Sprintf("%s: %s has lost %d", e.family, e.w.key, e.w.n) }

// again does something until the cluster has a new master. It may be done more than once.
func again(act func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := act()
		var lost lostError
		if err == nil || errors.As(err, &lost) || time.Now().After(deadline) {
			return err
		}
	}
}

// checks collects what went otherwise than it should.
type checks struct{ failed []error }

// equal takes a command's result and what it should be. Numbers may be of any type.
func (c *checks) equal(got any, err error, want any) {
	if err != nil && !errors.Is(err, redis.Nil) {
		c.failed = append(c.failed, err)
		return
	}
	if errors.Is(err, redis.Nil) {
		got = nil
	}
	if !reflect.DeepEqual(got, want) && fmt.Sprint(got) != fmt.Sprint(want) {
		c.failed = append(c.failed, fmt.Errorf("got %v, want %v", got, want))
	}
}

// uses plays the family once.
func (f family) uses(ctx context.Context, r *redis.ClusterClient, when string) error {
	var c checks
	f.use(ctx, r, fmt.Sprintf("go:%d:{%s}:%s:", start, f.name, when), &c)
	if len(c.failed) > 0 {
		return fmt.Errorf("%s, %s: %w", f.name, when, errors.Join(c.failed...))
	}
	return nil
}
