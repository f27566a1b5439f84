package e2e

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
)

// TestChaos: clients read and write while nodes are killed, paused for longer than
// any lease, cut off in one direction or both, told to take over, and all killed
// at once, by a seed. What the clients saw must be explained by one order of
// their operations, every write that was acknowledged must be there, and all
// nodes must agree.
//
//	CHAOS_SECONDS=600 CHAOS_SEED=7 go test -timeout 20m -run TestChaos ./testbed/e2e
func TestChaos(t *testing.T) {
	seconds, seed := envInt(t, "CHAOS_SECONDS", 60), int64(envInt(t, "CHAOS_SEED", 1))
	t.Parallel()
	c := startCluster(t, "AIKV_DEBUG_FAULTS=true")
	m := &mix{cluster: c, rng: rand.New(rand.NewSource(seed))}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second+4*deadline)
	defer cancel()

	start := time.Now()
	for round := 0; time.Since(start) < time.Duration(seconds)*time.Second; round++ {
		m.round(ctx, round)
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %s", seed, round, strings.Join(m.done, "; "))
		}
	}
	t.Logf("%d operations; %s", m.operations, strings.Join(m.done, "; "))
	if m.operations < 20*seconds {
		t.Errorf("only %d operations in %d seconds prove little", m.operations, seconds)
	}
}

func envInt(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// mix is the trouble of one run.
type mix struct {
	*cluster
	rng        *rand.Rand
	done       []string // what was done, for the report
	operations int
	paused     bool // a node has been paused for long
}

// fault is one kind of trouble: begin makes it, end undoes it.
type fault struct {
	name       string
	begin, end func(ctx context.Context, node int)
}

func (m *mix) faults() []fault {
	start := func(ctx context.Context, _ int) { m.start() }
	resume := func(_ context.Context, node int) { m.kill(node+1, syscall.SIGCONT) }
	heal := func(ctx context.Context, node int) { m.debug(ctx, node, "HEAL") }
	partition := func(direction string) func(context.Context, int) {
		return func(ctx context.Context, node int) { m.partition(ctx, node, direction) }
	}
	none := func(context.Context, int) {}
	return []fault{
		{"kill", func(_ context.Context, node int) { m.stop(node) }, start},
		{"kill all", func(context.Context, int) { m.signal(syscall.SIGKILL) }, start},
		{"pause", func(_ context.Context, node int) { m.kill(node+1, syscall.SIGSTOP) }, resume},
		{"cut off", partition("BOTH"), heal},
		{"deaf", partition("IN"), heal},
		{"mute", partition("OUT"), heal},
		{"failover", m.failover, none},
	}
}

func choose(rng *rand.Rand, faults []fault) fault { return faults[rng.Intn(len(faults))] }

// round lets the clients work through one fault of one node, and checks.
func (m *mix) round(ctx context.Context, n int) {
	f, node := choose(m.rng, m.faults()), m.rng.Intn(nodes)
	ms := 200 + m.rng.Intn(2500)
	if f.name == "pause" && !m.paused {
		m.paused, ms = true, 10_000 // once a run, much longer than anything waits
	}
	m.done = append(m.done, fmt.Sprintf("%s %d for %d ms", f.name, node, ms))
	clients := m.clients(ctx, n)
	clients.reach(ctx, 50)
	f.begin(ctx, node)
	m.last(ctx, ms)
	f.end(ctx, node)
	clients.reach(ctx, 100)
	history := clients.stop()
	m.operations += len(history)
	if result := porcupine.CheckOperationsTimeout(register, settle(history), deadline); result != porcupine.Ok {
		m.t.Errorf("the history of %d operations is not linearizable: %v", len(history), result)
	}
	m.whole(ctx)
}

// last keeps a fault for a number of milliseconds: it is what is tested, so it is
// no wait for something to happen.
func (m *mix) last(ctx context.Context, ms int) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-ctx.Done():
	}
}

func (m *mix) debug(ctx context.Context, node int, args ...any) {
	one := redis.NewClient(&redis.Options{Addr: m.addr(node)})
	defer func() { _ = one.Close() }()
	if err := one.Do(ctx, append([]any{"DEBUG"}, args...)...).Err(); err != nil {
		m.t.Errorf("DEBUG %v: %v", args, err)
	}
}

