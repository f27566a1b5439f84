package multiraft

import (
	"maps"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// receive steps one message of a peer.
func (g *Group) receive(node uint64, m *pb.Message, now time.Time) {
	if reason := g.implausible(m); reason != "" {
		g.host.complain(node, g.id, m, reason)
		return
	}
	if g.refuses(m) || !g.knows(m.GetFrom()) {
		return
	}
	if m.GetType() == pb.MsgReadIndex {
		// It was perhaps passed on, under the name of the member that asked.
		if g.alone() && !g.Leads() {
			return // see mayAsk; the other member asks again
		}
	} else {
		g.contact[m.GetFrom()] = now
		switch {
		case m.GetTerm() < g.lead.Load().term:
		case m.GetType() == pb.MsgApp:
			g.quiet = 0
			g.noteTime(m, now)
		case m.GetType() == pb.MsgHeartbeat:
			g.quiet = 0
			g.trimmer.hear(m)
		case m.GetType() == pb.MsgHeartbeatResp:
			g.heardState(m)
		}
		g.fresh.hear(m)
		if routes := *g.routes.Load(); routes[m.GetFrom()] != node {
			g.route(m.GetFrom(), node)
		}
	}
	switch {
	case hint(m):
		g.learnCommit(m)
		return
	case m.GetType() == pb.MsgPreVote:
		g.tellCommit(m)
	case m.GetType() == pb.MsgSnap:
		g.receiver.offered(node, m)
		return
	}
	if err := g.rn.Step(m); err != nil && m.GetType() != pb.MsgReadIndex {
		g.host.opts.Logger.Debug("raft refused a message", "group", g.id, "type", m.GetType(), "error", err)
	}
}

// stepLocal steps an answer of the process's own storage.
func (g *Group) stepLocal(m *pb.Message) {
	if g.detached {
		return
	}
	if err := g.rn.Step(m); err != nil {
		g.host.opts.Logger.Debug("raft refused a storage answer", "group", g.id, "type", m.GetType(), "error", err)
	}
}

// route remembers the node of a Raft id.
func (g *Group) route(raftID, node uint64) {
	routes := maps.Clone(*g.routes.Load())
	routes[raftID] = node
	g.routes.Store(&routes)
}

// setMembers makes the nodes of Raft ids known.
func (g *Group) setMembers(members []Member) {
	routes := maps.Clone(*g.routes.Load())
	for _, m := range members {
		routes[m.RaftID] = m.Node
	}
	g.routes.Store(&routes)
}
