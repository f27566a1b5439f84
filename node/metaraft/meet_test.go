package metaraft

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/genuineh/aikv/node/topology"
)

func TestMeetTwoLone(t *testing.T) {
	for _, ids := range [][2]uint64{{1, 2}, {2, 1}} {
		w := newWorld(t, 1)
		a, b := w.bootAs(1, ids[0]), w.bootAs(2, ids[1])
		w.must(a.meet(b))
		if !together([]*simNode{a, b}) {
			t.Fatal("OK was answered before both were in one cluster")
		}
		if got := a.view().ClusterID; got != 1 {
			t.Fatalf("cluster %d, want that with the smaller id", got)
		}
		w.must(b.meet(a))
		w.must(a.meet(a))
		w.must(a.meet(b))
		if n := len(a.view().Nodes); n != 2 {
			t.Fatalf("%d nodes after repeated meets", n)
		}
	}
}

// bootMany starts n fresh nodes.
func (w *world) bootMany(n int) []*simNode {
	nodes := make([]*simNode, n)
	for i := range nodes {
		nodes[i] = w.boot(i)
	}
	return nodes
}

// own gives a third of the slots to each of the first three nodes.
func (w *world) own(nodes []*simNode) {
	w.t.Helper()
	for i, first := range []uint16{0, 5461, 10923} {
		last := []uint16{5460, 10922, 16383}[i]
		w.must(nodes[i].running().AddSlots(w.t.Context(), slotRange(first, last)))
	}
}

// TestJoinOrders has the orders in which tools and test harnesses bring six
// nodes together. Every OK means that the cluster reads show it.
func TestJoinOrders(t *testing.T) {
	orders := map[string]func(w *world, nodes []*simNode){
		"all meet node 0, itself included": func(w *world, nodes []*simNode) {
			for i, n := range nodes {
				w.must(n.meet(nodes[0]))
				if got := len(nodes[0].view().Nodes); got != i+1 {
					w.t.Fatalf("%d nodes after meet %d", got, i)
				}
			}
			w.own(nodes)
		},
		"node 0 meets fresh nodes": func(w *world, nodes []*simNode) {
			for _, n := range nodes[1:] {
				w.must(nodes[0].meet(n))
			}
			w.own(nodes)
		},
		"a chain of nodes with slots": func(w *world, nodes []*simNode) {
			w.own(nodes)
			for i, n := range nodes[1:] {
				w.must(n.meet(nodes[i]))
			}
		},
		"redis-cli create": func(w *world, nodes []*simNode) {
			w.own(nodes)
			for i, n := range nodes {
				w.must(n.running().SetConfigEpoch(w.t.Context(), uint64(i+1)))
			}
			for _, n := range nodes[1:] {
				w.must(n.meet(nodes[0]))
			}
		},
		"everybody meets everybody": func(w *world, nodes []*simNode) {
			for _, a := range nodes {
				for _, b := range nodes {
					w.must(a.meet(b))
				}
			}
			w.own(nodes)
		},
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5) {
				w := newWorld(t, seed)
				nodes := w.bootMany(6)
				order(w, nodes)
				w.mustBeTogether(nodes)
				for i := range 3 {
					w.must(nodes[3+i].running().Replicate(t.Context(), nodes[i].Identity().Node))
				}
				v := nodes[5].view()
				if !v.Quorum || v.Assigned() != 16384 || len(v.Shards) != 3 {
					t.Fatalf("quorum %v, %d slots, %d shards", v.Quorum, v.Assigned(), len(v.Shards))
				}
				for i := range 3 {
					shard := v.Node(nodes[i].Identity().Node).Shard
					if shard.Master != nodes[i].Identity().Node || len(shard.Members) != 3 {
						t.Fatalf("shard of node %d: %+v", i, shard)
					}
					if me := nodes[3+i].view().Me(); !me.Replica() || me.Shard.ID != shard.ID {
						t.Fatalf("node %d is no replica of node %d", 3+i, i)
					}
				}
			}
		})
	}
}

