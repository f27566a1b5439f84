package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// In a storm, nodes 0 to 2 stay where they are, and nodes 3 to 5 come and go.
const (
	stormNodes = 6
	stayers    = 3
	// contended are the slots, from 0, about which clients of the stayers fight.
	contended = 12
	// private is how many slots a node that comes and goes has for itself: they are added
	// there only. fixed is how many each stayer owns all the time.
	private, fixed = 10, 500
)

// privateSlot returns the i-th slot of a node that comes and goes.
func privateSlot(node, i int) int { return 100*node + i }

// fixedSlot returns the first of a stayer's fixed slots.
func fixedSlot(node int) int { return 2000 * (node + 1) }

// storm is one run: a fleet, and what the clients did to it.
type storm struct {
	*fleet
	seed  uint64
	start time.Time
	ids   []string // by node, at the beginning
	until time.Time
	// exclusive gives each node that comes and goes to one client, so that more
	// can be concluded; otherwise they fight about these nodes too.
	exclusive bool

	mu      sync.Mutex
	history []command
}

// command is one command of the history.
type command struct {
	client, node int
	verb         string
	// subject is the node that the command changes: the sender of most; the one
	// that FORGET names, with its id. object is the other one of MEET, the master of REPLICATE.
	subject, object int
	id              string
	slots           []int
	hard            bool

	call, end time.Duration // since the storm began
	outcome   outcome
	reply     string
	// seen is what a read returned: the owner of each contended slot.
	seen map[int]int
}

func (c command) String() string {
	return fmt.Sprintf("%8.3f-%8.3f client %d, node %d: %s subject %d object %d id %.44s slots %v hard %v: %v %s",
		c.call.Seconds(), c.end.Seconds(), c.client, c.node, c.verb, c.subject, c.object, strings.TrimLeft(c.id, "0"), c.slots, c.hard, c.outcome, c.reply)
}

// TestStorm runs AIKV_STORM_SEEDS (a number or a range, 1-2 if not set), or as many as fit
// into AIKV_STORM_MINUTES: see README.md.
func TestStorm(t *testing.T) {
	t.Parallel()
	seeds, length := stormPlan(t)
	for seed := range seeds {
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { runStorm(t, seed, length) })
		if !ok {
			return
		}
	}
}

// stormPlan returns the seeds to run and how long each storm lasts.
func stormPlan(t *testing.T) (seeds func(yield func(uint64) bool), length time.Duration) {
	first, last := uint64(1), uint64(2)
	length = 3 * time.Second
	deadline := time.Time{}
	number := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if text := os.Getenv("AIKV_STORM_MINUTES"); text != "" {
		deadline = time.Now().Add(time.Duration(number(text)) * time.Minute)
		first, last, length = uint64(time.Now().Unix()), 1<<62, 8*time.Second
	}
	if text := os.Getenv("AIKV_STORM_SEEDS"); text != "" {
		from, to, isRange := strings.Cut(text, "-")
		first, last, length = number(from), number(from), 8*time.Second
		if isRange {
			last = number(to)
		}
	}
	return func(yield func(uint64) bool) {
		for seed := first; seed <= last && (deadline.IsZero() || time.Now().Before(deadline)); seed++ {
			if !yield(seed) {
				return
			}
		}
	}, length
}

func runStorm(t *testing.T, seed uint64, length time.Duration) {
	s := &storm{fleet: startFleet(t, stormNodes), seed: seed, exclusive: seed%2 == 1}
	s.form()
	before := s.united()
	for _, p := range s.nodes {
		s.ids = append(s.ids, p.must("cluster", "myid"))
	}
	s.start = time.Now()
	s.until = s.start.Add(length)
	s.rage()
	after := s.settle()
	s.observe(after)
	s.judge(before, after)
	if t.Failed() {
		s.dump()
		return
	}
	s.repair()
	counts := make(map[outcome]int)
	for _, c := range s.history {
		counts[c.outcome]++
	}
	t.Logf("%d commands: %v", len(s.history), counts)
}

// random returns a source of its own for each client.
func (s *storm) random(client int) *rand.Rand { return rand.New(rand.NewPCG(s.seed, uint64(client))) }

// rage lets all clients loose until the storm's time is over, and waits for them.
func (s *storm) rage() {
	var wg sync.WaitGroup
	for i := range 3 {
		c := s.client(i)
		wg.Go(func() { s.while(c.contend) })
	}
	for i := range stormNodes - stayers {
		c := s.client(10 + i)
		c.own = stayers + i
		wg.Go(func() { s.while(c.comeAndGo) })
	}
	if s.seed%3 == 0 {
		c := s.client(20)
		wg.Go(func() { s.while(c.killSomebody) })
	}
	wg.Wait()
}

func (s *storm) while(step func()) {
	for time.Now().Before(s.until) && !s.t.Failed() {
		step()
	}
}

// record adds a command to the history.
func (s *storm) record(c command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = append(s.history, c)
}

func (s *storm) dump() {
	slices.SortFunc(s.history, func(a, b command) int { return int(a.call - b.call) })
	var b strings.Builder
	for _, c := range s.history {
		b.WriteString(c.String() + "\n")
	}
	path := s.dir + "/history"
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		s.t.Error(err)
	}
}

// stormClient is one client with a connection to each node.
type stormClient struct {
	*storm
	*rand.Rand
	number int
	own    int // the node that comes and goes of this client
	conns  []*process
}

