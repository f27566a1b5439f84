package multiraft

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A leader removes the other of two voters, which is committed with a log that is
// longer than what the leader's own disk has; then the leader's machine fails.
func TestLeftVoterDoesNotBlockTheOther(t *testing.T) {
	l := newLab(t, 2, 1, nil)
	l.found(testGroup, false, 1, 2)
	n := l.leader(testGroup)
	f := l.followers(testGroup, n)[0]
	applied := n.replicas[testGroup].machine.applied
	acked := false // whether the follower's answers pass
	l.pass = func(_, to uint64, _ GroupID, m *pb.Message) bool {
		return acked || to != n.id || m.GetType() != pb.MsgAppResp
	}
	l.wish(testGroup, Wish{Version: 2, Voters: labMembers(n.id), Others: labMembers(f.id)})
	l.ticks(1)
	n.holdDisk = true
	l.write(n, testGroup, 1)
	l.ticks(1)
	acked = true
	left := func() bool {
		voters := f.replicas[testGroup].group.members.conf.GetVoters()
		return len(voters) == 1 && voters[0] == labRaftID(n.id)
	}
	for i := 0; !left(); i++ {
		if i == 100 {
			t.Fatal("the follower has not learned that it has left")
		}
		l.ticks(1)
	}
	n.crash()
	n.replicas[testGroup].machine.applied = applied
	n.holdDisk = false
	n.boot()
	g := n.replicas[testGroup].group
	if conf := g.members.conf.GetVoters(); len(conf) != 2 {
		t.Fatalf("after the crash the voters are %v; the test proves nothing", conf)
	}
	n.replicas[testGroup].group.setMembers(labMembers(1, 2))
	l.until("the one that stays to lead", func() bool { return l.leader(testGroup) == n })
	w := l.write(n, testGroup, 2)
	l.finish(w)
	expect(t, "write", w, nil)
}
