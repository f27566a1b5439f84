package multiraft

import (
	crand "crypto/rand"
	"io"
	"math/rand"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// A lease ends by itself, and a barrier or its own use renews it.
func TestLeaseEndsAndIsRenewed(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	g := n.replicas[testGroup].group
	l.finish(l.barrier(n, testGroup))
	token := g.Lease()
	if token == 0 || !g.LeaseValid(token) {
		t.Fatal("no lease after a barrier")
	}
	for range 50 { // ticks; far longer than one lease
		if !g.LeaseValid(token) {
			t.Fatal("a lease in use has ended")
		}
		l.ticks(1)
	}
	end := l.now.Add(n.host.leaseTime())
	for l.now.Before(end) {
		l.ticks(1)
	}
	if g.LeaseValid(token) {
		t.Error("an unused lease has not ended")
	}
}

// Nobody has a lease after a change of members or leaders, nor for the rest of a
// term in which a transfer was tried.
func TestLeaseIsDropped(t *testing.T) {
	for name, drop := range map[string]func(l *lab, g *Group){
		"transfer": func(l *lab, g *Group) {
			l.pass = func(_, _ uint64, _ GroupID, m *pb.Message) bool { return m.GetType() != pb.MsgTimeoutNow }
			g.transfer(labRaftID(l.followers(testGroup, l.leader(testGroup))[0].id))
		},
		"wish": func(l *lab, g *Group) {
			g.host.opts.Uptime = nil // it takes no lease anew
			l.wish(testGroup, Wish{Version: 2, Voters: labMembers(1, 2, 3, 4)})
			l.until("four voters", func() bool { return len(g.members.conf.GetVoters()) == 4 })
		},
		"detached": func(_ *lab, g *Group) { g.host.detach(testGroup) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 4, 1, nil)
			l.found(testGroup, false, 1, 2, 3)
			l.node(4).create(Spec{ID: testGroup, RaftID: labRaftID(4), Members: labMembers(1, 2, 3)}, true)
			n := l.leader(testGroup)
			g := n.replicas[testGroup].group
			l.finish(l.barrier(n, testGroup))
			token := g.Lease()
			if !g.LeaseValid(token) {
				t.Fatal("no lease to begin with")
			}
			_, term := g.Leader()
			drop(l, g)
			if g.reader.lease.Load() != nil {
				t.Fatal("the lease holds on")
			}
			if name != "transfer" {
				return
			}
			l.ticks(30) // raft gives the transfer up
			l.finish(l.barrier(n, testGroup))
			if _, now := g.Leader(); now != term || !g.leading() {
				t.Fatal("the leader has changed; the test proves nothing")
			}
			if g.Lease() != 0 {
				t.Error("a lease in the term of a transfer")
			}
		})
	}
}

// Who has just been started votes for nobody, unless the leader asks for it.
func TestRestartedVoterRefuses(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	f := l.followers(testGroup, n)[0]
	f.kill()
	f.boot()
	g := f.replicas[testGroup].group
	vote := &pb.Message{Type: pb.MsgPreVote.Enum()}
	if !g.refuses(vote) {
		t.Error("a vote right after the start")
	}
	if g.refuses(&pb.Message{Type: pb.MsgVote.Enum(), Context: campaignTransfer}) {
		t.Error("no vote for a transfer")
	}
	for range n.host.opts.ElectionTicks {
		l.ticks(1)
	}
	if g.refuses(vote) {
		t.Error("no vote an election timeout after the start")
	}
}

// The lease follows the voter that keeps its promise the shortest.
func TestLeaseFollowsTheVoters(t *testing.T) {
	delays := map[uint64]time.Duration{}
	l := newLab(t, 3, 1, func(o *Options) { o.VoteDelay = func(node uint64) time.Duration { return delays[node] } })
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	g := n.replicas[testGroup].group
	for _, c := range []struct {
		shortest time.Duration
		lease    time.Duration
	}{{0, 0}, {20 * time.Millisecond, 18 * time.Millisecond}, {time.Hour, 72 * time.Millisecond}} {
		for _, f := range l.followers(testGroup, n) {
			delays[f.id] = time.Hour
		}
		delays[l.followers(testGroup, n)[0].id] = c.shortest
		start := g.host.opts.Uptime()
		l.finish(l.barrier(n, testGroup))
		if lasts := g.reader.lease.Load().until - start; lasts < c.lease || lasts > c.lease+5*time.Millisecond {
			t.Errorf("with a voter that keeps its promise for %v, a lease of %v", c.shortest, lasts)
		}
	}
}

// leaseSim is a group of three that mostly works, for there to be leases and,
// soon after, other leaders: cuts, transfers whose messages come late, voters
// that restart, leaders that stand still.
type leaseSim struct {
	*lab
	value   uint64
	floor   uint64 // the last entry that was acknowledged
	writes  []*labCall
	reads   []leaseRead
	stalled map[uint64]time.Time
	ticked  map[uint64]time.Time
	heal    time.Time
	// counted: reads that held, and troubles of leaders.
	held, leaders int
	late          []packet
}