// partition cuts a node off from some of the others.
func (m *mix) partition(ctx context.Context, node int, direction string) {
	one := redis.NewClient(&redis.Options{Addr: m.addr(node)})
	defer func() { _ = one.Close() }()
	var others []any
	for line := range strings.Lines(one.ClusterNodes(ctx).Val()) {
		if f := strings.Fields(line); len(f) >= 8 && !strings.Contains(f[2], "myself") {
			others = append(others, f[0])
		}
	}
	m.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	m.debug(ctx, node, append([]any{"PARTITION", direction}, others[:2+m.rng.Intn(len(others)-1)]...)...)
}

// failover makes a replica of the node, or the node itself, the master.
func (m *mix) failover(ctx context.Context, node int) {
	for _, n := range []int{node, (node + 3) % nodes} {
		one := redis.NewClient(&redis.Options{Addr: m.addr(n)})
		err := one.ClusterFailover(ctx).Err()
		_ = one.Close()
		if err != nil && !isReplicaNoMore(err) {
			m.t.Errorf("CLUSTER FAILOVER: %v", err)
		}
	}
}

// whole returns once every node says that all is well, and the same.
func (m *mix) whole(ctx context.Context) {
	m.t.Helper()
	m.awaitWrites(ctx)
	eventually(m.t, func() error {
		var first []string
		for node := range nodes {
			one := redis.NewClient(&redis.Options{Addr: m.addr(node)})
			text, err := one.ClusterNodes(ctx).Result()
			_ = one.Close()
			if err != nil {
				return err
			}
			var lines []string
			for line := range strings.Lines(text) {
				f := strings.Fields(line)
				if strings.Contains(f[2], "fail") {
					return fmt.Errorf("%s shows %s", m.addr(node), line)
				}
				f[2] = strings.TrimPrefix(f[2], "myself,")
				lines = append(lines, strings.Join(slices.Delete(f, 4, 8), " "))
			}
			slices.Sort(lines)
			if node > 0 && !slices.Equal(lines, first) {
				return fmt.Errorf("%s shows\n%s\nand %s\n%s", m.addr(0), strings.Join(first, "\n"), m.addr(node), strings.Join(lines, "\n"))
			}
			first = lines
		}
		return nil
	})
}

// crowd is the clients of one round.
type crowd struct {
	t         *testing.T
	recorders []*recorder
	mu        sync.Mutex
	acts      int
	end       chan struct{}
	work      sync.WaitGroup
}

// clients starts eight that read and write the keys of a round.
func (m *mix) clients(ctx context.Context, round int) *crowd {
	const clients, keys = 8, 6
	c := &crowd{t: m.t, end: make(chan struct{})}
	start := time.Now()
	for i := range clients {
		r := m.recorder(i, start)
		c.recorders = append(c.recorders, r)
		seed := m.rng.Int63()
		c.work.Go(func() {
			rng := rand.New(rand.NewSource(seed))
			for n := 0; ; n++ {
				select {
				case <-c.end:
					return
				default:
				}
				a := access{key: fmt.Sprintf("chaos:%d:%d", round, rng.Intn(keys)), write: rng.Intn(2) == 0}
				if a.write {
					a.value = fmt.Sprintf("%d.%d", r.id, n)
				}
				if r.act(ctx, a) {
					c.mu.Lock()
					c.acts++
					c.mu.Unlock()
				}
			}
		})
	}
	return c
}

// reach returns after n more operations.
func (c *crowd) reach(ctx context.Context, n int) {
	c.t.Helper()
	c.mu.Lock()
	goal := c.acts + n
	c.mu.Unlock()
	eventually(c.t, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.acts < goal && ctx.Err() == nil {
			return fmt.Errorf("%d of %d operations", c.acts, goal)
		}
		return ctx.Err()
	})
}

// stop ends the clients and returns what they did.
func (c *crowd) stop() (all []porcupine.Operation) {
	close(c.end)
	c.work.Wait()
	for _, r := range c.recorders {
		all = append(all, r.history...)
		for _, node := range r.nodes {
			_ = node.Close()
		}
	}
	return all
}
