package multiraft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/genuineh/aikv/node/wal"
)

// bootstrap returns the state of a new group with one voter: its membership is
// entry 1, committed, so that later members learn it from the log like every
// other change.
func bootstrap(raftID uint64) (*pb.HardState, []*pb.Entry, error) {
	change := &pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(raftID)}
	data, err := proto.Marshal(change)
	if err != nil {
		return nil, nil, err
	}
	entry := &pb.Entry{
		Type: pb.EntryConfChange.Enum(), Term: new(uint64(1)), Index: new(uint64(1)), Data: data,
	}
	return &pb.HardState{Term: new(uint64(1)), Commit: new(uint64(1))}, []*pb.Entry{entry}, nil
}

// restorePoint returns the index that the member has applied and the
// configuration as of that index.
func restorePoint(store *wal.GroupLog, machine Machine) (uint64, *pb.ConfState, error) {
	applied, _, _ := store.Truncated()
	if machine != nil {
		start := applied
		if applied = machine.Applied(); applied < start {
			return 0, nil, fmt.Errorf("the state has applied entry %d, but the log begins behind entry %d: the state has lost something", applied, start)
		}
	}
	last, err := store.LastIndex()
	if err != nil {
		return 0, nil, err
	}
	if applied > last {
		return 0, nil, fmt.Errorf("the state has applied entry %d, but the log ends at %d: they are not of one node", applied, last)
	}
	conf, err := confAt(store, applied)
	return applied, conf, err
}

// foldChanges applies membership changes to a configuration as the group's
// members do: they pass over a change that cannot be.
func foldChanges(conf *pb.ConfState, index uint64, entries []*pb.Entry) (*pb.ConfState, error) {
	trk := tracker.MakeProgressTracker(1, 0)
	var err error
	if trk.Config, trk.Progress, err = confchange.Restore(confchange.Changer{Tracker: trk, LastIndex: index}, conf); err != nil {
		return nil, err
	}
	for _, e := range entries {
		change, err := decodeChange(e)
		if err != nil {
			return nil, err
		}
		if cfg, progress, err := changeTracker(trk, e.GetIndex(), change); err == nil {
			trk.Config, trk.Progress = cfg, progress
		}
	}
	return pb.EnsureConfState(trk.ConfState()), nil
}

// foldChange applies one change, or says why it cannot be.
func foldChange(conf *pb.ConfState, index uint64, change pb.ConfChangeI) (*pb.ConfState, error) {
	trk := tracker.MakeProgressTracker(1, 0)
	var err error
	if trk.Config, trk.Progress, err = confchange.Restore(confchange.Changer{Tracker: trk, LastIndex: index}, conf); err != nil {
		return nil, err
	}
	if trk.Config, trk.Progress, err = changeTracker(trk, index, change); err != nil {
		return nil, fmt.Errorf("membership change at %d: %w", index, err)
	}
	return pb.EnsureConfState(trk.ConfState()), nil
}

// changeTracker is what raft does with a change, without its panic.
func changeTracker(trk tracker.ProgressTracker, index uint64, change pb.ConfChangeI) (tracker.Config, tracker.ProgressMap, error) {
	changer := confchange.Changer{Tracker: trk, LastIndex: index}
	v2 := change.AsV2()
	if v2.LeaveJoint() {
		return changer.LeaveJoint()
	}
	if autoLeave, joint := v2.EnterJoint(); joint {
		return changer.EnterJoint(autoLeave, v2.GetChanges()...)
	}
	return changer.Simple(v2.GetChanges()...)
}

// startStorage is a group's log as raft sees it at start: with the
// configuration as of the applied entry, and a commit index that is not behind
// it (the log stores commit indexes lazily).
type startStorage struct {
	*wal.GroupLog
	hard *pb.HardState
	conf *pb.ConfState
}

func newStartStorage(store *wal.GroupLog, conf *pb.ConfState, applied uint64) (*startStorage, error) {
	hard, _, err := store.InitialState()
	if err != nil {
		return nil, err
	}
	if hard.GetCommit() < applied {
		hard = &pb.HardState{Term: new(hard.GetTerm()), Vote: new(hard.GetVote()), Commit: new(applied)}
	}
	return &startStorage{store, hard, conf}, nil
}

func (s *startStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.hard, s.conf, nil
}

var _ raft.Storage = (*startStorage)(nil)

// groupRecord is what the log keeps of a member beside raft's own state:
//
//	record = format(1) raftID(8) data(1) count(uvarint) member... blob
//	member = raftID(8) node(8) flags(1) length(uvarint) addr
//
// Format 1 has no members.
type groupRecord struct {
	raftID uint64
	data   bool
	// members are those that the group may have, as far as the member was last
	// told: with them it finds its peers after a restart, whoever else is there.
	members []Member
	blob    []byte // Spec.Meta
}

const recordFormat, recordHeader, recordMember = 2, 10, 18

