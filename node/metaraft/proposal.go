package metaraft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/genuineh/aikv/node/slot"
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

// Change is the body of a proposal: one of the pointer types of this file.
type Change interface {
	Kind() Kind
	// apply checks the change against d and carries it out. A non-nil
	// Outcome.Error drops everything that it did to d (except after d.keep).
	apply(d *draft) Outcome
}

// Init is the first change of a lone cluster; refused on any other state.
type Init struct {
	ClusterID uint64
	Node      topology.NodeID
	Address   topology.Address
	MetaID    uint64 // the node's Raft id in the MetaRaft group, not 0
	Feature   uint32
	// ConfigEpoch and Follows are what the node keeps of a cluster that
	// dissolved: see NodeRecord.
	ConfigEpoch uint64          `json:",omitempty"`
	Follows     topology.NodeID `json:",omitempty"`
	Incarnation Incarnation     `json:",omitzero"`
}

// SetAddress records where a node is reached, and its present incarnation. It is
// refused where the node's folder does not continue the recorded one.
type SetAddress struct {
	Node    topology.NodeID
	Address topology.Address
	Lineage Lineage `json:",omitempty"`
}

// SetEndpointType sets State.EndpointType.
type SetEndpointType struct{ Type string }

// AddSlots gives unassigned slots to the shard that Node leads. NewGroup is a
// random id, used if the node has no shard yet. Outcome.Epoch is the slots' new
// slot epoch.
type AddSlots struct {
	Node     topology.NodeID
	Slots    Slots
	NewGroup topology.GroupID
}

// DelSlots starts an intent that takes the slots from their owners; with Node
// set, all slots that this master owns. With Empty, the intent ends without
// effect, and with the error errNotEmpty, if any of them still holds keys when it
// is sealed. Outcome.Intent is the intent to wait for (0 when there are no
// slots: nothing to do), Outcome.Epoch its slot epoch.
type DelSlots struct {
	Slots Slots
	Node  topology.NodeID `json:",omitempty"`
	Empty bool            `json:",omitempty"`
}

// errNotEmpty is what FLUSHSLOTS answers where there are keys.
const errNotEmpty = Error("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")

// Sealed reports that Group no longer accepts writes to its slots of Intent,
// and in which of them it still holds keys. The last group's report carries the
// intent out. It does nothing for an intent that is no longer pending.
type Sealed struct {
	Intent  uint64
	Group   topology.GroupID
	Residue Slots
}

// CancelIntent ends a pending intent without effect: the slots get a new epoch,
// with which their owners take them up again, and Outcome.Error says that
// nothing was changed. For a finished intent it answers how that one ended.
type CancelIntent struct{ Intent uint64 }

// ClearResidue reports that Group holds no more keys in Slots.
type ClearResidue struct {
	Group topology.GroupID
	Slots Slots
}

// Replicate makes Node a replica of Master. That a master Node holds no keys
// is for the proposer to check before. NewGroup is a random id, used if Master
// has no shard yet.
type Replicate struct {
	Node, Master topology.NodeID
	NewGroup     topology.GroupID
}

// Takeover records that Node, under RaftID, leads Shard's group in Raft term Term.
// Ignored unless that is a wished data member and the term rises.
type Takeover struct {
	Shard  topology.GroupID
	Node   topology.NodeID
	RaftID uint64 `json:",omitempty"` // 0: whichever it has
	Term   uint64
}

// MembershipDone reports that the group contains exactly the members of that
// version of the wish.
type MembershipDone struct {
	Shard   topology.GroupID
	Version uint64
}

// Report is the word of the leader of Shard's group, whose Raft id is Leader, on who
// votes there and who has the data: see topology.Shard and topology.Member. Synced
// and Behind name members of which that is known or known not to be so; the others
// stay what they were. Ignored if it is older than what is recorded: the term of
// the record or of the shard's master is higher, or in the same term Seq is not
// above the recorded one.
type Report struct {
	Shard            topology.GroupID
	Leader           uint64
	Term, Seq        uint64
	Voters, Outgoing []uint64 `json:",omitempty"`
	Synced, Behind   []uint64 `json:",omitempty"`
}

