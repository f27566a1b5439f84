package metaraft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// Meet brings this node's cluster and the one of the node at the client address
// host:port together, and returns when whoever had to move has applied the
// state of the common cluster. Meeting oneself or a fellow member does nothing.
// After the meet timeout it returns an error that names the phase reached; it
// begins with UNCERTAIN if the two may still come together, since a join that
// has begun goes on. busPort is what Redis calls the cluster bus; nothing
// listens there, so it is not used.
func (n *Node) Meet(ctx context.Context, host string, port, _ int) error {
	if host == "" || port < 1 || port > 65535 {
		return Error(fmt.Sprintf("ERR Invalid node address specified: %s:%d", host, port))
	}
	ctx, cancel := n.within(ctx, n.opts.MeetTimeout)
	defer cancel()
	if _, err := n.await(ctx, (*attachment).ready); err != nil {
		return errNoLeader
	}
	hostport := net.JoinHostPort(host, strconv.Itoa(port))
	ap := approach{n: n, name: hostport}
	var err error
	ap.addr, ap.member, err = n.find(ctx, host, port)
	if err != nil {
		n.log.Warn("MetaRaft meet: peer not found", "peer", hostport, "error", err)
		return err
	}
	return ap.run(ctx)
}

// announces reports whether a node with that address announces host:port.
func announces(a topology.Address, host string, port int) bool {
	if int(a.Port) != port {
		return false
	}
	if a.Host == host || a.Hostname != "" && strings.EqualFold(a.Hostname, host) {
		return true
	}
	ip, announced := net.ParseIP(host), net.ParseIP(a.Host)
	return ip != nil && ip.Equal(announced)
}

// find returns the Raft address of the node that a MEET means: a member that
// announces host:port (then member is set), else a seed that does, else whoever
// answers there as a client port. (In a container 127.0.0.1:6380 may be a port of the host, so
// what is announced goes before what can be dialled.)
func (n *Node) find(ctx context.Context, host string, port int) (addr string, member bool, err error) {
	for _, node := range n.Current().Nodes {
		if announces(node.Address, host, port) {
			return node.Address.Raft, true, nil
		}
	}
	if announces(n.Address(), host, port) {
		return n.opts.Address.Raft, true, nil
	}
	addr, tried := n.findSeed(ctx, host, port)
	if addr != "" {
		return addr, false, nil
	}
	hostport := net.JoinHostPort(host, strconv.Itoa(port))
	dial, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	info, err := n.opts.ClientPort.Identify(dial, hostport)
	if err == nil && info.Address.Raft == "" {
		err = errors.New("the answer names no Raft address")
	}
	if err != nil {
		return "", false, Error(fmt.Sprintf("ERR Can't find node %s: no member announces it; %s; as a client port: %s",
			hostport, tried, oneLine(err)))
	}
	return info.Address.Raft, false, nil
}

