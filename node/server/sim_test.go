package server

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/sched/seeded"
	"github.com/genuineh/aikv/node/topology"
)

// simCluster is a run of the simulation.
type simCluster struct {
	t      testing.TB
	seed   int64
	shape  simShape
	world  *seeded.World
	rng    *rand.Rand
	logger *slog.Logger
	dir    string // of the databases' folders
	nodes  []*simNode
	// twin is a node over a copy of another one's folder, nil if there was none.
	twin *simNode
	net  simNetwork
	// outside is where clients and operators live.
	outside *seeded.Process

	gather   time.Duration
	inflight int
	// logEntries is how long a group's log may become.
	logEntries int
	// arbiterGrace is when a failed node loses its duties, and a shard that is on one
	// living node gets a copy; in half of the runs never.
	arbiterGrace time.Duration
	cluster      uint64 // that of the nodes, once it is made
	seeds        []string
	table        *command.Table
	think        time.Duration

	queue   simQueue
	keys    []string
	history map[string][]porcupine.Operation
	clients int  // that still run
	away    bool // a node has left and not come back
	lost    bool // a disk was lost for good
	orders  int  // operators' commands that have not ended
	quiet   bool // they are to stop
	over    bool // the run
	calm    bool // no more trouble

	checks  simChecks
	stats   simStats
	trace   []string
	failure string
}

// simulate runs one seed.
func simulate(t testing.TB, seed int64) *simCluster {
	defer seedRand(seed)()
	c := newSimCluster(t, seed, shapeOf(seed))
	defer c.close()
	if seed%40 == 0 {
		c.run(c.form)
	} else {
		c.run(c.restoreImage())
	}
	return c
}

// seedRand makes crypto/rand, from which raft takes its election timeouts and a
// node its ids, a function of the seed; the result ends that.
func seedRand(seed int64) func() {
	old := crand.Reader
	crand.Reader = rand.New(rand.NewSource(^seed))
	return func() { crand.Reader = old }
}

// simTable is the table of all nodes: it never changes.
var simTable = sync.OnceValue(func() *command.Table { return command.NewTable(data.Commands(), admin.Commands(nil)) })

func newSimCluster(t testing.TB, seed int64, shape simShape) *simCluster {
	w := seeded.New(seed)
	c := &simCluster{
		t: t, seed: seed, shape: shape, world: w, rng: w.Rand, logger: simLogger(simOutput()),
		net: simNetwork{cut: make(map[[2]int]bool)}, history: make(map[string][]porcupine.Operation), checks: newSimChecks(),
		table: simTable(), inflight: 1 + w.Rand.Intn(2), think: 25 * time.Millisecond,
	}
	c.gather = c.upTo(2 * time.Millisecond)
	c.logEntries = 16 << c.rng.Intn(4)
	c.arbiterGrace = time.Hour
	if seed%4 >= 2 {
		c.arbiterGrace = 100 * time.Millisecond
	}
	c.makeFolder()
	for i := range shape.nodes {
		n := &simNode{c: c, index: i, disk: newSimDisk(fmt.Sprintf("%s/%d/", c.dir, i)), slowDisk: time.Millisecond}
		n.addr = topology.Address{
			Host: fmt.Sprintf("10.0.0.%d", i+1), Port: 6379, BusPort: 16379, Raft: fmt.Sprintf("10.0.0.%d:50051", i+1),
		}
		c.seeds = append(c.seeds, n.addr.Raft)
		c.nodes = append(c.nodes, n)
	}
	prefixes := []string{"r", "r", "p", "c", "c"}
	c.clients = 4
	if shape.contest {
		prefixes, c.clients = []string{"r"}, 6
	}
	for _, prefix := range prefixes {
		n := int(seed) * 7919 // any will do; drawing one would lead scripts onto other ways
		if prefix != "p" {
			n = c.rng.Intn(1 << 20)
		}
		c.keys = append(c.keys, fmt.Sprint(prefix, n))
	}
	c.queue = newSimQueue(fmt.Sprint("q", seed*7919)) // not drawn, as above
	c.outside = w.Start("outside")
	w.Watch = c.watch
	return c
}

