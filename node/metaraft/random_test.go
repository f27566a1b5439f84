package metaraft

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// generator makes changes that fit the state more often than not.
type generator struct {
	*rand.Rand
	nextNode  int
	nextGroup topology.GroupID
	token     uint64
	width     int // how many slots it uses
}

func (g *generator) node(s *State) topology.NodeID {
	if g.IntN(20) == 0 {
		return topology.NodeID(1 + g.IntN(g.nextNode))
	}
	return s.Nodes[g.IntN(len(s.Nodes))].ID
}

func (g *generator) group(s *State) topology.GroupID {
	if len(s.Shards) == 0 {
		return 1
	}
	return s.Shards[g.IntN(len(s.Shards))].ID
}

// slots returns a few of not many slots, so that requests collide.
func (g *generator) slots() Slots {
	var set Slots
	start := g.IntN(g.width)
	set.AddRange(slot.Range{Start: uint16(start), End: uint16(min(g.width-1, start+g.IntN(1+g.width/10)))})
	return set
}

func (g *generator) freshGroup() topology.GroupID {
	g.nextGroup++
	return g.nextGroup
}

// report is a leader's word on a shard's members: true for some, old for others.
func (g *generator) report(s *State) Change {
	c := &Report{Shard: g.group(s), Term: g.Uint64N(50), Seq: g.Uint64N(10)}
	shard := s.Shard(c.Shard)
	if shard == nil {
		return c
	}
	if g.IntN(4) != 0 {
		c.Term = max(shard.MasterTerm, shard.ReportTerm) + g.Uint64N(2)
		c.Seq = shard.ReportSeq + 1
	}
	for _, m := range slices.Concat(shard.Members, shard.Leaving) {
		switch c.Leader = m.RaftID; g.IntN(3) {
		case 0:
			c.Behind = append(c.Behind, m.RaftID)
		case 1:
			c.Synced = append(c.Synced, m.RaftID)
			c.Voters = append(c.Voters, m.RaftID)
		case 2:
			c.Outgoing = append(c.Outgoing, m.RaftID)
		}
	}
	return c
}

func (g *generator) change(s *State) Change {
	if g.width < 64 && g.IntN(2) == 0 {
		return g.move(s)
	}
	switch g.IntN(30) {
	case 16, 17:
		return g.report(s)
	case 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29:
		return g.move(s)
	case 0, 1:
		return &AddSlots{Node: g.node(s), Slots: g.slots(), NewGroup: g.freshGroup()}
	case 2:
		c := &DelSlots{Slots: g.slots()}
		if g.IntN(3) == 0 {
			c.Node, c.Empty = g.node(s), g.IntN(2) == 0
		}
		return c
	case 3, 4:
		if len(s.Intents) == 0 {
			return &Sealed{Intent: s.Intent, Group: g.group(s)}
		}
		in := s.Intents[g.IntN(len(s.Intents))]
		c := &Sealed{Intent: in.ID, Group: in.Pending[g.IntN(len(in.Pending))]}
		if g.IntN(2) == 0 {
			for n := range in.Slots.All {
				if g.IntN(2) == 0 {
					c.Residue.Add(n)
				}
			}
			c.Residue.Add(uint16(g.IntN(g.width)))
		}
		return c
	case 5:
		return &CancelIntent{Intent: s.Intent - uint64(g.IntN(3))}
	case 6:
		return &ClearResidue{Group: g.group(s), Slots: g.slots()}
	case 7, 8:
		return &Replicate{Node: g.node(s), Master: g.node(s), NewGroup: g.freshGroup()}
	case 9:
		return &Takeover{Shard: g.group(s), Node: g.node(s), Term: g.Uint64N(50)}
	case 10:
		group := g.group(s)
		if shard := s.Shard(group); shard != nil {
			return &MembershipDone{Shard: group, Version: shard.Version}
		}
		return &MembershipDone{Shard: group}
	case 11:
		if g.IntN(3) == 0 {
			return &Leave{Node: g.node(s)}
		}
		return &Forget{Node: g.node(s), Force: g.IntN(3) == 0}
	case 14:
		if g.IntN(2) == 0 {
			return &AdjustCopies{Shards: []topology.GroupID{g.group(s), g.group(s)}}
		}
		return &Relieve{Nodes: []topology.NodeID{g.node(s), g.node(s)}}
	case 12:
		return &Liveness{
			Failed: []topology.NodeID{g.node(s)}, Alive: []topology.NodeID{g.node(s)},
			Unled: []Leaderless{{g.group(s), g.Uint64N(50)}}, Led: []topology.GroupID{g.group(s)},
		}
	case 13:
		if g.IntN(4) == 0 {
			return &Promote{Nodes: []topology.NodeID{g.node(s)}}
		}
		return &BumpEpoch{Node: g.node(s)}
	}
	return &SetConfigEpoch{Node: g.node(s), Epoch: g.Uint64N(20)}
}

