package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// testNode is a Node over a fixed topology of five nodes: 1 and 2 are masters,
// 3 and 4 replicas of 1 (4 has failed), 5 has no shard. It notes the changes
// that it is asked for, and refuses them with refuse.
type testNode struct {
	view     *topology.View
	config   *Config
	sessions *testSessions
	latency  command.LatencyMonitor
	moves    MigrationStatus
	shards   []ShardStatus
	info     NodeInfo
	log      []string
	refuse   error
}

func newTestNode() *testNode {
	n := &testNode{sessions: &testSessions{}}
	n.view = testView()
	n.config = NewConfig(ConfigOptions{
		Values: map[string]string{"port": "7001", "maxclients": "100"},
		Hooks: map[string]func(context.Context, string) error{
			"loglevel": func(_ context.Context, level string) error { n.note("loglevel %s", level); return nil },
			"cluster-slot-stats-enabled": func(_ context.Context, value string) error {
				if n.sessions.load = nil; value == "yes" {
					n.sessions.load = new(command.SlotLoad)
				}
				return nil
			},
			"timeout": func(_ context.Context, s string) error {
				if s == "13" {
					return fmt.Errorf("unlucky")
				}
				n.note("timeout %s", s)
				return nil
			},
		},
		Rewrite:   func(changed map[string]string) error { n.note("rewrite %v", changed); return nil },
		ResetStat: func() { n.note("resetstat") },
	})
	n.info = NodeInfo{
		Version: "1.2.3", RunID: strings.Repeat("ab", 20), Started: time.Now(), Port: 7001, Keys: 3, Expires: 1,
	}
	n.shards = []ShardStatus{{
		Group: 101, Kind: topology.Data, Role: RoleLeader, Leader: 1, Term: 3, Commit: 50, Applied: 50,
		Members: []ShardMember{
			{Node: 1, Match: 50, Voter: true},
			{Node: 3, Match: 48, Voter: true, LastContact: 20 * time.Millisecond},
			{Node: 4, Match: 7, Voter: true, LastContact: -1},
		},
	}}
	return n
}

func testView() *topology.View {
	first := &topology.Shard{ID: 101, Master: 1, Slots: slot.FromRanges([]slot.Range{{Start: 0, End: 5460}, {Start: 6000, End: 6000}})}
	second := &topology.Shard{ID: 102, Master: 2, Slots: slot.FromRanges([]slot.Range{{Start: 5461, End: 5999}, {Start: 6001, End: 16383}})}
	v := &topology.View{
		Self: 1, ClusterID: 0xfeed, Quorum: true, Epoch: 7, Shards: []*topology.Shard{first, second},
	}
	for id := topology.NodeID(1); id <= 5; id++ {
		n := &topology.Node{ID: id, ConfigEpoch: uint64(id), Address: topology.Address{
			Host: "127.0.0.1", Port: 7000 + uint16(id), BusPort: 17000 + uint16(id),
			Raft: fmt.Sprintf("127.0.0.1:%d", 50050+int(id)),
		}}
		v.Nodes = append(v.Nodes, n)
	}
	for i, s := range []*topology.Shard{first, second, first, first} {
		v.Nodes[i].Shard = s
		s.Members = append(s.Members, topology.Member{Node: v.Nodes[i].ID, Kind: topology.Data, Synced: true})
	}
	v.Nodes[3].Failed = true
	v.Nodes[1].Address.Hostname = "two.example"
	for _, s := range v.Shards {
		for n := range s.Slots.All {
			v.Owner[n] = s
		}
	}
	return v
}

// note logs a change and returns what it is answered with.
func (n *testNode) note(format string, args ...any) error {
	n.log = append(n.log, fmt.Sprintf(format, args...))
	return n.refuse
}

func (n *testNode) View(context.Context) *topology.View { return n.view }
func (n *testNode) Live() topology.Live                 { return testLive{} }

func (n *testNode) Meet(_ context.Context, host string, port, busPort int) error {
	return n.note("meet %s %d %d", host, port, busPort)
}

func (n *testNode) Forget(_ context.Context, id topology.NodeID, force bool) (warning string, err error) {
	if force {
		return "slots 0-5 are lost", n.note("forget %d by force", id)
	}
	return "", n.note("forget %d", id)
}

func (n *testNode) AddSlots(_ context.Context, s slot.Set) error { return n.note("add %s", s) }

func (n *testNode) DelSlots(_ context.Context, s slot.Set) error { return n.note("del %s", s) }

func (n *testNode) SetSlot(_ context.Context, s uint16, action SlotAction, peer topology.NodeID) error {
	err := n.note("setslot %d %s %d", s, action, peer)
	switch known := n.view.Node(peer) != nil; { // MetaRaft's words
	case action == SlotStable || known || err != nil:
		return err
	case action == SlotNode:
		return fmt.Errorf("ERR Unknown node %s", peer)
	default:
		return fmt.Errorf("ERR I don't know about node %s", peer)
	}
}

func (n *testNode) StartMigration(_ context.Context, face topology.Face, moves []SlotsMove) (ids []topology.MigrationID, err error) {
	for i, m := range moves {
		err = n.note("start %s %s to %d", face, m.Slots, m.Target)
		ids = append(ids, topology.MigrationID(i+1))
	}
	return ids, err
}

func (n *testNode) CancelMigration(_ context.Context, id topology.MigrationID, part topology.Face, text string) (int, error) {
	return 2, n.note("cancel %d %q: %s", id, part, text)
}

