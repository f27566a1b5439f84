package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	steadyKeys   = 128 // of each worker, spread over all slots
	steadyPeriod = 2 * time.Millisecond
	steadyShown  = 10 // errors that are shown; all are counted
	againPause   = 5 * time.Millisecond
)

// steady writes and reads as applications do, each key by one worker, until ctx ends;
// then it reads everything once more. Whatever happens to the cluster meanwhile, no
// command may fail, no read may be older than the last write, and no write may be
// missing or counted twice.
func steady(ctx context.Context, client *redis.ClusterClient, out io.Writer) error {
	t := &tally{}
	start := time.Now().UnixNano()
	var work sync.WaitGroup
	for n := range workers {
		work.Go(func() {
			w := newSteadyWorker(client, t, fmt.Sprintf("steady:%d:%d", start, n))
			tick := time.NewTicker(steadyPeriod)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				w.step(context.Background()) // not ctx: what was begun is seen through
			}
			w.readAll(context.Background())
		})
	}
	work.Wait()
	_, err := fmt.Fprintln(out, t)
	if t.errors.Load()+t.wrong.Load() > 0 || t.writes.Load() == 0 {
		return errors.Join(err, errors.New("not every command was answered as it has to be"))
	}
	return err
}

// tally counts what all workers saw.
type tally struct {
	writes, reads, again atomic.Int64 // again: TRYAGAIN to commands of several keys, as Redis has it too
	errors, wrong        atomic.Int64
	longest              atomic.Int64 // ns
}

func (t *tally) String() string {
	return fmt.Sprintf("%d writes, %d reads, %d errors, %d lost, stale or doubled, %d to try again, longest %d ms",
		t.writes.Load(), t.reads.Load(), t.errors.Load(), t.wrong.Load(), t.again.Load(),
		time.Duration(t.longest.Load()).Milliseconds())
}

func (t *tally) took(d time.Duration) {
	for {
		old := t.longest.Load()
		if int64(d) <= old || t.longest.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

func (t *tally) failed(key string, err error) {
	if n := t.errors.Add(1); n <= steadyShown {
		fmt.Fprintf(os.Stderr, "%s: %v\n", key, err)
	}
}

func (t *tally) differs(key string, got, want any) {
	if n := t.wrong.Add(1); n <= steadyShown {
		fmt.Fprintf(os.Stderr, "%s is %v, not %v\n", key, got, want)
	}
}

// steadyWorker is the only writer of its keys, so it knows what they hold.
type steadyWorker struct {
	client *redis.ClusterClient
	tally  *tally
	prefix string
	counts []int64 // what counter i holds; -1: not known, since a write of it failed
	pairs  []int64 // what both keys of pair i hold
}

func newSteadyWorker(client *redis.ClusterClient, t *tally, prefix string) *steadyWorker {
	return &steadyWorker{client: client, tally: t, prefix: prefix, counts: make([]int64, steadyKeys), pairs: make([]int64, steadyKeys)}
}

func (w *steadyWorker) counter(i int) string { return fmt.Sprintf("%s:count:%d", w.prefix, i) }

func (w *steadyWorker) pair(i int) (string, string) {
	tag := fmt.Sprintf("{%s:pair:%d}", w.prefix, i)
	return tag + "a", tag + "b"
}

// step is one command, or a few that belong together.
func (w *steadyWorker) step(ctx context.Context) {
	begun := time.Now()
	i := rand.IntN(steadyKeys)
	switch rand.IntN(6) {
	case 0, 1:
		w.increment(ctx, i)
	case 2:
		w.look(ctx, i)
	case 3:
		w.pipeline(ctx)
	case 4:
		w.transaction(ctx, i)
	case 5:
		w.both(ctx, i)
	}
	w.tally.took(time.Since(begun))
}

func (w *steadyWorker) increment(ctx context.Context, i int) {
	w.counted(i, 1, w.client.Incr(ctx, w.counter(i)))
}

// counted judges the answer to an INCR, the by-th of counter i since it was noted.
func (w *steadyWorker) counted(i int, by int64, cmd *redis.IntCmd) {
	w.tally.writes.Add(1)
	got, err := cmd.Result()
	if err != nil {
		w.tally.failed(w.counter(i), err)
		w.counts[i] = -1
		return
	}
	if w.counts[i] >= 0 && got != w.counts[i]+by {
		w.tally.differs(w.counter(i), got, w.counts[i]+by)
	}
	w.counts[i] = got
}

func (w *steadyWorker) look(ctx context.Context, i int) {
	w.tally.reads.Add(1)
	got, err := w.client.Get(ctx, w.counter(i)).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		w.tally.failed(w.counter(i), err)
		return
	}
	if w.counts[i] >= 0 && got != w.counts[i] {
		w.tally.differs(w.counter(i), got, w.counts[i])
	}
}

// pipeline increments several counters at once, all of them other ones.
func (w *steadyWorker) pipeline(ctx context.Context) {
	pipe := w.client.Pipeline()
	first := rand.IntN(steadyKeys)
	cmds := make([]*redis.IntCmd, 8)
	for n := range cmds {
		cmds[n] = pipe.Incr(ctx, w.counter((first+n)%steadyKeys))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for n, cmd := range cmds {
		w.counted((first+n)%steadyKeys, 1, cmd)
	}
}

// transaction increments a counter twice, as one.
func (w *steadyWorker) transaction(ctx context.Context, i int) {
	pipe := w.client.TxPipeline()
	first, second := pipe.Incr(ctx, w.counter(i)), pipe.Incr(ctx, w.counter(i))
	_, _ = pipe.Exec(ctx)
	w.counted(i, 1, first)
	w.counted(i, 1, second)
}

// both writes two keys of one slot by one command, and reads them by one.
func (w *steadyWorker) both(ctx context.Context, i int) {
	a, b := w.pair(i)
	w.tally.writes.Add(1)
	if err := w.again(ctx, func() error { return w.client.MSet(ctx, a, w.pairs[i]+1, b, w.pairs[i]+1).Err() }); err != nil {
		w.tally.failed(a, err)
		w.pairs[i] = -1
	} else {
		w.pairs[i]++
	}
	w.lookBoth(ctx, i)
}

func (w *steadyWorker) lookBoth(ctx context.Context, i int) {
	a, b := w.pair(i)
	w.tally.reads.Add(1)
	var got []any
	err := w.again(ctx, func() (err error) {
		got, err = w.client.MGet(ctx, a, b).Result()
		return err
	})
	if err != nil {
		w.tally.failed(a, err)
		return
	}
	want := any(fmt.Sprint(w.pairs[i]))
	if w.pairs[i] == 0 {
		want = nil
	}
	if w.pairs[i] >= 0 && (got[0] != want || got[1] != want) {
		w.tally.differs(a, got, want)
	}
}

// again sends a command of several keys until the answer is not TRYAGAIN: while keys of
// a slot move one by one, it may not be complete on either side.
func (w *steadyWorker) again(ctx context.Context, do func() error) error {
	for limit := time.Now().Add(patience); ; {
		err := do()
		if err == nil || !strings.HasPrefix(err.Error(), "TRYAGAIN") || time.Now().After(limit) {
			return err
		}
		w.tally.again.Add(1)
		select {
		case <-time.After(againPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *steadyWorker) readAll(ctx context.Context) {
	for i := range steadyKeys {
		w.look(ctx, i)
		w.lookBoth(ctx, i)
	}
}
