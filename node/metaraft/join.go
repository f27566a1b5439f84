package metaraft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/topology"
)

// join is one attempt of this node to become a member of another cluster. It
// owns the right to change the node's cluster (Node.beginMove) until it has moved in
// or turned back, and it goes on for as long as it takes: once the token has
// left this node, only the target's answer can end it (or a RESET, which makes
// the node another one).
//
// What survives a crash is, in this order: nothing; the freeze in the node's
// own MetaRaft, from which Run resumes; the new identity, after which there is
// nothing left to do but to catch up.
type join struct {
	token   uint64
	target  string   // Raft address of a member of the target cluster
	cluster uint64   // the target cluster
	others  []string // its other members, in case that one leaves it

	phase  atomic.Value // string
	cancel context.CancelFunc
	moved  bool // the right was given back; used by the join alone
	done   chan struct{}
	err    error // valid once done is closed; an Error is for the client
}

// enter records the phase for whoever gets impatient.
func (j *join) enter(phase string) { j.phase.Store(phase) }

// where says what the node is doing.
func (j *join) where() string {
	return fmt.Sprintf("joining %s: %s", j.target, j.phase.Load())
}

// startJoin starts a join of peer's cluster, reached at addr, once no other is
// running. It returns errReevaluate if it had to wait or the direction changed.
// invited says that the peer asked for it whatever the order of the ids.
func (n *Node) startJoin(ctx context.Context, peer PeerInfo, addr string, invited bool) (*join, error) {
	if err := n.beginMove(ctx); err != nil {
		return nil, err
	}
	if self := n.Info(); directionOf(self, peer) != selfJoins && !(invited && mayCome(self, peer)) {
		n.endMove()
		return nil, errReevaluate
	}
	j := &join{token: n.token(), target: addr, cluster: peer.Cluster, others: n.shuffled(peer.Members, addr, peer.Address.Raft)}
	return j, n.launch(j)
}

// launch runs j in the background. The caller has begun the move; the join ends it.
func (n *Node) launch(j *join) error {
	j.done = make(chan struct{})
	j.enter("beginning")
	ctx, cancel := context.WithCancel(n.life)
	j.cancel = cancel
	n.mu.Lock()
	n.join = j
	n.mu.Unlock()
	end := func(err error) {
		cancel()
		n.mu.Lock()
		if n.join == j {
			n.join = nil
		}
		n.mu.Unlock()
		j.err = err
		if !j.moved {
			n.endMove()
		}
		close(j.done)
		n.wake()
	}
	started := n.spawn("join", func(context.Context) {
		err := n.runJoin(ctx, j)
		if err != nil && ctx.Err() != nil && n.life.Err() == nil {
			err = Error("UNCERTAIN CLUSTER RESET ended the join")
		}
		switch {
		case err == nil:
			n.log.Info("MetaRaft join done", "target", j.target, "cluster", j.cluster)
		case errors.Is(err, errReevaluate):
			n.log.Debug("MetaRaft join to be decided again", "target", j.target, "reason", err)
		default:
			n.log.Warn("MetaRaft join ended", "target", j.target, "error", err)
		}
		end(err)
	})
	if !started {
		end(context.Canceled)
		return context.Canceled
	}
	return nil
}

// runJoin takes the join from wherever it is to its end.
func (n *Node) runJoin(ctx context.Context, j *join) error {
	a, err := n.await(ctx, (*attachment).ready)
	if err != nil {
		return err
	}
	j.enter("freezing its own topology")
	// gofail: var joinFreeze struct{}
	frozen, err := n.proposeIn(ctx, a, &Freeze{Token: j.token, TargetAddr: j.target, TargetCluster: j.cluster, Others: j.others})
	if err != nil {
		// Refused: not lone any more, or frozen for another target. Uncertain:
		// if it is frozen after all, Run resumes.
		return fmt.Errorf("%w: freeze: %w", errReevaluate, unquoted(err))
	}
	if err := n.checkpoint("frozen"); err != nil {
		return err
	}
	n.log.Info("MetaRaft frozen for a join", "target", j.target, "token", j.token)
	// gofail: var joinFrozen struct{}
	j.enter("waiting for the answer of the cluster there (CLUSTER RESET ends the join)")
	frozen.Join.NewGroup = topology.GroupID(n.token())
	frozen.Join.Lineage = n.opts.Lineage()
	answer, err := n.requestAdmission(ctx, j, *frozen.Join)
	if err != nil {
		return err
	}
	if err := n.checkpoint("answered"); err != nil {
		return err
	}
	// gofail: var joinAnswered struct{}
	if answer.Status != Admitted {
		return n.turnBack(ctx, a, j, answer)
	}
	return n.moveIn(ctx, j, answer)
}

// unquoted hides the type Error of a refusal that is not for the client.
func unquoted(err error) error { return errors.New(err.Error()) }

