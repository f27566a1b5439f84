package metaraft

import (
	"github.com/genuineh/aikv/node/topology"
)

// Error is a refusal in the exact words that the client reads, prefix included
// ("ERR Slot 5 is already busy").
type Error string

func (e Error) Error() string { return string(e) }

// Uncertain answers a change whose outcome nobody remembers any more, or that
// stayed undecided until its deadline.
const Uncertain = Error("UNCERTAIN the topology change may or may not have been applied")

// Origin makes a proposal exactly-once: however often a forwarder retries with
// the same origin, it is applied once and every retry gets the first outcome.
// The zero Origin switches that off, for changes that are idempotent anyway.
type Origin struct {
	Node  topology.NodeID
	Nonce uint64 // random per boot of the node
	Seq   uint64 // rises within a nonce, from 1
}

// Proposal is one topology change on its way to Machine.Apply.
type Proposal struct {
	Origin Origin
	Time   int64 // the proposer's unix ms; informative only
	Change Change
}

// Kind names a kind of change in the log. Kinds are never renamed.
type Kind string

// Change is the body of a proposal: one of the pointer types in changes. Each stands with its apply
// in apply_*.go, or copies.go.
type Change interface {
	Kind() Kind
	// apply checks the change against d and carries it out. A non-nil
	// Outcome.Error drops everything that it did to d (except after d.keep).
	apply(d *draft) Outcome
}

// Outcome is the result of one proposal.
type Outcome struct {
	Error   string        `json:",omitempty"` // exact client text with prefix; empty = done
	Index   uint64        // MetaRaft index at which the proposal was applied
	Epoch   uint64        `json:",omitempty"` // what is about slots: slot epoch; epoch commands: config epoch
	Bumped  bool          `json:",omitempty"` // BumpEpoch
	Intent  uint64        `json:",omitempty"` // DelSlots, SetSlot
	Ended   int           `json:",omitempty"` // EndMigration
	Warning string        `json:",omitempty"` // Promote, Forget
	Passing bool          `json:",omitempty"` // the refusal will not last: see guarded
	Admit   *AdmitOutcome `json:",omitempty"` // Admit, BurnToken
	Join    *Admit        `json:",omitempty"` // Freeze
}

// Err returns the refusal as an Error, nil when the change was done.
func (o Outcome) Err() error {
	if o.Error == "" {
		return nil
	}
	return Error(o.Error)
}

// How a join token ended.
const (
	Admitted = "admitted" // the node is a member
	Refused  = "refused"  // AdmitOutcome.Text says why; the token is burned
	Retry    = "retry"    // the target is itself joining somewhere; the token is burned
	Burned   = "burned"   // the token is burned
)

// AdmitOutcome is what a joiner learns about its token.
type AdmitOutcome struct {
	Status    string
	Text      string `json:",omitempty"` // of a refusal: exact client text with prefix
	ClusterID uint64 `json:",omitempty"`
	MetaID    uint64 `json:",omitempty"` // the joiner's Raft id in MetaRaft
	Index     uint64 `json:",omitempty"` // the state as of this index contains the joiner
	// Peers are the other members; who votes may have changed meanwhile.
	Peers []MetaMember `json:",omitempty"`
}

// MetaMember is a wished member of the MetaRaft group.
type MetaMember struct {
	Node     topology.NodeID
	MetaID   uint64
	RaftAddr string
	Voter    bool
}

// changes lists every kind with a maker of its empty body.
var changes = map[Kind]func() Change{
	"init":               func() Change { return new(Init) },
	"set-address":        func() Change { return new(SetAddress) },
	"set-endpoint":       func() Change { return new(SetEndpointType) },
	"add-slots":          func() Change { return new(AddSlots) },
	"del-slots":          func() Change { return new(DelSlots) },
	"sealed":             func() Change { return new(Sealed) },
	"cancel-intent":      func() Change { return new(CancelIntent) },
	"clear-residue":      func() Change { return new(ClearResidue) },
	"set-slot":           func() Change { return new(SetSlot) },
	"start-migration":    func() Change { return new(StartMigration) },
	"hand-over":          func() Change { return new(HandOver) },
	"hand-back":          func() Change { return new(HandBack) },
	"complete-migration": func() Change { return new(CompleteMigration) },
	"end-migration":      func() Change { return new(EndMigration) },
	"garbage-gone":       func() Change { return new(GarbageGone) },
	"replicate":          func() Change { return new(Replicate) },
	"takeover":           func() Change { return new(Takeover) },
	"report":             func() Change { return new(Report) },
	"membership-done":    func() Change { return new(MembershipDone) },
	"admit":              func() Change { return new(Admit) },
	"burn-token":         func() Change { return new(BurnToken) },
	"freeze":             func() Change { return new(Freeze) },
	"unfreeze":           func() Change { return new(Unfreeze) },
	"dissolve":           func() Change { return new(Dissolve) },
	"forget":             func() Change { return new(Forget) },
	"leave":              func() Change { return new(Leave) },
	"set-config-epoch":   func() Change { return new(SetConfigEpoch) },
	"bump-epoch":         func() Change { return new(BumpEpoch) },
	"liveness":           func() Change { return new(Liveness) },
	"relieve":            func() Change { return new(Relieve) },
	"settle-copies":      func() Change { return new(AdjustCopies) },
	"promote":            func() Change { return new(Promote) },
	"come-back":          func() Change { return new(ComeBack) },
	"feature":            func() Change { return new(Feature) },
}
