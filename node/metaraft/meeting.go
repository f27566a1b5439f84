package metaraft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/sched"
)

// meeting brings this node and the node at addr into one cluster. Again and again it
// asks the peer who it is, decides who has to join whom (directionOf), and does the
// next step towards that: join the peer's cluster, invite the peer into its own,
// dissolve its own cluster, or wait for a move that is under way. It ends when both
// are members of one cluster and a linearizable read says so.
type meeting struct {
	n       *Node
	addr    string   // the peer's Raft address
	name    string   // what the client calls the peer
	member  bool     // it is a fellow member, or was asked to become one, as far as this node knows
	invite  bool     // of two lone nodes, the peer has to come
	invited bool     // the peer asked this node to come in that way
	phase   string   // for the error at the deadline
	begun   bool     // something may have its effect later, whatever is answered now
	islands []string // Raft addresses of dissolved islands, whose members follow
}

const phaseFinding = "finding the peer"

// run does one step after the other until both sides are united.
func (m *meeting) run(ctx context.Context) error {
	n := m.n
	m.phase = phaseFinding
	retry := n.backoff(time.Millisecond, 100*time.Millisecond)
	for {
		done, err := m.step(ctx)
		var refusal Error
		switch {
		case done:
			return err
		case errors.As(err, &refusal):
			return m.clientError(refusal)
		case err != nil:
			retry.wait(ctx)
		}
		if ctx.Err() != nil || n.life.Err() != nil {
			return m.clientError(m.timeoutError(m.name, m.phase))
		}
	}
}

// step looks at both sides once and does what is next; done means united. An
// error that is no Error asks for a pause before the next step.
func (m *meeting) step(ctx context.Context) (done bool, err error) {
	n := m.n
	peer, err := n.identify(ctx, m.addr, true)
	if err != nil && m.member && n.announcesRaft(ctx, m.addr) {
		return true, nil // a member that is down is a member
	}
	if err != nil {
		if ctx.Err() == nil || m.phase == phaseFinding {
			// The attempt that the deadline cut short says less than the ones before.
			m.phase = fmt.Sprintf("its Raft address %s does not answer (%s)", m.addr, oneLine(err))
		}
		return false, err
	}
	self := n.Info()
	if peer.Node == self.Node {
		if peer.Address.Raft != n.opts.Address.Raft {
			return false, Error(fmt.Sprintf("ERR the node at %s has this node's id %s: the data folder of one is a copy of the other's; CLUSTER RESET HARD the copy", m.addr, self.Node))
		}
		return true, nil
	}
	direction := directionOf(self, peer)
	if m.invite && mayCome(peer, self) {
		direction = peerComes
	}
	switch direction {
	case united:
		return m.confirm(ctx, peer)
	case selfMoving:
		m.phase = "this node is " + n.whereabouts()
		return false, n.awaitStay(ctx)
	case peerMoving:
		m.phase = fmt.Sprintf("%s is itself joining another cluster (%s)", m.name, cmp.Or(peer.Joining, "its state has not arrived"))
		return false, errReevaluate
	case selfJoins:
		return false, m.join(ctx, peer)
	case selfDissolves:
		m.islands = append(m.islands, self.Members...)
		m.phase = "dissolving this node's cluster, which owns no slots"
		m.begun = true
		return false, n.dissolve(ctx, peer)
	case peerComes:
		if !peer.lone() {
			m.islands = append(m.islands, peer.Members...)
			m.begun = true
		}
		return false, m.invitePeer(ctx, peer)
	}
	return false, Error(fmt.Sprintf("ERR both clusters own slots or keys: this one (%d nodes, %d slots) and that of %s (%d nodes, %d slots); "+
		"move one side's slots away, or CLUSTER RESET its nodes, and meet again",
		self.Nodes, self.Slots, m.name, peer.Nodes, peer.Slots))
}

// join makes this node join the peer's cluster and waits for it.
func (m *meeting) join(ctx context.Context, peer PeerInfo) error {
	j, err := m.n.startJoin(ctx, peer, m.addr, m.invited)
	if err != nil {
		m.phase = "this node is " + m.n.whereabouts()
		return err
	}
	if sched.Wait(m.n.sched, time.Time{}, j.done, ctx.Done()) == 0 {
		m.noteJoined(j.err)
		return j.err
	}
	m.phase = "this node is " + j.where()
	m.begun = true
	return ctx.Err()
}

// invitePeer asks the peer to come.
func (m *meeting) invitePeer(ctx context.Context, peer PeerInfo) error {
	m.phase = fmt.Sprintf("%s was asked to join this node's cluster", m.name)
	wait := m.n.opts.MeetTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = deadline.Sub(m.n.sched.Now())
	}
	reply, err := ask[meetReply](ctx, m.n.opts.Peers, m.addr, MethodJoinRequest,
		meetRequest{Address: m.n.opts.Address.Raft, Come: m.invite, WaitMs: (wait * 9 / 10).Milliseconds()})
	switch {
	case err != nil:
		m.begun = m.begun || !notSent(err)
		return err
	case reply.Error != "":
		return Error(reply.Error)
	}
	m.noteJoined(nil)
	return nil
}

