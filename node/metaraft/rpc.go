package metaraft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/genuineh/aikv/node/topology"
)

// The methods of Serve. They travel as the transport's method byte, so the
// numbers are part of the protocol between nodes; 1 to 31 belong to this
// package.
const (
	// MethodIdentify asks a node who it is: IdentifyRequest → PeerInfo.
	MethodIdentify uint8 = 1 + iota
	// MethodPropose brings a proposal to the MetaRaft leader.
	MethodPropose
	// MethodJoin asks a cluster to admit the caller, MethodBurn makes sure
	// that an earlier MethodJoin has no effect any more.
	MethodJoin
	MethodBurn
	// MethodJoinRequest asks a node to join the caller's cluster.
	MethodJoinRequest
	// MethodWhoami asks a node whether its cluster still knows the caller.
	MethodWhoami
	// MethodDeparted asks the MetaRaft leader whether the groups'
	// configurations are rid of a node.
	MethodDeparted
	// MethodNotice tells a node what it may have missed: that its cluster
	// dissolved, or that it may have been forgotten. The node asks a majority
	// before it believes it.
	MethodNotice
	// MethodFarewell tells a cluster that a member has left it: Farewell →
	// farewellReply.
	MethodFarewell
	// MethodComeBack asks a cluster to take a member back that has lost part of its
	// log.
	MethodComeBack
)

// PeerInfo is what a node tells about itself and its cluster. It is a snapshot
// of what that node has applied.
type PeerInfo struct {
	Node    topology.NodeID  `json:"node"`
	Cluster uint64           `json:"cluster"`
	MetaID  uint64           `json:"meta_id"`
	Address topology.Address `json:"address"`
	// Nodes is how many nodes the cluster has, Slots how many slots are
	// assigned in it, Residue whether a shard holds keys of slots that it does
	// not own.
	Nodes   int  `json:"nodes"`
	Slots   int  `json:"slots"`
	Residue bool `json:"residue"`
	// Staying is false while the node moves to another cluster:
	// frozen, dissolved, or admitted and still without the cluster's state.
	Staying bool `json:"settled"`
	// Joining is where a moving node is going, as far as known.
	Joining string `json:"joining,omitempty"`
	// Members are the Raft addresses of all nodes of the cluster.
	Members []string `json:"members"`
	Lineage Lineage  `json:"lineage,omitempty"`
}

// lone reports whether the node is a cluster of one.
func (p PeerInfo) lone() bool { return p.Nodes == 1 }

// empty reports whether the node's cluster has neither slots nor keys.
func (p PeerInfo) empty() bool { return p.Slots == 0 && !p.Residue }

type identifyRequest struct {
	// Wait asks for an answer only once the node does not move any more, within bounds.
	Wait bool `json:"wait,omitempty"`
}

// What a forwarded proposal came to.
const (
	forwardDone      = "done"
	forwardNotLeader = "not-leader" // certainly not appended here
	forwardUncertain = "uncertain"
	forwardElsewhere = "elsewhere" // the node is not in that cluster: certainly not appended
	forwardRefused   = "refused"   // the leader cannot read it: certainly not appended
)

type proposeRequest struct {
	Cluster uint64 `json:"cluster"`
	Payload []byte `json:"payload"`
}

type proposeReply struct {
	Status string `json:"status"`
	Result []byte `json:"result,omitempty"`
	// Leader is the Raft address of the leader as the answering node knows it.
	Leader string `json:"leader,omitempty"`
}

// joinRequest carries a joiner's whole state as of its freeze.
type joinRequest struct {
	Cluster uint64 `json:"cluster"` // the cluster that the joiner froze for
	Admit   Admit  `json:"admit"`
}

type burnRequest struct {
	Cluster uint64          `json:"cluster"`
	Token   uint64          `json:"token"`
	Node    topology.NodeID `json:"node"`
}

// joinReply answers joinRequest and burnRequest. Elsewhere means that the node
// is not in the cluster asked for (any more), Ended that nobody is; otherwise
// Admit is the answer, or nil while there is none.
type joinReply struct {
	Elsewhere bool          `json:"elsewhere,omitempty"`
	Ended     bool          `json:"ended,omitempty"`
	Admit     *AdmitOutcome `json:"admit,omitempty"`
}

// meetRequest asks the callee to come to the cluster in which the caller is.
type meetRequest struct {
	Address string `json:"address"` // the caller's Raft address
	// Come asks the callee to join even where the order of the cluster ids
	// says that the caller joins: both are lone, and an operator chose.
	Come bool `json:"come,omitempty"`
	// WaitMs is for how long the caller wants to wait.
	WaitMs int64 `json:"wait_ms"`
}

// meetReply is empty when the callee's part is done: the caller evaluates the
// situation anew. Error is the text for the client.
type meetReply struct {
	Error string `json:"error,omitempty"`
}

// What a cluster says about a node that asks whether it is still a member.
const (
	whoamiMember    = "member"
	whoamiForgotten = "forgotten" // confirmed by a linearizable read
	whoamiElsewhere = "elsewhere" // the answering node is in another cluster
	whoamiStateless = "stateless" // it waits for the state of that cluster itself
	whoamiUnknown   = "unknown"
)