// TestLeaseSimulation looks for stale reads under leases.
func TestLeaseSimulation(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	held, leaders := 0, 0
	for seed := range seeds {
		s := runLeaseSim(t, int64(seed))
		held, leaders = held+s.held, leaders+s.leaders
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if held < 1000*seeds || leaders < 4*seeds {
		t.Errorf("%d reads and %d leaders in %d runs: too few to prove anything", held, leaders, seeds)
	}
}

func runLeaseSim(t *testing.T, seed int64) *leaseSim {
	old := crand.Reader
	defer func() { crand.Reader = old }()
	crand.Reader = io.Reader(rand.New(rand.NewSource(^seed)))
	l := newLab(t, 3, seed, nil)
	l.found(testGroup, false, 1, 2, 3)
	s := &leaseSim{lab: l, stalled: make(map[uint64]time.Time), ticked: make(map[uint64]time.Time)}
	l.fate = func(p packet) []time.Duration {
		return []time.Duration{time.Duration(l.rng.Intn(3000)) * time.Microsecond}
	}
	l.pass = s.delayTimeoutNow
	for range 4000 {
		s.now = s.now.Add(time.Millisecond)
		s.trouble()
		for range 3 {
			s.deliver()
			for _, i := range s.rng.Perm(len(s.nodes)) {
				s.work(s.nodes[i])
			}
		}
		s.clients()
		s.check()
	}
	return s
}

// delayTimeoutNow holds back every second MsgTimeoutNow, for long.
func (s *leaseSim) delayTimeoutNow(from, to uint64, group GroupID, m *pb.Message) bool {
	if m.GetType() != pb.MsgTimeoutNow || s.rng.Intn(2) == 0 {
		return true
	}
	frame := appendMessage(appendFrameHeader(nil, testCluster), group, m)
	s.seq++
	delay := time.Duration(50+s.rng.Intn(300)) * time.Millisecond
	s.late = append(s.late, packet{from: from, to: to, frame: frame, due: s.now.Add(delay), seq: s.seq})
	return false
}

func (s *leaseSim) trouble() {
	s.wire, s.late = append(s.wire, s.late...), s.late[:0]
	if s.now.After(s.heal) {
		clear(s.cut)
	}
	n := s.leader(testGroup)
	if n == nil || s.rng.Intn(200) != 0 {
		return
	}
	f := s.followers(testGroup, n)[s.rng.Intn(2)]
	s.leaders++
	switch s.rng.Intn(4) {
	case 0:
		s.stalled[n.id] = s.now.Add(time.Duration(s.rng.Intn(400)) * time.Millisecond)
	case 1:
		n.replicas[testGroup].group.transfer(labRaftID(f.id))
		n.wake = s.now
	case 2:
		f.kill()
		f.boot()
		fallthrough
	default:
		s.isolate(n, true)
		s.heal = s.now.Add(time.Duration(100+s.rng.Intn(300)) * time.Millisecond)
	}
}

func (s *leaseSim) work(n *labNode) {
	if s.now.Before(s.stalled[n.id]) {
		return
	}
	loop, disk, appliers := n.busy()
	tick := !s.now.Before(s.ticked[n.id])
	if loop || tick {
		n.stepLoop(tick)
	}
	if tick {
		s.ticked[n.id] = s.now.Add(n.host.opts.Tick)
	}
	if disk {
		n.stepDisk()
	}
	for _, a := range appliers {
		n.stepApplier(a)
	}
}

func (s *leaseSim) clients() {
	for _, n := range s.nodes {
		r := n.replicas[testGroup]
		if token := r.group.Lease(); token != 0 {
			read := leaseRead{host: n.host, group: r.group, token: token, seen: r.machine.applied, floor: s.floor, check: s.now}
			if s.rng.Intn(20) == 0 {
				read.check = s.now.Add(time.Duration(s.rng.Intn(100)) * time.Millisecond)
			}
			s.reads = append(s.reads, read)
		}
		if !r.group.leading() {
			continue
		}
		if s.rng.Intn(20) == 0 {
			s.barrier(n, testGroup)
		}
		if s.rng.Intn(4) == 0 {
			s.value++
			s.writes = append(s.writes, s.write(n, testGroup, s.value))
		}
	}
}

func (s *leaseSim) check() {
	s.reads = slices.DeleteFunc(s.reads, func(r leaseRead) bool {
		if s.now.Before(r.check) {
			return false
		}
		if r.group.LeaseValid(r.token) {
			s.held++
			if r.seen < r.floor {
				s.t.Errorf("%v: a read of %d under the lease of term %d, acknowledged was %d",
					s.now.Sub(time.Unix(1_700_000_000, 0)), r.seen, r.token, r.floor)
			}
		}
		return true
	})
	s.writes = slices.DeleteFunc(s.writes, func(c *labCall) bool {
		if c.ended > 0 && c.Err == nil {
			s.floor = max(s.floor, s.history(testGroup).place[c.value])
		}
		return c.ended > 0
	})
}

// Who was started with a shorter election timeout keeps the promise of the longer one:
// it votes for nobody, and does not stand for election either.
func TestRestartedVoterKeepsALongerPromise(t *testing.T) {
	promised := 0
	l := newLab(t, 3, 1, func(o *Options) { o.Promised = time.Duration(promised*o.ElectionTicks) * o.Tick })
	l.found(testGroup, false, 1, 2, 3)
	n := l.leader(testGroup)
	election := n.host.opts.ElectionTicks
	f := l.followers(testGroup, n)[0]
	f.kill()
	promised = 6
	f.boot()
	n.kill() // nobody leads, so it would stand soon
	g := f.replicas[testGroup].group
	term := g.rn.BasicStatus().GetTerm()
	vote := &pb.Message{Type: pb.MsgPreVote.Enum()}
	for tick := range 6*election - 1 {
		if st := g.rn.BasicStatus(); !g.refuses(vote) || st.GetTerm() != term || st.RaftState == raft.StateCandidate || st.RaftState == raft.StatePreCandidate {
			t.Fatalf("after %d ticks: refuses %v, term %d (was %d), %v", tick, g.refuses(vote), st.GetTerm(), term, st.RaftState)
		}
		if bound, err := g.campaign(); !bound || err != nil {
			t.Fatalf("it may campaign after %d ticks, %v", tick, err)
		}
		l.ticks(1)
	}
	l.ticks(2 * election)
	if g.refuses(vote) {
		t.Error("no vote after the promise")
	}
}
