package metaraft

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

func slots(ns ...uint16) slot.Set {
	var s slot.Set
	for _, n := range ns {
		s.Add(n)
	}
	return s
}

// violations returns which invariants a state breaks.
func violations(s *State) []string {
	var broken []string
	report := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	holds := make(map[topology.NodeID]topology.GroupID)
	raftIDs := make(map[uint64]bool)
	fresh := func(id uint64, what string) {
		if id == 0 || id > s.RaftID {
			report("%s has Raft id %d, given out are 1 to %d", what, id, s.RaftID)
		}
		raftIDs[id] = true
	}
	owning := make(map[topology.GroupID]int)
	for n := range s.Slots {
		o := s.Slots[n]
		if o == (SlotOwner{}) {
			continue
		}
		owning[o.Group]++
		if o.Group != 0 && s.Shard(o.Group) == nil {
			report("slot %d belongs to shard %d, which does not exist", n, o.Group)
		}
		if o.Epoch > s.SlotEpoch || o.Group != 0 && o.Epoch == 0 {
			report("slot %d has epoch %d, the counter is %d", n, o.Epoch, s.SlotEpoch)
		}
	}
	for _, n := range s.Nodes {
		if n.Follows != 0 && s.Node(n.Follows) != nil {
			report("node %d and node %d, which it followed before, are not reunited", n.ID, n.Follows)
		}
	}
	for _, r := range s.Shards {
		data, last := 0, false
		for i, m := range r.Members {
			fresh(m.RaftID, fmt.Sprintf("node %d in shard %d", m.Node, r.ID))
			if s.Node(m.Node) == nil {
				report("shard %d has member %d, which is no node", r.ID, m.Node)
			}
			if i > 0 && r.Members[i-1].Node >= m.Node {
				report("shard %d's members are not in order", r.ID)
			}
			if m.Synced && !m.HoldsState() {
				report("node %d is synced in shard %d and is to have no data", m.Node, r.ID)
			}
			if m.Kind != topology.Data {
				last = last || s.lastCopy(&r, m)
				continue
			}
			if m.Copy {
				report("shard %d's data member %d is marked as a copy", r.ID, m.Node)
			}
			data++
			if other, ok := holds[m.Node]; ok {
				report("node %d holds the data of shards %d and %d", m.Node, other, r.ID)
			}
			holds[m.Node] = r.ID
		}
		if m, ok := r.member(r.Master); !ok || m.Kind != topology.Data {
			report("shard %d's master %d is no data member", r.ID, r.Master)
		}
		needed := owning[r.ID] > 0 || data > 1
		if len(s.Nodes) >= 3 && needed && len(r.Members) < 3 {
			report("shard %d has %d voters in a cluster of %d", r.ID, len(r.Members), len(s.Nodes))
		}
		if arbiters := len(r.Members) - data; arbiters > 0 && !last && (len(r.Members) > 3 || len(s.Nodes) < 3) {
			report("shard %d has %d arbiters beside %d data members in a cluster of %d", r.ID, arbiters, data, len(s.Nodes))
		}
		if r.membersChanged {
			report("shard %d's change has no version", r.ID)
		}
	}
	broken = append(broken, metaViolations(s)...)
	return append(broken, intentViolations(s)...)
}

func metaViolations(s *State) []string {
	var broken []string
	pinned, metaIDs := 0, make(map[uint64]bool)
	for _, n := range s.Nodes {
		if metaIDs[n.MetaID] || n.MetaID == 0 || n.MetaID > s.RaftID {
			broken = append(broken, fmt.Sprintf("node %d has MetaRaft id %d", n.ID, n.MetaID))
		}
		metaIDs[n.MetaID] = true
		if n.Pinned {
			pinned++
			if !n.MetaVoter {
				broken = append(broken, fmt.Sprintf("node %d was promoted and does not vote", n.ID))
			}
		}
		if s.Tombstone(n.ID) {
			broken = append(broken, fmt.Sprintf("node %d is a member with a tombstone", n.ID))
		}
	}
	voters, want := s.voters(), autoVoters(len(s.Nodes))
	if len(s.Nodes) > 0 && (voters < want || voters-pinned > want || pinned == 0 && voters%2 == 0) {
		broken = append(broken, fmt.Sprintf("%d of %d nodes vote in MetaRaft, %d of them promoted", voters, len(s.Nodes), pinned))
	}
	if !slices.IsSortedFunc(s.Nodes, func(a, b NodeRecord) int { return int(int64(a.ID) - int64(b.ID)) }) {
		broken = append(broken, "nodes are not in order")
	}
	return broken
}