// noteJoined notes that a join came to its end: from then on, a peer that does not
// answer is probably a member that has gone down, and what happened has happened.
func (m *meeting) noteJoined(err error) {
	if err == nil {
		m.member, m.begun = true, true
	}
}

// confirm ends a meeting once a linearizable read confirms that both are
// members: either may have been forgotten without having heard of it. The
// members of dissolved islands, which follow on their own, get a moment to
// arrive too.
func (m *meeting) confirm(ctx context.Context, peer PeerInfo) (bool, error) {
	m.phase = "waiting until MetaRaft confirms the membership of both"
	m.begun = true // as far as this node knows, it is done
	v := m.n.View(ctx)
	if !v.Quorum || v.ClusterID != peer.Cluster {
		m.n.duty("inquire", m.n.inquire)
		return false, errReevaluate
	}
	if member := v.Node(peer.Node); member == nil || member.MetaID != peer.MetaID {
		m.n.tell(ctx, []string{m.addr}, notice{Cluster: v.ClusterID})
		return false, errReevaluate
	}
	if err := m.verify(peer); err != nil {
		return false, err
	}
	wait, cancel := m.n.within(ctx, m.n.opts.CallTimeout)
	defer cancel()
	followers := sched.NewGroup(m.n.sched)
	for _, addr := range m.islands {
		followers.Go("await a follower", func() { m.n.awaitFollower(wait, addr, peer.Cluster) })
	}
	followers.Wait()
	return true, nil
}

// verify returns an error if the peer only claims to be the member whose id it
// has: its data folder is a copy, or an old state of it.
func (m *meeting) verify(peer PeerInfo) error {
	a, _ := m.n.current()
	member := a.machine.State().Node(peer.Node)
	if member == nil {
		return errReevaluate
	}
	switch now := peer.Lineage.Now(); {
	case now == member.Incarnation:
		return nil
	case !peer.Lineage.Continues(member.Incarnation):
		return Error("ERR " + OtherHolder(member))
	default:
		m.phase = fmt.Sprintf("waiting until %s, which says that it is member %s at %s, has announced its start; "+
			"if it never does, its data folder is a copy", m.name, member.ID, member.Address.Raft)
		return errReevaluate
	}
}

// awaitFollower returns when the node at addr is a member of cluster and stays, or
// when ctx ends.
func (n *Node) awaitFollower(ctx context.Context, addr string, cluster uint64) {
	retry := n.backoff(time.Millisecond, 50*time.Millisecond)
	for {
		info, err := n.identify(ctx, addr, true)
		if err == nil && info.Staying && info.Cluster == cluster || !retry.wait(ctx) {
			return
		}
	}
}

// timeoutError is for the client of a meeting that did not come to an end in time.
func (m *meeting) timeoutError(name, phase string) Error {
	text := fmt.Sprintf("ERR the meeting with %s did not finish in time: %s", name, phase)
	if m.begun {
		text += "; what has begun goes on in the background"
	}
	return Error(text)
}

// clientError returns the error for the client: an ordinary one says that nothing
// has happened, so it becomes an uncertain one if something still may.
func (m *meeting) clientError(refusal Error) Error {
	if text, ordinary := strings.CutPrefix(string(refusal), "ERR "); ordinary && m.begun {
		return Error("UNCERTAIN " + text)
	}
	return refusal
}

// serveJoinRequest does this node's part in uniting with the caller: if it is
// the one that has to move it does, and answers when it has arrived.
func (n *Node) serveJoinRequest(ctx context.Context, request meetRequest) meetReply {
	wait := min(time.Duration(request.WaitMs)*time.Millisecond, n.opts.MeetTimeout)
	ctx, cancel := n.within(ctx, wait)
	defer cancel()
	m := meeting{n: n, addr: request.Address, name: request.Address}
	peer, err := n.identify(ctx, request.Address, false)
	if err != nil {
		return meetReply{Error: fmt.Sprintf("ERR node %s can't reach the Raft address %s that this node announces: %s",
			n.self(), request.Address, oneLine(err))}
	}
	self := n.Info()
	direction := directionOf(self, peer)
	if request.Come && mayCome(self, peer) {
		m.invited = true
		direction = selfJoins
	}
	switch direction {
	case selfMoving:
		err = n.awaitStay(ctx)
	case selfJoins:
		err = m.join(ctx, peer)
	case selfDissolves:
		m.begun = true
		err = n.dissolve(ctx, peer)
	}
	var refusal Error
	switch {
	case errors.As(err, &refusal):
		return meetReply{Error: string(m.clientError(refusal))}
	case err != nil && ctx.Err() != nil:
		phase := fmt.Sprintf("node %s is %s", n.self(), n.whereabouts())
		return meetReply{Error: string(m.clientError(m.timeoutError(request.Address, phase)))}
	}
	return meetReply{} // the caller looks again
}