type whoamiRequest struct {
	Cluster uint64          `json:"cluster"`
	Node    topology.NodeID `json:"node"`
	MetaID  uint64          `json:"meta_id"`
}

type whoamiReply struct {
	Status string          `json:"status"`
	Node   topology.NodeID `json:"node"` // the answering node
	// Dissolved says how the asker's cluster ended, if the answering node knows.
	Dissolved *dissolution `json:"dissolved,omitempty"`
}

type departedRequest struct {
	Cluster uint64          `json:"cluster"`
	MetaID  uint64          `json:"meta_id"`
	Node    topology.NodeID `json:"node"`
}

type departedReply struct {
	Departed bool   `json:"departed"`
	Leader   string `json:"leader,omitempty"`
}

// notice has an empty reply.
type notice struct {
	Cluster uint64 `json:"cluster"`
	// Dissolved says how the cluster ended; nil in a notice that the receiver
	// should check whether it was forgotten.
	Dissolved *dissolution `json:"dissolved,omitempty"`
}

// dissolution is the end of a cluster that dissolved: where its members go, and
// what each of them takes along. Whoever is not among them was forgotten before.
type dissolution struct {
	Target  string         `json:"target"` // Raft address
	Members []formerMember `json:"members"`
}

type formerMember struct {
	Node        topology.NodeID `json:"node"`
	MetaID      uint64          `json:"meta_id"`
	ConfigEpoch uint64          `json:"config_epoch,omitempty"`
	Follows     topology.NodeID `json:"follows,omitempty"`
}

// member returns what the member with that identity takes along, nil if there
// was none.
func (d *dissolution) member(id Identity) *formerMember {
	for i := range d.Members {
		if m := &d.Members[i]; m.Node == id.Node && m.MetaID == id.MetaID {
			return m
		}
	}
	return nil
}

// encodeRPC never fails: the bodies hold nothing that JSON cannot express.
func encodeRPC(body any) []byte {
	message, err := Encode(body)
	if err != nil {
		panic(fmt.Sprintf("%T: %v", body, err))
	}
	return message
}

// decodeRPC ignores fields that it does not know, unlike Decode: a newer node
// may add some, and what must not be ignored gets a new method.
func decodeRPC[T any](message []byte) (T, error) {
	var body T
	if len(message) == 0 || message[0] != formatJSON {
		return body, ErrFormat
	}
	if err := json.Unmarshal(message[1:], &body); err != nil {
		return body, fmt.Errorf("metaraft: decode %T: %w", body, err)
	}
	return body, nil
}

// ask makes one call to the node at a Raft address.
func ask[Reply any](ctx context.Context, peers Peers, addr string, method uint8, request any) (Reply, error) {
	reply, err := peers.Call(ctx, addr, method, encodeRPC(request))
	if err != nil {
		var none Reply
		return none, err
	}
	return decodeRPC[Reply](reply)
}

// notSent reports whether a failed call certainly never reached the peer.
func notSent(err error) bool {
	var e interface{ NotSent() bool }
	return errors.As(err, &e) && e.NotSent()
}

// handle adapts a typed handler to Serve.
func handle[Request, Reply any](ctx context.Context, message []byte, fn func(context.Context, Request) Reply) ([]byte, error) {
	request, err := decodeRPC[Request](message)
	if err != nil {
		return nil, err
	}
	return encodeRPC(fn(ctx, request)), nil
}

// Serve answers a peer's call; the transport's Handler passes every call with
// one of this package's methods here. It may block until ctx ends.
func (n *Node) Serve(ctx context.Context, from uint64, method uint8, request []byte) ([]byte, error) {
	switch method {
	case MethodIdentify:
		return handle(ctx, request, n.serveIdentify)
	case MethodPropose:
		return handle(ctx, request, n.servePropose)
	case MethodJoin:
		return handle(ctx, request, n.serveJoin)
	case MethodBurn:
		return handle(ctx, request, n.serveBurn)
	case MethodJoinRequest:
		return handle(ctx, request, n.serveJoinRequest)
	case MethodWhoami:
		return handle(ctx, request, n.serveWhoami)
	case MethodDeparted:
		return handle(ctx, request, n.serveDeparted)
	case MethodNotice:
		return handle(ctx, request, n.serveNotice)
	case MethodFarewell:
		return handle(ctx, request, n.serveFarewell)
	case MethodComeBack:
		return handle(ctx, request, func(ctx context.Context, r comeBackRequest) comeBackReply { return n.serveComeBack(ctx, from, r) })
	}
	return nil, fmt.Errorf("metaraft: node %s called the unknown method %d", topology.NodeID(from), method)
}

// shuffled returns addrs in random order without duplicates and without the
// addresses to leave out.
func (n *Node) shuffled(addrs []string, without ...string) []string {
	var list []string
	for _, a := range addrs {
		if a != "" && !slices.Contains(without, a) && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	n.shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
