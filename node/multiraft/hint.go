package multiraft

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// A membership takes effect in raft when it is applied, and a leader sends
// entries while its own disk still writes them. So it may commit the removal of a
// voter, tell that voter, and die before anybody else knows; then those who stay
// still need the vote of the one that has left, who does not stand for election
// and, if its log is longer than theirs, does not vote for them: a group for ever
// without a leader. (TiKV's raft-rs has the same problem and tells commit indexes
// with refused votes, too.)
//
// Therefore a member that is no voter, as far as it has applied, tells whoever
// asks it for a pre-vote what is committed. The message is a heartbeat with an
// entry's term, which a leader's heartbeats never have, and index.

// hint reports whether m tells of a committed entry.
func hint(m *pb.Message) bool { return m.GetType() == pb.MsgHeartbeat && m.GetLogTerm() != 0 }

// tellCommit answers a pre-vote request with what this member, if it is no voter
// any more, knows to be committed.
func (g *Group) tellCommit(m *pb.Message) {
	conf := g.members.conf
	if slices.Contains(conf.GetVoters(), g.raftID) || slices.Contains(conf.GetVotersOutgoing(), g.raftID) {
		return
	}
	index := min(g.rn.BasicStatus().GetCommit(), m.GetIndex())
	term, ok := g.storedTerm(index)
	if !ok {
		return
	}
	g.host.outbox.add(g, &pb.Message{
		Type: pb.MsgHeartbeat.Enum(), To: new(m.GetFrom()), From: new(g.raftID), Term: new(m.GetTerm()),
		Index: &index, LogTerm: &term,
	})
}

// learnCommit takes a hint. An entry of the same index and term is the same
// entry, so it is committed here too. Raft has no other way to be told than by a
// leader; until an election timeout later it takes the sender for one.
func (g *Group) learnCommit(m *pb.Message) {
	st := g.rn.BasicStatus()
	if st.Lead != raft.None || st.GetCommit() >= m.GetIndex() {
		return
	}
	if term, ok := g.storedTerm(m.GetIndex()); !ok || term != m.GetLogTerm() {
		return
	}
	g.stepLocal(&pb.Message{
		Type: pb.MsgHeartbeat.Enum(), To: new(g.raftID), From: new(m.GetFrom()), Term: new(st.GetTerm()),
		Commit: new(m.GetIndex()),
	})
}

// storedTerm returns the term of an entry that the log holds.
func (g *Group) storedTerm(index uint64) (uint64, bool) {
	log := g.host.opts.Log.Storage(uint64(g.id))
	if index == 0 || log == nil {
		return 0, false
	}
	term, err := log.Term(index)
	return term, err == nil && term != 0
}
