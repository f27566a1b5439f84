package multiraft

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math"
	"strings"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A peer that lies about terms, indexes, entries or memberships is not believed,
// and ends nothing: the group goes on with what it had, and the log names the
// message.
func TestLiesOfPeersAreDropped(t *testing.T) {
	change := func(c proto.Message) []byte {
		data, err := proto.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	type env struct{ leader, follower, term, last uint64 } // Raft ids; the follower's view
	entries := func(e env, typ pb.EntryType, data []byte) []*pb.Entry {
		return []*pb.Entry{{Type: typ.Enum(), Term: new(e.term), Index: new(e.last + 1), Data: data}}
	}
	appended := func(e env, es []*pb.Entry) *pb.Message {
		return &pb.Message{Type: pb.MsgApp.Enum(), Index: new(e.last), LogTerm: new(e.term), Commit: new(e.last + 1), Entries: es}
	}
	lies := map[string]func(e env) *pb.Message{
		"heartbeat beyond the log":  func(env) *pb.Message { return &pb.Message{Type: pb.MsgHeartbeat.Enum(), Commit: new(uint64(1 << 40))} },
		"heartbeat a little beyond": func(e env) *pb.Message { return &pb.Message{Type: pb.MsgHeartbeat.Enum(), Commit: new(e.last + 1)} },
		"acknowledgement of nothing": func(e env) *pb.Message {
			return &pb.Message{Type: pb.MsgAppResp.Enum(), Index: new(uint64(1 << 40))}
		},
		"no term": func(env) *pb.Message {
			return &pb.Message{Type: pb.MsgVote.Enum(), Term: new(uint64(0)), Index: new(uint64(9)), Context: []byte(campaignTransfer)}
		},
		"the last term": func(env) *pb.Message {
			return &pb.Message{Type: pb.MsgVote.Enum(), Term: new(uint64(maxCount - 1)), Index: new(uint64(9)), Context: []byte(campaignTransfer)}
		},
		"from itself": func(e env) *pb.Message {
			return &pb.Message{Type: pb.MsgVote.Enum(), From: new(e.follower), Index: new(uint64(9)), Context: []byte(campaignTransfer)}
		},
		"from its own disk": func(env) *pb.Message {
			return &pb.Message{Type: pb.MsgApp.Enum(), From: new(uint64(raft.LocalAppendThread))}
		},
		"from nobody": func(env) *pb.Message { return &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(uint64(0))} },
		"offer of another than the leader": func(e env) *pb.Message {
			return &pb.Message{Type: pb.MsgSnap.Enum(), From: new(uint64(4711)), Snapshot: offerOf(1<<40, e.term, 1)}
		},
		"offer of a later term": func(e env) *pb.Message {
			return &pb.Message{Type: pb.MsgSnap.Enum(), Snapshot: offerOf(1<<40, e.term+1, 1)}
		},
		"offer without voters": func(e env) *pb.Message {
			return &pb.Message{Type: pb.MsgSnap.Enum(), Snapshot: offerOf(1<<40, e.term)}
		},
		"entry that is none":    func(e env) *pb.Message { return appended(e, entries(e, pb.EntryNormal, []byte("?"))) },
		"change that is none":   func(e env) *pb.Message { return appended(e, entries(e, pb.EntryConfChangeV2, []byte("?"))) },
		"entry of a later term": func(e env) *pb.Message { e.term++; return appended(e, entries(e, pb.EntryNormal, nil)) },
		"entry of an older term": func(e env) *pb.Message {
			m := appended(e, entries(e, pb.EntryNormal, nil))
			m.Entries[0].Term = new(uint64(0))
			return m
		},
		"change of an unknown sort": func(e env) *pb.Message {
			return appended(e, entries(e, pb.EntryConfChangeV2, change(&pb.ConfChangeV2{Transition: pb.ConfChangeTransition(9).Enum()})))
		},
		"disk as a member": func(e env) *pb.Message {
			c := &pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(uint64(raft.LocalApplyThread))}
			return appended(e, entries(e, pb.EntryConfChange, change(c)))
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			l := newLab(t, 3, 1, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			l.found(testGroup, false, 1, 2, 3)
			leader := l.leader(testGroup)
			f := l.followers(testGroup, leader)[0]
			if strings.Contains(name, "acknowledgement") {
				f, leader = leader, f
			}
			g := f.replicas[testGroup].group
			_, term := g.Leader()
			m := lie(env{labRaftID(leader.id), labRaftID(f.id), term, g.log.last})
			m.To = new(labRaftID(f.id))
			if m.From == nil {
				m.From = new(labRaftID(leader.id))
			}
			if m.Term == nil {
				m.Term = new(term)
			}
			log.Reset()
			f.host.Receive(leader.id, frameOf(testCluster, testGroup, m))
			l.ticks(3)
			if _, now := g.Leader(); now != term {
				t.Errorf("the term changed from %d to %d", term, now)
			}
			if g.Offer() != nil {
				t.Error("the offer was taken")
			}
			if text := log.String(); strings.Count(text, "dropped a message of a peer") != 1 {
				t.Errorf("the log says %q", text)
			}
			for _, n := range l.nodes {
				if n.failure != nil {
					t.Errorf("node %d failed: %v", n.id, n.failure)
				}
			}
			l.finish(l.write(l.leader(testGroup), testGroup, 77))
		})
	}
}

