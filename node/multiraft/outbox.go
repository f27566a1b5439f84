package multiraft

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// outbox packs the messages of one turn into at most two frames a node: one of
// control messages, one of the rest. It is used by one goroutine.
type outbox struct {
	host  *Host
	peers map[uint64]*peerOut
}

// peerOut are the frames under construction for one node.
type peerOut struct {
	control, bulk []byte
	// lazy counts messages in bulk that only move a commit index; since is when
	// the first of them came. A frame of nothing else may wait a little for
	// company.
	urgent bool
	since  time.Time
	held   bool
}

// add packs a message. Messages to replicas whose node is unknown are dropped,
// as a network may drop them.
func (o *outbox) add(g *Group, m *pb.Message) {
	node := (*g.routes.Load())[m.GetTo()]
	if node == 0 {
		return
	}
	p := o.peers[node]
	if p == nil {
		p = &peerOut{}
		o.peers[node] = p
	}
	if control(m.GetType()) {
		p.control = o.pack(p.control, g, m)
		return
	}
	p.bulk = o.pack(p.bulk, g, m)
	if g.prompt || m.GetType() != pb.MsgApp || len(m.GetEntries()) > 0 {
		p.urgent = true
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
	for node, p := range o.peers {
		if p.control != nil {
			o.host.opts.Transport.Send(node, true, p.control)
			p.control = nil
		}
		if p.bulk == nil {
			continue
		}
		if !p.urgent {
			if !p.held {
				p.held, p.since = true, now
			}
			if due := p.since.Add(o.host.opts.CommitDelay); now.Before(due) {
				if next.IsZero() || due.Before(next) {
					next = due
				}
				continue
			}
		}
		o.host.opts.Transport.Send(node, false, p.bulk)
		p.bulk, p.urgent, p.held = nil, false, false
	}
	return next
}
