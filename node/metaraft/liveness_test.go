package metaraft

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// TestLiveness stops hearing from a node and hears from it again.
func TestLiveness(t *testing.T) {
	w := newWorld(t, 13)
	nodes := w.bootCluster(3)
	silent := other(nodes, w.leader(nodes))
	var quiet atomic.Bool
	for _, n := range nodes {
		n.kill()
		n.tweak = func(o *Options) { o.NodeTimeout = 100 * time.Millisecond }
		n.contact = func(id topology.NodeID) topology.Contact {
			if quiet.Load() && id == silent.Identity().Node {
				return topology.Contact{Pong: time.Now().Add(-time.Minute)}
			}
			return topology.Contact{Pong: time.Now(), Connected: true}
		}
		n.start()
	}
	failed := func() bool { return nodes[0].view().Node(silent.Identity().Node).Failed }
	quiet.Store(true)
	w.eventually("the node is failed", failed)
	quiet.Store(false)
	w.eventually("the node is back", func() bool { return !failed() })
}

// TestWatchdog is the decision alone, second by second.
func TestWatchdog(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	v := &topology.View{Self: 1, Nodes: []*topology.Node{{ID: 1}, {ID: 2}, {ID: 3}}}
	pong := map[topology.NodeID]time.Time{3: at(0)}
	dog := watchdog{timeout: time.Second}
	step := func(s float64) string {
		change, _ := dog.step(at(s), v, func(id topology.NodeID) topology.Contact { return topology.Contact{Pong: pong[id]} }, nil)
		for _, id := range change.Failed {
			v.Node(id).Failed = true
		}
		for _, id := range change.Alive {
			v.Node(id).Failed = false
		}
		return strings.TrimSpace(fmt.Sprintf("failed %d alive %d", change.Failed, change.Alive))
	}
	for _, c := range []struct {
		at   float64
		hear []topology.NodeID
		want string
	}{
		{0, nil, "failed [] alive []"},
		{0.5, nil, "failed [] alive []"},
		{0.9, []topology.NodeID{3}, "failed [] alive []"},
		{1.0, nil, "failed [2] alive []"}, // never heard of since the watch began
		{1.5, []topology.NodeID{2}, "failed [] alive [2]"},
		{1.9, nil, "failed [3] alive []"},
		{60, nil, "failed [] alive []"}, // the process was suspended: a new watch
		{60.5, []topology.NodeID{3}, "failed [] alive [3]"},
		{60.9, nil, "failed [] alive []"},
		{61, nil, "failed [2] alive []"},
	} {
		for _, id := range c.hear {
			pong[id] = at(c.at)
		}
		if got := step(c.at); got != c.want {
			t.Errorf("at %v s: %s, want %s", c.at, got, c.want)
		}
	}
	// A node that was just admitted gets the time to speak.
	v.Nodes = append(v.Nodes, &topology.Node{ID: 4})
	pong[3] = at(61.8)
	if got, want := step(61.5), "failed [] alive []"; got != want {
		t.Errorf("at its admission: %s, want %s", got, want)
	}
	if got, want := step(62.4), "failed [] alive []"; got != want {
		t.Errorf("0.9 s after its admission: %s, want %s", got, want)
	}
	if got, want := step(62.6), "failed [4] alive []"; got != want {
		t.Errorf("1.1 s after its admission: %s, want %s", got, want)
	}
}

// TestWatchdogOfShards is the decision alone, second by second.
func TestWatchdogOfShards(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	shard := &topology.Shard{ID: 11, MasterTerm: 7}
	v := &topology.View{Self: 1, Nodes: []*topology.Node{{ID: 1}}, Shards: []*topology.Shard{shard}}
	var led time.Time
	dog := watchdog{timeout: time.Second}
	for _, c := range []struct {
		at   float64
		lead bool
		want string
	}{
		{0, false, "unled [] led []"}, // unknown until a timeout has passed
		{0.9, false, "unled [] led []"},
		{1.0, false, "unled [{11 7}] led []"},
		{1.5, true, "unled [] led [11]"},
		{2.4, false, "unled [] led []"}, // an election
		{2.45, true, "unled [] led []"},
		{3.4, false, "unled [] led []"},
		{3.5, false, "unled [{11 7}] led []"},
		{60, false, "unled [] led []"}, // the process was suspended: a new watch
		{60.5, true, "unled [] led [11]"},
	} {
		if c.lead {
			led = at(c.at)
		}
		change, _ := dog.step(at(c.at), v, func(topology.NodeID) topology.Contact { return topology.Contact{} },
			func(topology.GroupID) time.Time { return led })
		shard.Unled = len(change.Unled) > 0 || shard.Unled && len(change.Led) == 0
		if got := fmt.Sprintf("unled %v led %d", change.Unled, change.Led); got != strings.ReplaceAll(c.want, "{11 7}", fmt.Sprint(Leaderless{11, 7})) {
			t.Errorf("at %v s: %s, want %s", c.at, got, c.want)
		}
	}
	// A shard that has just been made gets the time to elect somebody.
	v.Shards = append(v.Shards, &topology.Shard{ID: 12})
	for _, s := range []float64{60.9, 61.2} {
		if change, any := dog.step(at(s), v, func(topology.NodeID) topology.Contact { return topology.Contact{} },
			func(topology.GroupID) time.Time { return led }); any {
			t.Errorf("at %v s: %+v", s, change)
		}
	}
}

// TestRelief is the decision alone, second by second: node 3 of four is an
// arbiter that node 4 can replace.
func TestRelief(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	s := &State{
		Nodes: []NodeRecord{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}},
		Shards: []ShardRecord{{ID: 11, Members: []topology.Member{
			{Node: 1, Kind: topology.Data}, {Node: 2, Kind: topology.Data}, {Node: 3, Kind: topology.Arbiter},
		}}},
	}
	v := vigil[topology.NodeID]{after: 10 * time.Second}
	for _, c := range []struct {
		at     float64
		failed []topology.NodeID
		want   string
	}{
		{0, []topology.NodeID{2, 3}, "[]"},
		{9, []topology.NodeID{2, 3}, "[]"},
		{10, []topology.NodeID{2, 3}, "[3]"}, // node 2 has data, which nobody takes over
		{11, []topology.NodeID{3}, "[3]"},    // until it is done
		{12, []topology.NodeID{3, 4}, "[]"},  // nobody left to replace it
		{13, nil, "[]"},
		{14, []topology.NodeID{3}, "[]"}, // it was back for a moment
		{23, []topology.NodeID{3}, "[]"},
		{24, []topology.NodeID{3}, "[3]"},
	} {
		for i := range s.Nodes {
			s.Nodes[i].Failed = slices.Contains(c.failed, s.Nodes[i].ID)
		}
		if got := fmt.Sprintf("%d", overdue(&v, at(c.at), s)); got != c.want {
			t.Errorf("at %v s: relieves %s, want %s", c.at, got, c.want)
		}
	}
	v.stop() // another leads for a while
	if got := overdue(&v, at(25), s); len(got) > 0 {
		t.Errorf("right after it began to lead it relieves %v", got)
	}
}
