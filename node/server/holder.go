package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

// Who holds a node's id is judged in three places. Every node judges whoever
// comes in the name of a member (admit), by what MetaRaft has recorded, by what it
// has heard itself, and by where the member is to be found; those who are in are
// judged again when MetaRaft's state changes. MetaRaft records an
// incarnation only if it continues the recorded one. And a node that starts asks
// the other members before it takes part (mayStart): a second vote under one Raft
// id could otherwise be given before anybody notices. Where it reached nobody, it
// asks when one of them refuses it later (watchHolder).

const (
	// secondHolder begins every refusal that is about who holds an id, and onceMore
	// ends those that may pass.
	secondHolder = "second holder of a node id: "
	onceMore     = " (it may try again)"

	// methodHolder asks a member whether it lets the caller in.
	methodHolder = 34

	// movedPatience is for how long nobody may have been at a member's recorded
	// address before somebody at another one is taken for it.
	movedPatience = 2 * time.Second
	// holderPatience is how long a starting node waits for another holder of its
	// id to go: the process before it, on a machine that lost its power, counts as
	// alive until the connections to it have timed out.
	holderPatience = 15 * time.Second
	holderPause    = 200 * time.Millisecond
	holderTimeout  = time.Second // of one question
)

// admit says why a process is not let in as the node of this cluster that it
// claims to be. See transport.Options.Admit.
func (h *home) admit(from transport.Identity, known transport.Presence) error {
	lineage, readable := decodeLineage(from.Incarnation)
	seen, seenReadable := decodeLineage(known.Incarnation)
	reached, reachedReadable := decodeLineage(known.Reached)
	if !readable || !seenReadable || !reachedReadable {
		return errors.New("its incarnation cannot be read")
	}
	id := topology.NodeID(from.NodeID)
	member := h.metaMachine().State().Node(id)
	if member == nil {
		return nil // forgotten, or new here: what is known of members decides later
	}
	for _, i := range []metaraft.Incarnation{member.Incarnation, seen.Now(), reached.Now()} {
		if !lineage.Continues(i) {
			return errors.New(secondHolder + metaraft.OtherHolder(member))
		}
	}
	here := member.Address.Raft
	switch now := lineage.Now(); {
	case known.Standing && seen.Now() != now:
		return fmt.Errorf("%snode %s is connected here from %s%s", secondHolder, id, here, onceMore)
	case reached.Now().Start != 0 && reached.Now() != now:
		return fmt.Errorf("%snode %s answers at %s%s", secondHolder, id, here, onceMore)
	case here != from.RaftAddr && member.Incarnation != now && known.Apart < movedPatience:
		return fmt.Errorf("%snode %s was at %s until a moment ago, and is not yet taken for the one at %s%s", secondHolder, id, here, from.RaftAddr, onceMore)
	}
	return nil
}

// metaMachine returns the state that the node has of MetaRaft; it is never nil
// after load.
func (h *home) metaMachine() *metaraft.Machine {
	if r := h.replica.Load(); r != nil {
		return r.machine
	}
	return h.opened.machine
}

// mayStart returns an error if a majority of the other members says that another
// process goes on as this node, or has. Nothing has been changed then. A node
// that reaches nobody starts: the others judge it when it comes.
func (h *home) mayStart(ctx context.Context) error {
	if len(h.node.past.lineage()) == 0 {
		return nil
	}
	addrs := h.otherMembers(h.opened.machine.State())
	deadline := h.node.sched.Now().Add(holderPatience)
	for {
		refusals := h.askMembers(ctx, addrs)
		if 2*len(refusals) <= len(addrs) {
			return nil
		}
		for _, text := range refusals {
			if !strings.HasSuffix(text, onceMore) || h.node.sched.Now().After(deadline) {
				return h.copyError(text)
			}
		}
		h.node.log.Info("another process is still taken for this node", "reason", refusals[0])
		if !sched.Sleep(ctx, h.node.sched, holderPause) {
			return ctx.Err()
		}
	}
}

// holderInterval is how often a running node looks whether it is refused.
const holderInterval = time.Second

// watchHolder ends a node that a majority of the other members has come to take
// for a copy: what it serves by itself is not what the cluster has.
func (n *node) watchHolder(ctx context.Context) {
	if len(n.past.lineage()) == 0 {
		return
	}
	for sched.Every(ctx, n.sched, holderInterval) {
		state := n.home.metaMachine().State()
		for _, m := range state.MetaMembers() {
			refusal := n.transport.Contact(uint64(m.Node)).LastError
			if !strings.Contains(refusal, secondHolder) || strings.HasSuffix(refusal, onceMore) {
				continue
			}
			addrs := n.home.otherMembers(state)
			if texts := n.home.askMembers(ctx, addrs); 2*len(texts) > len(addrs) && !strings.HasSuffix(texts[0], onceMore) {
				n.fail(n.home.copyError(texts[0]))
				return
			}
			break
		}
	}
}

// copyError is what a node ends with that is not let in.
func (h *home) copyError(text string) error {
	return fmt.Errorf("cannot use the data folder %s: %s", h.node.cfg.Storage.DataDir, strings.TrimSuffix(text, onceMore))
}

// otherMembers returns the Raft addresses of the other members, as far as the
// node knows them.
func (h *home) otherMembers(state *metaraft.State) (addrs []string) {
	id := h.current.Load()
	members := state.MetaMembers()
	if len(members) == 0 {
		members = id.Peers
	}
	for _, m := range members {
		if m.Node != id.Node {
			addrs = append(addrs, m.RaftAddr)
		}
	}
	return addrs
}

// askMembers returns what those say who do not let this node in.
func (h *home) askMembers(ctx context.Context, addrs []string) (refusals []string) {
	ctx, cancel := h.node.sched.WithTimeout(ctx, holderTimeout)
	defer cancel()
	var mu sync.Mutex
	asking := sched.NewGroup(h.node.sched)
	for _, addr := range addrs {
		asking.Go("ask a member", func() {
			_, err := h.node.transport.Call(ctx, addr, methodHolder, nil)
			if !errors.Is(err, transport.ErrRefused) {
				return
			}
			if _, text, ok := strings.Cut(err.Error(), secondHolder); ok {
				mu.Lock()
				defer mu.Unlock()
				refusals = append(refusals, text)
			}
		})
	}
	asking.Wait()
	return refusals
}