// Admit takes a lone node with everything it owns into the cluster. It is the
// one commit point of a join and idempotent by Token; Outcome.Admit says how it
// ended. Freeze makes its body.
type Admit struct {
	Token       uint64 // random, not 0
	Node        topology.NodeID
	Address     topology.Address
	ConfigEpoch uint64
	Shards      []Import
	// MaxRaftID, SlotEpoch and Epoch are the joiner's counters: no Raft id up
	// to MaxRaftID may be given out again.
	MaxRaftID uint64
	SlotEpoch uint64
	Epoch     uint64
	// Follows is the joiner's NodeRecord.Follows. NewGroup is a random id, used
	// if this join reunites a replica with a master that has no shard yet.
	Follows  topology.NodeID  `json:",omitempty"`
	NewGroup topology.GroupID `json:",omitempty"`
	Lineage  Lineage          `json:",omitempty"`
}

// Import is a shard that comes with a joining node.
type Import struct {
	Shard ShardRecord
	// Slots are the shard's slots with their epochs.
	Slots []SlotRun
	// Residue are slots that the shard does not own but holds keys of.
	Residue Slots
}

// BurnToken makes sure that no Admit with this token succeeds from now on.
// Outcome.Admit says "burned", or "admitted" if it was too late.
type BurnToken struct{ Token uint64 }

// Freeze stops every topology change of a lone cluster that is about to join
// the target. Outcome.Join is what the node brings along. Freezing again with
// the same token answers the same.
type Freeze struct {
	Token         uint64 // random, not 0
	TargetAddr    string // Raft address of a member of the target
	TargetCluster uint64
	Others        []string `json:",omitempty"` // the Raft addresses of its other members
}

// Unfreeze ends the freeze with that token, if there is one.
type Unfreeze struct{ Token uint64 }

// Dissolve ends a cluster that owns no slots and no keys: every member becomes lone and
// joins the target by itself. Nothing can be changed afterwards.
type Dissolve struct {
	Token         uint64
	TargetAddr    string
	TargetCluster uint64
}

// Forget removes a member for good and leaves a tombstone. What a guard refuses
// (guard.go) is done with Force, and Outcome.Warning says what is lost by that: a
// shard of which no whole copy stays is dropped, and one that has lost its majority
// goes on from a copy that lives (topology.Shard.Refound).
type Forget struct {
	Node  topology.NodeID
	Force bool `json:",omitempty"`
}

// Leave is how a member removes itself (CLUSTER RESET). It ends the membership
// with that MetaRaft id alone: a late one does nothing to a node that came back.
// The node has made sure that it holds no keys that only it has. Gone says that it
// has dropped its data already, so that there is nothing left to guard. Lineage, if
// there is one, is that of the folder which left: the member of another is kept.
type Leave struct {
	Node    topology.NodeID
	MetaID  uint64
	Gone    bool    `json:",omitempty"`
	Lineage Lineage `json:",omitempty"`
}

// SetConfigEpoch sets the config epoch of a lone node that has none.
type SetConfigEpoch struct {
	Node  topology.NodeID
	Epoch uint64
}

// BumpEpoch gives the node the highest config epoch of the cluster.
// Outcome.Epoch is its epoch, Outcome.Bumped whether it changed.
type BumpEpoch struct{ Node topology.NodeID }

// Liveness records which nodes the MetaRaft leader has lost and found, and which
// shards it has missed, and found, a leader of.
type Liveness struct {
	Failed, Alive []topology.NodeID
	Unled         []Leaderless       `json:",omitempty"`
	Led           []topology.GroupID `json:",omitempty"`
}

// Leaderless is a shard that nobody is known to lead. It says nothing of a shard
// that has been taken over since MasterTerm.
type Leaderless struct {
	Shard      topology.GroupID
	MasterTerm uint64
}

// Relieve takes from nodes that have been failed for long the duties that others
// can do: their places as arbiters, and their votes in MetaRaft unless they were
// promoted by hand. Data stays where it is, and what no node that lives can take
// over stays too.
type Relieve struct{ Nodes []topology.NodeID }