// TestParallelMeets lets many meets run at once; whatever their directions, all
// end in one cluster.
func TestParallelMeets(t *testing.T) {
	patterns := map[string]func(nodes []*simNode) [][2]*simNode{
		"star": func(nodes []*simNode) (pairs [][2]*simNode) {
			for _, n := range nodes {
				pairs = append(pairs, [2]*simNode{n, nodes[0]})
			}
			return pairs
		},
		"cycle": func(nodes []*simNode) (pairs [][2]*simNode) {
			for i, n := range nodes {
				pairs = append(pairs, [2]*simNode{n, nodes[(i+1)%len(nodes)]})
			}
			return pairs
		},
		"mutual": func(nodes []*simNode) (pairs [][2]*simNode) {
			for _, a := range nodes {
				for _, b := range nodes {
					pairs = append(pairs, [2]*simNode{a, b})
				}
			}
			return pairs
		},
	}
	for name, pattern := range patterns {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(10) {
				w := newWorld(t, seed)
				nodes := w.bootMany(5)
				var wg sync.WaitGroup
				for _, pair := range pattern(nodes) {
					wg.Go(func() {
						if err := pair[0].meet(pair[1]); err != nil {
							t.Errorf("seed %d: %s meets %s: %v", seed, pair[0].addr.Raft, pair[1].addr.Raft, err)
						}
					})
				}
				wg.Wait()
				w.mustBeTogether(nodes)
			}
		})
	}
}

func TestMeetIslands(t *testing.T) {
	pairOf := func(w *world, first int) []*simNode {
		pair := []*simNode{w.boot(first), w.boot(first + 1)}
		w.must(pair[0].meet(pair[1]))
		return pair
	}
	t.Run("both without slots", func(t *testing.T) {
		for seed := range uint64(10) {
			w := newWorld(t, seed)
			left, right := pairOf(w, 0), pairOf(w, 2)
			w.must(left[seed%2].meet(right[1]))
			for _, n := range append(left, right...) {
				if v := n.view(); len(v.Nodes) != 4 || !v.Quorum {
					t.Fatalf("after OK %s sees %d nodes, quorum %v", n.addr.Raft, len(v.Nodes), v.Quorum)
				}
			}
		}
	})
	t.Run("one with slots", func(t *testing.T) {
		for _, asker := range []int{0, 2} {
			w := newWorld(t, 7)
			all := append(pairOf(w, 0), pairOf(w, 2)...)
			w.must(all[1].running().AddSlots(t.Context(), slotRange(0, 99)))
			cluster := all[0].view().ClusterID
			w.must(all[asker].meet(all[2-asker]))
			w.mustBeTogether(all)
			if v := all[3].view(); v.ClusterID != cluster || v.Assigned() != 100 {
				t.Fatalf("cluster %d with %d slots, want the one that owned 100", v.ClusterID, v.Assigned())
			}
		}
	})
	t.Run("both with slots", func(t *testing.T) {
		w := newWorld(t, 8)
		left, right := pairOf(w, 0), pairOf(w, 2)
		w.must(left[0].running().AddSlots(t.Context(), slotRange(0, 9)))
		w.must(right[0].running().AddSlots(t.Context(), slotRange(10, 19)))
		// One that has not heard of them would try to dissolve its cluster.
		w.eventually("the asker knows of its slots", func() bool { return left[1].view().Assigned() == 10 })
		err := left[1].meet(right[0])
		if err == nil || !strings.Contains(err.Error(), "ERR both clusters own slots") {
			t.Fatalf("error %v", err)
		}
		if !together(left) || !together(right) {
			t.Fatal("a refused meet changed something")
		}
	})
	t.Run("a member that was down follows when it comes back", func(t *testing.T) {
		w := newWorld(t, 9)
		island := pairOf(w, 0)
		third := w.boot(2)
		w.must(third.meet(island[0]))
		other := pairOf(w, 3)
		w.must(other[0].running().AddSlots(t.Context(), slotRange(0, 9)))
		island[1].kill()
		w.must(island[0].meet(other[0]))
		island[1].start()
		w.mustBeTogether(append([]*simNode{island[0], island[1], third}, other...))
	})
}

func TestOverlappingSlots(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.boot(1), w.boot(2)
	w.must(a.running().AddSlots(t.Context(), slotRange(0, 10)))
	w.must(b.running().AddSlots(t.Context(), slotRange(10, 20)))
	for _, pair := range [][2]*simNode{{a, b}, {b, a}} {
		err := pair[0].meet(pair[1])
		if err == nil || !strings.HasPrefix(err.Error(), "ERR Slot 10 is owned by node ") {
			t.Fatalf("error %v", err)
		}
	}
	for _, n := range []*simNode{a, b} {
		info := n.running().Info()
		if !info.Staying || info.Nodes != 1 || info.Slots != 11 {
			t.Fatalf("after the refusal: %+v", info)
		}
	}
	w.must(b.running().DelSlots(t.Context(), slotRange(10, 10)))
	w.must(a.meet(b))
	w.mustBeTogether([]*simNode{a, b})
}

