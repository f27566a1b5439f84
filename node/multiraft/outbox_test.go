package multiraft

import (
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// An arbiter that the group can do without gets its entries late and in larger
// pieces; it gets them at once when the member is gone, since the group then
// needs it.
func TestSpareArbiterWaits(t *testing.T) {
	l := newLab(t, 3, 1, func(o *Options) { o.CommitDelay = 5 * time.Millisecond })
	l.found(testGroup, false, 1, 2, 3)
	wish := Wish{Version: 2, Voters: labMembers(1, 2, 3)}
	wish.Voters[2].Arbiter = true
	l.wish(testGroup, wish)
	leader := l.node(1)
	l.until("the first node to lead, with an arbiter to spare", func() bool {
		return l.leader(testGroup) == leader && len(leader.replicas[testGroup].group.spare) == 1
	})
	l.ticks(3)

	appends := 0
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		if to == 3 && m.GetType() == pb.MsgApp && len(m.GetEntries()) > 0 {
			appends++
		}
		return true
	}
	frames := func() (n int) {
		before := appends
		for value := range uint64(4) {
			w := l.write(leader, testGroup, 100*uint64(before+1)+value)
			l.drain() // in no time
			expect(t, "write without the arbiter", w, nil)
		}
		return appends - before
	}
	if n := frames(); n != 0 {
		t.Errorf("the arbiter got %d appends at once", n)
	}
	last := leader.replicas[testGroup].group.Applied()
	l.now = l.now.Add(5 * time.Millisecond)
	l.drain()
	if l.tick(); appends == 0 {
		t.Error("the arbiter got nothing when its time had come")
	}
	l.until("the arbiter to have the entries", func() bool {
		at, err := l.node(3).log.Storage(uint64(testGroup)).LastIndex()
		return err == nil && at >= last
	})

	l.isolate(l.node(2), true)
	l.until("the leader to miss the replica", func() bool { return len(leader.replicas[testGroup].group.spare) == 0 })
	if n := frames(); n != 4 {
		t.Errorf("without the replica the arbiter got %d of 4 entries at once", n)
	}
}

// sizes notes how large the frames are that it is given.
type sizes []int

func (s *sizes) Send(_ uint64, _ bool, frame []byte) bool {
	*s = append(*s, len(frame))
	return true
}

// Large messages of one turn do not add up to a frame that the transport drops.
func TestLargeMessagesGoAlone(t *testing.T) {
	var sent sizes
	h := &Host{opts: Options{Transport: &sent}}
	g := &Group{id: testGroup, host: h}
	g.routes.Store(&map[uint64]uint64{7: 2})
	out := outbox{host: h, peers: make(map[uint64]*peerOut)}
	for _, size := range []int{1 << 10, 1 << 10, 10 << 20, 10 << 20, 100 << 20, 1 << 10} {
		out.add(g, &pb.Message{
			Type: pb.MsgApp.Enum(), To: new(uint64(7)),
			Entries: []*pb.Entry{{Data: make([]byte, size)}},
		})
	}
	out.flush(time.Unix(1, 0))
	total := 0
	for _, n := range sent {
		total += n
	}
	if len(sent) != 4 || slices.Max(sent) > 100<<20+1<<10 || total < 120<<20 {
		t.Errorf("frames of %v bytes", sent)
	}
}
