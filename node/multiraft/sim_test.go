package multiraft

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/wal/crashfs"
)

// The simulation drives three to five hosts with two groups each, in one
// goroutine and without real time, through random writes, reads, transfers,
// membership changes, partitions, stalls, crashes and disk failures, and checks
// what the package promises. A seed decides everything (raft takes its election
// timeouts from crypto/rand.Reader, which a run replaces), so that a failing one
// can be replayed:
//
//	MULTIRAFT_SIM_SEED=17 go test -run TestSimulation ./node/multiraft
//	MULTIRAFT_SIM_SEEDS=5000 go test -timeout 60m -run TestSimulation ./node/multiraft
func TestSimulation(t *testing.T) {
	first, count := int64(1), int64(100)
	if testing.Short() {
		count = 10
	}
	if s := os.Getenv("MULTIRAFT_SIM_SEEDS"); s != "" {
		count = envNumber(t, s)
	}
	if s := os.Getenv("MULTIRAFT_SIM_SEED"); s != "" {
		first, count = envNumber(t, s), 1
	}
	var total simStats
	for seed := first; seed < first+count && !t.Failed(); seed++ {
		if !t.Run(strconv.FormatInt(seed, 10), func(t *testing.T) { total.add(simulate(t, seed).stats) }) {
			t.Errorf("replay with MULTIRAFT_SIM_SEED=%d", seed)
		}
	}
	t.Logf("%+v", total)
	if count >= 100 {
		// A simulation in which nothing happens proves nothing.
		for what, n := range map[string]int{
			"writes": total.acked, "reads": total.read, "reads under a lease": total.leased, "uncertain writes": total.uncertain,
			"superseded writes": total.superseded, "refusals": total.refused, "crashes": total.crashes,
			"leaders": total.leaders, "configurations": total.configs, "disk failures": total.diskFailures,
			"new replicas": total.replaced, "truncations": total.cuts, "snapshots": total.snapshots,
			"arbiters that skipped": total.skipped, "failed snapshots": total.broken,
			"crashes while installing": total.torn,
		} {
			if n == 0 {
				t.Errorf("no %s in all runs", what)
			}
		}
	}
}

// A seed decides everything.
func TestSimulationReplays(t *testing.T) {
	for seed := int64(1); seed <= 3; seed++ {
		if a, b := simulate(t, seed).trace, simulate(t, seed).trace; a != b {
			t.Errorf("seed %d went two ways: %x and %x", seed, a, b)
		}
	}
}

func envNumber(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	simPrompt GroupID = 1
	simData   GroupID = 2
	// simTime is how long, in milliseconds, a run goes wild; simCalm is how long
	// it may take to recover afterwards.
	simTime = 3000
	simCalm = 20000
)

type simStats struct {
	acked, read, leased, uncertain, superseded, refused, crashes, leaders, configs, diskFailures, replaced int
	cuts, snapshots, skipped, broken, torn                                                                 int
}

func (s *simStats) add(o simStats) {
	s.acked += o.acked
	s.read += o.read
	s.leased += o.leased
	s.uncertain += o.uncertain
	s.superseded += o.superseded
	s.refused += o.refused
	s.crashes += o.crashes
	s.leaders += o.leaders
	s.configs += o.configs
	s.diskFailures += o.diskFailures
	s.replaced += o.replaced
	s.cuts += o.cuts
	s.snapshots += o.snapshots
	s.skipped += o.skipped
	s.broken += o.broken
	s.torn += o.torn
}

// sim is one run.
type sim struct {
	*lab
	seed  int64
	state []*simNode
	raft  map[GroupID]*simGroup
	value uint64
	calm  bool
	stats simStats
	// lossy, slow: percent of the packets that are lost or late.
	lossy, slow int
	leased      []leaseRead
	// heal is when the present partition ends, at the latest.
	heal time.Time
}

// simNode is what happens to a node, besides its labNode.
type simNode struct {
	*labNode
	nextTick time.Time
	// until when loop, persister and appliers stall, and a node stays down.
	loopStall, diskStall, applyStall, down time.Time
	arbiter                                bool
	broken                                 bool // the disk fails
	fetches                                map[GroupID]*simFetch
	starts                                 map[GroupID]uint64 // of the logs, as last seen
}