// SettleCopies gives arbiters of these shards a copy of the data, or lets them give
// it up, if that is still called for: see shardCopies.
type SettleCopies struct{ Shards []topology.GroupID }

// Promote makes nodes voters of MetaRaft until they are forgotten.
// Outcome.Warning is set if that makes the number of voters even.
type Promote struct{ Nodes []topology.NodeID }

// Feature raises the feature level that replicated behaviour follows.
type Feature struct{ Level uint32 }

// Outcome is the result of one proposal.
type Outcome struct {
	Error   string        `json:",omitempty"` // exact client text with prefix; empty = done
	Index   uint64        // MetaRaft index at which the proposal was applied
	Epoch   uint64        `json:",omitempty"` // AddSlots, DelSlots: slot epoch; epoch commands: config epoch
	Bumped  bool          `json:",omitempty"` // BumpEpoch
	Intent  uint64        `json:",omitempty"` // DelSlots
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
	"init":             func() Change { return new(Init) },
	"set-address":      func() Change { return new(SetAddress) },
	"set-endpoint":     func() Change { return new(SetEndpointType) },
	"add-slots":        func() Change { return new(AddSlots) },
	"del-slots":        func() Change { return new(DelSlots) },
	"sealed":           func() Change { return new(Sealed) },
	"cancel-intent":    func() Change { return new(CancelIntent) },
	"clear-residue":    func() Change { return new(ClearResidue) },
	"replicate":        func() Change { return new(Replicate) },
	"takeover":         func() Change { return new(Takeover) },
	"report":           func() Change { return new(Report) },
	"membership-done":  func() Change { return new(MembershipDone) },
	"admit":            func() Change { return new(Admit) },
	"burn-token":       func() Change { return new(BurnToken) },
	"freeze":           func() Change { return new(Freeze) },
	"unfreeze":         func() Change { return new(Unfreeze) },
	"dissolve":         func() Change { return new(Dissolve) },
	"forget":           func() Change { return new(Forget) },
	"leave":            func() Change { return new(Leave) },
	"set-config-epoch": func() Change { return new(SetConfigEpoch) },
	"bump-epoch":       func() Change { return new(BumpEpoch) },
	"liveness":         func() Change { return new(Liveness) },
	"relieve":          func() Change { return new(Relieve) },
	"settle-copies":    func() Change { return new(SettleCopies) },
	"promote":          func() Change { return new(Promote) },
	"feature":          func() Change { return new(Feature) },
}

// Kind implements Change.
func (*Init) Kind() Kind { return "init" }

// Kind implements Change.
func (*SetAddress) Kind() Kind { return "set-address" }

// Kind implements Change.
func (*SetEndpointType) Kind() Kind { return "set-endpoint" }

// Kind implements Change.
func (*AddSlots) Kind() Kind { return "add-slots" }

// Kind implements Change.
func (*DelSlots) Kind() Kind { return "del-slots" }

// Kind implements Change.
func (*Sealed) Kind() Kind { return "sealed" }

// Kind implements Change.
func (*CancelIntent) Kind() Kind { return "cancel-intent" }

// Kind implements Change.
func (*ClearResidue) Kind() Kind { return "clear-residue" }

// Kind implements Change.
func (*Replicate) Kind() Kind { return "replicate" }

// Kind implements Change.
func (*Takeover) Kind() Kind { return "takeover" }

// Kind implements Change.
func (*MembershipDone) Kind() Kind { return "membership-done" }

// Kind implements Change.
func (*Report) Kind() Kind { return "report" }

// Kind implements Change.
func (*Admit) Kind() Kind { return "admit" }

// Kind implements Change.
func (*BurnToken) Kind() Kind { return "burn-token" }

// Kind implements Change.
func (*Freeze) Kind() Kind { return "freeze" }

// Kind implements Change.
func (*Unfreeze) Kind() Kind { return "unfreeze" }

// Kind implements Change.
func (*Dissolve) Kind() Kind { return "dissolve" }

// Kind implements Change.
func (*Forget) Kind() Kind { return "forget" }

