package replica

import (
	"testing"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/testbed/limit"
)

// Only the first member of a group that nobody has led may create it: a second
// creation would be a second history of the shard.
func TestFounder(t *testing.T) {
	member := func(node topology.NodeID, raftID uint64) topology.Member {
		return topology.Member{Node: node, RaftID: raftID}
	}
	cases := []struct {
		name  string
		shard topology.Shard
		self  topology.Member
		want  bool
	}{
		{"new shard", topology.Shard{Master: 1, Members: []topology.Member{member(1, 5), member(2, 6)}}, member(1, 5), true},
		{"not the master", topology.Shard{Master: 1, Members: []topology.Member{member(1, 5), member(2, 6)}}, member(2, 6), false},
		{"led before", topology.Shard{Master: 1, MasterTerm: 2, Members: []topology.Member{member(1, 5)}}, member(1, 5), false},
		{"heir of a forgotten founder", topology.Shard{
			Master: 2, Members: []topology.Member{member(2, 6)}, Leaving: []topology.Member{member(1, 5)},
		}, member(2, 6), false},
	}
	for _, c := range cases {
		if got := founder(&c.shard, c.self, c.self.Node); got != c.want {
			t.Errorf("%s: founder = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWishNamesLeaversAsReachable(t *testing.T) {
	w := wish(&topology.View{}, &topology.Shard{
		Version: 3,
		Members: []topology.Member{{Node: 1, RaftID: 5}, {Node: 2, RaftID: 9, Kind: topology.Arbiter}},
		Leaving: []topology.Member{{Node: 3, RaftID: 7}},
	})
	if w.Version != 3 || len(w.Voters) != 2 || len(w.Others) != 1 || w.Others[0].RaftID != 7 || !w.Voters[1].Arbiter || w.Voters[0].Arbiter {
		t.Errorf("wish = %+v", w)
	}
}

func TestIntersection(t *testing.T) {
	a := slot.FromRanges([]slot.Range{{Start: 0, End: 10}})
	b := slot.FromRanges([]slot.Range{{Start: 5, End: 20}})
	if got := intersection(a, b).String(); got != "5-10" {
		t.Errorf("intersection = %q", got)
	}
}

// Whoever asks before it looks at the condition misses no notification.
func TestNotifier(t *testing.T) {
	var n notifier
	n.notify() // nobody waits
	moved := n.wait()
	n.notify()
	select {
	case <-moved:
	case <-time.After(limit.Wait()):
		t.Fatal("the waiter was not told")
	}
	n.done()
	if n.waiters.Load() != 0 {
		t.Error("a waiter is still counted")
	}
}

// What the log keeps of a replica leads back to its folder, also after the group was
// refounded under another Raft id.
func TestStoredReplicaFindsItsFolder(t *testing.T) {
	m := &Manager{opts: Options{Dir: "shards"}}
	for _, r := range []*Replica{
		newReplica(m, 9, 3, true, 0), newReplica(m, 9, 3, true, 2), newReplica(m, 9, 3, true, 0).successor(7), newReplica(m, 9, 3, true, 2).successor(7).successor(8),
	} {
		s := r.spec(false, nil)
		got, err := storedReplica(m, multiraft.Stored{ID: s.ID, RaftID: s.RaftID, Data: true, Meta: s.Meta})
		if err != nil || got.dir != r.dir || got.raftID != r.raftID || got.generation != r.generation {
			t.Errorf("%s of %d was restored as %+v, %v", r.dir, r.raftID, got, err)
		}
		if _, err := storedReplica(m, multiraft.Stored{ID: s.ID, RaftID: s.RaftID, Data: true, Meta: append(s.Meta, 1, 1, 1)}); err == nil {
			t.Errorf("%s: a longer record was taken", r.dir)
		}
	}
}
