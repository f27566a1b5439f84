package multiraft

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Status is what a member knows of its group.
type Status struct {
	ID      GroupID
	RaftID  uint64
	Data    bool   // has a state machine
	Role    string // leader, follower, candidate, learner
	Term    uint64
	Leader  uint64 // Raft id, 0 if unknown
	Commit  uint64
	Applied uint64
	Last    uint64 // the last entry that the leader knows of its own log
	// LogStart is the last entry that this member's log has lost; 0: none.
	LogStart uint64
	Voters   []uint64
	// Learners includes members on their way out of a joint configuration.
	Learners []uint64
	// Members are what the leader knows of each; empty elsewhere.
	Members []MemberStatus
	// Settled holds on the leader of a group whose membership equals the wish
	// of version WishVersion, whose voters have all caught up, and a quorum of
	// which has learned of that membership.
	Settled bool
	// ClockOff is how far this node's clock was off from the group's when it
	// proposed last, 0 if it fits: see Group.Clock.
	ClockOff    time.Duration
	WishVersion uint64
}

// MemberStatus is a leader's view of one member.
type MemberStatus struct {
	RaftID, Node uint64
	Voter        bool
	Match        uint64
	// Contact is when something last came from the member; zero if never.
	Contact time.Time
}

// Status asks the loop.
func (g *Group) Status(ctx context.Context) (Status, error) {
	var s Status
	err := g.host.control(ctx, func() { s = g.status() })
	return s, err
}

func (g *Group) status() Status {
	b := g.rn.BasicStatus()
	conf := g.members.conf
	s := Status{
		ID: g.id, RaftID: g.raftID, ClockOff: g.clock.off, Data: g.applier.machine != nil,
		Role: roleName(b.RaftState), Term: b.GetTerm(), Leader: b.Lead, Commit: b.GetCommit(),
		Applied: g.Applied(), LogStart: g.LogStart(), Voters: conf.GetVoters(), WishVersion: g.members.wish.Version,
	}
	s.Learners = append(append(s.Learners, conf.GetLearners()...), conf.GetLearnersNext()...)
	for _, id := range s.Learners {
		if id == g.raftID {
			s.Role = "learner"
		}
	}
	if b.RaftState != raft.StateLeader {
		return s
	}
	routes := *g.routes.Load()
	lagging := false
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		voter := typ != raft.ProgressTypeLearner
		contact := g.contact[id]
		if id == g.raftID {
			s.Last = pr.Match
			contact = g.host.opts.Now()
		}
		if voter && pr.Match+catchUpSlack < b.GetCommit() {
			lagging = true
		}
		s.Members = append(s.Members, MemberStatus{
			RaftID: id, Node: routes[id], Voter: voter, Match: pr.Match, Contact: contact,
		})
	})
	s.Settled = g.members.settled(lagging)
	return s
}

func roleName(s raft.StateType) string {
	switch s {
	case raft.StateLeader:
		return "leader"
	case raft.StateFollower:
		return "follower"
	default:
		return "candidate"
	}
}

// raftLogger writes raft's own messages; what raft finds normal is debugging
// detail for an operator.
type raftLogger struct{ log *slog.Logger }

func (l raftLogger) Debug(v ...any)                 {}
func (l raftLogger) Debugf(format string, v ...any) {}
func (l raftLogger) Info(v ...any)                  { l.detail("", v) }
func (l raftLogger) Infof(format string, v ...any)  { l.detail(format, v) }
func (l raftLogger) Warning(v ...any)               { l.detail("", v) }
func (l raftLogger) Warningf(f string, v ...any)    { l.detail(f, v) }
func (l raftLogger) Error(v ...any)                 { l.log.Error(fmt.Sprint(v...)) }
func (l raftLogger) Errorf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
func (l raftLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l raftLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }

// detail makes the text only if somebody is to read it.
func (l raftLogger) detail(format string, v []any) {
	switch {
	case !l.log.Enabled(context.Background(), slog.LevelDebug):
	case format == "":
		l.log.Debug(fmt.Sprint(v...))
	default:
		l.log.Debug(fmt.Sprintf(format, v...))
	}
}
