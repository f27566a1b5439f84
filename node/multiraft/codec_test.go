package multiraft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// wireMessages are messages of every type that may come from a peer, each with
// the fields that raft sets.
func wireMessages() []*pb.Message {
	scalars := func(t pb.MessageType) *pb.Message {
		return &pb.Message{
			Type: t.Enum(), To: new(uint64(math.MaxUint64)), From: new(uint64(2)), Term: new(uint64(300)),
			LogTerm: new(uint64(299)), Index: new(uint64(1 << 40)), Commit: new(uint64(7)), Vote: new(uint64(1)),
			Reject: new(false), RejectHint: new(uint64(0)),
		}
	}
	entry := func(t pb.EntryType, index uint64, data []byte) *pb.Entry {
		return &pb.Entry{Type: t.Enum(), Term: new(uint64(299)), Index: new(index), Data: data}
	}
	var all []*pb.Message
	for _, t := range []pb.MessageType{
		pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp,
		pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgReadIndex, pb.MsgReadIndexResp, pb.MsgSnap,
	} {
		m := scalars(t)
		switch t {
		case pb.MsgApp:
			m.Entries = []*pb.Entry{
				entry(pb.EntryNormal, 1<<40+1, nil),
				entry(pb.EntryNormal, 1<<40+2, bytes.Repeat([]byte("x"), 300)),
				entry(pb.EntryConfChange, 1<<40+3, []byte{1}),
				entry(pb.EntryConfChangeV2, 1<<40+4, []byte{2, 3}),
			}
			all = append(all, scalars(t)) // and an empty one
		case pb.MsgAppResp, pb.MsgPreVoteResp, pb.MsgVoteResp:
			all = append(all, scalars(t))
			m.Reject, m.RejectHint = new(true), new(uint64(12345))
		case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
			all = append(all, scalars(t))
			m.Context = []byte("12345678")
		case pb.MsgVote, pb.MsgPreVote:
			m.Context = []byte("CampaignTransfer")
		case pb.MsgReadIndex, pb.MsgReadIndexResp:
			m.Entries = []*pb.Entry{entry(pb.EntryNormal, 0, []byte("context!"))}
		case pb.MsgSnap:
			m.Snapshot = &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
				Index: new(uint64(1 << 40)), Term: new(uint64(299)), ConfState: &pb.ConfState{
					Voters: []uint64{1, math.MaxUint64}, Learners: []uint64{3}, VotersOutgoing: []uint64{4, 5}, LearnersNext: []uint64{5}, AutoLeave: new(true),
				},
			}}
		}
		all = append(all, m)
	}
	return all
}

func frameOf(cluster uint64, group GroupID, messages ...*pb.Message) []byte {
	frame := appendFrameHeader(nil, cluster)
	for _, m := range messages {
		frame = appendMessage(frame, group, m)
	}
	return frame
}

func TestFrameRoundTrip(t *testing.T) {
	want := wireMessages()
	covered := make(map[pb.MessageType]bool)
	var got []*pb.Message
	err := decodeFrame(frameOf(testCluster, 9, want...), testCluster, func(id GroupID, m *pb.Message) {
		if id != 9 {
			t.Errorf("group %d, want 9", id)
		}
		got = append(got, m)
	})
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d of %d messages, %v", len(got), len(want), err)
	}
	for i := range want {
		covered[want[i].GetType()] = true
		// Equal but for the fields that this form does not keep apart: nil and 0.
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) || !proto.Equal(got[i], want[i]) {
			t.Errorf("sent %v\n got %v", want[i], got[i])
		}
	}
	for n := range pb.MessageType_name {
		if typ := pb.MessageType(n); wireType(typ) != covered[typ] {
			t.Errorf("%v: on the wire %v, covered here %v", typ, wireType(typ), covered[typ])
		}
	}
}

// What drives a process's own raft never comes from outside.
func TestOwnMessagesAreRefused(t *testing.T) {
	for n := range 256 {
		typ := pb.MessageType(n)
		if wireType(typ) {
			continue
		}
		frame := frameOf(testCluster, 9, &pb.Message{Type: typ.Enum(), To: new(uint64(1)), From: new(uint64(2))})
		if err := decodeFrame(frame, testCluster, func(GroupID, *pb.Message) {
			t.Errorf("%v was taken", typ)
		}); !errors.Is(err, errFrame) {
			t.Errorf("%v: %v", typ, err)
		}
	}
}