// joiner returns what a node brings that lived alone for a while: a new node,
// or one that was a member and left without telling.
func (g *generator) joiner(t *testing.T, s *State) *Admit {
	t.Helper()
	id := g.nextNode
	if g.IntN(4) == 0 {
		id = int(g.node(s))
	} else {
		g.nextNode++
	}
	lone := newTestMachine(t)
	begin := initial(g.Uint64(), id)
	if g.IntN(3) == 0 {
		begin.ConfigEpoch, begin.Follows = g.Uint64N(20), topology.NodeID(1+g.IntN(g.nextNode+1))
	}
	lone.must(t, begin)
	for range g.IntN(4) {
		c := g.change(lone.State())
		if add, ok := c.(*AddSlots); ok {
			add.Node = topology.NodeID(id)
		}
		lone.propose(t, Proposal{Change: c})
	}
	for _, in := range lone.State().Intents {
		lone.propose(t, Proposal{Change: &CancelIntent{Intent: in.ID}})
	}
	g.token++
	body := lone.must(t, &Freeze{Token: g.token}).Join
	body.NewGroup = g.freshGroup()
	return body
}

// TestRandomSequences applies random changes to one machine entry by entry and
// to a second one in bigger calls, and checks every invariant after every step. Every
// second sequence moves the same few slots all the time.
func TestRandomSequences(t *testing.T) {
	seeds, steps := uint64(8), 250
	if testing.Short() {
		seeds, steps = 2, 100
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			runRandomSequence(t, seed, steps)
		})
	}
}

func runRandomSequence(t *testing.T, seed uint64, steps int) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), nextNode: 2, width: 64}
	if seed%2 == 1 {
		g.width = 8
	}
	one, two := newTestMachine(t), newTestMachine(t)
	past := newHistory()
	first := true
	var log []Entry
	var results [][]byte
	var lastBytes []byte
	for step := range steps {
		p := Proposal{Time: int64(step)}
		switch s := one.State(); {
		case first:
			p.Change, first = initial(100, 1), false
		case len(s.Nodes) < 8 && g.IntN(5) == 0:
			p.Change = g.joiner(t, s)
		default:
			p.Change = g.change(s)
		}
		if g.IntN(2) == 0 {
			p.Origin = Origin{Node: topology.NodeID(1 + g.IntN(3)), Nonce: 1 + g.Uint64N(2), Seq: 1 + g.Uint64N(100)}
		}
		before := one.State()
		payload, err := EncodeProposal(p)
		if err != nil {
			t.Fatal(err)
		}
		var result []byte
		e := Entry{Index: one.Applied() + 1, Time: p.Time, Payloads: [][]byte{payload}, Results: []*[]byte{&result}}
		if err := one.Apply([]Entry{e}); err != nil {
			t.Fatal(err)
		}
		if lastBytes != nil && !bytes.Equal(lastBytes, encoded(t, before)) {
			t.Error("a published state was changed")
		}
		lastBytes = encoded(t, one.State())
		checkStep(t, before, one.State(), p, result, past)
		if step%25 == 0 {
			checkNothingStuck(t, g, one.State())
			begunAgain := newDraft(one.State(), one.Applied()+1, p.Time)
			begunAgain.succeed(9)
			begunAgain.derive()
			for _, broken := range violations(begunAgain.s) {
				t.Error("begun again: ", broken)
			}
			checkNothingStuck(t, g, begunAgain.s)
		}
		checkEncoding(t, one.State(), lastBytes)
		if t.Failed() {
			t.Fatalf("step %d: %s %+v\nbefore:\n%safter:\n%s", step, p.Change.Kind(), p.Change, printState(before), printState(one.State()))
		}
		log, results = append(log, e), append(results, result)
		if g.IntN(10) == 0 {
			one.restart(t)
		}
	}
	replay(t, g, two, log, results)
	if a, b := encoded(t, one.State()), encoded(t, two.State()); !bytes.Equal(a, b) {
		t.Errorf("the same entries gave two states:\n%s\n%s", a, b)
	}
}

// replay feeds the log to m in calls of random size.
func replay(t *testing.T, g *generator, m *testMachine, log []Entry, results [][]byte) {
	t.Helper()
	again := make([][]byte, len(log))
	for i := range log {
		log[i].Results = []*[]byte{&again[i]}
	}
	for rest := log; len(rest) > 0; {
		n := min(len(rest), 1+g.IntN(20))
		if err := m.Apply(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	for i := range results {
		if !bytes.Equal(results[i], again[i]) {
			t.Errorf("entry %d gave two results:\n%s\n%s", log[i].Index, results[i], again[i])
		}
	}
}

func encoded(t *testing.T, s *State) []byte {
	t.Helper()
	return mustEncode(t, s)
}

func mustEncode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