func intentViolations(s *State) []string {
	var broken []string
	var covered slot.Set
	for i := range s.Intents {
		in := &s.Intents[i]
		if len(in.Pending) == 0 {
			broken = append(broken, fmt.Sprintf("intent %d waits for nobody", in.ID))
		}
		if n, ok := covered.Intersects(&in.Slots.Set); ok {
			broken = append(broken, fmt.Sprintf("slot %d is in two intents", n))
		}
		covered.Union(&in.Slots.Set)
		for n := range in.Slots.All {
			if s.Slots[n].Group == 0 {
				broken = append(broken, fmt.Sprintf("slot %d is in intent %d and has no owner", n, in.ID))
			}
		}
		for _, group := range in.Pending {
			if s.Shard(group) == nil {
				broken = append(broken, fmt.Sprintf("intent %d waits for shard %d, which does not exist", in.ID, group))
			}
		}
	}
	for i := range s.Residue {
		r := &s.Residue[i]
		owned := s.Slots.Of(r.Group)
		if n, ok := owned.Intersects(&r.Slots.Set); ok || s.Shard(r.Group) == nil || r.Slots.Empty() {
			broken = append(broken, fmt.Sprintf("residue of shard %d (slot %d)", r.Group, n))
		}
	}
	if s.Frozen != nil && (!s.Lone() || len(s.Intents) > 0) {
		broken = append(broken, "a frozen cluster changed")
	}
	return broken
}

// history sees every state of a cluster and finds what must not happen between
// two of them.
type history struct {
	members map[membership]topology.Member
	gone    map[membership]bool
	wishes  map[topology.GroupID]wish
	epochs  [slot.Count]SlotOwner
	metaIDs map[uint64]topology.NodeID
}

// wish is a version of a shard's membership.
type wish struct {
	version uint64
	members []topology.Member
}

type membership struct {
	group  topology.GroupID
	raftID uint64
}

func newHistory() *history {
	return &history{
		members: make(map[membership]topology.Member), gone: make(map[membership]bool),
		wishes: make(map[topology.GroupID]wish), metaIDs: make(map[uint64]topology.NodeID),
	}
}

func (h *history) see(s *State) []string {
	var broken []string
	now := make(map[membership]bool)
	for _, r := range s.Shards {
		was, ok := h.wishes[r.ID]
		wished := slices.Clone(r.Members)
		for i := range wished {
			wished[i].Synced = false // a fact, no wish
		}
		if same := slices.Equal(was.members, wished); ok && (r.Version < was.version || same != (r.Version == was.version)) {
			broken = append(broken, fmt.Sprintf("shard %d: version %d of %v after version %d of %v", r.ID, r.Version, r.Members, was.version, was.members))
		}
		h.wishes[r.ID] = wish{r.Version, wished}
		for _, m := range r.Members {
			key := membership{r.ID, m.RaftID}
			now[key] = true
			if was, ok := h.members[key]; ok && (was.Node != m.Node || h.gone[key]) {
				broken = append(broken, fmt.Sprintf("shard %d: Raft id %d is %+v now and was %+v", r.ID, m.RaftID, m, was))
			}
			h.members[key] = m
		}
		for _, m := range r.Leaving {
			// It may come back as long as the group may still contain it, unless
			// the node left on its own: its log is gone then.
			if m.Node != 0 {
				now[membership{r.ID, m.RaftID}] = true
			}
		}
	}
	for key := range h.members {
		if !now[key] {
			h.gone[key] = true
		}
	}
	for _, n := range s.Nodes {
		if was, ok := h.metaIDs[n.MetaID]; ok && was != n.ID {
			broken = append(broken, fmt.Sprintf("MetaRaft id %d is node %d now and was %d", n.MetaID, n.ID, was))
		}
		h.metaIDs[n.MetaID] = n.ID
	}
	for n, o := range s.Slots {
		was := h.epochs[n]
		if o.Epoch < was.Epoch || o.Group != was.Group && o.Group != 0 && o.Epoch == was.Epoch {
			broken = append(broken, fmt.Sprintf("slot %d: %+v after %+v", n, o, was))
		}
		h.epochs[n] = o
	}
	return broken
}

