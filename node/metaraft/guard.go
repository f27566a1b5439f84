package metaraft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/topology"
)

// Two things are guarded wherever a node is to give up its part in a shard. Both
// are judged by what the shard's leader reported and by who is failed, never by
// what is merely wished:
//
//   - The last copy. A copy of a shard that owns slots, or holds keys, goes only
//     while another member that stays has all of the data and lives.
//   - The majority. A voter goes for good only while those that stay and live are
//     a majority of the group as it is. A group that has lost its majority cannot
//     change: each voter that is removed is one that cannot come back to help.
//
// What passes by itself, such as a copy that is still being sent, is told apart:
// whoever serves the command waits for it.

// guarded is why a node may not give up its part in a shard.
type guarded struct {
	text    string // an exact client text
	passing bool   // it ends without anybody's doing, as things are
}

func (g *guarded) outcome() Outcome { return Outcome{Error: g.text, Passing: g.passing} }

// alive reports whether the node is a member that has not failed.
func (s *State) alive(id topology.NodeID) bool {
	n := s.Node(id)
	return n != nil && !n.Failed
}

// bears reports whether something would be lost with the shard: it owns slots, or
// holds keys of slots that it does not own, or may do so.
func (s *State) bears(shard *ShardRecord) bool {
	owned := s.Slots.Of(shard.ID)
	return !owned.Empty() || s.holdsResidue(shard.ID) || s.importsKeys(shard.ID)
}

// guardCopy returns why the node's copy of the shard must stay, nil if it may go or
// there is none.
func (s *State) guardCopy(shard *ShardRecord, node topology.NodeID) *guarded {
	own, ok := shard.member(node)
	if !ok || !own.HoldsState() || !s.bears(shard) {
		return nil
	}
	last := own.Kind == topology.Data && shard.data() == 1
	if s.heir(shard, node) != nil && !last {
		return nil
	}
	slots := s.Slots.Of(shard.ID)
	force := fmt.Sprintf("CLUSTER FORGET %s FORCE, which gives up its keys of slots %s", node, Slots{slots})
	if last && own.Synced && s.alive(node) && slots.Empty() && s.importsKeys(shard.ID) {
		return s.guardImports(node)
	}
	if last && own.Synced && s.alive(node) {
		return &guarded{text: fmt.Sprintf("ERR Node %s lives and has the only copy of its slots: CLUSTER DELSLOTS them or give it a replica first", node)}
	}
	var others []string
	passing := false
	for _, m := range shard.Members {
		switch {
		case m.Node == node || !m.HoldsState():
		case !s.alive(m.Node):
			others = append(others, fmt.Sprintf("node %s does not answer", m.Node))
		case m.Kind == topology.Arbiter && m.Synced:
			others = append(others, fmt.Sprintf("node %s has a copy only as an arbiter (CLUSTER REPLICATE %s on a node without slots makes another one)", m.Node, shard.Master))
		default:
			others = append(others, fmt.Sprintf("node %s has not received all of it yet", m.Node))
			passing = passing || s.alive(node)
		}
	}
	if len(others) == 0 && s.alive(node) { // and last is not the case: it has not received all of it
		return &guarded{text: fmt.Sprintf("ERR Node %s has not received all data of its shard yet, and nobody else has it: wait, or %s", node, force), passing: true}
	}
	if len(others) == 0 {
		return &guarded{text: fmt.Sprintf("ERR Node %s has the only copy of its slots: start it again, or %s", node, force)}
	}
	return &guarded{
		text:    fmt.Sprintf("ERR No other node has all data of node %s's shard and answers: %s. Wait, or start what is down, or %s", node, strings.Join(others, "; "), force),
		passing: passing,
	}
}

// guardImports says that keys may still come to a node.
func (s *State) guardImports(node topology.NodeID) *guarded {
	return &guarded{text: fmt.Sprintf("ERR Node %s is importing keys: CLUSTER SETSLOT its slots STABLE first", node)}
}

// electorates returns the sets of Raft ids of each of which the shard's group needs
// a majority, as far as is known.
func (r *ShardRecord) electorates() [][]uint64 {
	if len(r.Voters) == 0 { // nothing was reported yet
		var all []uint64
		for _, m := range slices.Concat(r.Members, r.Leaving) {
			all = append(all, m.RaftID)
		}
		return [][]uint64{all}
	}
	if len(r.Outgoing) == 0 {
		return [][]uint64{r.Voters}
	}
	return [][]uint64{r.Voters, r.Outgoing}
}

// nodeOf returns the node of a wished or leaving membership, 0 if there is none.
func (r *ShardRecord) nodeOf(raftID uint64) topology.NodeID {
	for _, m := range slices.Concat(r.Members, r.Leaving) {
		if m.RaftID == raftID {
			return m.Node
		}
	}
	return 0
}

