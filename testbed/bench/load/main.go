// Command load makes the mixed and the peers' rows of the benchmark: a given share
// of GETs among SETs, over keys that are there, from clients that each wait for
// one pipeline at a time.
//
// It prints one line: operations a second; p50 and p99 of a pipeline, in ms; then
// p50 and p99 of those with GETs alone, and of those with a SET ("-" if there were
// none).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	kind, addr                  string
	requests, clients, pipeline int
	gets, keys, size            int
	populate                    bool
	value                       []byte
	dial                        func(ctx context.Context, o *options, n int) (client, error)
	shares                      [][]string // of the keys, by the client's target
}

// client has a connection of its own.
type client interface {
	// do sends the operations as one pipeline and waits for all replies.
	do(ops []operation) error
	close()
}

// operation is a SET, or a GET, of one key.
type operation struct {
	key string
	set bool
}

func main() {
	o := options{}
	flag.StringVar(&o.kind, "kind", "cluster", "cluster (Redis Cluster), resp (one node) or etcd")
	flag.StringVar(&o.addr, "addr", "127.0.0.1:6379", "a node")
	flag.IntVar(&o.requests, "n", 100000, "operations")
	flag.IntVar(&o.clients, "c", 50, "clients")
	flag.IntVar(&o.pipeline, "P", 1, "operations that a client sends together")
	flag.IntVar(&o.gets, "gets", 80, "percentage of GETs")
	flag.IntVar(&o.keys, "keys", 160000, "keys")
	flag.IntVar(&o.size, "d", 64, "bytes of a value")
	flag.BoolVar(&o.populate, "populate", false, "SET every key once, instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if o.clients < 1 || o.pipeline < 1 || o.keys < 1 || o.requests < 1 {
		return errors.New("there must be clients, operations and keys")
	}
	o.value = make([]byte, o.size)
	for i := range o.value {
		o.value[i] = 'a' + byte(rand.IntN(26))
	}
	if err := o.connectBy(ctx); err != nil {
		return err
	}
	clients := make([]client, o.clients)
	for i := range clients {
		one, err := o.dial(ctx, o, i)
		if err != nil {
			return err
		}
		defer one.close()
		clients[i] = one
	}
	cancel := context.AfterFunc(ctx, func() {
		for _, one := range clients {
			one.close()
		}
	})
	defer cancel()
	return o.measure(clients)
}

// connectBy chooses how clients reach the system, and which keys each target has.
func (o *options) connectBy(ctx context.Context) error {
	all := make([]string, o.keys)
	for i := range all {
		all[i] = fmt.Sprintf("key:%012d", i)
	}
	switch o.kind {
	case "cluster":
		return o.toCluster(ctx, all)
	case "resp":
		o.dial, o.shares = dialTo([]string{o.addr}), [][]string{all}
	case "etcd":
		o.dial, o.shares = dialEtcd, [][]string{all}
	default:
		return fmt.Errorf("there is no kind %q", o.kind)
	}
	return nil
}

// samples are how long pipelines took, without and with a SET.
type samples struct{ reads, writes []time.Duration }

func (o *options) measure(clients []client) error {
	var work sync.WaitGroup
	found := make([]samples, len(clients))
	failed := make([]error, len(clients))
	begun := time.Now()
	for i, one := range clients {
		work.Go(func() {
			if o.populate {
				failed[i] = o.fill(one, i)
			} else {
				found[i], failed[i] = o.drive(one, i)
			}
		})
	}
	work.Wait()
	took := time.Since(begun)
	if err := errors.Join(failed...); err != nil || o.populate {
		return err
	}
	var all samples
	for _, s := range found {
		all.reads, all.writes = append(all.reads, s.reads...), append(all.writes, s.writes...)
	}
	done := (len(all.reads) + len(all.writes)) * o.pipeline
	fmt.Printf("%.2f %s %s %s\n", float64(done)/took.Seconds(),
		percentiles(slices.Concat(all.reads, all.writes)), percentiles(all.reads), percentiles(all.writes))
	return nil
}

// keysOf returns the keys of client n's target.
func (o *options) keysOf(n int) []string { return o.shares[n%len(o.shares)] }

// drive sends client n's share of the requests.
func (o *options) drive(one client, n int) (s samples, err error) {
	random := rand.New(rand.NewPCG(uint64(n), 1))
	keys := o.keysOf(n)
	ops := make([]operation, o.pipeline)
	together := o.clients * o.pipeline
	for range (o.requests + together - 1) / together {
		sets := false
		for i := range ops {
			ops[i] = operation{keys[random.IntN(len(keys))], random.IntN(100) >= o.gets}
			sets = sets || ops[i].set
		}
		begun := time.Now()
		if err := one.do(ops); err != nil {
			return s, err
		}
		if took := time.Since(begun); sets {
			s.writes = append(s.writes, took)
		} else {
			s.reads = append(s.reads, took)
		}
	}
	return s, nil
}

// fill writes client n's share of its target's keys.
func (o *options) fill(one client, n int) error {
	keys, targets := o.keysOf(n), len(o.shares)
	sharers := (o.clients - n%targets + targets - 1) / targets
	var ops []operation
	for i := n / targets; i < len(keys); i += sharers {
		ops = append(ops, operation{keys[i], true})
		if len(ops) == o.pipeline || i+sharers >= len(keys) {
			if err := one.do(ops); err != nil {
				return err
			}
			ops = ops[:0]
		}
	}
	return nil
}

func percentiles(all []time.Duration) string {
	if len(all) == 0 {
		return "- -"
	}
	slices.Sort(all)
	at := func(p int) float64 {
		return float64(all[min(len(all)-1, len(all)*p/100)].Microseconds()) / 1000
	}
	return fmt.Sprintf("%.3f %.3f", at(50), at(99))
}
