package topology

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/genuineh/aikv/node/slot"
)

// fakeLive is what a node knows of its peers in these tests.
type fakeLive struct {
	contacts map[NodeID]Contact
}

func (l *fakeLive) Contact(peer NodeID) Contact { return l.contacts[peer] }
func (l *fakeLive) Leader(GroupID) NodeID       { return 0 }

// countingLive also counts messages.
type countingLive struct{ fakeLive }

func (l *countingLive) Messages() (sent, received uint64) { return 12, 34 }

var now = time.UnixMilli(1_700_000_000_000)

// example is a cluster of two shards and a node without one. Shard 0xb has the
// master 2 and the replicas 3 and 5; node 4 is its arbiter.
func example() *View {
	a := &Shard{ID: 0xa, Master: 1, Members: []Member{{Node: 1, RaftID: 1, Kind: Data}, {Node: 4, RaftID: 2, Kind: Arbiter}, {Node: 5, RaftID: 3, Kind: Arbiter}}}
	b := &Shard{ID: 0xb, Master: 2, Members: []Member{{Node: 2, RaftID: 4, Kind: Data, Synced: true}, {Node: 3, RaftID: 5, Kind: Data, Synced: true}, {Node: 4, RaftID: 6, Kind: Arbiter}, {Node: 5, RaftID: 7, Kind: Data}}}
	v := &View{Self: 1, Quorum: true, Epoch: 9, Shards: []*Shard{a, b}}
	for id := NodeID(1); id <= 5; id++ {
		v.Nodes = append(v.Nodes, &Node{
			ID: id, ConfigEpoch: uint64(id),
			Address: Address{Host: "127.0.0.1", Port: 6378 + uint16(id), BusPort: 16378 + uint16(id)},
		})
	}
	v.Node(1).Shard = a
	for _, id := range []NodeID{2, 3, 5} {
		v.Node(id).Shard = b
	}
	v.Node(3).Address.Host = "2001:db8::3"
	v.Node(4).Address.Hostname = "four.example.org"
	assign(v, a, slot.Range{Start: 0, End: 99}, slot.Range{Start: 101, End: 101})
	assign(v, b, slot.Range{Start: 100, End: 100}, slot.Range{Start: 102, End: 16383})
	return v
}

func assign(v *View, s *Shard, ranges ...slot.Range) {
	for _, r := range ranges {
		s.Slots.AddRange(r)
		for n := int(r.Start); n <= int(r.End); n++ {
			v.Owner[n] = s
		}
	}
}

// TestText prints the example after changes named by the command's arguments.
func TestText(t *testing.T) {
	datadriven.RunTest(t, "testdata/text.txt", func(t *testing.T, td *datadriven.TestData) string {
		v := example()
		live := &fakeLive{contacts: make(map[NodeID]Contact)}
		for _, n := range v.Nodes {
			live.contacts[n.ID] = Contact{Connected: true, Ping: now.Add(-9 * time.Millisecond), Pong: now.Add(-5 * time.Millisecond)}
		}
		for _, arg := range td.CmdArgs {
			change(t, td, v, live, arg)
		}
		switch td.Cmd {
		case "nodes":
			return NodesText(v, live, now)
		case "info":
			return strings.ReplaceAll(InfoText(v, live, !td.HasArg("partial")), "\r\n", "\\r\\n\n")
		case "ranges":
			var b strings.Builder
			for _, r := range v.SlotRanges() {
				b.WriteString(slot.Range{Start: r.Start, End: r.End}.String() + " " + r.Shard.ID.String() + "\n")
			}
			return b.String()
		}
		td.Fatalf(t, "unknown command")
		return ""
	})
}