// part reports whether the group may contain a member of the node.
func (r *ShardRecord) part(node topology.NodeID) bool {
	is := func(m topology.Member) bool { return m.Node == node }
	return slices.ContainsFunc(r.Members, is) || slices.ContainsFunc(r.Leaving, is)
}

// votes counts an electorate: how many there are, how many live, how many of these
// live on other nodes than that one; and whether it is among them.
func (s *State) votes(shard *ShardRecord, electorate []uint64, node topology.NodeID) (alive, stay int, in bool) {
	for _, raftID := range electorate {
		id := shard.nodeOf(raftID)
		in = in || id == node
		if !s.alive(id) {
			continue
		}
		alive++
		if id != node {
			stay++
		}
	}
	return alive, stay, in
}

// lostMajority reports whether too few of the shard's voters live for it to elect a
// leader or change.
func (s *State) lostMajority(shard *ShardRecord) bool {
	for _, electorate := range shard.electorates() {
		if alive, _, _ := s.votes(shard, electorate, 0); 2*alive <= len(electorate) {
			return true
		}
	}
	return false
}

// guardMajority returns why the node must keep its part in the shard for the sake of
// the majority; nil if it need not. With leaves it goes for good, and its vote with
// it; else its vote stays until the group has let it go.
func (s *State) guardMajority(shard *ShardRecord, node topology.NodeID, leaves bool) *guarded {
	for _, electorate := range shard.electorates() {
		alive, stay, in := s.votes(shard, electorate, node)
		switch {
		case !in:
		case 2*alive <= len(electorate):
			return s.missingVoters(shard, electorate, node, "has lost its majority")
		case !leaves, 2*stay > len(electorate), len(electorate) == 2 && alive == 2: // of two, the one that goes votes for that
		default:
			return s.missingVoters(shard, electorate, node, "would lose its majority")
		}
	}
	return nil
}

// missingVoters says which voters a shard lacks and what can be done about it.
func (s *State) missingVoters(shard *ShardRecord, electorate []uint64, node topology.NodeID, what string) *guarded {
	var down, gone []string
	for _, raftID := range electorate {
		switch id := shard.nodeOf(raftID); {
		case s.alive(id) || id == node && s.Node(id) == nil:
		case s.Node(id) == nil:
			gone = append(gone, "one that was removed before and has not been replaced yet")
		case id != node || len(electorate) == 1:
			down = append(down, fmt.Sprintf("node %s", id))
		default:
			down = append(down, fmt.Sprintf("node %s itself", id))
		}
	}
	shardOf := fmt.Sprintf("ERR The shard of master %s %s", shard.Master, what)
	if len(down) == 0 {
		return &guarded{text: shardOf + fmt.Sprintf(" without node %s: an earlier change of its members has not been carried out yet, try again", node), passing: true}
	}
	return &guarded{text: shardOf + fmt.Sprintf(" with node %s removed, since these voters do not answer: %s. Start one of them, or CLUSTER FORGET %s FORCE, "+
		"which starts the shard again from a copy that lives and may lose its last writes", node, strings.Join(append(down, gone...), ", "), node)}
}

// mayRemove returns why the node may not be removed from the cluster, nil if it may.
// With empty the node has made sure that it holds no keys of which it has the only
// copy: then only what others hold is guarded. Where the node has not received all of
// the data, that says nothing.
func (s *State) mayRemove(node topology.NodeID, empty bool) *guarded {
	var wait *guarded
	for i := range s.Shards {
		switch g := s.mayLeave(&s.Shards[i], node, empty); {
		case g == nil:
		case !g.passing:
			return g
		default:
			wait = g
		}
	}
	return wait
}

func (s *State) mayLeave(shard *ShardRecord, node topology.NodeID, empty bool) *guarded {
	if !shard.part(node) {
		return nil
	}
	if own, ok := shard.member(node); ok && own.Kind == topology.Data && shard.data() == 1 { // it goes with its shard
		switch {
		case empty && own.Synced && s.importsKeys(shard.ID): // they may have come since it looked
			g := s.guardImports(node)
			g.passing = true // the node closes them itself
			return g
		case empty && own.Synced:
			return nil
		}
		return s.guardCopy(shard, node)
	}
	if g := s.guardCopy(shard, node); g != nil {
		return g
	}
	g := s.guardMajority(shard, node, true)
	if g != nil && !g.passing && !s.bears(shard) {
		return nil // nothing is lost: forget drops the shard
	}
	return g
}

// mayFollow returns why the node's member of the shard may not be given up for
// that of another one.
func (s *State) mayFollow(shard *ShardRecord, node topology.NodeID) *guarded {
	if g := s.guardCopy(shard, node); g != nil || !s.bears(shard) {
		return g
	}
	return s.guardMajority(shard, node, false)
}