// simulate runs one seed.
func simulate(t *testing.T, seed int64) *sim {
	old := crand.Reader
	defer func() { crand.Reader = old }()
	rng := rand.New(rand.NewSource(seed))
	crand.Reader = io.Reader(rand.New(rand.NewSource(^seed)))

	gathers := []time.Duration{0, time.Millisecond, 3 * time.Millisecond}
	gather, inflight := gathers[rng.Intn(3)], 1+rng.Intn(3)
	entries := 10 + rng.Intn(40)
	timeout := []time.Duration{200, 500, 1500}[rng.Intn(3)] * time.Millisecond
	l := newLab(t, 3+rng.Intn(3), seed, func(o *Options) {
		o.Gather, o.InflightEntries, o.MaxEntryBytes = gather, inflight, 256
		o.RequestTimeout = timeout
		o.LogEntries, o.LogBytes = entries, int64(entries)*150
	})
	s := &sim{lab: l, seed: seed, raft: make(map[GroupID]*simGroup)}
	l.fate, l.broken = s.fateOf, s.tear
	for _, n := range l.nodes {
		s.state = append(s.state, &simNode{
			labNode: n, nextTick: l.now.Add(s.ms(10)),
			fetches: make(map[GroupID]*simFetch), starts: make(map[GroupID]uint64),
		})
	}
	s.state[len(s.state)-1].arbiter = rng.Intn(2) == 0
	s.found(simPrompt, rng.Intn(len(s.state)))
	s.found(simData, rng.Intn(2)) // never the arbiter
	for range simTime {
		s.act()
		s.millisecond()
	}
	s.recover()
	s.finalChecks()
	return s
}

// ms returns a random duration of up to n milliseconds.
func (s *sim) ms(n int) time.Duration {
	return time.Duration(s.rng.Intn(n*1000)) * time.Microsecond
}

func (s *sim) chance(perMille int) bool { return s.rng.Intn(1000) < perMille }

func (s *sim) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d, %v: %s", s.seed, s.now.Sub(time.Unix(1_700_000_000, 0)), fmt.Sprintf(format, args...))
}

// fateOf loses, delays, reorders and duplicates packets.
func (s *sim) fateOf(packet) []time.Duration {
	if s.calm {
		return []time.Duration{s.ms(1)}
	}
	if s.rng.Intn(100) < s.lossy {
		return nil
	}
	delay := s.ms(2)
	switch r := s.rng.Intn(100); {
	case r < s.slow:
		delay = s.ms(60)
	case r == 99:
		delay = s.ms(1500) // arrives terms later
	}
	if s.chance(20) {
		return []time.Duration{delay, s.ms(100)}
	}
	return []time.Duration{delay}
}

// act lets the clients and the world do something, or not.
func (s *sim) act() {
	for range s.rng.Intn(3) {
		s.client()
	}
	s.readUnderLeases()
	if !s.heal.IsZero() && s.now.After(s.heal) {
		clear(s.cut)
		s.heal = time.Time{}
	}
	n := s.state[s.rng.Intn(len(s.state))]
	stall := func(until *time.Time, ms int) { *until = s.now.Add(s.ms(ms)) }
	switch s.rng.Intn(400) {
	case 0:
		s.end(n, n.crash)
	case 1:
		s.end(n, n.kill)
	case 2:
		s.end(n, n.close)
	case 3:
		if n.up {
			s.stats.diskFailures++
			n.broken = true
			op := []crashfs.Op{crashfs.OpSync, crashfs.OpWrite}[s.rng.Intn(2)]
			n.disk.Fail(func(o crashfs.Op, _ string) error {
				if o == op {
					return errors.New("the disk is broken")
				}
				return nil
			})
		}
	case 4, 5:
		stall(&n.loopStall, 300)
	case 6, 7:
		stall(&n.diskStall, 300)
	case 8, 9:
		stall(&n.applyStall, 300)
	case 10, 11:
		s.partition()
	case 12:
		clear(s.cut)
	case 13, 14, 15:
		if l := s.leader(1 + GroupID(s.rng.Intn(2))); l != nil {
			// Long enough for another leader; what this one appends is replaced.
			s.isolate(l, true)
			if s.chance(500) && n.labNode != l {
				s.end(n, n.kill) // it forgets what it has promised
			}
			s.heal = s.now.Add(200*time.Millisecond + s.ms(400))
			for _, id := range []GroupID{simPrompt, simData} {
				if l.replicas[id].group.leading() {
					s.value++
					s.write(l, id, s.value)
				}
			}
		}
	case 16:
		s.lossy, s.slow = s.rng.Intn(15), s.rng.Intn(30)
	case 17:
		s.lossy, s.slow = 0, 0
	case 18, 19:
		s.newWish(s.raft[1+GroupID(s.rng.Intn(2))])
	case 20, 21, 22:
		s.transfer(n, 1+GroupID(s.rng.Intn(2)))
	case 23, 24:
		s.replace(s.raft[1+GroupID(s.rng.Intn(2))])
	}
	for _, id := range []GroupID{simPrompt, simData} {
		s.tell(s.raft[id], 20)
	}
	if n.up && s.chance(50) {
		for _, r := range n.replicas {
			if r.machine != nil {
				r.machine.durable = r.machine.applied
			}
		}
	}
}