// makeFolder makes a folder, in memory where there is such a thing.
func (c *simCluster) makeFolder() {
	var err error
	for _, parent := range []string{"/dev/shm", ""} {
		if c.dir, err = os.MkdirTemp(parent, "aikv-sim-"); err == nil {
			return
		}
	}
	c.t.Fatal(err)
}

// simOutput is where the nodes' own logs go.
func simOutput() io.Writer {
	if os.Getenv("AIKV_SIM_LOG") != "" {
		return os.Stderr
	}
	return nil
}

func (c *simCluster) close() {
	c.world.Close()
	os.RemoveAll(c.dir)
}

// run takes a seed from beginning to end. begin makes a cluster.
func (c *simCluster) run(begin func()) {
	for _, n := range c.nodes {
		n.boot()
	}
	c.outside.Go("operator", func() {
		begin()
		if c.failure == "" {
			c.operate()
		}
		c.over = true
	})
	for c.failure == "" && !c.over {
		c.step(10 * time.Second)
	}
	c.finish()
	if c.failure != "" {
		c.t.Errorf("seed %d: %s\n%s\n%s", c.seed, c.failure, strings.Join(tail(c.trace, simTraceLines()), "\n"), c.describe())
	}
}

func (c *simCluster) step(limit time.Duration) {
	if !c.world.Step(c.world.Now().Add(limit)) {
		c.fail("nothing happens any more")
	}
}

// simTraceLines is how much of its trace a failing seed prints.
func simTraceLines() int {
	if n, err := strconv.Atoi(os.Getenv("AIKV_SIM_TRACE")); err == nil {
		return n
	}
	return 150
}

func tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// describe tells how the nodes stand.
func (c *simCluster) describe() string {
	var b strings.Builder
	for _, n := range c.nodes {
		if !n.up() {
			fmt.Fprintf(&b, "node %d is down\n", n.index)
			continue
		}
		v := n.node.meta.Current()
		fmt.Fprintf(&b, "node %d, %d of cluster %016x: view %d, %d nodes, %d slots, recovered: %v\n",
			n.index, v.Self, n.node.home.Identity().Cluster, v.Index, len(v.Nodes), v.Assigned(), n.node.home.replica.Load().recovered())
		fmt.Fprintf(&b, "  goroutines: %s\n", n.proc.Goroutines())
		for _, in := range v.Intents {
			fmt.Fprintf(&b, "  intent %d, epoch %d: %v waits for %d shards\n", in.ID, in.Epoch, in.Slots, len(in.Pending))
		}
		for _, s := range v.Shards {
			fmt.Fprintf(&b, "  shard %016x, version %d: master %d since term %d, members %v, leaving %v, residue %v\n",
				uint64(s.ID), s.Version, s.Master, s.MasterTerm, s.Members, s.Leaving, v.Residue[s.ID])
		}
		for _, g := range n.groups() {
			leader, term := g.Leader()
			fmt.Fprintf(&b, "  group %016x: replica %d, leader %d in term %d, serves: %v, applied %d\n",
				uint64(g.ID()), g.RaftID(), leader, term, g.Leads(), g.Applied())
		}
	}
	return b.String()
}

// upTo returns a random duration of at most d.
func (c *simCluster) upTo(d time.Duration) time.Duration {
	return time.Duration(c.rng.Int63n(int64(d) + 1))
}

func (c *simCluster) chance(perMille int) bool { return c.rng.Intn(1000) < perMille }

// fail ends the run. The first failure counts.
func (c *simCluster) fail(format string, args ...any) {
	if c.failure == "" {
		c.failure = fmt.Sprintf(format, args...)
		c.note("%s", c.failure)
	}
}

// note adds a line to the trace.
func (c *simCluster) note(format string, args ...any) {
	c.trace = append(c.trace, fmt.Sprintf("%9.3f  ", c.world.Now().Sub(time.Unix(1_700_000_000, 0)).Seconds())+fmt.Sprintf(format, args...))
}

func (c *simCluster) byID(id topology.NodeID) *simNode {
	for _, n := range c.nodes {
		if n.up() && n.node.home.Identity().Node == id {
			return n
		}
	}
	return nil
}

