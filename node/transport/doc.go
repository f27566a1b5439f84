// Package transport carries bytes between the nodes of a cluster over gRPC.
//
// # Three services
//
// Frames: from each node to each peer there is one one-way stream per Class,
// each on a TCP connection of its own, so that a big entry (Bulk) never delays
// a heartbeat (Control). Frames of a stream arrive in order, each at most once;
// frames are lost when a stream breaks, which Raft tolerates. Sending never
// blocks: a frame that does not fit the bounded queue is refused.
//
// Calls: a unary request with an answer, to an address rather than to a node,
// because it also serves nodes that are not yet members of a cluster.
//
// Fetches: a stream of pieces that a node asks a peer for, such as the state of
// a member. It has a connection of its own and the receiver's pace, so that it
// delays neither frames nor calls; one that stalls is ended.
//
// # Who is let in
//
// A connection begins with a challenge in which both ends prove that they know a
// secret of the cluster, before anything else is read: see secret.go. The secret
// itself is never sent. Two may be valid at a time, so that it can be replaced
// without stopping the cluster.
//
// The first message of every stream, and the head of every call and fetch, is a
// hello: protocol range, feature bits, cluster id, node id and the node meant. A
// stream or fetch needs the same cluster id, an overlapping protocol range, and
// the right receiver: an address that meanwhile belongs to another node gets no
// frames. A call needs the protocol; what a foreign cluster may ask is for
// Handler.Serve to decide. Unless TLS is configured, what follows the challenge
// is neither encrypted nor protected against whoever can change packets.
//
// # Invariants
//
//   - A connection that has not proved the secret costs its socket and a few
//     hundred bytes, for helloTimeout at most: TestStrangersCostNothing.
//   - Receive runs on at most one goroutine at a time for a given sender and
//     class, also across reconnects.
//   - After IdentityChanged has returned, no frame that was sent under the old
//     cluster id reaches Receive, except one whose Receive had already begun.
//   - Close returns after every goroutine of the transport has ended.
//
// The border lies here because nothing in this package knows Raft: frames are
// opaque, and who is a peer comes from outside.
package transport