// findSeed asks all seeds at once and returns the first that announces
// host:port; otherwise a text that says what each of them answered.
func (n *Node) findSeed(ctx context.Context, host string, port int) (addr, tried string) {
	seeds := n.shuffled(n.opts.Seeds, n.opts.Address.Raft)
	if len(seeds) == 0 {
		return "", "no seeds are configured"
	}
	ctx, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	var mu sync.Mutex // for addr and texts
	var texts []string
	asking := sched.NewGroup(n.sched)
	for _, seed := range seeds {
		asking.Go("ask a seed", func() {
			info, err := ask[PeerInfo](ctx, n.opts.Peers, seed, MethodIdentify, identifyRequest{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				texts = append(texts, fmt.Sprintf("%s: %s", seed, oneLine(err)))
			case announces(info.Address, host, port):
				addr = seed
				cancel()
			default:
				announced := net.JoinHostPort(info.Address.Host, strconv.Itoa(int(info.Address.Port)))
				texts = append(texts, fmt.Sprintf("%s announces %s", seed, announced))
			}
		})
	}
	asking.Wait()
	if addr != "" {
		return addr, ""
	}
	slices.Sort(texts)
	return "", fmt.Sprintf("no seed announces it (%s)", strings.Join(texts, ", "))
}

// oneLine makes an error fit for an error reply.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// What has to happen so that two nodes end up in one cluster.
type course uint8

const (
	united        course = iota // both are in the same cluster and know it
	selfUnsettled               // wait until this node has arrived where it is going
	peerUnsettled               // the same for the peer
	selfJoins                   // this node joins the peer's cluster
	peerComes                   // the peer (or its whole island) has to join this one's
	selfDissolves               // this island has nothing to lose: its members join alone
	impossible                  // both islands own slots or keys
)

// setCourse decides who joins whom. Both sides come to the same result with the
// arguments swapped, and along the joins of lone nodes cluster ids only fall,
// so that there is no cycle in which everybody waits for somebody else.
func setCourse(self, peer PeerInfo) course {
	switch {
	case !self.Settled:
		return selfUnsettled
	case !peer.Settled:
		return peerUnsettled
	case self.Cluster == peer.Cluster:
		return united
	case self.lone() && peer.lone():
		if cmp.Less(self.Cluster, peer.Cluster) {
			return peerComes
		}
		return selfJoins
	case self.lone():
		return selfJoins
	case peer.lone():
		return peerComes
	case self.empty() && (!peer.empty() || cmp.Less(peer.Cluster, self.Cluster)):
		return selfDissolves
	case peer.empty():
		return peerComes
	}
	return impossible
}

// mayCome reports whether the node may join the peer although the order of
// their cluster ids says the opposite: the order only prevents cycles, and an
// operator who names the direction makes none.
func mayCome(self, peer PeerInfo) bool {
	return setCourse(self, peer) == peerComes && self.lone() && peer.lone()
}

// errReevaluate: the situation changed, so the course has to be set again.
var errReevaluate = errors.New("metaraft: the direction of the join has to be decided again")

// approach is one effort to bring this node and the node at addr into one
// cluster: as often as necessary it looks how both stand and does the next
// thing.
type approach struct {
	n       *Node
	addr    string   // the peer's Raft address
	name    string   // what the client calls the peer
	member  bool     // it is a fellow member, or was asked to become one, as far as this node knows
	invite  bool     // of two lone nodes, the peer has to come
	invited bool     // the peer's approach is such an invitation
	phase   string   // for the error at the deadline
	open    bool     // what was begun may have its effect later, whatever is answered
	islands []string // Raft addresses of dissolved islands, whose members follow
}

const phaseFinding = "finding the peer"

// unite brings this node and the node with Raft address addr into one cluster.
// Its error is one for the client.
func (n *Node) unite(ctx context.Context, addr, name string) error {
	ap := approach{n: n, addr: addr, name: name}
	return ap.run(ctx)
}

// run does one step after the other until both sides are united.
func (ap *approach) run(ctx context.Context) error {
	n := ap.n
	ap.phase = phaseFinding
	retry := n.backoff(time.Millisecond, 100*time.Millisecond)
	for {
		done, err := ap.step(ctx)
		var refusal Error
		switch {
		case done:
			return err
		case errors.As(err, &refusal):
			return ap.answer(refusal)
		case err != nil:
			retry.wait(ctx)
		}
		if ctx.Err() != nil || n.life.Err() != nil {
			return ap.answer(ap.late(ap.name, ap.phase))
		}
	}
}

// late is the error for a meeting that did not come to an end in time.
func (ap *approach) late(name, phase string) Error {
	text := fmt.Sprintf("ERR the meeting with %s did not finish in time: %s", name, phase)
	if ap.open {
		text += "; what has begun goes on in the background"
	}
	return Error(text)
}

// answer returns the error for the client: an ordinary one says that nothing
// has happened, so it becomes an uncertain one if something still may.
func (ap *approach) answer(refusal Error) Error {
	if text, ordinary := strings.CutPrefix(string(refusal), "ERR "); ordinary && ap.open {
		return Error("UNCERTAIN " + text)
	}
	return refusal
}

// step looks at both sides once and does what is next; done means united. An
// error that is no Error asks for a pause before the next step.
func (ap *approach) step(ctx context.Context) (done bool, err error) {
	n := ap.n
	peer, err := n.identify(ctx, ap.addr, true)
	if err != nil && ap.member && n.announcesRaft(ctx, ap.addr) {
		return true, nil // a member that is down is a member
	}
	if err != nil {
		if ctx.Err() == nil || ap.phase == phaseFinding {
			// The attempt that the deadline cut short says less than the ones before.
			ap.phase = fmt.Sprintf("its Raft address %s does not answer (%s)", ap.addr, oneLine(err))
		}
		return false, err
	}
	self := n.Info()
	if peer.Node == self.Node {
		if peer.Address.Raft != n.opts.Address.Raft {
			return false, Error(fmt.Sprintf("ERR the node at %s has this node's id %s: the data folder of one is a copy of the other's; CLUSTER RESET HARD the copy", ap.addr, self.Node))
		}
		return true, nil
	}
	direction := setCourse(self, peer)
	if ap.invite && mayCome(peer, self) {
		direction = peerComes
	}
	switch direction {
	case united:
		return ap.arrive(ctx, peer)
	case selfUnsettled:
		ap.phase = "this node is " + n.whereabouts()
		return false, n.awaitSettled(ctx)
	case peerUnsettled:
		ap.phase = fmt.Sprintf("%s is itself joining another cluster (%s)", ap.name, cmp.Or(peer.Joining, "its state has not arrived"))
		return false, errReevaluate
	case selfJoins:
		return false, ap.join(ctx, peer)
	case selfDissolves:
		ap.islands = append(ap.islands, self.Members...)
		ap.phase = "dissolving this node's cluster, which owns no slots"
		ap.open = true
		return false, n.dissolve(ctx, peer)
	case peerComes:
		if !peer.lone() {
			ap.islands = append(ap.islands, peer.Members...)
			ap.open = true
		}
		return false, ap.call(ctx, peer)
	}
	return false, Error(fmt.Sprintf("ERR both clusters own slots or keys: this one (%d nodes, %d slots) and that of %s (%d nodes, %d slots); "+
		"move one side's slots away, or CLUSTER RESET its nodes, and meet again",
		self.Nodes, self.Slots, ap.name, peer.Nodes, peer.Slots))
}

// identify asks the node at addr who it is; with wait it answers only once it
// is settled, within the call timeout.
func (n *Node) identify(ctx context.Context, addr string, wait bool) (PeerInfo, error) {
	// The callee bounds its wait by half of this, so its answer is not lost.
	ctx, cancel := n.within(ctx, n.opts.CallTimeout)
	defer cancel()
	return ask[PeerInfo](ctx, n.opts.Peers, addr, MethodIdentify, identifyRequest{Wait: wait})
}

func (n *Node) serveIdentify(ctx context.Context, request identifyRequest) PeerInfo {
	if request.Wait {
		ctx, cancel := n.within(ctx, n.opts.CallTimeout/2)
		defer cancel()
		_ = n.awaitSettled(ctx)
	}
	return n.Info()
}

// announcesRaft reports whether a linearizable read shows a member with that
// Raft address.
func (n *Node) announcesRaft(ctx context.Context, addr string) bool {
	v := n.View(ctx)
	return v.Quorum && slices.Contains(members(v), addr)
}

// awaitSettled returns when the node is not on its way into another cluster.
func (n *Node) awaitSettled(ctx context.Context) error {
	_, err := n.await(ctx, func(a *attachment) bool { return a.ready() && settled(a.machine.State()) })
	return err
}

// arrive ends an approach once a linearizable read confirms that both are
// members: either may have been forgotten without having heard of it. The
// members of dissolved islands, which follow on their own, get a moment to
// arrive too.
func (ap *approach) arrive(ctx context.Context, peer PeerInfo) (bool, error) {
	ap.phase = "waiting until MetaRaft confirms the membership of both"
	ap.open = true // as far as this node knows, it is done
	v := ap.n.View(ctx)
	if !v.Quorum || v.ClusterID != peer.Cluster {
		ap.n.duty("inquire", ap.n.inquire)
		return false, errReevaluate
	}
	if member := v.Node(peer.Node); member == nil || member.MetaID != peer.MetaID {
		ap.n.tell(ctx, []string{ap.addr}, notice{Cluster: v.ClusterID})
		return false, errReevaluate
	}
	if err := ap.verify(peer); err != nil {
		return false, err
	}
	wait, cancel := ap.n.within(ctx, ap.n.opts.CallTimeout)
	defer cancel()
	followers := sched.NewGroup(ap.n.sched)
	for _, addr := range ap.islands {
		followers.Go("await a follower", func() { ap.n.awaitFollower(wait, addr, peer.Cluster) })
	}
	followers.Wait()
	return true, nil
}

// verify returns an error if the peer only claims to be the member whose id it
// has: its data folder is a copy, or an old state of it.
func (ap *approach) verify(peer PeerInfo) error {
	a, _ := ap.n.replica()
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
		ap.phase = fmt.Sprintf("waiting until %s, which says that it is member %s at %s, has announced its start; "+
			"if it never does, its data folder is a copy", ap.name, member.ID, member.Address.Raft)
		return errReevaluate
	}
}