// recordOf describes the member that spec makes.
func recordOf(spec Spec) groupRecord {
	return groupRecord{raftID: spec.RaftID, data: spec.Machine != nil, members: spec.Members, blob: spec.Meta}
}

func (r groupRecord) encode() []byte {
	dst := []byte{recordFormat}
	dst = binary.LittleEndian.AppendUint64(dst, r.raftID)
	dst = append(dst, flag(r.data))
	dst = binary.AppendUvarint(dst, uint64(len(r.members)))
	for _, m := range r.members {
		dst = binary.LittleEndian.AppendUint64(dst, m.RaftID)
		dst = binary.LittleEndian.AppendUint64(dst, m.Node)
		dst = append(dst, flag(m.Arbiter)|flag(m.Copy)<<1)
		dst = binary.AppendUvarint(dst, uint64(len(m.Addr)))
		dst = append(dst, m.Addr...)
	}
	return append(dst, r.blob...)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// errRecord: a later version wrote the log, or something else did.
var errRecord = errors.New("the log's record of the member has an unknown format")

func decodeRecord(b []byte) (r groupRecord, err error) {
	if len(b) < recordHeader || b[0] != 1 && b[0] != recordFormat {
		return r, errRecord
	}
	r.raftID, r.data = binary.LittleEndian.Uint64(b[1:]), b[9] == 1
	rest := b[recordHeader:]
	if b[0] == recordFormat {
		if r.members, rest, err = decodeMembers(rest); err != nil {
			return r, err
		}
	}
	r.blob = rest
	return r, nil
}

func decodeMembers(b []byte) (members []Member, rest []byte, err error) {
	count, size := binary.Uvarint(b)
	if size <= 0 || count > uint64(len(b)-size)/recordMember {
		return nil, nil, errRecord
	}
	for rest = b[size:]; count > 0; count-- {
		if len(rest) < recordMember {
			return nil, nil, errRecord
		}
		m := Member{
			RaftID: binary.LittleEndian.Uint64(rest), Node: binary.LittleEndian.Uint64(rest[8:]), Arbiter: rest[16]&1 != 0, Copy: rest[16]&2 != 0,
		}
		length, size := binary.Uvarint(rest[17:])
		if rest = rest[17:]; size <= 0 || length > uint64(len(rest)-size) {
			return nil, nil, errRecord
		}
		m.Addr = string(rest[size:][:length])
		members, rest = append(members, m), rest[size+int(length):]
	}
	return members, rest, nil
}

// Stored is a member that the log holds.
type Stored struct {
	ID     GroupID
	RaftID uint64
	// Data says whether the member has a state machine.
	Data bool
	Meta []byte
	// Alone says that the group has no other member, as far as the log tells.
	Alone bool
}

// StoredGroups lists the members that a log holds, for Open after a restart.
func StoredGroups(log *wal.Log) ([]Stored, error) {
	var groups []Stored
	for _, id := range log.Groups() {
		r, err := decodeRecord(log.GroupMeta(id))
		if err != nil {
			return nil, fmt.Errorf("multiraft: group %016x: %w", id, err)
		}
		alone, err := storedAlone(log.Storage(id), r.raftID)
		if err != nil {
			return nil, fmt.Errorf("multiraft: group %016x: %w", id, err)
		}
		groups = append(groups, Stored{ID: GroupID(id), RaftID: r.raftID, Data: r.data, Meta: r.blob, Alone: alone})
	}
	return groups, nil
}

// storedAlone reports whether raftID is the only member of the last configuration
// that the log holds, committed or not.
func storedAlone(store *wal.GroupLog, raftID uint64) (bool, error) {
	last, err := store.LastIndex()
	if err != nil {
		return false, err
	}
	conf, err := confAt(store, last)
	if err != nil {
		return false, err
	}
	alone := len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == raftID
	return alone && len(conf.GetLearners())+len(conf.GetLearnersNext())+len(conf.GetVotersOutgoing()) == 0, nil
}

// followState makes the log of a member that is alone in its group begin where its
// state is, if that is ahead: what the log lost was applied. Nobody else has a log
// that the entries' terms could be compared with.
func (h *Host) followState(spec Spec, store *wal.GroupLog) error {
	last, err := store.LastIndex()
	if err != nil {
		return err
	}
	alone, err := storedAlone(store, spec.RaftID)
	if err != nil || spec.Machine == nil || spec.Machine.Applied() <= last || !alone {
		return err
	}
	conf, err := confAt(store, last)
	if err != nil {
		return err
	}
	hard, applied := store.HardState(), spec.Machine.Applied()
	h.opts.Logger.Warn("the log has lost entries that the state holds: going on from the state", "group", spec.ID, "log_ends", last, "applied", applied)
	return h.persist.write(func(b *wal.Batch) error {
		b.Truncate(uint64(spec.ID), applied, hard.GetTerm(), conf)
		b.Append(uint64(spec.ID), &pb.HardState{Term: new(hard.GetTerm()), Vote: new(hard.GetVote()), Commit: new(applied)}, nil)
		return nil
	})
}