func (s *storm) client(number int) *stormClient {
	c := &stormClient{storm: s, Rand: s.random(number), number: number}
	for _, p := range s.nodes {
		conn := &process{t: s.t, index: p.index, port: p.port}
		conn.client, conn.asking = conn.connect(), conn.connect()
		s.t.Cleanup(func() {
			_ = conn.client.Close()
			_ = conn.asking.Close()
		})
		c.conns = append(c.conns, conn)
	}
	return c
}

// do runs a CLUSTER command and records it.
func (c *stormClient) do(op command, args ...any) {
	op.client = c.number
	op.call = time.Since(c.start)
	reply, err := c.conns[op.node].client.Do(context.Background(), append([]any{"cluster"}, args...)...).Text()
	op.end = time.Since(c.start)
	op.outcome, op.reply = conclude(err), reply
	if err != nil {
		op.reply = err.Error()
	}
	c.record(op)
}

func anys(slots []int) []any {
	args := make([]any, len(slots))
	for i, n := range slots {
		args[i] = n
	}
	return args
}

// some returns up to most different slots of count, from the one at first on.
func (c *stormClient) some(first, count, most int) []int {
	picked := c.Perm(count)[:1+c.IntN(most)]
	for i := range picked {
		picked[i] += first
	}
	slices.Sort(picked)
	return picked
}

// contend adds, deletes or reads contended slots at a stayer.
func (c *stormClient) contend() {
	node := c.IntN(stayers)
	op := command{node: node, subject: node}
	switch c.IntN(5) {
	case 0, 1:
		op.verb, op.slots = "addslots", c.some(0, contended, 3)
		c.do(op, append([]any{"addslots"}, anys(op.slots)...)...)
	case 2:
		op.verb, op.slots = "delslots", c.some(0, contended, 2)
		c.do(op, append([]any{"delslots"}, anys(op.slots)...)...)
	default:
		c.look(node)
	}
}

// staleAfter is when a read may have given up waiting for MetaRaft's quorum and
// answered what the node knew: such reads prove nothing.
const staleAfter = 400 * time.Millisecond

// look reads who owns the contended slots.
func (c *stormClient) look(node int) {
	op := command{client: c.number, node: node, verb: "read", call: time.Since(c.start)}
	m, err := c.conns[node].read()
	op.end = time.Since(c.start)
	if err != nil {
		if strings.Contains(err.Error(), "two owners") {
			c.t.Error(err)
		}
		return
	}
	if op.end-op.call > staleAfter {
		return
	}
	op.seen = c.contendedOwners(m)
	c.record(op)
}

// contendedOwners returns the stayer in whose shard each contended slot is: the
// shard's master may be another one for a while.
func (s *storm) contendedOwners(m *clusterMap) map[int]int {
	seen := make(map[int]int)
	for slot := range contended {
		seen[slot] = nobody
		owner, ok := m.owner[slot]
		if !ok {
			continue
		}
		seen[slot] = somebody
		for i := range stayers {
			if m.shardOf(s.ids[i]) == owner {
				seen[slot] = i
			}
		}
	}
	return seen
}

// comeAndGo does something to a node that comes and goes.
func (c *stormClient) comeAndGo() {
	x := c.own
	if !c.exclusive {
		x = stayers + c.IntN(stormNodes-stayers)
	}
	stayer := c.IntN(stayers)
	other := stayer
	if !c.exclusive && c.IntN(3) == 0 {
		other = c.IntN(stormNodes)
	}
	switch n := c.IntN(100); {
	case n < 30:
		from, to := x, other
		if c.IntN(2) == 0 {
			from, to = to, from
		}
		c.do(command{node: from, verb: "meet", subject: from, object: to}, "meet", "127.0.0.1", c.nodes[to].port)
	case n < 58:
		slots := c.some(privateSlot(x, 0), private, 3)
		c.do(command{node: x, verb: "addslots", subject: x, slots: slots}, append([]any{"addslots"}, anys(slots)...)...)
	case n < 68:
		at := x
		if c.IntN(2) == 0 {
			at = stayer
		}
		slots := c.some(privateSlot(x, 0), private, 2)
		c.do(command{node: at, verb: "delslots", subject: x, slots: slots}, append([]any{"delslots"}, anys(slots)...)...)
	case n < 80:
		if id, err := c.conns[other].id(); err == nil {
			c.do(command{node: x, verb: "replicate", subject: x, object: other, id: id}, "replicate", id)
		}
	case n < 88:
		if id, err := c.conns[x].id(); err == nil {
			c.do(command{node: other, verb: "forget", subject: x, id: id}, "forget", id)
		}
	case n < 95:
		hard := c.IntN(2) == 0
		kind := "soft"
		if hard {
			kind = "hard"
		}
		c.do(command{node: x, verb: "reset", subject: x, hard: hard}, "reset", kind)
	default:
		c.do(command{node: x, verb: "flushslots", subject: x}, "flushslots")
	}
}

// killSomebody kills a node, any one, and starts it again.
func (c *stormClient) killSomebody() {
	p := c.nodes[c.IntN(stormNodes)]
	pause := time.NewTimer(time.Duration(200+c.IntN(800)) * time.Millisecond)
	<-pause.C
	op := command{client: c.number, node: p.index, verb: "kill", subject: p.index, call: time.Since(c.start)}
	p.kill()
	if err := p.start(""); err != nil {
		c.t.Errorf("start node %d again: %v", p.index, err)
	}
	op.end = time.Since(c.start)
	c.record(op)
}