func change(t *testing.T, td *datadriven.TestData, v *View, live *fakeLive, arg datadriven.CmdArg) {
	t.Helper()
	var id uint64
	if len(arg.Vals) > 0 && arg.Key != "joining" {
		arg.Scan(t, 0, &id)
	}
	contact := live.contacts[NodeID(id)]
	switch arg.Key {
	case "joining":
		v.Joining = arg.Vals[0]
	case "self":
		v.Self = NodeID(id)
	case "failed":
		v.Node(NodeID(id)).Failed = true
	case "suspect":
		contact.Suspect = true
		live.contacts[NodeID(id)] = contact
	case "lost": // disconnected after something was sent that was not answered
		contact.Connected, contact.Ping = false, now.Add(-2*time.Second)
		contact.Pong = now.Add(-3 * time.Second)
		live.contacts[NodeID(id)] = contact
	case "never":
		live.contacts[NodeID(id)] = Contact{}
	case "unled":
		v.Shard(GroupID(id)).Unled = true
	case "partial": // without cluster-require-full-coverage
	case "no-quorum":
		v.Quorum = false
	case "unassign": // one slot
		v.Owner[id].Slots.Remove(uint16(id))
		v.Owner[id] = nil
	case "marks": // on the shard of that node
		g := v.Node(NodeID(id)).Shard.ID
		v.Marks = append(v.Marks, Mark{Group: g, Slot: 99, Kind: Migrating, Peer: 2}, Mark{Group: g, Slot: 102, Kind: Importing, Peer: 4})
	case "master": // of shard 0xb
		v.Shard(0xb).Master = NodeID(id)
	default:
		td.Fatalf(t, "unknown argument %s", arg.Key)
	}
}

func TestInfoCountsMessages(t *testing.T) {
	text := InfoText(example(), &countingLive{}, true)
	if !strings.Contains(text, "cluster_stats_messages_sent:12\r\ncluster_stats_messages_received:34\r\n") {
		t.Errorf("CLUSTER INFO:\n%s", text)
	}
}

// TestTimesFollowTheWallClock: a clock that was set since does not shift what
// was measured before.
func TestTimesFollowTheWallClock(t *testing.T) {
	heard := time.Now()
	later := heard.Add(1500 * time.Millisecond)
	if got, want := unixMilli(heard, later), later.UnixMilli()-1500; got < want-1 || got > want+1 {
		t.Errorf("unixMilli = %d, want %d", got, want)
	}
	if got := unixMilli(time.Time{}, later); got != 0 {
		t.Errorf("the zero time is %d", got)
	}
}

func TestRolesAndReplicas(t *testing.T) {
	v := example()
	ids := func(nodes []*Node) (ids []NodeID) {
		for _, n := range nodes {
			ids = append(ids, n.ID)
		}
		return ids
	}
	if got := ids(v.Replicas(v.Shard(0xb))); len(got) != 2 || got[0] != 3 || got[1] != 5 {
		t.Errorf("replicas of shard b: %v", got)
	}
	if got := v.Replicas(v.Shard(0xa)); got != nil {
		t.Errorf("replicas of shard a: %v", ids(got))
	}
	if got := v.Master(v.Shard(0xb)); got != v.Node(2) {
		t.Errorf("master of shard b: %v", got)
	}
	if v.Node(1).Replica() || v.Node(4).Replica() || !v.Node(5).Replica() {
		t.Error("roles are wrong")
	}
	if m, leaving, ok := v.Shard(0xa).Member(4); !ok || leaving || m.Kind != Arbiter {
		t.Errorf("membership of node 4 in shard a: %+v", m)
	}
}

func TestParseNodeID(t *testing.T) {
	id := NodeID(0xfedc_ba98_7654_3210)
	seen := make(map[string]bool)
	for _, id := range []NodeID{id, 1, 2, 1 << 32, 1<<64 - 1} {
		text := id.String()
		if got, err := ParseNodeID(text); err != nil || got != id || len(text) != 40 || seen[text] {
			t.Errorf("ParseNodeID(%s) = %s, %v", id, got, err)
		}
		seen[text] = true
		if tail := text[16:]; seen[tail] || strings.HasPrefix(tail, "000000") || strings.HasSuffix(tail, "000000") {
			t.Errorf("%s is not filled", text)
		}
		seen[text[16:]] = true
		former := fmt.Sprintf("%040x", uint64(id))
		if got, err := ParseNodeID(former); err != nil || got != id {
			t.Errorf("ParseNodeID(%s) = %s, %v", former, got, err)
		}
	}
	if got := NodeID(0).String(); got != strings.Repeat("0", 40) {
		t.Errorf("no node is %s", got)
	}
	// Data folders and tools remember ids: what they are shown as never changes.
	if got, want := id.String(), "fedcba9876543210ee128d82ce22fe6115e02a98"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"", "1", strings.Repeat("0", 40), strings.Repeat("1", 40), strings.Repeat("0", 39) + "g", id.String()[:39] + "0", strings.ToUpper(id.String()), "+" + id.String()[1:], id.String()[:24] + "+" + id.String()[25:]} {
		if got, err := ParseNodeID(bad); err == nil {
			t.Errorf("ParseNodeID(%q) = %s", bad, got)
		}
	}
}
