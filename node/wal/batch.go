package wal

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Batch collects changes of any number of groups which Log.Write makes durable
// as one: after a crash either all of them are there or none. They take effect
// in the order in which they were added. The zero Batch is empty and wants to
// be synced. A Batch is reused with Reset and is not safe for concurrent use.
type Batch struct {
	ops     []op
	relaxed bool
}

// op is one change. Which fields count depends on kind; a kindEntries op may
// carry a HardState, entries, or both.
type op struct {
	kind    kind
	group   GroupID
	hasHS   bool
	hs      hardState
	entries []*raftpb.Entry
	bytes   int64 // size of the entries' records
	point   truncation
	reset   bool // the truncation drops the entries behind the point too; found by Log.plan
	blob    []byte
}

// Reset empties the batch for reuse.
func (b *Batch) Reset() {
	clear(b.ops) // lets go of entries and blobs
	b.ops = b.ops[:0]
	b.relaxed = false
}

// Empty reports whether the batch holds no change.
func (b *Batch) Empty() bool { return len(b.ops) == 0 }

// SetSync says whether the batch must be on stable storage when Write returns.
// It must unless it only advances commit indexes or truncation points.
func (b *Batch) SetSync(sync bool) { b.relaxed = !sync }

// NeedsSync reports what SetSync said; true after Reset.
func (b *Batch) NeedsSync() bool { return !b.relaxed }

// Append adds entries at the end of a group's log and sets its HardState; nil
// or empty leaves that unchanged. Entries at indexes that the log already has
// replace them and everything behind them; entries at or below the truncation
// point are ignored. The entries are retained, not copied: nobody may change
// them any more. The slice itself must stay as it is until Write returns.
func (b *Batch) Append(group GroupID, hs *raftpb.HardState, entries []*raftpb.Entry) {
	o := op{kind: kindEntries, group: group, entries: entries}
	if !raft.IsEmptyHardState(hs) {
		o.hasHS = true
		o.hs = hardState{term: hs.GetTerm(), vote: hs.GetVote(), commit: hs.GetCommit()}
	}
	if o.hasHS || len(entries) > 0 {
		b.ops = append(b.ops, o)
	}
}

// Truncate says that everything up to index, whose entry has the given term,
// may go, and that cs is the group's configuration there (nil: the one of the
// last truncation point). A point before the last one is ignored. A point
// behind the log's end, or of another term than the entry there, replaces the
// whole log, as installing a snapshot does.
func (b *Batch) Truncate(group GroupID, index, term uint64, cs *raftpb.ConfState) {
	b.ops = append(b.ops, op{kind: kindTruncate, group: group, point: truncation{index: index, term: term, conf: cs}})
}

// CreateGroup adds an empty group. meta is the host's own blob (Raft id, kind
// and so on), opaque to the log; it is retained.
func (b *Batch) CreateGroup(group GroupID, meta []byte) {
	b.ops = append(b.ops, op{kind: kindCreate, group: group, blob: meta})
}

// SetGroupMeta replaces a group's meta, which is retained.
func (b *Batch) SetGroupMeta(group GroupID, meta []byte) {
	b.ops = append(b.ops, op{kind: kindMeta, group: group, blob: meta})
}

// DestroyGroup removes a group and all that belongs to it. Its id may be
// created again, even in the same batch.
func (b *Batch) DestroyGroup(group GroupID) {
	b.ops = append(b.ops, op{kind: kindDestroy, group: group})
}

// SetIdentity replaces the one blob that the log keeps for the process; it is
// retained.
func (b *Batch) SetIdentity(blob []byte) {
	b.ops = append(b.ops, op{kind: kindIdentity, blob: blob})
}