func TestFindingThePeer(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.boot(1), w.boot(2)
	// What is dialled at b's announced client address is another node, as in
	// a container: the seed that announces the address is the right one.
	b.kill()
	b.addr.Host, b.addr.Hostname = "10.0.0.2", "aikv-2"
	b.start()
	a.kill()
	a.seeds = []string{"127.0.0.1:59999", b.addr.Raft}
	a.start()
	ctx := t.Context()
	w.must(a.running().Meet(ctx, "10.0.0.2", 7002, 0))
	w.must(a.running().Meet(ctx, "AIKV-2", 7002, 17002))
	if !together([]*simNode{a, b}) {
		t.Fatal("the seed's node was not joined")
	}
	err := a.running().Meet(ctx, "10.9.9.9", 7009, 0)
	want := "ERR Can't find node 10.9.9.9:7009: no member announces it; " +
		"no seed announces it (127.0.0.1:50002 announces 10.0.0.2:7002, 127.0.0.1:59999: connection refused (sent: false)); " +
		"as a client port: dial tcp 10.9.9.9:7009: connection refused"
	if err == nil || err.Error() != want {
		t.Errorf("error  %v\nwanted %s", err, want)
	}
	err = b.running().Meet(ctx, "10.9.9.9", 7009, 0)
	if err == nil || !strings.Contains(err.Error(), "no seeds are configured") {
		t.Errorf("error without seeds: %v", err)
	}
	if err := b.running().Meet(ctx, "", 7009, 0); err == nil || err.Error() != "ERR Invalid node address specified: :7009" {
		t.Errorf("error %v", err)
	}
}

func TestSetCourse(t *testing.T) {
	info := func(cluster uint64, nodes, slots int) PeerInfo {
		return PeerInfo{Cluster: cluster, Nodes: nodes, Slots: slots, Staying: true}
	}
	moving := PeerInfo{Cluster: 9, Nodes: 1}
	cases := []struct {
		self, peer PeerInfo
		want, back direction
	}{
		{info(1, 2, 0), info(1, 2, 0), united, united},
		{info(1, 1, 0), info(2, 1, 5), peerComes, selfJoins},
		{info(1, 1, 5), info(2, 3, 5), selfJoins, peerComes},
		{info(1, 2, 0), info(2, 3, 5), selfDissolves, peerComes},
		{info(1, 2, 0), info(2, 3, 0), peerComes, selfDissolves},
		{info(1, 2, 5), info(2, 3, 5), impossible, impossible},
		{info(1, 2, 0), moving, peerMoving, selfMoving},
	}
	for _, c := range cases {
		if got := directionOf(c.self, c.peer); got != c.want {
			t.Errorf("directionOf(%+v, %+v) = %d, want %d", c.self, c.peer, got, c.want)
		}
		if got := directionOf(c.peer, c.self); got != c.back {
			t.Errorf("directionOf(%+v, %+v) = %d, want %d", c.peer, c.self, got, c.back)
		}
	}
	residue := info(1, 2, 0)
	residue.Residue = true
	if got := directionOf(residue, info(2, 2, 7)); got != impossible {
		t.Errorf("an island with keys but no slots: direction %d, want impossible", got)
	}
}

func TestAddLearner(t *testing.T) {
	w := newWorld(t, 1)
	a, b, c, d := w.boot(1), w.boot(2), w.boot(3), w.boot(4)
	node := a.running()
	ctx := t.Context()
	w.must(node.MetaAddLearner(ctx, b.Identity().Node, b.addr.Raft))
	w.mustBeTogether([]*simNode{a, b})
	w.must(node.MetaAddLearner(ctx, b.Identity().Node, "nowhere:1"))
	cId := c.Identity().Node
	for _, bad := range []struct {
		id         topology.NodeID
		addr, want string
	}{
		{cId, "127.0.0.1:7003", "ERR 127.0.0.1:7003 is a client port; the Raft address of that node is 127.0.0.1:50003"},
		{cId, "127.0.0.1:59999", "ERR Can't reach a node at the Raft address 127.0.0.1:59999: connection refused (sent: false)"},
		{cId, d.addr.Raft, fmt.Sprintf("ERR the node at 127.0.0.1:50004 is %s, not %s", d.Identity().Node, cId)},
	} {
		if err := node.MetaAddLearner(ctx, bad.id, bad.addr); err == nil || err.Error() != bad.want {
			t.Errorf("error  %v\nwanted %s", err, bad.want)
		}
	}
	warning, err := node.MetaPromote(ctx, []topology.NodeID{a.Identity().Node, b.Identity().Node})
	if err != nil || warning == "" {
		t.Errorf("promote to two voters: warning %q, error %v", warning, err)
	}
}
