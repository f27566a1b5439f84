package multiraft

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/raft/v3"

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

// simGroup is what the simulation knows of a group.
type simGroup struct {
	id      GroupID
	wish    Wish
	nextID  uint64
	ids     map[uint64]uint64 // node → Raft id of its member
	told    map[uint64]uint64 // node → version of the wish that it was told
	leaders map[uint64]uint64 // term → Raft id
	first   uint64            // the founder's Raft id
	wished  map[string]bool   // voters that were wished for, ever
	confs   map[string]bool   // configurations seen
	floor   uint64            // what a barrier asked now must see
	failed  []uint64          // values that were certainly not applied
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

// found makes a group with a member on every node.
func (s *sim) found(id GroupID, first int) {
	g := &simGroup{
		id: id, nextID: uint64(id) * 1000, ids: make(map[uint64]uint64), told: make(map[uint64]uint64),
		leaders: make(map[uint64]uint64), wished: make(map[string]bool), confs: make(map[string]bool),
	}
	s.raft[id] = g
	for i := range s.state {
		s.addReplica(g, s.state[i], i == first)
	}
	g.first = g.ids[s.state[first].id]
	s.newWish(g)
}

func (s *sim) addReplica(g *simGroup, n *simNode, bootstrap bool) {
	g.nextID++
	g.ids[n.id] = g.nextID
	delete(g.told, n.id)
	n.create(Spec{
		ID: g.id, RaftID: g.nextID, Bootstrap: bootstrap, Prompt: g.id == simPrompt, Members: s.members(g),
	}, !n.arbiter || g.id == simPrompt)
}

// members are all present members of a group.
func (s *sim) members(g *simGroup) (members []Member) {
	for _, n := range s.state {
		if id := g.ids[n.id]; id != 0 {
			members = append(members, Member{RaftID: id, Node: n.id, Arbiter: n.arbiter && g.id == simData})
		}
	}
	return members
}

// newWish wishes for one, three or five random voters, among them one that
// serves.
func (s *sim) newWish(g *simGroup) {
	members := s.members(g)
	s.rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	serving := slices.IndexFunc(members, func(m Member) bool { return !m.Arbiter })
	members[0], members[serving] = members[serving], members[0]
	count := 3
	switch {
	case s.chance(200):
		count = 1
	case len(members) == 5 && s.chance(300):
		count = 5
	}
	voters := members[:count]
	others := members[count:]
	slices.SortFunc(voters, func(a, b Member) int { return int(a.RaftID) - int(b.RaftID) })
	ids := make([]uint64, count)
	for i, m := range voters {
		ids[i] = m.RaftID
	}
	g.wished[fmt.Sprint(ids)] = true
	g.wish = Wish{Version: g.wish.Version + 1, Voters: voters, Others: others}
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

// client writes or reads somewhere: mostly, but not always, where it makes sense.
func (s *sim) client() {
	g := s.raft[1+GroupID(s.rng.Intn(2))]
	n := s.state[s.rng.Intn(len(s.state))]
	if l := s.leader(g.id); l != nil && s.chance(700) {
		n = s.state[l.id-1]
	}
	r := n.replicas[g.id]
	if !n.up || n.failure != nil || r == nil {
		return
	}
	if s.chance(400) {
		if r.machine != nil {
			c := s.call(n.labNode, g.id, 0)
			c.floor = g.floor
			r.group.Barrier(&c.Call)
		}
		return
	}
	for range 1 + s.rng.Intn(4) {
		s.value++
		c := s.call(n.labNode, g.id, s.value)
		c.Payload = append(c.Payload, make([]byte, s.rng.Intn(100))...)
		r.group.Submit(&c.Call)
	}
}

// leaseRead is a read of applied state that counts if the lease still holds at a
// later time.
type leaseRead struct {
	node        *simNode
	host        *Host
	group       *Group
	token       uint64
	seen, floor uint64
	check       time.Time
}

// readUnderLeases reads wherever there is a lease, above all where there should
// be none.
func (s *sim) readUnderLeases() {
	g := s.raft[simData]
	for _, n := range s.state {
		r := n.replicas[simData]
		if !n.up || n.failure != nil || r == nil || r.machine == nil || !s.chance(300) {
			continue
		}
		if token := r.group.Lease(); token != 0 {
			read := leaseRead{n, n.host, r.group, token, r.machine.applied, g.floor, s.now}
			if s.chance(100) {
				read.check = s.now.Add(s.ms(200))
			}
			s.leased = append(s.leased, read)
		}
	}
}

// checkLeased checks the reads whose lease is looked at now.
func (s *sim) checkLeased() {
	s.leased = slices.DeleteFunc(s.leased, func(r leaseRead) bool {
		switch {
		case r.node.host != r.host: // it died before it could answer
			return true
		case s.now.Before(r.check):
			return false
		case r.group.Holds(r.token):
			s.stats.leased++
			s.note("leased", r.node.id, r.seen)
			if r.seen < r.floor {
				s.t.Errorf("seed %d: node %d read %d under a lease, acknowledged was %d", s.seed, r.node.id, r.seen, r.floor)
			}
		}
		return true
	})
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

// replace gives a node that is no member any more a new member of the group,
// as after a reset.
func (s *sim) replace(g *simGroup) {
	l := s.leader(g.id)
	if l == nil {
		return
	}
	// Settled must be true of the wish that leaves the member out.
	st := l.replicas[g.id].group.status()
	if !st.Settled || st.WishVersion != g.wish.Version {
		return
	}
	for _, n := range s.state {
		if n.up && !n.broken && !slices.Contains(st.Voters, g.ids[n.id]) && !slices.Contains(st.Learners, g.ids[n.id]) {
			n.destroy(g.id)
			delete(n.starts, g.id)
			s.addReplica(g, n, false)
			s.stats.replaced++
			return
		}
	}
}

// tell spreads the wish, which takes its time.
func (s *sim) tell(g *simGroup, perMille int) {
	for _, n := range s.state {
		if n.up && n.failure == nil && g.told[n.id] != g.wish.Version && s.chance(perMille) {
			g.told[n.id] = g.wish.Version
			n.replicas[g.id].group.SetWish(g.wish)
		}
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

// checkGroups checks what a node's members say after a step of the loop.
func (s *sim) checkGroups(n *simNode) {
	for _, id := range []GroupID{simPrompt, simData} {
		g, r := s.raft[id], n.replicas[id].group
		if st := r.rn.BasicStatus(); st.RaftState == raft.StateLeader {
			switch other := g.leaders[st.GetTerm()]; other {
			case 0:
				g.leaders[st.GetTerm()] = r.raftID
				s.stats.leaders++
			case r.raftID:
			default:
				s.fatal("group %d: %d and %d lead in term %d", id, other, r.raftID, st.GetTerm())
			}
		}
		if start := r.LogStart(); start > n.starts[id] {
			n.starts[id] = start
			s.stats.cuts++
		}
		conf := r.members.conf
		if key := fmt.Sprint(conf); !g.confs[key] {
			g.confs[key] = true
			s.stats.configs++
			if !g.mayBe(conf.GetVoters()) {
				s.fatal("group %d: nobody wished for the configuration %v", id, conf)
			}
		}
	}
}

// mayBe: the voters are the founder, a wish, or a wish and a leader that has yet
// to leave.
func (g *simGroup) mayBe(voters []uint64) bool {
	voters = slices.Sorted(slices.Values(voters))
	if len(voters) == 0 || len(voters) == 1 && voters[0] == g.first || g.wished[fmt.Sprint(voters)] {
		return true
	}
	for i, id := range voters {
		rest := slices.Delete(slices.Clone(voters), i, i+1)
		if g.wished[fmt.Sprint(rest)] && slices.Contains(slices.Collect(maps.Values(g.leaders)), id) {
			return true
		}
	}
	return false
}

// checkCalls looks at the calls that are not known to have ended.
func (s *sim) checkCalls() {
	open := s.calls[:0]
	for _, c := range s.calls {
		if !s.checkCall(c) {
			open = append(open, c)
		}
	}
	clear(s.calls[len(open):])
	s.calls = open
}

// checkCall checks a call that ended, and that one which did not has a reason.
// A call of a dead process ends never, or ended before.
func (s *sim) checkCall(c *labCall) (over bool) {
	g := s.raft[c.group]
	alive := c.node.host == c.host && c.node.up && c.node.failure == nil
	if c.ended == 0 {
		// A write may wait for one timeout to be appended and another to be
		// decided.
		if limit := 2*c.host.requestTicks() + 2; alive && c.host.ticks-c.asked > limit {
			s.fatal("a call (value %d) has not ended after %d ticks", c.value, limit)
		}
		return !alive
	}
	if c.ended > 1 {
		s.fatal("a call (value %d) ended %d times", c.value, c.ended)
	}
	if c.value == 0 {
		s.checkRead(g, c)
		return true
	}
	place := g.place(s, c.value)
	switch {
	case c.Err == nil:
		if place == 0 {
			s.fatal("write %d was acknowledged and not applied", c.value)
		}
		g.floor = max(g.floor, place)
		s.stats.acked++
	case errors.Is(c.Err, ErrUncertain):
		s.stats.uncertain++
	case errors.Is(c.Err, ErrNotLeader), errors.Is(c.Err, ErrSuperseded), errors.Is(c.Err, ErrNoQuorum), errors.Is(c.Err, ErrClosed):
		if errors.Is(c.Err, ErrSuperseded) {
			s.stats.superseded++
		}
		s.stats.refused++
		g.failed = append(g.failed, c.value)
	default:
		s.fatal("write %d ended with %v", c.value, c.Err)
	}
	return true
}

func (s *sim) checkRead(g *simGroup, c *labCall) {
	switch {
	case c.Err == nil:
		if c.seen < c.floor {
			s.fatal("node %d, group %d: a read saw %d, but %d was acknowledged before", c.node.id, g.id, c.seen, c.floor)
		}
		g.floor = max(g.floor, c.seen)
		s.stats.read++
	case errors.Is(c.Err, ErrNotLeader), errors.Is(c.Err, ErrNoQuorum), errors.Is(c.Err, ErrClosed):
		s.stats.refused++
	default:
		s.fatal("a barrier ended with %v", c.Err)
	}
}

// place returns the index at which a value was applied, or 0.
func (g *simGroup) place(s *sim, value uint64) uint64 { return s.history(g.id).place[value] }

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

// recovered: a leader that serves, the wished membership, and all members as
// far as the leader.
func (s *sim) recovered(g *simGroup) bool {
	l := s.leader(g.id)
	if l == nil || len(s.calls) > 0 {
		return false
	}
	st := l.replicas[g.id].group.status()
	if !st.Settled || st.WishVersion != g.wish.Version || l.replicas[g.id].machine == nil {
		return false
	}
	for _, m := range g.wish.Voters {
		if r := s.node(m.Node).replicas[g.id]; !s.node(m.Node).up || r.group.Applied() != st.Applied || st.Applied != st.Last {
			return false
		}
	}
	return true
}

// finalChecks: the group takes writes, and what was refused never happened.
func (s *sim) finalChecks() {
	for _, id := range []GroupID{simPrompt, simData} {
		g := s.raft[id]
		for i := 0; ; i++ {
			s.value++
			c := s.write(s.leader(id), id, s.value)
			b := s.barrier(s.leader(id), id)
			b.floor = g.floor
			for c.ended == 0 || b.ended == 0 {
				s.millisecond()
			}
			if c.Err == nil && b.Err == nil {
				break
			}
			if i == 10 {
				s.fatal("the recovered group %d refuses: %v, %v", id, c.Err, b.Err)
			}
			s.until("a leader", func() bool { return s.leader(id) != nil })
		}
		for _, value := range g.failed {
			if at := g.place(s, value); at != 0 {
				s.fatal("write %d was refused and is in entry %d", value, at)
			}
		}
		// The machines are prefixes of one chain: see labMachine.
		if l := s.leader(id); l != nil && l.replicas[id].machine.applied < g.floor {
			s.fatal("group %d: the leader has applied %d, acknowledged was %d", id, l.replicas[id].machine.applied, g.floor)
		}
	}
}
