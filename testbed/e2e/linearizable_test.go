package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
)

// access is one operation on a key, a register.
type access struct {
	key   string
	write bool
	value string // written
}

// register is the model: each key holds the value last written, "" at first.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range history {
			key := op.Input.(access).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		a := input.(access)
		if a.write {
			return true, a.value
		}
		return output.(string) == state.(string), state
	},
	DescribeOperation: func(input, output any) string {
		a := input.(access)
		if a.write {
			return fmt.Sprintf("SET %s %s", a.key, a.value)
		}
		return fmt.Sprintf("GET %s = %v", a.key, output)
	},
}

// recorder is one client that writes down what it did and when.
type recorder struct {
	id      int
	nodes   []*redis.Client // without retries: a retried write could happen twice
	start   time.Time
	history []porcupine.Operation
	known   map[string]int // key → node that answered last
}

func (c *cluster) recorder(id int, start time.Time) *recorder {
	r := &recorder{id: id, start: start, known: make(map[string]int)}
	for node := range nodes {
		client := redis.NewClient(&redis.Options{
			Addr: c.addr(node), MaxRetries: -1, PoolSize: 1, ReadTimeout: 2 * time.Second, DialTimeout: time.Second,
		})
		c.t.Cleanup(func() { _ = client.Close() })
		r.nodes = append(r.nodes, client)
	}
	return r
}

// open is the end of an operation whose outcome the client does not know: it
// may take effect at any later time.
const open = int64(1) << 62

// act does one operation and records it, unless it certainly had no effect. It
// reports whether the operation was answered.
func (r *recorder) act(ctx context.Context, a access) (answered bool) {
	node := r.nodes[r.known[a.key]]
	call := time.Since(r.start).Nanoseconds()
	var output string
	var err error
	if a.write {
		err = node.Set(ctx, a.key, a.value, 0).Err()
	} else if output, err = node.Get(ctx, a.key).Result(); errors.Is(err, redis.Nil) {
		err = nil
	}
	end := time.Since(r.start).Nanoseconds()
	if err != nil {
		refused := r.redirect(a.key, err)
		if refused || !a.write {
			return false
		}
		end = open
	}
	r.history = append(r.history, porcupine.Operation{ClientId: r.id, Input: a, Call: call, Output: output, Return: end})
	return err == nil
}

// redirect finds the next node to ask; it reports whether the error says that
// the command was not carried out.
func (r *recorder) redirect(key string, err error) (refused bool) {
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "MOVED "); ok {
		for i, node := range r.nodes {
			if strings.HasSuffix(rest, node.Options().Addr) {
				r.known[key] = i
				return true
			}
		}
	}
	r.known[key] = rand.Intn(len(r.nodes))
	return strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "CLUSTERDOWN ") || strings.HasPrefix(text, "TRYAGAIN ")
}

// settle bounds writes of unknown outcome, which would make the check take for
// ever. Values are unique, so one that was read took effect before that read
// returned; one that nobody read may as well have taken effect after everything
// else, and is left out.
func settle(all []porcupine.Operation) []porcupine.Operation {
	seen := make(map[string]int64) // value → end of the first read that saw it
	for _, op := range all {
		if !op.Input.(access).write {
			value := op.Output.(string)
			if end, ok := seen[value]; !ok || op.Return < end {
				seen[value] = op.Return
			}
		}
	}
	var history []porcupine.Operation
	for _, op := range all {
		if op.Return == open {
			end, ok := seen[op.Input.(access).value]
			if !ok {
				continue
			}
			op.Return = max(end, op.Call)
		}
		history = append(history, op)
	}
	return history
}

// The check itself finds a stale read, a lost write, and one that came twice.
func TestCheckCanFail(t *testing.T) {
	op := func(write bool, value string, call, end int64) porcupine.Operation {
		o := porcupine.Operation{Input: access{key: "k", write: write, value: value}, Call: call, Return: end}
		if !write {
			o.Input, o.Output = access{key: "k"}, value
		} else {
			o.Output = ""
		}
		return o
	}
	cases := []struct {
		name    string
		history []porcupine.Operation
		want    bool
	}{
		{"in order", []porcupine.Operation{op(true, "a", 0, 1), op(false, "a", 2, 3)}, true},
		{"stale read", []porcupine.Operation{op(true, "a", 0, 1), op(true, "b", 2, 3), op(false, "a", 4, 5)}, false},
		{"lost write", []porcupine.Operation{op(true, "a", 0, 1), op(false, "", 2, 3)}, false},
		{"late unknown write", []porcupine.Operation{op(true, "a", 0, open), op(false, "", 1, 2), op(false, "a", 3, 4)}, true},
		{"unknown write twice", []porcupine.Operation{
			op(true, "a", 0, open), op(false, "a", 1, 2), op(true, "b", 3, 4), op(false, "a", 5, 6),
		}, false},
	}
	for _, c := range cases {
		if got := porcupine.CheckOperations(register, settle(c.history)); got != c.want {
			t.Errorf("%s: linearizable = %v, want %v", c.name, got, c.want)
		}
	}
}

// Clients read and write a few keys while a master is killed, comes back, and
// another one is paused for longer than an election: whatever they saw must be
// explained by one order of their operations.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	const clients, keys = 8, 12
	ctx, cancel := context.WithTimeout(context.Background(), 4*deadline)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	start := time.Now()
	recorders := make([]*recorder, clients)
	for i := range recorders {
		r := c.recorder(i, start)
		recorders[i] = r
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				a := access{key: fmt.Sprintf("register:%d", rand.Intn(keys)), write: rand.Intn(2) == 0}
				if a.write {
					a.value = fmt.Sprintf("%d.%d", r.id, n)
				}
				r.act(ctx, a)
			}
		})
	}
	c.trouble(ctx)
	close(stop)
	wg.Wait()

	var all []porcupine.Operation
	for _, r := range recorders {
		all = append(all, r.history...)
	}
	history := settle(all)
	t.Logf("%d operations; %d more with unknown outcome that nobody saw", len(history), len(all)-len(history))
	if len(history) < 1000 {
		t.Errorf("only %d operations: the test proves little", len(history))
	}
	if result := porcupine.CheckOperationsTimeout(register, history, deadline); result != porcupine.Ok {
		t.Errorf("the history is not linearizable: %v", result)
	}
}

// trouble kills a master and brings it back, then pauses another one.
func (c *cluster) trouble(ctx context.Context) {
	c.t.Helper()
	c.awaitWrites(ctx)
	c.kill(1, syscall.SIGKILL)
	c.awaitWrites(ctx) // its replica has taken over
	c.restart(ctx)
	c.awaitWrites(ctx)
	c.kill(2, syscall.SIGSTOP)
	c.awaitWrites(ctx)
	c.kill(2, syscall.SIGCONT)
	c.awaitWrites(ctx)
}

// awaitWrites returns once every shard has taken writes. It looks for the
// masters itself: cluster clients look again only every ten seconds.
func (c *cluster) awaitWrites(ctx context.Context) {
	c.t.Helper()
	r := c.recorder(-1, time.Now())
	for i := range 60 {
		key := fmt.Sprintf("probe:%d", i)
		eventually(c.t, func() error {
			err := r.nodes[r.known[key]].Set(ctx, key, i, 0).Err()
			if err != nil {
				r.redirect(key, err)
			}
			return err
		})
	}
}

// kill sends one node a signal; nodes count from 1, as in the folder.
func (c *cluster) kill(node int, sig syscall.Signal) {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "pids", fmt.Sprintf("node%d.pid", node)))
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		c.t.Fatal(err)
	}
}