// awaitFollower returns when the node at addr is a settled member of cluster, or
// when ctx ends.
func (n *Node) awaitFollower(ctx context.Context, addr string, cluster uint64) {
	retry := n.backoff(time.Millisecond, 50*time.Millisecond)
	for {
		info, err := n.identify(ctx, addr, true)
		if err == nil && info.Settled && info.Cluster == cluster || !retry.wait(ctx) {
			return
		}
	}
}

// join makes this node join the peer's cluster and waits for it.
func (ap *approach) join(ctx context.Context, peer PeerInfo) error {
	j, err := ap.n.startJoin(ctx, peer, ap.addr, ap.invited)
	if err != nil {
		ap.phase = "this node is " + ap.n.whereabouts()
		return err
	}
	if sched.Wait(ap.n.sched, time.Time{}, j.done, ctx.Done()) == 0 {
		ap.arrived(j.err)
		return j.err
	}
	ap.phase = "this node is " + j.where()
	ap.open = true
	return ctx.Err()
}

// call asks the peer to come.
func (ap *approach) call(ctx context.Context, peer PeerInfo) error {
	ap.phase = fmt.Sprintf("%s was asked to join this node's cluster", ap.name)
	wait := ap.n.opts.MeetTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = deadline.Sub(ap.n.sched.Now())
	}
	reply, err := ask[meetReply](ctx, ap.n.opts.Peers, ap.addr, MethodJoinRequest,
		meetRequest{Address: ap.n.opts.Address.Raft, Come: ap.invite, WaitMs: (wait * 9 / 10).Milliseconds()})
	switch {
	case err != nil:
		ap.open = ap.open || !notSent(err)
		return err
	case reply.Error != "":
		return Error(reply.Error)
	}
	ap.arrived(nil)
	return nil
}

