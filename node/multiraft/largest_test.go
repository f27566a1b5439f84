package multiraft

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/genuineh/aikv/node/transport"
	"github.com/genuineh/aikv/node/wal"
)

// The largest command that may be proposed can be logged, read back, and sent to
// a peer.
func TestLargestCommandIsCarried(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), MaxPayload)
	calls := []*Call{{Payload: payload}}
	data := appendEntry(make([]byte, 0, entrySize(calls)), entryHead{time: 1, Header: Header{MaxString: 1}}, calls)
	dir := filepath.Join(t.TempDir(), "wal")
	open := func() *wal.Log {
		log, err := wal.Open(wal.Options{Dir: dir, SegmentSize: 64 << 10, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	log := open()
	var batch wal.Batch
	batch.CreateGroup(7, nil)
	batch.Append(7, &pb.HardState{Term: new(uint64(1)), Vote: new(uint64(1)), Commit: new(uint64(0))}, []*pb.Entry{
		{Type: pb.EntryNormal.Enum(), Term: new(uint64(1)), Index: new(uint64(1)), Data: data},
	})
	batch.SetSync(true)
	if err := log.Write(&batch); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = open()
	defer log.Close()
	entries, err := log.Storage(7).Entries(1, 2, 1)
	if err != nil || len(entries) != 1 || !bytes.Equal(entries[0].GetData(), data) {
		t.Fatalf("the log gives %d entries, %v", len(entries), err)
	}
	frame := appendMessage(appendFrameHeader(nil, 3), 7, &pb.Message{
		Type: pb.MsgApp.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(1)),
		LogTerm: new(uint64(0)), Index: new(uint64(0)), Commit: new(uint64(1)), Entries: entries,
	})
	if len(frame) > transport.DefaultMaxFrame {
		t.Errorf("a frame has %d bytes, the transport takes %d", len(frame), transport.DefaultMaxFrame)
	}
	arrived := 0
	if err := decodeFrame(frame, 3, func(_ GroupID, m *pb.Message) {
		_, payloads, err := decodeEntry(m.GetEntries()[0].GetData())
		if err == nil && len(payloads) == 1 && bytes.Equal(payloads[0], payload) {
			arrived++
		}
	}); err != nil || arrived != 1 {
		t.Errorf("the peer reads %d commands, %v", arrived, err)
	}
}

// refusing is a machine that knows one command that it cannot apply.
type refusing struct{ *labMachine }

var errUnreadable = errors.New("cannot be read")

func (refusing) Check(payload []byte) (int, error) {
	if bytes.Equal(payload, []byte("unreadable")) {
		return 0, errUnreadable
	}
	return 0, nil
}

// What could not be applied, or carried, is not proposed; the calls beside it
// are.
func TestRefusedBeforeProposed(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	l.found(testGroup, false, 1)
	n := l.node(1)
	g := n.replicas[testGroup].group
	g.applier.machine = refusing{n.replicas[testGroup].machine}
	one, bad, large, two := l.call(n, testGroup, 1), l.call(n, testGroup, 9), l.call(n, testGroup, 9), l.call(n, testGroup, 2)
	bad.Payload = []byte("unreadable")
	large.Payload = make([]byte, MaxPayload+1)
	g.Submit(&one.Call, &bad.Call, &large.Call, &two.Call)
	l.finish(one, bad, large, two)
	expect(t, "the first", one, nil)
	expect(t, "the last", two, nil)
	if !errors.Is(bad.Err, ErrRefused) || !errors.Is(bad.Err, errUnreadable) {
		t.Errorf("unreadable: %v", bad.Err)
	}
	if !errors.Is(large.Err, ErrRefused) || !errors.Is(large.Err, ErrTooLarge) {
		t.Errorf("too large: %v", large.Err)
	}
	if g.lead.Load().role != raft.StateLeader {
		t.Error("the leader has stepped down")
	}
}

// An entry holds no more than its commands may make in memory, however short they are.
func TestEntriesAreBoundedByWeight(t *testing.T) {
	calls := make([]*Call, 10)
	for i := range calls {
		calls[i] = &Call{Payload: []byte("x"), weight: maxEntryWeight / 4}
	}
	if got := packable(calls, 1<<20); got != 4 {
		t.Errorf("%d of them are in one entry, not 4", got)
	}
	calls[0].weight = 9 * maxEntryWeight
	if got := packable(calls, 1<<20); got != 1 {
		t.Errorf("%d are in one entry with one that is too heavy", got)
	}
}
