package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// ledger is a counter that clients raise by WATCH, GET and EXEC, and a hash in which the
// same transaction notes who has raised it to what.
type ledger struct {
	counter, notes string

	mu    sync.Mutex
	acked map[string]int64 // token → what EXEC has raised the counter to
}

// TestWatchLosesNoUpdate: clients raise counters by optimistic transactions while a
// master is killed. No update is lost, none is there twice, and none by half.
func TestWatchLosesNoUpdate(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*deadline)
	defer cancel()
	client := c.client()
	var ledgers []*ledger
	for i := range 6 {
		ledgers = append(ledgers, &ledger{
			counter: fmt.Sprintf("{%d}counter", i), notes: fmt.Sprintf("{%d}notes", i), acked: make(map[string]int64),
		})
	}
	var stop atomic.Bool
	var executed, failed, uncertain atomic.Int64
	var clients sync.WaitGroup
	for id := range 12 {
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				switch err := ledgers[(id+i)%2+id/4*2].raise(ctx, client, fmt.Sprint(id, ".", i)); {
				case err == nil:
					executed.Add(1)
				case errors.Is(err, redis.TxFailedErr):
					failed.Add(1)
				case conclude(err) == unknown:
					uncertain.Add(1)
				}
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		before := executed.Load()
		eventually(t, func() error {
			if now := executed.Load(); now < before+n {
				return fmt.Errorf("%d of %d more transactions were executed", now-before, n)
			}
			return nil
		})
	}
	more(200)
	c.stop(0)
	more(200)
	c.restart(ctx)
	more(200)
	stop.Store(true)
	clients.Wait()
	for _, l := range ledgers {
		l.check(ctx, t, client)
	}
	t.Logf("%d executed, %d not because of another one, %d of unknown outcome", executed.Load(), failed.Load(), uncertain.Load())
	if failed.Load() == 0 {
		t.Error("no two clients met: nothing was tested")
	}
}

// raise raises the counter by one, if nobody else does meanwhile.
func (l *ledger) raise(ctx context.Context, client *redis.ClusterClient, token string) error {
	var raised int64 // 0: EXEC was not answered so
	attempt := 0
	err := client.Watch(ctx, func(tx *redis.Tx) error {
		attempt++ // each has a token of its own: an earlier one may have been executed, too
		token := fmt.Sprint(token, ".", attempt)
		n, err := tx.Get(ctx, l.counter).Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, l.counter, n+1, 0)
			p.HSet(ctx, l.notes, token, n+1)
			return nil
		})
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.acked[token], raised = n+1, n+1
		}
		return err
	}, l.counter)
	if err == nil && raised == 0 {
		return errors.New("the client gave up") // it says nil when it has followed too many redirects
	}
	return err
}

// check compares what is stored with what clients were told.
func (l *ledger) check(ctx context.Context, t *testing.T, client *redis.ClusterClient) {
	t.Helper()
	var notes map[string]string
	var counter string
	eventually(t, func() error { // both as they are at one moment
		replies, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HGetAll(ctx, l.notes)
			p.Get(ctx, l.counter)
			return nil
		})
		if err == nil {
			notes, counter = replies[0].(*redis.MapStringStringCmd).Val(), replies[1].(*redis.StringCmd).Val()
		}
		return err
	})
	if fmt.Sprint(len(notes)) != counter {
		t.Errorf("%s is %s, but %d have raised it", l.counter, counter, len(notes))
	}
	by := make(map[string]string)
	for token, value := range notes {
		if other, twice := by[value]; twice {
			t.Errorf("%s was raised to %s by %s and %s", l.counter, value, other, token)
		}
		by[value] = token
	}
	for token, value := range l.acked {
		if notes[token] != strconv.FormatInt(value, 10) {
			t.Errorf("%s: %s was told %d, but %q is stored", l.counter, token, value, notes[token])
		}
	}
	if len(l.acked) == 0 {
		t.Errorf("nobody has raised %s: nothing was tested", l.counter)
	}
}

// TestFixByTransaction: redis-cli --cluster fix, of each version that is there, gives an
// owner to slots that have none, by a transaction of CLUSTER commands.
func TestFixByTransaction(t *testing.T) {
	t.Parallel()
	programs := map[string]string{"redis-cli": "redis-cli"}
	for _, name := range []string{"redis-cli-8", "valkey-cli-9"} {
		programs[name] = filepath.Join(os.Getenv("AIKV_ORACLES"), name)
	}
	found := 0
	var c *cluster
	for name, path := range programs {
		if _, err := exec.LookPath(path); err != nil || !strings.Contains(path, "/") && name != "redis-cli" {
			t.Logf("%s is not there", name)
			continue
		}
		if found++; found == 1 {
			c = startCluster(t)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
		defer cancel()
		client := c.client()
		if err := client.Set(ctx, "k", name, 0).Err(); err != nil {
			t.Fatal(err)
		}
		node := redis.NewClient(&redis.Options{Addr: c.addr(0)})
		defer func() { _ = node.Close() }()
		// One slot with a key, and two without.
		if err := node.ClusterDelSlots(ctx, int(client.ClusterKeySlot(ctx, "k").Val()), 7, 16000).Err(); err != nil {
			t.Fatal(err)
		}
		fix := exec.CommandContext(ctx, path, "--cluster", "fix", c.addr(1), "--cluster-yes")
		fix.Stdin = strings.NewReader(strings.Repeat("yes\n", 9)) // --cluster-yes is not asked about slots
		out, err := fix.CombinedOutput()
		check, err2 := exec.CommandContext(ctx, path, "--cluster", "check", c.addr(2)).CombinedOutput()
		if err2 != nil || !strings.Contains(string(check), "[OK] All 16384 slots covered.") {
			t.Errorf("%s: fix: %v\n%s\ncheck: %v\n%s", name, err, out, err2, check)
			continue
		}
		eventually(t, func() error {
			if got, err := client.Get(ctx, "k").Result(); err != nil || got != name {
				return fmt.Errorf("GET k: %q, %w", got, err)
			}
			return nil
		})
	}
	if found == 0 {
		t.Skip("no redis-cli is installed")
	}
}