// simQueueClients is how many clients push and pop: every other one waits.
const simQueueClients = 4

// simTime is for how long a run goes wild.
const simTime = 1000 * time.Millisecond

// operate is what an operator does who has a cluster: he watches clients and
// trouble for a while, and then wants everything to be well again.
func (c *simCluster) operate() {
	for i := range c.clients {
		cl := &simClient{c: c, id: i, known: make(map[string]int)}
		c.outside.Go("client", cl.run)
	}
	for i := range simQueueClients {
		c.queue.clients++
		cl := &simClient{c: c, id: 100 + i, known: make(map[string]int)}
		c.outside.Go("client", cl.runQueue)
	}
	c.outside.Go("trouble", c.makeTrouble)
	sched.Sleep(context.Background(), c.outside, simTime)
	c.recover()
}

// TestSimulation runs whole nodes, but for their sockets, on one scheduler that a
// seed decides: clients, trouble, recovery, and the checks of simcheck_test.go.
// The seeds are spread over one process a core: crypto/rand, which a seed
// replaces, is there once a process.
//
//	make sim SEEDS=20000
//	AIKV_SIM_SEED=17 go test -run TestSimulation$ ./node/server
func TestSimulation(t *testing.T) {
	first, count := int64(simNumber(t, "AIKV_SIM_SEED", 1)), int64(simNumber(t, "AIKV_SIM_SEEDS", 2000))
	switch part := os.Getenv("AIKV_SIM_PART"); {
	case os.Getenv("AIKV_SIM_SEED") != "":
		simulateAll(t, first, first)
	case testing.Short():
		simulateAll(t, 1, 5)
	case part != "":
		var worker, workers int64
		if _, err := fmt.Sscanf(part, "%d/%d", &worker, &workers); err != nil {
			t.Fatalf("AIKV_SIM_PART=%q: %v", part, err)
		}
		simulateAll(t, 1+count*worker/workers, count*(worker+1)/workers)
	default:
		simulateApart(t, runtime.GOMAXPROCS(0))
	}
}

func simNumber(t *testing.T, name string, otherwise int) int {
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

// simulateAll runs the seeds from first to last, until one fails.
func simulateAll(t *testing.T, first, last int64) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // memory for time
	var total simStats
	for seed := first; seed <= last && !t.Failed(); seed++ {
		c := simulate(t, seed)
		total.add(c.stats)
		if os.Getenv("AIKV_SIM_HASH") != "" {
			fmt.Printf("hash %d %016x\n", seed, c.world.Hash())
		}
	}
	if last-first >= 500 && !t.Failed() && (total.blockedServed == 0 || total.blockedServedElsewhere == 0) {
		t.Errorf("no client was ever served after it had been blocked (%d), or none that was sent elsewhere (%d)", total.blockedServed, total.blockedServedElsewhere)
	}
	t.Logf("%+v", total)
	if many := last-first >= 400; many && !t.Failed() {
		total.sometimes(t)
	}
}

// simulateApart runs the seeds in so many processes of this test. The first that
// fails ends the others.
func simulateApart(t *testing.T, workers int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			run := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSimulation$", "-test.v", "-test.timeout=1h")
			run.Env = append(os.Environ(), fmt.Sprintf("AIKV_SIM_PART=%d/%d", worker, workers))
			out, err := run.CombinedOutput()
			switch {
			case err == nil:
				t.Logf("process %d of %d:\n%s", worker+1, workers, out)
			case ctx.Err() == nil:
				t.Errorf("process %d of %d: %v\n%s", worker+1, workers, err, out)
				cancel()
			}
		})
	}
	wg.Wait()
}

// A seed decides everything.
func TestSimulationReplays(t *testing.T) {
	for seed := int64(38); seed <= 42; seed++ {
		a, b := simulate(t, seed), simulate(t, seed)
		if a.world.Hash() != b.world.Hash() || !slices.Equal(a.trace, b.trace) {
			t.Errorf("seed %d went two ways", seed)
			for i := range min(len(a.trace), len(b.trace)) {
				if a.trace[i] != b.trace[i] {
					t.Logf("from here on:\n%s\n%s", a.trace[i], b.trace[i])
					break
				}
			}
		}
	}
}
