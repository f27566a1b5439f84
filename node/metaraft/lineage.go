package metaraft

import (
	"fmt"
	"slices"
)

// A data folder can be copied; then two processes are the same node to everybody,
// and vote twice under one Raft id. So each start of a node is told apart from
// all others: it draws an Incarnation, which the folder keeps, and MetaRaft
// records it as soon as it can. A copy goes on from what the folder was, beside
// the original or after it, and draws another one. Of two that go on from the
// same place, one is recorded first; the other, and every older state of the
// folder, does not continue what is recorded, and is let in nowhere.

// Incarnation is one start of a node over its data folder.
type Incarnation struct {
	Start uint64 // how often the folder was started, from 1; 0: not known
	Mark  uint64 // random
}

// Lineage are the incarnations of a data folder, oldest first: from the last one
// that MetaRaft was known to have recorded, over those of which nobody can say
// whether it did, to the present one.
type Lineage []Incarnation

// Now returns the present incarnation, zero if there is none.
func (l Lineage) Now() Incarnation {
	if len(l) == 0 {
		return Incarnation{}
	}
	return l[len(l)-1]
}

// Continues reports whether a folder with this lineage goes on from where it was
// in the known incarnation. Whoever knows only of a time before that in which the
// lineage begins is behind: MetaRaft recorded that one after it.
func (l Lineage) Continues(known Incarnation) bool {
	switch now := l.Now(); {
	case known.Start == 0:
		return true
	case len(l) == 0 || known.Start > now.Start:
		return false
	case known.Start < l[0].Start:
		return true
	}
	return slices.Contains(l, known)
}

// OtherHolder says that a process is not the member that it claims to be.
func OtherHolder(member *NodeRecord) string {
	return fmt.Sprintf("node %s is a member at %s, and goes on there from a newer state: this data folder is a copy of its folder, or an old backup. "+
		"Start the node from its own folder; this one can only join as a new node, with CLUSTER RESET HARD while it is alone, or emptied",
		member.ID, member.Address.Raft)
}
