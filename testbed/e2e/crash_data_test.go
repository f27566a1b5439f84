package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Small limits, so that logs are cut and segments removed every moment.
var smallLogs = []string{"AIKV_WAL_GROUP_ENTRIES=64", "AIKV_WAL_GROUP_SIZE=64kb", "AIKV_WAL_SEGMENT_SIZE=128kb", "AIKV_WAL_PREALLOCATE=16kb"}

// A node dies at one step of a write's way through it, while clients write, and
// comes back: every acknowledged write is there, nothing was made up, and both
// copies are the same.
func TestCrashPointsOfWrites(t *testing.T) {
	t.Parallel()
	writing := []string{"logWrite", "walSync", "logWritten", "logDelivered", "sendBulk", "trimCut", "segmentRemove", "segmentRemoved"}
	applying := []string{"applyBegin", "applyDone", "storageSync"}
	for _, at := range slices.Concat(
		at(0, writing...), at(0, applying...), // the leader
		at(1, writing...), at(1, applying...), // its replica
		at(2, writing...), // the arbiter
	) {
		t.Run(fmt.Sprintf("%s of node %d", at.point, at.node), func(t *testing.T) {
			t.Parallel()
			w := startWrites(t)
			victim := w.nodes[at.node]
			// Not at the first: there is to be something to lose. Logs are cut, and
			// stores synced for that, more seldom than entries are written.
			first := 200
			if slices.Contains([]string{"trimCut", "storageSync", "segmentRemove", "segmentRemoved"}, at.point) {
				first = 2
			}
			victim.arm(at.point, fmt.Sprintf("%d*off->panic", first))
			w.until(at.point, victim.down)
			victim.kill()
			victim.mustStart("")
			w.finish()
		})
	}
}

// A disk is slow: half a second for each sync. Writes go on if it is not two
// voters' of three, and nothing is lost when it comes to an end.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	for node, role := range []string{"leader", "replica", "arbiter"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			w := startWrites(t)
			w.nodes[node].arm("walSync", "sleep(500)")
			before := w.acknowledged()
			w.until("writes are acknowledged", func() bool { return w.acknowledged() > before+50 })
			w.nodes[node].arm("walSync", "off")
			w.finish()
		})
	}
}

// A replica dies while it goes over to a state that it has fetched.
func TestCrashPointsOfSnapshots(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"snapshotFlip", "snapshotFlipped"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := startWrites(t)
			replica := w.nodes[1]
			replica.kill()
			// Until the log does not reach back to what the replica has.
			behind := w.nodes[0].logStart(t)
			w.until("the log is cut", func() bool { return w.nodes[0].logStart(t) > behind+2000 })
			replica.mustStart(point + "=panic")
			w.until(point, replica.down)
			replica.kill()
			replica.mustStart("")
			w.finish()
		})
	}
}

// logStart returns the last index that the log of the node's shard has lost.
func (p *process) logStart(t *testing.T) (index int) {
	t.Helper()
	info, err := p.ask("info", "raft")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if !strings.Contains(line, "kind=data") {
			continue
		}
		for field := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			if n, err := fmt.Sscanf(field, "log_start=%d", &index); n == 1 && err == nil {
				return index
			}
		}
	}
	t.Fatalf("no data group with log_start in %s", info)
	return 0
}

// writes is one shard (node 0 leads, 1 is its replica, 2 an arbiter) and clients
// that write to it. Each client has keys of its own and counts up, so what may be
// read is what was acknowledged last, or one that was tried after it.
type writes struct {
	*fleet
	stop chan struct{}
	done sync.WaitGroup

	mu           sync.Mutex
	acked, tried map[string]int
}

const writers, keysEach = 4, 16

func startWrites(t *testing.T) *writes {
	w := &writes{
		fleet: startShard(t, 3, smallLogs...), stop: make(chan struct{}),
		acked: make(map[string]int), tried: make(map[string]int),
	}
	for i := range writers {
		w.done.Go(func() { w.write(i) })
	}
	t.Cleanup(w.end)
	return w
}

func (w *writes) write(writer int) {
	client := w.clusterClient()
	defer func() { _ = client.Close() }()
	ctx := context.Background()
	for n := 1; ; n++ {
		select {
		case <-w.stop:
			return
		default:
		}
		key := fmt.Sprintf("key:%d:%d", writer, n%keysEach)
		w.mu.Lock()
		w.tried[key] = n
		w.mu.Unlock()
		if err := client.Set(ctx, key, n, 0).Err(); err == nil {
			w.mu.Lock()
			w.acked[key] = n
			w.mu.Unlock()
		}
	}
}

// until waits for ok while the clients write.
func (w *writes) until(what string, ok func() bool) {
	w.t.Helper()
	eventually(w.t, func() error {
		if !ok() {
			return errors.New("not yet: " + what)
		}
		return nil
	})
}

// end stops the clients.
func (w *writes) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.done.Wait()
}

// finish waits until the shard takes writes again, stops the clients and looks
// at what is there: now, and after all nodes were killed.
func (w *writes) finish() {
	w.t.Helper()
	before := w.acknowledged()
	w.until("writes are acknowledged again", func() bool { return w.acknowledged() > before+10 })
	w.end()
	w.united()
	w.check()
	w.same()
	for _, p := range w.nodes {
		p.kill()
	}
	for _, p := range w.nodes {
		p.mustStart("")
	}
	w.united()
	w.check()
	w.same()
}

func (w *writes) acknowledged() (total int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.acked {
		total += n
	}
	return total
}

// check reads every key through the cluster.
func (w *writes) check() {
	w.t.Helper()
	client := w.clusterClient()
	defer func() { _ = client.Close() }()
	for key, tried := range w.tried {
		var got int
		eventually(w.t, func() (err error) {
			if got, err = client.Get(context.Background(), key).Int(); errors.Is(err, redis.Nil) {
				err = nil
			}
			return err
		})
		if got < w.acked[key] || got > tried {
			w.t.Errorf("%s = %d, acknowledged %d, tried %d", key, got, w.acked[key], tried)
		}
	}
}

// same compares both copies, key by key, as they have been applied.
func (w *writes) same() {
	w.t.Helper()
	for _, p := range w.nodes[:2] {
		p.must("readonly")
	}
	for key := range w.tried {
		a, errA := w.nodes[0].client.Get(context.Background(), key).Result()
		b, errB := w.nodes[1].client.Get(context.Background(), key).Result()
		if a != b || !errors.Is(errA, errB) {
			w.t.Errorf("%s is %q (%v) on node 0, %q (%v) on node 1", key, a, errA, b, errB)
		}
	}
}
