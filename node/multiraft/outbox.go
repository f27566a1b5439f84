package multiraft

import (
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// outbox packs the messages of one turn into at most two frames a node: one of
// control messages, one of the rest. It is used by one goroutine.
type outbox struct {
	host  *Host
	peers map[uint64]*peerOut
	order []*peerOut // in that of their first messages
}

// maxBulk is how large a frame of several messages may become: far below what
// the transport takes, and below what it queues for a peer.
const maxBulk = 16 << 20

// maxDelayed is how many bytes of messages may wait for company.
const maxDelayed = 64 << 10

// peerOut are the frames under construction for one node.
type peerOut struct {
	node          uint64
	control, bulk []byte
	// A frame of messages that nobody waits for may wait a little for company:
	// until something urgent joins them, or CommitDelay after since.
	urgent  bool
	since   time.Time
	delayed bool
	// appends are the MsgApps in bulk.
	appends []sentAppend
}

// sentAppend is a MsgApp on its way to a member.
type sentAppend struct {
	group *Group
	to    uint64
}

// sendBulk hands the node's bulk frame to the transport. If that does not take it,
// raft is told that the members were not reached: it then sends them one message at
// a time until one is answered, instead of all that it has for each of them.
func (o *outbox) sendBulk(p *peerOut) {
	if !o.host.opts.Transport.Send(p.node, false, p.bulk) {
		for _, a := range p.appends {
			if !a.group.detached {
				a.group.rn.ReportUnreachable(a.to)
			}
		}
	}
	clear(p.appends)
	p.bulk, p.appends = nil, p.appends[:0]
}

// add packs a message. Messages to members whose node is unknown are dropped,
// as a network may drop them.
func (o *outbox) add(g *Group, m *pb.Message) {
	node := (*g.routes.Load())[m.GetTo()]
	if node == 0 {
		return
	}
	p := o.peers[node]
	if p == nil {
		p = &peerOut{node: node}
		o.peers[node] = p
		o.order = append(o.order, p)
	}
	if control(m.GetType()) {
		p.control = o.pack(p.control, g, m)
		return
	}
	if p.bulk != nil && len(p.bulk)+messageSize(m) > maxBulk {
		o.sendBulk(p)
	}
	p.bulk = o.pack(p.bulk, g, m)
	if m.GetType() == pb.MsgApp { // sent by the loop, which may tell raft
		p.appends = append(p.appends, sentAppend{g, m.GetTo()})
	}
	if g.prompt || m.GetType() != pb.MsgApp || !g.mayWait(m) || len(p.bulk) > maxDelayed {
		p.urgent = true
	}
}

// messageSize is about how many bytes m takes.
func messageSize(m *pb.Message) int {
	n := len(m.GetContext())
	for _, e := range m.GetEntries() {
		n += len(e.GetData())
	}
	return n
}

// mayWait reports whether nobody waits for the answer to a MsgApp: it only moves
// the commit index, or goes to a voter that the group can do without.
func (g *Group) mayWait(m *pb.Message) bool {
	return len(m.GetEntries()) == 0 || slices.Contains(g.spare, m.GetTo())
}

// noteSpare finds out whether the leader's appends reach a quorum without the
// arbiters: then these need the entries only in case that something fails, and
// get them in larger pieces, which saves them syncs and everybody frames.
func (g *Group) noteSpare(now time.Time) {
	g.spare = g.spare[:0]
	conf, opts := g.members.conf, &g.host.opts
	if g.prompt || !g.leading() || len(conf.GetVotersOutgoing()) > 0 {
		return
	}
	recent := now.Add(-time.Duration(2*opts.HeartbeatTicks+1) * opts.Tick)
	live := 0
	for _, v := range g.members.wish.Voters {
		switch {
		case !slices.Contains(conf.GetVoters(), v.RaftID):
		case v.Arbiter:
			g.spare = append(g.spare, v.RaftID)
		case v.RaftID == g.raftID || g.contact[v.RaftID].After(recent):
			live++
		}
	}
	if live <= len(conf.GetVoters())/2 {
		g.spare = g.spare[:0]
	}
}

func (o *outbox) pack(frame []byte, g *Group, m *pb.Message) []byte {
	if frame == nil {
		frame = appendFrameHeader(make([]byte, 0, 512), o.host.cluster.Load())
	}
	return appendMessage(frame, g.id, m)
}

// flush sends the frames that need not wait and returns when the first of the
// others must go.
func (o *outbox) flush(now time.Time) (next time.Time) {
	for _, p := range o.order {
		if p.control != nil {
			o.host.opts.Transport.Send(p.node, true, p.control)
			p.control = nil
		}
		if p.bulk == nil {
			continue
		}
		if !p.urgent {
			if !p.delayed {
				p.delayed, p.since = true, now
			}
			if due := p.since.Add(o.host.opts.CommitDelay); now.Before(due) {
				if next.IsZero() || due.Before(next) {
					next = due
				}
				continue
			}
		}
		// gofail: var sendBulk struct{}
		o.sendBulk(p)
		p.urgent, p.delayed = false, false
	}
	return next
}