// turnBack ends a join whose token can never be admitted any more.
func (n *Node) turnBack(ctx context.Context, a *attachment, j *join, answer AdmitOutcome) error {
	j.enter("unfreezing its own topology")
	retry := n.backoff(10*time.Millisecond, time.Second)
	for {
		_, err := n.proposeIn(ctx, a, &Unfreeze{Token: j.token})
		if err == nil {
			break
		}
		n.log.Warn("MetaRaft can't unfreeze", "error", err)
		if !retry.wait(ctx) {
			return ctx.Err()
		}
	}
	// gofail: var joinTurnedBack struct{}
	n.log.Info("MetaRaft join turned back", "target", j.target, "status", answer.Status, "text", answer.Text)
	if answer.Status == Refused && answer.Text != "" {
		return Error(answer.Text)
	}
	return fmt.Errorf("%w: the token was answered %q", errReevaluate, answer.Status)
}

// moveIn makes the admitted node a member: Adopt, then wait for the state.
func (n *Node) moveIn(ctx context.Context, j *join, answer AdmitOutcome) error {
	j.enter("taking over its membership")
	n.log.Info("MetaRaft admitted", "cluster", answer.ClusterID, "raft", answer.MetaID, "index", answer.Index)
	retry := n.backoff(10*time.Millisecond, time.Second)
	for {
		// Not interrupted by a RESET: the step is atomic, and then it is over.
		err := n.opts.Home.Adopt(n.life, answer)
		if err == nil {
			break
		}
		n.log.Error("MetaRaft can't take over the membership", "error", err)
		if !retry.wait(ctx) {
			return ctx.Err()
		}
	}
	if err := n.checkpoint("adopted"); err != nil {
		return err
	}
	// gofail: var joinAdopted struct{}

	// The membership is durable. If its cluster dissolves or forgets this node
	// before the state arrives, that has to be free to act on it.
	j.moved = true
	n.endMove()
	j.enter("waiting for the state of its new cluster")
	_, err := n.await(ctx, (*attachment).ready)
	return err
}

// admissionTimeout is for one Join call: it contains a proposal.
func (n *Node) admissionTimeout() time.Duration { return n.opts.CommandTimeout + n.opts.CallTimeout }

// requestAdmission asks the target cluster until it answers the token. When the
// target has left that cluster, its other members are asked; when all of them
// have, nobody is left who could have admitted this node.
func (n *Node) requestAdmission(ctx context.Context, j *join, admit Admit) (AdmitOutcome, error) {
	request := joinRequest{Cluster: j.cluster, Admit: admit}
	retry := n.backoff(5*time.Millisecond, 500*time.Millisecond)
	members := slices.Concat([]string{j.target}, j.others)
	for {
		gone := 0
		for _, addr := range members {
			call, cancel := n.within(ctx, n.admissionTimeout())
			reply, err := ask[joinReply](call, n.opts.Peers, addr, MethodJoin, request)
			cancel()
			switch {
			case err != nil:
				n.log.Debug("MetaRaft join: no answer", "from", addr, "error", err)
			case reply.Ended:
				return AdmitOutcome{Status: Burned}, nil
			case reply.Elsewhere:
				gone++
				continue
			case reply.Admit != nil:
				return *reply.Admit, nil
			}
			if ctx.Err() != nil {
				return AdmitOutcome{}, ctx.Err()
			}
		}
		if gone == len(members) {
			return AdmitOutcome{Status: Burned}, nil
		}
		if !retry.wait(ctx) {
			return AdmitOutcome{}, ctx.Err()
		}
	}
}

// serveJoin has this node's cluster decide about a joiner.
func (n *Node) serveJoin(ctx context.Context, request joinRequest) joinReply {
	a, _ := n.current()
	if a == nil || a.id.Cluster != request.Cluster {
		return joinReply{Elsewhere: a != nil, Ended: a != nil && a.id.Former == request.Cluster}
	}
	if !a.ready() {
		return joinReply{}
	}
	ctx, cancel := n.within(ctx, n.opts.CommandTimeout)
	defer cancel()
	// gofail: var joinAdmit struct{}
	outcome, err := n.proposeIn(ctx, a, &request.Admit)
	// gofail: var joinAdmitted struct{}
	if outcome.Admit == nil {
		n.log.Warn("MetaRaft has no answer for a joiner", "node", request.Admit.Node, "error", err)
		return joinReply{}
	}
	n.log.Info("MetaRaft answered a joiner", "node", request.Admit.Node, "address", request.Admit.Address.Raft,
		"status", outcome.Admit.Status, "text", outcome.Admit.Text)
	return joinReply{Admit: outcome.Admit}
}

// serveBurn makes sure that a token has no effect: it is burned, or if it was
// admitted the membership it brought ends. There is no answer until that is so.
func (n *Node) serveBurn(ctx context.Context, request burnRequest) joinReply {
	a, _ := n.current()
	if a == nil || a.id.Cluster != request.Cluster {
		return joinReply{Elsewhere: a != nil, Ended: a != nil && a.id.Former == request.Cluster}
	}
	outcome, _ := n.proposeIn(ctx, a, &BurnToken{Token: request.Token})
	if outcome.Admit != nil && outcome.Admit.Status == Admitted {
		if _, err := n.proposeIn(ctx, a, &Leave{Node: request.Node, MetaID: outcome.Admit.MetaID, Gone: true}); err != nil {
			return joinReply{}
		}
	}
	return joinReply{Admit: outcome.Admit}
}