// Forms that raft would panic over.
func TestMalformedMessagesAreRefused(t *testing.T) {
	gap := []*pb.Entry{{Index: new(uint64(5))}, {Index: new(uint64(7))}}
	for name, m := range map[string]*pb.Message{
		"read without a context":     {Type: pb.MsgReadIndex.Enum()},
		"answer without a context":   {Type: pb.MsgReadIndexResp.Enum()},
		"short heartbeat context":    {Type: pb.MsgHeartbeatResp.Enum(), Context: []byte("123")},
		"gap between entries":        {Type: pb.MsgApp.Enum(), Index: new(uint64(4)), Entries: gap},
		"gap before entries":         {Type: pb.MsgApp.Enum(), Index: new(uint64(3)), Entries: gap[:1]},
		"entry of an unknown type":   {Type: pb.MsgApp.Enum(), Index: new(uint64(4)), Entries: []*pb.Entry{{Type: pb.EntryType(3).Enum(), Index: new(uint64(5))}}},
		"offer of nothing":           {Type: pb.MsgSnap.Enum()},
		"offer of entry 0":           {Type: pb.MsgSnap.Enum(), Snapshot: &pb.Snapshot{}},
		"heartbeat, nearly a number": {Type: pb.MsgHeartbeat.Enum(), Context: []byte("123456789")},
	} {
		err := decodeFrame(frameOf(testCluster, 9, m), testCluster, func(GroupID, *pb.Message) {
			t.Errorf("%s: taken", name)
		})
		if !errors.Is(err, errFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoints(t *testing.T) {
	for _, want := range []Point{
		{Index: 1, Term: 1, Conf: &pb.ConfState{AutoLeave: new(false)}},
		{Index: 1 << 40, Term: 7, Conf: &pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{9}, AutoLeave: new(true)}},
	} {
		b := AppendPoint(nil, want)
		got, ok := DecodePoint(b)
		if !ok || got.Index != want.Index || got.Term != want.Term || !proto.Equal(got.Conf, want.Conf) {
			t.Errorf("%v came back as %v, %v", want, got, ok)
		}
		for n := range b {
			if p, ok := DecodePoint(b[:n]); ok {
				t.Errorf("%d of %d bytes are %v", n, len(b), p)
			}
		}
		if _, ok := DecodePoint(append(b, 0)); ok {
			t.Error("a byte too many was taken")
		}
	}
	if _, ok := DecodePoint(AppendPoint(nil, Point{})); ok {
		t.Error("a point without an index was taken")
	}
}

func TestForeignFramesAreRefused(t *testing.T) {
	frame := frameOf(testCluster+1, 9, wireMessages()...)
	none := func(GroupID, *pb.Message) { t.Error("a message was taken") }
	if err := decodeFrame(frame, testCluster, none); !errors.Is(err, errForeign) {
		t.Errorf("a foreign cluster: %v", err)
	}
	frame = frameOf(testCluster, 9, wireMessages()...)
	frame[0]++
	if err := decodeFrame(frame, testCluster, none); !errors.Is(err, errFrame) {
		t.Errorf("a foreign format: %v", err)
	}
}

// A frame that was cut is refused, unless it was cut between two messages, and
// no message is ever half there.
func TestTruncatedFrames(t *testing.T) {
	want := wireMessages()
	frame := frameOf(testCluster, 9, want...)
	ends := map[int]bool{frameHeader: true}
	for i := range want {
		ends[len(frameOf(testCluster, 9, want[:i+1]...))] = true
	}
	for n := range frame {
		i := 0
		err := decodeFrame(frame[:n:n], testCluster, func(_ GroupID, m *pb.Message) {
			if !proto.Equal(m, want[i]) {
				t.Fatalf("cut at %d: message %d is %v", n, i, m)
			}
			i++
		})
		if (err == nil) != ends[n] {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

// There is no checksum here (the stream has one): a flipped bit may give another
// message, but never one that has no place on the wire, and never a panic.
func TestFlippedBits(t *testing.T) {
	frame := frameOf(testCluster, 9, wireMessages()...)
	for bit := range len(frame) * 8 {
		bad := bytes.Clone(frame)
		bad[bit/8] ^= 1 << (bit % 8)
		err := decodeFrame(bad, testCluster, func(_ GroupID, m *pb.Message) { checkDecoded(t, m) })
		if bit < frameHeader*8 && err == nil {
			t.Errorf("a flipped bit %d of the header went unnoticed", bit)
		}
	}
}

// checkDecoded fails unless raft can be given the message.
func checkDecoded(t *testing.T, m *pb.Message) {
	t.Helper()
	if !wireType(m.GetType()) || m.Type == nil || m.To == nil || m.From == nil || m.Term == nil {
		t.Errorf("took %v", m)
	}
	for _, e := range m.GetEntries() {
		if e == nil || e.Type == nil || e.Term == nil || e.Index == nil {
			t.Errorf("took an entry %v", e)
		}
	}
}

// hostile is a frame with one MsgApp that claims count entries.
func hostile(count uint64, padding int) []byte {
	body := make([]byte, 8) // group
	body = append(body, byte(pb.MsgApp), flagEntries)
	body = append(body, make([]byte, 7)...)
	body = binary.AppendUvarint(body, count)
	body = append(body, make([]byte, padding)...)
	frame := appendFrameHeader(nil, testCluster)
	return append(binary.AppendUvarint(frame, uint64(len(body))), body...)
}

// A count costs memory only in proportion to the bytes that came.
func TestHostileCounts(t *testing.T) {
	allocated := func(fn func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, count := range []uint64{1 << 20, 1 << 40, math.MaxUint64} {
		for _, padding := range []int{0, 100, 10_000} {
			limit := uint64(100*padding + 64<<10)
			frame := hostile(count, padding)
			if n := allocated(func() {
				if err := decodeFrame(frame, testCluster, func(GroupID, *pb.Message) {}); err == nil {
					t.Errorf("count %d was taken", count)
				}
			}); n > limit {
				t.Errorf("count %d, %d bytes: a frame made the decoder allocate %d bytes", count, padding, n)
			}
			data := append(make([]byte, 0, 32), entryFormatNoSeed)
			data = binary.AppendUvarint(append(data, make([]byte, 8+1)...), count)
			data = append(data, make([]byte, padding)...)
			if n := allocated(func() {
				if _, _, err := decodeEntry(data); err == nil {
					t.Errorf("count %d was taken", count)
				}
			}); n > limit {
				t.Errorf("count %d, %d bytes: an entry made the decoder allocate %d bytes", count, padding, n)
			}
		}
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for _, payloads := range [][][]byte{
		{}, {nil}, {[]byte("a")}, {nil, []byte("b"), bytes.Repeat([]byte("c"), 1000), nil},
	} {
		calls := make([]*Call, len(payloads))
		for i, p := range payloads {
			calls[i] = &Call{Payload: p}
		}
		head := entryHead{time: -5, Header: Header{Seed: math.MaxUint64, Level: math.MaxUint64, MaxString: math.MaxUint64}}
		data := appendEntry(nil, head, calls)
		if len(data) > entrySize(calls) {
			t.Errorf("%d bytes, announced were %d", len(data), entrySize(calls))
		}
		now, got, err := decodeEntry(data)
		if err != nil || now != head || len(got) != len(payloads) {
			t.Fatalf("head %v, %d payloads, %v", now, len(got), err)
		}
		for i := range got {
			if !bytes.Equal(got[i], payloads[i]) {
				t.Errorf("payload %d is %q", i, got[i])
			}
		}
		for n := range data {
			if _, _, err := decodeEntry(data[:n]); !errors.Is(err, errEntry) {
				t.Errorf("cut at %d: %v", n, err)
			}
		}
		if _, _, err := decodeEntry(append(data, 0)); !errors.Is(err, errEntry) {
			t.Errorf("a byte too many: %v", err)
		}
	}
}

// Entries of the format before have neither seed nor level; those from before any
// release are refused, and it says why.
func TestEntriesOfOldFormats(t *testing.T) {
	calls := []*Call{{Payload: []byte("a")}, {Payload: []byte("bc")}}
	now := appendEntry(nil, entryHead{time: 77, Header: Header{Seed: 5, Level: 1, MaxString: 300}}, calls)
	old := append([]byte{entryFormatNoSeed}, now[1:entryHeader]...)
	old = append(old, now[entryHeader+8+1:]...)
	head, payloads, err := decodeEntry(old)
	if want := (entryHead{time: 77, Header: Header{MaxString: 300}}); err != nil || head != want || len(payloads) != 2 || string(payloads[1]) != "bc" {
		t.Errorf("format 2 is read as %+v, %q, %v", head, payloads, err)
	}
	if !entryIsSound(old) {
		t.Error("format 2 is not sound")
	}
	old[0] = entryFormatFirst
	if _, _, err := decodeEntry(old); !errors.Is(err, errFirstFormat) || !errors.Is(err, errEntry) {
		t.Errorf("format 1: %v", err)
	}
}

// Frames of other groups, receivers and clusters never reach raft.
func TestStrayMessagesAreDropped(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	f := l.followers(testGroup, leader)[0]
	g := f.replicas[testGroup].group
	_, term := g.Leader()
	// A vote request of a later term, with a transfer's urgency: it would make
	// the follower's term rise.
	request := func(to uint64) *pb.Message {
		return &pb.Message{
			Type: pb.MsgVote.Enum(), To: new(to), From: new(labRaftID(leader.id)), Term: new(term + 5),
			Index: new(uint64(1000)), LogTerm: new(term), Context: []byte("CampaignTransfer"),
		}
	}
	for name, frame := range map[string][]byte{
		"group":    frameOf(testCluster, testGroup+1, request(labRaftID(f.id))),
		"receiver": frameOf(testCluster, testGroup, request(labRaftID(f.id)+1)),
		"cluster":  frameOf(testCluster+1, testGroup, request(labRaftID(f.id))),
	} {
		f.host.Receive(leader.id, frame)
		l.ticks(2)
		if now := g.rn.BasicStatus().GetTerm(); now != term {
			t.Fatalf("a message for another %s changed the term from %d to %d", name, term, now)
		}
	}
	f.host.Receive(leader.id, frameOf(testCluster, testGroup, request(labRaftID(f.id))))
	l.ticks(1)
	if now := g.rn.BasicStatus().GetTerm(); now == term {
		t.Error("not even the right one did; the test proves nothing")
	}
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add(frameOf(testCluster, 9, wireMessages()...))
	for _, m := range wireMessages() {
		f.Add(frameOf(testCluster, 9, m))
	}
	f.Add(hostile(math.MaxUint64, 10))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		var again []byte
		var messages []*pb.Message
		err := decodeFrame(frame, testCluster, func(id GroupID, m *pb.Message) {
			checkDecoded(t, m)
			messages = append(messages, m)
			again = appendMessage(again, id, m)
		})
		if err != nil {
			return
		}
		i := 0
		err = decodeFrame(append(appendFrameHeader(nil, testCluster), again...), testCluster, func(_ GroupID, m *pb.Message) {
			if i >= len(messages) || !proto.Equal(m, messages[i]) {
				t.Errorf("message %d changed on its way", i)
			}
			i++
		})
		if err != nil || i != len(messages) {
			t.Errorf("%d of %d messages, %v", i, len(messages), err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(appendEntry(nil, entryHead{time: 1}, nil))
	f.Add(appendEntry(nil, entryHead{time: 1}, []*Call{{Payload: []byte("a")}, {}}))
	f.Add([]byte{entryFormat, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		now, payloads, err := decodeEntry(data)
		if err != nil {
			return
		}
		calls := make([]*Call, len(payloads))
		for i, p := range payloads {
			calls[i] = &Call{Payload: p}
		}
		now2, payloads2, err := decodeEntry(appendEntry(nil, now, calls))
		if err != nil || now2 != now || len(payloads2) != len(payloads) {
			t.Fatalf("%v; %v and %v, %d and %d payloads", err, now, now2, len(payloads), len(payloads2))
		}
		for i := range payloads {
			if !bytes.Equal(payloads[i], payloads2[i]) {
				t.Errorf("payload %d changed", i)
			}
		}
	})
}
