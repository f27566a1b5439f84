package multiraft

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// progress returns what the leader knows of a member.
func (g *Group) progress(raftID uint64) (found tracker.Progress) {
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if id == raftID {
			found = pr
		}
	})
	return found
}

// A member whose frames the transport does not take is not sent entry after entry:
// raft is told, and goes on when it is back.
func TestFailedSendIsReported(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	g, to := leader.replicas[testGroup].group, l.followers(testGroup, leader)[0].id
	l.refuse = func(from, node uint64, control bool) bool { return from == leader.id && node == to && !control }
	for v := uint64(1); v <= 3; v++ {
		l.finish(l.write(leader, testGroup, v))
	}
	if pr := g.progress(labRaftID(to)); pr.State != tracker.StateProbe {
		t.Errorf("the member cannot be reached, and raft is in %v", pr.State)
	}
	l.refuse = nil
	l.until("the member to follow again", func() bool {
		pr := g.progress(labRaftID(to))
		return pr.State == tracker.StateReplicate && pr.Match == g.rn.BasicStatus().GetCommit()
	})
}

// What is on its way to a member that does not answer is bounded in bytes.
func TestInflightBytes(t *testing.T) {
	l := newLab(t, 3, 1, func(o *Options) { o.InflightEntries = 1 << 10; o.MaxEntryBytes = 1 << 20 })
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	slow := l.followers(testGroup, leader)[0]
	sent := 0
	l.fate = nil
	l.holdFrames(slow.id, leader.id)
	big := make([]byte, 1<<20)
	g := leader.replicas[testGroup].group
	for range 3 * maxInflight / len(big) {
		if err := g.rn.Propose(appendEntry(nil, entryHead{}, []*Call{{Payload: big}})); err != nil {
			t.Fatal(err)
		}
		leader.stepLoop(false)
	}
	for _, p := range l.wire {
		if p.to == slow.id && !p.control {
			sent += len(p.frame)
		}
	}
	if sent < maxInflight/2 || sent > maxInflight+2*len(big) {
		t.Errorf("%d bytes are on their way to a member that is silent", sent)
	}
}

// holdFrames keeps what one node sends to another from arriving.
func (l *lab) holdFrames(from, to uint64) { l.cut[[2]uint64{from, to}] = true }

// Many bytes at once do not keep the loop from what else is due, and a node that
// floods another loses frames, not the other its memory.
func TestFramesAreHandledInPieces(t *testing.T) {
	l := newLab(t, 1, 1, nil)
	h := l.node(1).host
	frame := func(n int) []byte { return slices.Grow(appendFrameHeader(nil, testCluster), n)[:n] }
	for range 20 {
		h.Receive(2, frame(5<<20))
	}
	h.Receive(3, frame(100))
	if got := h.inbox.waiting[2]; got > maxWaiting || got < maxWaiting/2 {
		t.Errorf("%d bytes wait", got)
	}
	for turns := 0; ; turns++ {
		before := h.inbox.waiting[2]
		h.step(l.now, false)
		if done := before - h.inbox.waiting[2]; done > maxTurn {
			t.Errorf("one turn handled %d bytes", done)
		}
		if len(h.backlog) == 0 {
			if turns < 5 {
				t.Errorf("all was handled in %d turns", turns+1)
			}
			break
		}
		if len(h.inbox.wake) == 0 {
			t.Fatal("nobody wakes the loop for the rest")
		}
		woken(h.inbox.wake)
	}
	if len(h.inbox.waiting) > 0 {
		t.Errorf("still waiting: %v", h.inbox.waiting)
	}
}

// A member that has just heard of a leader has promised it its vote: it does not
// stand against it, also when it is told to.
func TestCampaignKeepsThePromise(t *testing.T) {
	l := newLab(t, 3, 1, nil)
	l.found(testGroup, false, 1, 2, 3)
	leader := l.leader(testGroup)
	l.ticks(5)
	follower := l.followers(testGroup, leader)[0].replicas[testGroup].group
	if bound, err := follower.campaign(); !bound || err != nil || follower.lead.Load().role != raft.StateFollower {
		t.Fatalf("it hears of a leader: bound %v, %v, %v", bound, err, follower.lead.Load().role)
	}
	l.isolate(leader, true)
	ticks := 0
	for ; ticks < 30; ticks++ {
		bound, err := follower.campaign()
		if err != nil {
			t.Fatal(err)
		}
		if !bound {
			break
		}
		l.tick()
	}
	if least := follower.host.opts.ElectionTicks - follower.host.opts.HeartbeatTicks; ticks < least {
		t.Errorf("it stood for election after %d ticks, and had promised its vote for %d", ticks, least)
	}
	l.until("another leader", func() bool { n := l.leader(testGroup); return n != nil && n != leader })
}