func (n *testNode) FlushSlots(context.Context) error { return n.note("flushslots") }

func (n *testNode) Reset(_ context.Context, hard bool) error { return n.note("reset hard=%v", hard) }
func (n *testNode) SaveConfig(context.Context) error         { return n.note("save") }

func (n *testNode) Failover(_ context.Context, force bool) error {
	return n.note("failover force=%v", force)
}

func (n *testNode) Replicate(_ context.Context, id topology.NodeID) error {
	return n.note("replicate %d", id)
}

func (n *testNode) SetConfigEpoch(_ context.Context, epoch uint64) error {
	return n.note("epoch %d", epoch)
}

func (n *testNode) BumpEpoch(context.Context) (uint64, bool, error) {
	return 8, len(n.log) == 0, n.note("bump")
}

func (n *testNode) MetaAddLearner(_ context.Context, id topology.NodeID, addr string) error {
	return n.note("learner %d %s", id, addr)
}

func (n *testNode) MetaPromote(_ context.Context, ids []topology.NodeID) (string, error) {
	warning := ""
	if len(ids) > 1 {
		warning = "(an even number of voters)"
	}
	return warning, n.note("promote %d", ids)
}

func (n *testNode) MetaStatus(context.Context) MetaStatus {
	return MetaStatus{Role: RoleLeader, Leader: 1, Term: 4, Commit: 90, Applied: 89, Members: []MetaMember{
		{Node: 1, RaftID: 1, Addr: "127.0.0.1:50051", Voter: true, Leader: true, Match: 90},
		{Node: 2, RaftID: 6, Addr: "127.0.0.1:50052", LastContact: 1500 * time.Millisecond, Match: 80},
		{Node: 0xabc, RaftID: 7, Addr: "10.0.0.3:50053", LastContact: -1},
	}}
}

func (n *testNode) ShardStatuses() []ShardStatus { return n.shards }

func (n *testNode) Migrating() MigrationStatus { return n.moves }

func (n *testNode) AwaitReplicas(local bool, want int, _ func()) ReplicaWait {
	_ = n.note("wait for %d, the node itself: %v", want, local)
	return storedByOne{}
}

// storedByOne is a wait that one replica has ended.
type storedByOne struct{}

func (storedByOne) State() (int, bool, bool) { return 1, true, false }
func (storedByOne) Own() bool                { return true }
func (storedByOne) Stop()                    {}

// SlotKeys is 1 to 3 for the first slots.
func (n *testNode) SlotKeys(s uint16) int64 { return max(3-int64(s), 0) }

func (n *testNode) SlotBytes(s uint16) (int64, error) { return 100 * n.SlotKeys(s), nil }

func (n *testNode) Save() error { return n.note("checkpoint") }

func (n *testNode) SaveInBackground(schedule bool) Saving {
	if n.note("checkpoint behind, schedule %v", schedule) == nil {
		return SavingStarted
	}
	if schedule {
		return SavingScheduled
	}
	return SavingAlready
}

func (n *testNode) Shutdown(_ context.Context, how Shutdown) bool {
	return n.note("shutdown %+v", how) == nil
}

func (n *testNode) Faults() bool { return n.refuse == nil }

func (n *testNode) Partition(from, to []topology.NodeID) { _ = n.note("partition %d %d", from, to) }

func (n *testNode) Info() NodeInfo                   { return n.info }
func (n *testNode) Latency() *command.LatencyMonitor { return &n.latency }
func (n *testNode) Config() *Config                  { return n.config }
func (n *testNode) Sessions() command.Sessions       { return n.sessions }

// testLive suspects node 2 and is connected to 2 and 3.
type testLive struct{}

func (testLive) Contact(peer topology.NodeID) topology.Contact {
	return topology.Contact{
		Connected: peer == 2 || peer == 3, Suspect: peer == 2, Since: time.UnixMilli(12345), SendBuffer: 10,
		From:   map[topology.NodeID]time.Time{2: time.UnixMilli(12346)}[peer],
		Offset: map[topology.NodeID]uint64{2: 900, 3: 48, 4: 5, 5: 30}[peer],
	}
}
func (testLive) Leader(topology.GroupID) topology.NodeID { return 1 }

type testSessions struct {
	list      []*command.Session
	killed    []uint64
	unblocked []string
	calls     []*command.CallSummary
	load      *command.SlotLoad
	logs      [command.LogKinds]command.CommandLog
	paused    string
}

func (s *testSessions) List() []*command.Session { return s.list }

func (s *testSessions) Kill(id uint64) bool {
	s.killed = append(s.killed, id)
	return true
}

func (s *testSessions) Log(kind command.LogKind) *command.CommandLog { return &s.logs[kind] }
func (s *testSessions) SlotLoad() *command.SlotLoad                  { return s.load }
func (s *testSessions) CallStats() []*command.CallSummary            { return s.calls }
func (s *testSessions) ErrorCounts() []command.ErrorCount {
	return []command.ErrorCount{{Kind: "ERR", Count: 3}, {Kind: "MOVED", Count: 2}}
}

func (s *testSessions) Unblock(id uint64, withError bool) bool {
	s.unblocked = append(s.unblocked, fmt.Sprintf("%d %v", id, withError))
	return id == 5
}

func (s *testSessions) Pause(until time.Time, writesOnly bool) {
	s.paused = fmt.Sprintf("%v %v", !until.IsZero(), writesOnly)
}

var errRefused = resp.Error("ERR Slot 1 is already busy")
