package metaraft

import (
	"bytes"
	"fmt"
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
	return slices.Concat(broken, intentViolations(s), moveViolations(s))
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
	if s.Frozen != nil && (!s.Lone() || len(s.Intents)+len(s.Garbage)+len(s.Marks) > 0 || s.moves()) {
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
	moves   map[topology.MigrationID]Migration
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
		moves: make(map[topology.MigrationID]Migration),
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
	return append(broken, h.seeMigrations(s)...)
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

func checkStep(t *testing.T, before, after *State, p Proposal, result []byte, past *history) {
	t.Helper()
	o, err := DecodeOutcome(result)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range slices.Concat(violations(after), past.see(after), guardViolations(before, after, p.Change), handViolations(before, after, p.Change)) {
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
