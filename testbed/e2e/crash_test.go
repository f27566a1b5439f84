package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// crash is one row of a table: while act runs, the node dies at the point.
type crash struct {
	point string // a failpoint of the sources
	node  int
}

// crashCase is a command that takes several steps on several nodes, and
// everywhere that a node can die meanwhile.
type crashCase struct {
	name  string
	count int // nodes
	form  func(f *fleet)
	// act runs the command, at a node that lives on or not.
	act func(f *fleet) error
	// before and after say whether the maps, by node, are as without the command
	// and as after all of it.
	before, after func(maps []*clusterMap) bool
	// between is true where a crash of the commanded node may leave something
	// else: what the command's first half does alone.
	between func(maps []*clusterMap) bool
	// refused: the command is refused in the end, so that nothing is repeated.
	refused bool
	crashes []crash
}

// slotsAt reports whether every map that knows the node has it own exactly these
// of the slots up to 9 that the cases are about.
func slotsAt(maps []*clusterMap, node int, want ...int) bool {
	id := maps[node].self
	for _, m := range maps {
		if !m.has(id) {
			continue
		}
		for slot := range 10 {
			if owner, owned := m.owner[slot]; (owned && m.shardOf(id) == owner) != slices.Contains(want, slot) {
				return false
			}
		}
	}
	return true
}

// together reports whether each of the nodes knows exactly them.
func together(maps []*clusterMap, nodes ...int) bool {
	for _, i := range nodes {
		if len(maps[i].lines) != len(nodes) {
			return false
		}
		for _, j := range nodes {
			if !maps[i].has(maps[j].self) {
				return false
			}
		}
	}
	return true
}

// at is the same node for several points.
func at(node int, points ...string) (all []crash) {
	for _, point := range points {
		all = append(all, crash{point, node})
	}
	return all
}

// meets makes node a know node b, or ends the test.
func (f *fleet) meets(a, b int) { f.nodes[a].must("cluster", "meet", "127.0.0.1", f.nodes[b].port) }

// sends runs a CLUSTER command at a node.
func sends(node int, args ...any) func(*fleet) error {
	return func(f *fleet) error {
		return f.nodes[node].client.Do(context.Background(), append([]any{"cluster"}, args...)...).Err()
	}
}

// sendsMeet has node a meet node b.
func sendsMeet(a, b int) func(*fleet) error {
	return func(f *fleet) error { return sends(a, "meet", "127.0.0.1", f.nodes[b].port)(f) }
}

// joins: node 2 comes to the cluster of nodes 0 and 1 with the slots 5 to 9.
var joins = crashCase{
	name: "join", count: 3,
	form: func(f *fleet) {
		f.nodes[0].must("cluster", "addslots", 0, 1, 2, 3, 4)
		f.meets(1, 0)
		f.nodes[2].must("cluster", "addslots", 5, 6, 7, 8, 9)
	},
	act: sendsMeet(2, 0),
	before: func(maps []*clusterMap) bool {
		return together(maps, 0, 1) && together(maps, 2) && slotsAt(maps, 0, 0, 1, 2, 3, 4) && slotsAt(maps, 2, 5, 6, 7, 8, 9)
	},
	after: func(maps []*clusterMap) bool {
		return together(maps, 0, 1, 2) && slotsAt(maps, 0, 0, 1, 2, 3, 4) && slotsAt(maps, 2, 5, 6, 7, 8, 9)
	},
	crashes: slices.Concat(at(0, "joinAdmit", "joinAdmitted"),
		at(2, "joinFreeze", "joinFrozen", "joinAnswered", "homeMove", "homeMoved", "joinAdopted")),
}

// refusedJoins: node 2 owns a slot that is owned there.
var refusedJoins = crashCase{
	name: "refused join", count: 3,
	form: func(f *fleet) {
		f.nodes[0].must("cluster", "addslots", 0, 1)
		f.meets(1, 0)
		f.nodes[2].must("cluster", "addslots", 1, 2)
	},
	act: sendsMeet(2, 0),
	before: func(maps []*clusterMap) bool {
		return together(maps, 0, 1) && together(maps, 2) && slotsAt(maps, 0, 0, 1) && slotsAt(maps, 2, 1, 2)
	},
	after:   func([]*clusterMap) bool { return false },
	refused: true,
	crashes: slices.Concat(at(0, "joinAdmit", "joinAdmitted"), at(2, "joinFrozen", "joinAnswered", "joinTurnedBack")),
}

// islands: nodes 2 and 3, without slots, come to the cluster of nodes 0 and 1.
var islands = crashCase{
	name: "islands", count: 4,
	form: func(f *fleet) {
		f.nodes[0].must("cluster", "addslots", 0, 1)
		f.meets(1, 0)
		f.meets(3, 2)
	},
	act: sendsMeet(2, 1),
	before: func(maps []*clusterMap) bool {
		return together(maps, 0, 1) && together(maps, 2, 3) && slotsAt(maps, 0, 0, 1)
	},
	after: func(maps []*clusterMap) bool { return together(maps, 0, 1, 2, 3) && slotsAt(maps, 0, 0, 1) },
	between: func(maps []*clusterMap) bool { // one of them has gone ahead
		return slotsAt(maps, 0, 0, 1) && maps[0].has(maps[1].self)
	},
	crashes: slices.Concat(at(2, "joinDissolved", "joinFollow", "homeMove", "homeMoved", "joinFrozen", "joinAdopted"),
		at(3, "joinFollow", "homeMove", "homeMoved", "joinFrozen", "joinAnswered", "joinAdopted"), at(1, "joinAdmitted")),
}