// arrived notes that a join came to its end: from then on, a peer that does not
// answer is probably a member that has gone down, and what happened has happened.
func (ap *approach) arrived(err error) {
	if err == nil {
		ap.member, ap.open = true, true
	}
}

// serveJoinRequest does this node's part in uniting with the caller: if it is
// the one that has to move it does, and answers when it has arrived.
func (n *Node) serveJoinRequest(ctx context.Context, request meetRequest) meetReply {
	wait := min(time.Duration(request.WaitMs)*time.Millisecond, n.opts.MeetTimeout)
	ctx, cancel := n.within(ctx, wait)
	defer cancel()
	ap := approach{n: n, addr: request.Address, name: request.Address}
	peer, err := n.identify(ctx, request.Address, false)
	if err != nil {
		return meetReply{Error: fmt.Sprintf("ERR node %s can't reach the Raft address %s that this node announces: %s",
			n.self(), request.Address, oneLine(err))}
	}
	self := n.Info()
	direction := setCourse(self, peer)
	if request.Come && mayCome(self, peer) {
		ap.invited = true
		direction = selfJoins
	}
	switch direction {
	case selfUnsettled:
		err = n.awaitSettled(ctx)
	case selfJoins:
		err = ap.join(ctx, peer)
	case selfDissolves:
		ap.open = true
		err = n.dissolve(ctx, peer)
	}
	var refusal Error
	switch {
	case errors.As(err, &refusal):
		return meetReply{Error: string(ap.answer(refusal))}
	case err != nil && ctx.Err() != nil:
		phase := fmt.Sprintf("node %s is %s", n.self(), n.whereabouts())
		return meetReply{Error: string(ap.answer(ap.late(request.Address, phase)))}
	}
	return meetReply{} // the caller looks again
}

// whereabouts says what this node is doing about its membership.
func (n *Node) whereabouts() string {
	n.mu.Lock()
	j := n.join
	n.mu.Unlock()
	if j != nil {
		return j.where()
	}
	a, _ := n.replica()
	if a == nil || !a.ready() {
		return "waiting for the state of its cluster"
	}
	switch s := a.machine.State(); {
	case s.Frozen != nil:
		return "frozen for joining " + s.Frozen.TargetAddr
	case s.Dissolved != nil:
		return "leaving its dissolved cluster for " + s.Dissolved.TargetAddr
	}
	return "settled"
}

// MetaAddLearner makes the node id, whose Raft address is addr, a member; of a
// member it is a no-op, since every member is at least a learner.
func (n *Node) MetaAddLearner(ctx context.Context, id topology.NodeID, addr string) error {
	ctx, cancel := n.within(ctx, n.opts.MeetTimeout)
	defer cancel()
	if n.View(ctx).Node(id) != nil {
		return nil
	}
	peer, err := n.identify(ctx, addr, true)
	if err != nil {
		dial, cancel := n.within(ctx, n.opts.CallTimeout)
		defer cancel()
		if info, portErr := n.opts.ClientPort.Identify(dial, addr); portErr == nil {
			return Error(fmt.Sprintf("ERR %s is a client port; the Raft address of that node is %s", addr, info.Address.Raft))
		}
		return Error(fmt.Sprintf("ERR Can't reach a node at the Raft address %s: %s", addr, oneLine(err)))
	}
	if peer.Node != id {
		return Error(fmt.Sprintf("ERR the node at %s is %s, not %s", addr, peer.Node, id))
	}
	if !peer.lone() {
		return Error(fmt.Sprintf("ERR node %s belongs to another cluster; CLUSTER RESET it first, or use CLUSTER MEET", id))
	}
	ap := approach{n: n, addr: addr, name: addr, invite: true}
	return ap.run(ctx)
}
