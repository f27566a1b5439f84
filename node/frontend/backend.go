package frontend

import (
	"time"

	"github.com/genuineh/aikv/node/blocking"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// Backend is the node behind the front end. All methods may be called
// concurrently.
type Backend interface {
	// Setting returns the value of one of Redis's configuration parameters.
	Setting(name string) string
	// Live is what the node knows of its peers now.
	Live() topology.Live
	// LocalView returns the topology as this node has applied it, without
	// asking anyone. It is called for every pipeline: an atomic load.
	LocalView() *topology.View
	// ViewChanged returns a channel that is closed when LocalView changes next.
	ViewChanged() <-chan struct{}
	// Replica returns this node's data replica of the shard, or nil.
	Replica(shard topology.GroupID) Replica
	// Own returns the replica of the shard that the node serves or follows, or
	// nil if it holds no data. There is at most one.
	Own() Replica
}

// Replica is this node's copy of a shard's data. All methods may be called
// concurrently. Replicas are compared with ==.
type Replica interface {
	// Leads reports whether the replica leads its group and has applied an
	// entry of its own term: only then may it serve.
	Leads() bool
	// Takes reports whether the replica has applied that its shard owns the slot, or, for
	// a client that sent ASKING, that it is importing it.
	Takes(slot uint16, asking bool) bool
	// Age returns how old the applied state may be at most; ok is false if the
	// replica has not yet caught up with a leader.
	Age() (age time.Duration, ok bool)
	// Complete reports whether the state has ever been whole since the node was
	// started, if only as of an earlier time.
	Complete() bool
	// Submit hands writes to the group, in order, and does not block. Each
	// call's Payload is in the form of command.AppendArgs or AppendTransaction, and its
	// Result a *resp.Reply. The group ends every call. Payload and Result are the
	// submitter's again when the call has ended, except after ErrUncertain:
	// then they are left to the group for good. The slice of calls is the
	// caller's again on return.
	Submit(calls ...*multiraft.Call)
	// Barrier ends call once reads of applied state are linearizable with
	// every write that was acknowledged before. It does not block.
	Barrier(call *multiraft.Call)
	// Lease returns a token under which applied state may be read without a
	// barrier, or 0. What was read counts only if LeaseValid says afterwards that the
	// token is still good.
	Lease() uint64
	LeaseValid(token uint64) bool
	// Read evaluates a Read command, which args names, against applied state, and
	// writes the reply to r. behind is true if the reply depends on a key that has
	// expired by the local clock but not by the replicated one: then the caller drops
	// it, submits command.AppendTick's write and reads again (so that no successor
	// with a slower clock revives the key). The replica fills in what v says of the
	// state and the time, if there is no state in it yet; it stays for the next read,
	// until the caller ends it.
	Read(args *command.Args, v *command.View, r *resp.Reply) (behind bool)
	// Look has v look at the state that Read would, as it is.
	Look(v *command.View)
	// Exec is Read for a transaction of Read commands, in command.AppendTransaction's
	// form: it is evaluated against one state.
	Exec(payload []byte, v *command.View, r *resp.Reply) (behind bool)
	// Blocked returns the keys that clients are blocked on: the replica wakes them when
	// a key comes to hold something, and when it serves the key no more.
	Blocked() *blocking.Keys
}