// formShards makes one cluster of three nodes: 0 and its replica 1 own the slots
// 0 to 4, node 2 those from 5 to 9.
func formShards(f *fleet) {
	f.meets(1, 0)
	f.meets(2, 0)
	f.nodes[0].must("cluster", "addslots", 0, 1, 2, 3, 4)
	f.nodes[2].must("cluster", "addslots", 5, 6, 7, 8, 9)
	f.nodes[1].must("cluster", "replicate", f.nodes[0].must("cluster", "myid"))
	f.united()
}

// shardsOwn returns a condition: the slots of node 0's shard, and of node 2's.
func shardsOwn(zero, two []int) func([]*clusterMap) bool {
	return func(maps []*clusterMap) bool {
		return together(maps, 0, 1, 2) && slotsAt(maps, 0, zero...) && slotsAt(maps, 2, two...)
	}
}

// seals: node 2 takes slots away from node 0's shard.
var seals = crashCase{
	name: "seal", count: 3, form: formShards,
	act:    sends(2, "delslots", 0, 3),
	before: shardsOwn([]int{0, 1, 2, 3, 4}, []int{5, 6, 7, 8, 9}),
	after:  shardsOwn([]int{1, 2, 4}, []int{5, 6, 7, 8, 9}),
	crashes: slices.Concat(at(2, "intentPropose", "intentMade", "intentAwaited"),
		at(0, "sealBegin", "sealWritten", "stepDone")),
}

// additions: node 0 takes up slots that nobody owns.
var additions = crashCase{
	name: "addition", count: 3,
	form: func(f *fleet) {
		formShards(f)
		f.nodes[1].must("cluster", "delslots", 0, 8)
		f.united()
	},
	act: func(f *fleet) error {
		err := sends(0, "addslots", 0, 8)(f)
		if err != nil && strings.Contains(err.Error(), "A replica cannot own slots") {
			err = sends(1, "addslots", 0, 8)(f) // it took over when node 0 died
		}
		return err
	},
	before:  shardsOwn([]int{1, 2, 3, 4}, []int{5, 6, 7, 9}),
	after:   shardsOwn([]int{0, 1, 2, 3, 4, 8}, []int{5, 6, 7, 9}),
	crashes: at(0, "slotsAdd", "slotsAdded", "ownBegin", "stepDone"),
}

// resets: node 2 gives its slots up and leaves.
var resets = crashCase{
	name: "reset", count: 3, form: formShards,
	act:    sends(2, "reset"),
	before: shardsOwn([]int{0, 1, 2, 3, 4}, []int{5, 6, 7, 8, 9}),
	after: func(maps []*clusterMap) bool {
		return together(maps, 0, 1) && together(maps, 2) && slotsAt(maps, 0, 0, 1, 2, 3, 4) && slotsAt(maps, 2)
	},
	// A member without slots: the client knows nothing, and RESET finishes it.
	between: shardsOwn([]int{0, 1, 2, 3, 4}, nil),
	crashes: slices.Concat(at(2, "intentMade", "intentAwaited", "resetWithoutSlots", "resetLeft", "homeMove", "homeMoved"),
		at(2, "sealBegin", "sealWritten")),
}

// A node dies at one step of a join, an intent or a seal, and comes back. The
// client's answer is true; where there was none, the command has happened or it
// has not; sent again, it succeeds.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for _, c := range []crashCase{joins, refusedJoins, islands, seals, additions, resets} {
		for _, at := range c.crashes {
			t.Run(fmt.Sprintf("%s/%s of node %d", c.name, at.point, at.node), func(t *testing.T) {
				t.Parallel()
				c.run(t, at)
			})
		}
	}
}

func (c crashCase) run(t *testing.T, at crash) {
	f := startFleet(t, c.count)
	c.form(f)
	f.settle()
	victim := f.nodes[at.node]
	victim.arm(at.point, "panic")
	err := c.act(f)
	result := conclude(err)
	eventually(t, func() error {
		if !victim.down() {
			return fmt.Errorf("node %d did not come by %s; the command answered: %v", at.node, at.point, err)
		}
		return nil
	})
	victim.kill()
	victim.mustStart("")
	c.judge(f, result, err)
	if t.Failed() || c.refused {
		return
	}
	eventually(t, func() error {
		maps, err := f.settledMaps()
		if err == nil && !c.after(maps) {
			if err = c.act(f); err == nil {
				err = fmt.Errorf("OK, and the maps are not so (yet):\n%s", texts(maps))
			}
		}
		return err
	})
}

// judge waits until the nodes agree on something that the answer allows.
func (c crashCase) judge(f *fleet, result outcome, answer error) {
	f.t.Helper()
	eventually(f.t, func() error {
		maps, err := f.settledMaps()
		if err != nil {
			return err
		}
		before, after := c.before(maps), c.after(maps)
		between := c.between != nil && c.between(maps)
		switch {
		case after && result != refused, before && result != done, between && result == unknown:
			return nil
		}
		return fmt.Errorf("the answer was %v (%v), and the nodes say:\n%s", result, answer, texts(maps))
	})
}

func texts(maps []*clusterMap) (text string) {
	for i, m := range maps {
		text += fmt.Sprintf("node %d, %s:\n%s\n", i, m.self, m.text)
	}
	return text
}