// Kind implements Change.
func (*Leave) Kind() Kind { return "leave" }

// Kind implements Change.
func (*SetConfigEpoch) Kind() Kind { return "set-config-epoch" }

// Kind implements Change.
func (*BumpEpoch) Kind() Kind { return "bump-epoch" }

// Kind implements Change.
func (*Liveness) Kind() Kind { return "liveness" }

// Kind implements Change.
func (*Relieve) Kind() Kind { return "relieve" }

// Kind implements Change.
func (*SettleCopies) Kind() Kind { return "settle-copies" }

// Kind implements Change.
func (*Promote) Kind() Kind { return "promote" }

// Kind implements Change.
func (*Feature) Kind() Kind { return "feature" }

// Slots is a slot.Set that travels as its ranges ("0-5460 7").
type Slots struct{ slot.Set }

// MarshalText implements encoding.TextMarshaler.
func (s Slots) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Slots) UnmarshalText(text []byte) error {
	s.Set = slot.Set{}
	for _, field := range bytes.Fields(text) {
		r, err := parseRange(string(field))
		if err != nil {
			return err
		}
		s.AddRange(r)
	}
	return nil
}

func parseRange(text string) (slot.Range, error) {
	var r slot.Range
	if n, err := fmt.Sscanf(text, "%d-%d", &r.Start, &r.End); n == 1 {
		r.End = r.Start
	} else if err != nil {
		return r, fmt.Errorf("slots %q: %w", text, err)
	}
	if r.Start > r.End || r.End >= slot.Count || r.String() != text {
		return r, fmt.Errorf("slots %q: not a range of slots", text)
	}
	return r, nil
}

// What cannot be decoded was written by something newer, or is damaged.
var (
	ErrFormat      = errors.New("metaraft: unknown format")
	ErrUnknownKind = errors.New("metaraft: unknown kind of change")
)

// formatJSON is the first byte of everything this package writes: JSON follows.
const formatJSON = 1

// Encode returns v (an Outcome, or the body of an RPC) as a format byte and JSON.
func Encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("metaraft: encode: %w", err)
	}
	return append([]byte{formatJSON}, data...), nil
}

// Decode reads what Encode wrote. Fields that v does not have are an error.
func Decode(data []byte, v any) error {
	if len(data) == 0 || data[0] != formatJSON {
		return ErrFormat
	}
	dec := json.NewDecoder(bytes.NewReader(data[1:]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("metaraft: decode: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows it", ErrFormat)
	}
	return nil
}

// wireProposal is the encoded form of a Proposal.
type wireProposal struct {
	Origin Origin
	Time   int64
	Kind   Kind
	Body   json.RawMessage
}

// EncodeProposal returns the payload to propose.
func EncodeProposal(p Proposal) ([]byte, error) {
	body, err := json.Marshal(p.Change)
	if err != nil {
		return nil, fmt.Errorf("metaraft: encode %s: %w", p.Change.Kind(), err)
	}
	return Encode(wireProposal{p.Origin, p.Time, p.Change.Kind(), body})
}

// DecodeProposal reads what EncodeProposal wrote; ErrFormat or ErrUnknownKind
// if something newer wrote it.
func DecodeProposal(data []byte) (Proposal, error) {
	var wire wireProposal
	if err := Decode(data, &wire); err != nil {
		return Proposal{}, err
	}
	makeChange, ok := changes[wire.Kind]
	if !ok {
		return Proposal{}, fmt.Errorf("%w: %q", ErrUnknownKind, wire.Kind)
	}
	p := Proposal{Origin: wire.Origin, Time: wire.Time, Change: makeChange()}
	dec := json.NewDecoder(bytes.NewReader(wire.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p.Change); err != nil {
		return Proposal{}, fmt.Errorf("metaraft: decode %s: %w", wire.Kind, err)
	}
	return p, nil
}

// DecodeOutcome reads a result of Machine.Apply.
func DecodeOutcome(data []byte) (Outcome, error) {
	var o Outcome
	err := Decode(data, &o)
	return o, err
}