// end ends a node's process for a while.
func (s *sim) end(n *simNode, how func()) {
	if !n.up {
		return
	}
	if n.failure != nil || n.broken {
		how = n.kill
	}
	s.stats.crashes++
	s.stopSending(n)
	how()
	n.disk.Fail(nil)
	n.broken = false
	n.down = s.now.Add(s.ms([]int{20, 600}[s.rng.Intn(2)]))
}

func (s *sim) partition() {
	side := s.rng.Intn(1 << len(s.state))
	oneWay := s.chance(300)
	for i, a := range s.state {
		for j, b := range s.state {
			if side>>i&1 != side>>j&1 && (!oneWay || side>>i&1 == 1) {
				s.cut[[2]uint64{a.id, b.id}] = true
			}
		}
	}
}

func (s *sim) transfer(n *simNode, id GroupID) {
	if r := n.replicas[id]; n.up && n.failure == nil && r != nil && r.group.leading() {
		members := s.members(s.raft[id])
		r.group.transfer(members[s.rng.Intn(len(members))].RaftID)
		n.wake = s.now
	}
}

// millisecond lets every part of every node work, or not, in a random order.
func (s *sim) millisecond() {
	s.now = s.now.Add(time.Millisecond)
	for range 1 + s.rng.Intn(3) {
		s.deliver()
		for _, i := range s.rng.Perm(len(s.state)) {
			s.work(s.state[i])
		}
	}
	for _, n := range s.state {
		s.fetch(n)
	}
	s.checkCalls()
	s.checkLeased()
}

func (s *sim) work(n *simNode) {
	if !n.up {
		if s.now.After(n.down) {
			n.boot()
			for _, g := range s.raft {
				delete(g.told, n.id)
				if r := n.replicas[g.id]; r != nil {
					r.group.setMembers(s.members(g))
				}
			}
			n.nextTick = s.now.Add(s.ms(10))
		}
		return
	}
	if n.failure != nil {
		s.end(n, n.kill)
		return
	}
	loop, disk, appliers := n.busy()
	if tick := s.now.After(n.nextTick); (loop || tick) && s.now.After(n.loopStall) && (s.calm || s.chance(700)) {
		n.stepLoop(tick)
		if tick {
			n.nextTick = s.now.Add(10 * time.Millisecond) // missed ticks are gone
		}
		s.checkGroups(n)
	}
	if disk && s.now.After(n.diskStall) && (s.calm || s.chance(500)) {
		n.stepDisk()
	}
	if s.calm || s.chance(300) {
		n.stepErrands()
	}
	if n.failure == nil && s.now.After(n.applyStall) && (s.calm || s.chance(500)) {
		for _, a := range appliers {
			n.stepApplier(a)
		}
	}
	if n.failure != nil && !n.broken {
		s.fatal("node %d failed: %v", n.id, n.failure)
	}
}

// recover ends all trouble and waits until the groups are as they should be.
func (s *sim) recover() {
	s.calm = true
	clear(s.cut)
	for _, n := range s.state {
		n.loopStall, n.diskStall, n.applyStall, n.down = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		n.disk.Fail(nil) // a log that has failed already stays so, and ends the host
	}
	for range simCalm {
		s.millisecond()
		whole := true
		for _, id := range []GroupID{simPrompt, simData} {
			s.tell(s.raft[id], 1000)
			whole = whole && s.recovered(s.raft[id])
		}
		if whole {
			return
		}
	}
	for _, n := range s.state {
		for id, r := range n.replicas {
			s.t.Logf("node %d group %d: %+v conf %v", n.id, id, r.group.status(), r.group.members.conf)
		}
	}
	s.fatal("the groups did not recover")
}
