package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/replica"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
)

// methodHandOver asks a node that leads a shard to hand it over: the shard's id
// and the successor's Raft id, eight bytes each. The answer is empty, or one byte if
// the successor has not caught up.
const methodHandOver = 33

// failoverPoll is how often a failover under way is looked at.
const failoverPoll = 2 * time.Millisecond

var errNoMajority = resp.Error("ERR A majority of the shard's voters cannot be reached from here, so nobody can become its master")

// Failover implements admin.Node. Whoever leads the shard is asked to hand it
// over, until this node leads. With force, if that fails, it also stands for
// election, which it cannot win while a majority hears of a leader.
func (b *backend) Failover(ctx context.Context, force bool) error {
	ctx, cancel := b.node.sched.WithTimeout(ctx, time.Duration(b.node.cfg.Cluster.CommandTimeout))
	defer cancel()
	r := b.node.replicas.Own()
	if r == nil {
		return resp.Error("ERR This node has not received its shard's data yet")
	}
	if behind := b.node.behind(r); behind && !force || behind && !b.node.votes(r) {
		return errBehind
	}
	if force && !b.node.reachesMajority(r) {
		return errNoMajority
	}
	for !r.Leads() {
		failure := b.node.takeOver(ctx, r)
		if !force && (failure == errBehind || b.node.behind(r)) {
			return errBehind
		}
		if failure != nil && force {
			failure = errors.Join(failure, r.Group().Campaign(ctx))
		}
		if b.node.awaitLeadership(ctx, r) != nil {
			return resp.Error(strings.ReplaceAll(fmt.Sprintf("ERR The failover did not take place in time: %v", failure), "\n", "; "))
		}
	}
	return b.node.awaitMastery(ctx, r)
}

// errBehind is said at once: there is nothing that the node could take over with.
var errBehind error = resp.Error("ERR This replica has not received all of its shard's data yet: try again when it has caught up")

// behind reports whether the shard's leader says that this node lacks data.
func (n *node) behind(r *replica.Replica) bool {
	v := n.meta.Current()
	s := v.Shard(topology.GroupID(r.Group().ID()))
	return s != nil && s.Master != v.Self && !v.Me().Synced()
}

// votes reports whether the replica is a voter of its group, as far as is known.
func (n *node) votes(r *replica.Replica) bool {
	s := n.meta.Current().Shard(topology.GroupID(r.Group().ID()))
	return s != nil && slices.Contains(s.Voters, r.Group().RaftID())
}

// takeOver asks the shard's leader to hand over to this node; errBehind is its answer
// that this node lags.
func (n *node) takeOver(ctx context.Context, r *replica.Replica) error {
	leader := n.meta.Current().Node(topology.NodeID(r.Group().LeaderNode()))
	if leader == nil {
		return errors.New("no leader of the shard is known here")
	}
	request := binary.LittleEndian.AppendUint64(nil, uint64(r.Group().ID()))
	request = binary.LittleEndian.AppendUint64(request, r.Group().RaftID())
	ctx, cancel := n.sched.WithTimeout(ctx, n.electionTimeout())
	defer cancel()
	answer, err := n.transport.Call(ctx, leader.Address.Raft, methodHandOver, request)
	if err == nil && len(answer) > 0 {
		return errBehind
	}
	return err
}

// handOver answers methodHandOver.
func (n *node) handOver(ctx context.Context, request []byte) ([]byte, error) {
	if len(request) != 16 {
		return nil, errors.New("malformed request")
	}
	id := topology.GroupID(binary.LittleEndian.Uint64(request))
	r := n.replicas.Data(id)
	if r == nil {
		return nil, fmt.Errorf("this node has no data of shard %s", id)
	}
	to := binary.LittleEndian.Uint64(request[8:])
	switch lags, err := n.lags(ctx, r, to); {
	case err != nil:
		return nil, err
	case lags:
		return []byte{1}, nil
	}
	return nil, r.Group().Transfer(ctx, to)
}

// lags reports whether a member of the group that this node leads does not come by
// what is committed now within a fraction of an election timeout. Raft would hold
// all writes for the whole of that, and then not hand over.
func (n *node) lags(ctx context.Context, r *replica.Replica, raftID uint64) (bool, error) {
	until := n.sched.Now().Add(n.electionTimeout() / 4)
	var goal uint64
	for {
		s, err := r.Group().Status(ctx)
		if err != nil || s.Leader != s.RaftID {
			return false, err
		}
		goal = cmp.Or(goal, s.Commit)
		for _, m := range s.Members {
			if m.RaftID == raftID && m.Voter && m.Match >= goal {
				return false, nil
			}
		}
		if !n.sched.Now().Before(until) {
			return true, nil
		}
		if !sched.Sleep(ctx, n.sched, failoverPoll) {
			return false, ctx.Err()
		}
	}
}

// electionTimeout is about the longest that a replica waits before it stands for
// election.
func (n *node) electionTimeout() time.Duration {
	return 2 * time.Duration(n.cfg.Raft.ElectionTicks) * time.Duration(n.cfg.Raft.Tick)
}

// awaitLeadership returns nil once the replica serves, or a tenth of an election
// timeout later; an error when ctx has ended.
func (n *node) awaitLeadership(ctx context.Context, r *replica.Replica) error {
	until := n.sched.Now().Add(n.electionTimeout() / 10)
	for !r.Leads() && n.sched.Now().Before(until) {
		if !sched.Sleep(ctx, n.sched, failoverPoll) {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// awaitMastery returns once MetaRaft shows this node as the shard's master.
func (n *node) awaitMastery(ctx context.Context, r *replica.Replica) error {
	for {
		v := n.meta.Current()
		if s := v.Shard(topology.GroupID(r.Group().ID())); s == nil || s.Master == v.Self {
			return nil
		}
		if !sched.Sleep(ctx, n.sched, failoverPoll) {
			return resp.Error("ERR This node leads its shard now, but MetaRaft has not recorded it yet")
		}
	}
}

// reachesMajority reports whether this node has a link to a majority of its
// shard's voters.
func (n *node) reachesMajority(r *replica.Replica) bool {
	v := n.meta.Current()
	s := v.Shard(topology.GroupID(r.Group().ID()))
	if s == nil {
		return false
	}
	reached := 0
	for _, m := range s.Members {
		if c := n.contact(m.Node); m.Node == v.Self || c.Connected && !c.Suspect {
			reached++
		}
	}
	return reached > len(s.Members)/2
}