// guardViolations returns what a change took that guard.go is to keep. It judges by
// the states alone: who was and is synced and alive, and who votes.
func guardViolations(before, after *State, c Change) (broken []string) {
	switch c := c.(type) {
	case *Forget:
		if c.Force {
			return nil
		}
	case *Leave, *Replicate:
	default:
		return nil
	}
	for i := range before.Shards {
		was := &before.Shards[i]
		owned := before.Slots.Of(was.ID)
		if owned.Empty() && !before.holdsResidue(was.ID) {
			continue
		}
		now := after.Shard(was.ID)
		if leave, ok := c.(*Leave); ok {
			if m, ok := was.member(leave.Node); ok && m.Kind == topology.Data && was.data() == 1 || leave.Gone {
				continue
			}
		}
		if now == nil {
			broken = append(broken, fmt.Sprintf("shard %d was dropped", was.ID))
			continue
		}
		copies := func(s *State, r *ShardRecord) (n int) {
			for _, m := range r.Members {
				if node := s.Node(m.Node); m.Synced && node != nil && !node.Failed {
					n++
				}
			}
			return n
		}
		if copies(before, was) > 0 && copies(after, now) == 0 {
			broken = append(broken, fmt.Sprintf("shard %d has lost its last copy", was.ID))
		}
		alive := func(s *State, r *ShardRecord) (n int) {
			for _, id := range r.Voters {
				for _, m := range slices.Concat(r.Members, r.Leaving) {
					if node := s.Node(m.Node); m.RaftID == id && node != nil && !node.Failed {
						n++
					}
				}
			}
			return n
		}
		if had, has := alive(before, was), alive(after, now); has < had && 2*has <= len(now.Voters) && len(now.Voters) != 2 && len(now.Voters) > 0 {
			broken = append(broken, fmt.Sprintf("shard %d has %d of %d voters left", was.ID, has, len(now.Voters)))
		}
	}
	return broken
}

// generator makes changes that fit the state more often than not.
type generator struct {
	*rand.Rand
	nextNode  int
	nextGroup topology.GroupID
	token     uint64
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

// slots returns a few of 64 slots, so that requests collide.
func (g *generator) slots() Slots {
	var set Slots
	start := uint16(g.IntN(64))
	set.AddRange(slot.Range{Start: start, End: min(63, start+uint16(g.IntN(6)))})
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
	switch g.IntN(18) {
	case 16, 17:
		return g.report(s)
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
			c.Residue.Add(uint16(g.IntN(64)))
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
// to a second one in bigger calls, and checks every invariant after every step.
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
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), nextNode: 2}
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

func checkStep(t *testing.T, before, after *State, p Proposal, result []byte, past *history) {
	t.Helper()
	o, err := DecodeOutcome(result)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range slices.Concat(violations(after), past.see(after), guardViolations(before, after, p.Change)) {
		t.Error(broken)
	}
	if _, cancel := p.Change.(*CancelIntent); o.Error != "" && !cancel && !bytes.Equal(essence(t, before), essence(t, after)) {
		t.Errorf("refused (%s), and the state changed", o.Error)
	}
	if o, seen := after.remembered(p.Origin); p.Origin.Node != 0 && (!seen || !bytes.Equal(result, mustEncode(t, o)) && o.Error != string(Uncertain)) {
		t.Errorf("a retry would be answered %+v (%v), the first time was %s", o, seen, result)
	}
	again := newDraft(after, after.Index, after.Clock)
	again.derive()
	if !bytes.Equal(essence(t, after), essence(t, again.s)) {
		t.Error("deriving from a derived state changes it")
	}
	checkView(t, after)
}

// checkEncoding decodes what s was encoded as and compares.
func checkEncoding(t *testing.T, s *State, data []byte) {
	t.Helper()
	back := &State{Slots: new(SlotTable)}
	if err := Decode(data, back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, back) {
		t.Error("the state does not survive encoding")
	}
}

// checkView compares the view of a state with the state.
func checkView(t *testing.T, s *State) {
	t.Helper()
	v := buildView(s, s.Nodes[0].ID)
	if len(v.Nodes) != len(s.Nodes) || len(v.Shards) != len(s.Shards) || v.Me() == nil {
		t.Errorf("view has %d nodes and %d shards", len(v.Nodes), len(v.Shards))
	}
	for n, o := range s.Slots {
		owner := v.Owner[n]
		if (owner == nil) != (o.Group == 0) || owner != nil && (owner.ID != o.Group || !owner.Slots.Has(uint16(n))) || v.SlotEpoch[n] != o.Epoch {
			t.Errorf("slot %d: the view and the state differ", n)
		}
	}
	for _, n := range v.Nodes {
		r := s.ShardOf(n.ID)
		if (r == nil) != (n.Shard == nil) || r != nil && r.ID != n.Shard.ID || n.Replica() != (r != nil && r.Master != n.ID) {
			t.Errorf("node %d: the view and the state differ", n.ID)
		}
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
