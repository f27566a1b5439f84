package multiraft

import (
	"encoding/binary"
	"math"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Raft trusts its peers: it panics over an index that cannot be, and counts on
// from whatever term it is told. So what a peer says is held against what this
// member knows before raft sees it. What does not fit is dropped and named in
// the log, and never ends the process.

const (
	// maxCount is beyond any index or term that counting can reach.
	maxCount = 1 << 62
	// maxTermGap is by how much a term may be ahead. Each election raises it by
	// one; without a bound, one message would use up all terms that there are.
	maxTermGap = 1 << 32
)

// implausible says what is wrong with a message of a peer, "" if nothing is.
func (g *Group) implausible(m *pb.Message) string {
	own := g.lead.Load().term
	switch from := m.GetFrom(); {
	case from == raft.None || from == raft.LocalAppendThread || from == raft.LocalApplyThread:
		return "it comes from nobody"
	case m.GetType() == pb.MsgReadIndex && m.GetTerm() != 0:
		return "a question with a term"
	case m.GetType() == pb.MsgReadIndex:
		return "" // it may be this member's own, passed on: see receive
	case from == g.raftID:
		return "it comes from this member itself"
	}
	switch term := m.GetTerm(); {
	case term == 0:
		return "it has no term"
	case term > own+maxTermGap:
		return "its term is out of range"
	case term < own:
		return "" // raft passes over it, or answers with its own term
	}
	switch m.GetType() {
	case pb.MsgHeartbeat:
		if m.GetCommit() > g.log.last {
			return "it commits entries that this member does not have: either the sender lies, or this node's log has lost what it had acknowledged " +
				"(an old copy of its data folder, or a disk that did not keep it). If it has, RESET HARD the node, or start it with an empty folder, and let it join again"
		}
	case pb.MsgAppResp:
		if !m.GetReject() && m.GetIndex() > g.log.last {
			return "it acknowledges entries that this member does not have"
		}
	case pb.MsgSnap:
		return g.implausibleOffer(m)
	case pb.MsgApp:
		return implausibleEntries(m)
	}
	return ""
}

// implausibleOffer looks at an offer of the state: a member without a state of
// its own goes on from it at once.
func (g *Group) implausibleOffer(m *pb.Message) string {
	at := m.GetSnapshot().GetMetadata()
	l := g.lead.Load()
	switch {
	case m.GetTerm() == l.term && l.leader != raft.None && l.leader != m.GetFrom():
		return "it offers a state and does not lead"
	case at.GetTerm() == 0 || at.GetTerm() > m.GetTerm():
		return "it offers a state of a term to come"
	case !validConf(at.GetConfState()):
		return "it offers a state with a membership that cannot be"
	}
	return ""
}

// implausibleEntries looks at entries as they are stored and applied later. What
// their commands mean is for the state machine.
func implausibleEntries(m *pb.Message) string {
	term := m.GetLogTerm()
	for _, e := range m.GetEntries() {
		if e.GetTerm() < max(term, 1) || e.GetTerm() > m.GetTerm() {
			return "its entries have terms out of order"
		}
		term = e.GetTerm()
		if e.GetType() != pb.EntryNormal {
			if _, err := decodeChange(e); err != nil {
				return "it has a membership change that cannot be read"
			}
		} else if len(e.GetData()) > 0 && !entryIsSound(e.GetData()) {
			return "it has an entry that cannot be read"
		}
	}
	return ""
}

// entryIsSound reports whether decodeEntry can read data. It allocates nothing.
func entryIsSound(data []byte) bool {
	_, rest, err := cutEntryHead(data)
	if err != nil {
		return false
	}
	count, n := binary.Uvarint(rest)
	if n <= 0 || count > uint64(len(rest)-n) {
		return false
	}
	rest = rest[n:]
	for range count {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return false
		}
		rest = rest[n+int(size):]
	}
	return len(rest) == 0
}

// validConf reports whether raft can start with that configuration: it panics
// over one that it cannot restore.
func validConf(conf *pb.ConfState) bool {
	if len(conf.GetVoters()) == 0 {
		return false
	}
	restored, err := foldChanges(conf, 1, nil)
	return err == nil && restored.Equivalent(conf) == nil
}

// inRange reports whether all numbers of a message can be those of a log.
func (m *message) inRange() bool {
	highest := max(m.term, m.logTerm, m.index, m.commit, m.hint)
	for _, e := range m.Entries {
		highest = max(highest, e.GetTerm(), e.GetIndex())
	}
	at := m.Snapshot.GetMetadata()
	return max(highest, at.GetIndex(), at.GetTerm()) < maxCount
}

// maxStrangers bounds the Raft ids that a member remembers the nodes of: those
// of members, whom it may not know yet, and of whoever claims to be one.
const maxStrangers = 1024

// knows reports whether the sender of a message is one to remember.
func (g *Group) knows(raftID uint64) bool {
	routes := *g.routes.Load()
	_, known := routes[raftID]
	return known || len(routes) < maxStrangers && raftID != math.MaxUint64
}