func offerOf(index, term uint64, voters ...uint64) *pb.Snapshot {
	conf := &pb.ConfState{Voters: voters, AutoLeave: new(false)}
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: conf}}
}

// A membership change that cannot be is passed over where it is applied, and
// where the log is read again.
func TestImpossibleChangesArePassedOver(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	g := n.replicas[testGroup].group
	before := proto.Clone(g.members.conf)
	data, err := proto.Marshal(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{
		{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: new(labRaftID(1))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	last := &pb.ConfChangeV2{}
	if err := proto.Unmarshal(data, last); err != nil {
		t.Fatal(err)
	}
	if err := g.rn.ProposeConfChange(last); err != nil {
		t.Fatal(err)
	}
	l.ticks(5)
	if n.failure != nil || !proto.Equal(g.members.conf, before) {
		t.Fatalf("%v; the membership became %v", n.failure, g.members.conf)
	}
	l.finish(l.write(n, testGroup, 1))
	n.crash()
	n.boot()
	l.ticks(30)
	if g := n.replicas[testGroup].group; !proto.Equal(g.members.conf, before) {
		t.Fatalf("after a restart the membership is %v", g.members.conf)
	}
	l.finish(l.write(n, testGroup, 2))
}

// FuzzFrames: whatever messages a peer sends, a host with a leader and one with
// a follower go on, and the group still takes writes.
func FuzzFrames(f *testing.F) {
	for _, m := range wireMessages() {
		m.Term = new(uint64(2))
		f.Add(frameOf(testCluster, testGroup, m)[frameHeader:])
	}
	f.Fuzz(func(t *testing.T, messages []byte) {
		l := newLab(t, 3, 1, nil)
		l.found(testGroup, false, 1, 2, 3)
		leader := l.leader(testGroup)
		follower := l.followers(testGroup, leader)[0]
		var claimed []*pb.Message
		_ = decodeFrame(append(appendFrameHeader(nil, testCluster), messages...), testCluster, func(_ GroupID, m *pb.Message) {
			claimed = append(claimed, m)
		})
		if len(claimed) > 8 {
			claimed = claimed[:8]
		}
		for _, to := range []*labNode{follower, leader} {
			from := l.node(to.id%3 + 1)
			for _, m := range claimed {
				// As it is, and as if it were one that fits: of a member, of this term.
				for _, fit := range []bool{false, true} {
					m := proto.Clone(m).(*pb.Message)
					m.To = new(labRaftID(to.id))
					if fit {
						_, term := to.replicas[testGroup].group.Leader()
						m.From, m.Term = new(labRaftID(from.id)), new(max(term, m.GetTerm()%(term+4)))
						if err := decodeFrame(frameOf(testCluster, testGroup, m), testCluster, func(GroupID, *pb.Message) {}); err != nil {
							continue
						}
					}
					to.host.Receive(from.id, frameOf(testCluster, testGroup, m))
					to.stepLoop(false)
				}
			}
			l.ticks(2)
		}
		for _, n := range l.nodes {
			if n.failure != nil {
				t.Fatalf("node %d: %v", n.id, n.failure)
			}
		}
	})
}

// An entry is sound if and only if it can be decoded.
func FuzzSoundEntry(f *testing.F) {
	f.Add(appendEntry(nil, entryHead{time: 1}, []*Call{{Payload: []byte("a")}, {}}))
	f.Add(binary.AppendUvarint([]byte{entryFormat, 0, 0, 0, 0, 0, 0, 0, 0}, math.MaxUint64))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := decodeEntry(data); (err == nil) != entryIsSound(data) {
			t.Fatalf("decodeEntry says %v, entryIsSound %v", err, entryIsSound(data))
		}
	})
}
