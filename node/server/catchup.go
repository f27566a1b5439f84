package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/snapshot"
	"github.com/genuineh/aikv/node/topology"
)

// sendState answers a peer that fetches the state of a group.
func (n *node) sendState(ctx context.Context, request []byte, out snapshot.Out) error {
	r, err := snapshot.DecodeRequest(request)
	if err != nil {
		return err
	}
	if meta := n.home.replica.Load(); r.Group == meta.group.ID() {
		return n.snapshots.Serve(ctx, meta.group, meta.machine, r.To, out)
	}
	return n.replicas.SendState(ctx, r, out)
}

// catchUp takes an offer of MetaRaft's leader: this replica's log ends before
// the leader's begins. The state is small, so it is fetched here and now.
func (h *home) catchUp(ctx context.Context, old *metaReplica) {
	offer := old.group.Offer()
	if offer == nil {
		return
	}
	ctx, cancel := h.node.sched.WithTimeout(ctx, time.Duration(h.node.cfg.Cluster.CommandTimeout))
	defer cancel()
	next, state, err := h.fetch(ctx, old, offer)
	if err != nil {
		old.group.Decline(offer)
		h.node.log.Warn("cannot fetch MetaRaft's state, trying again", "node", topology.NodeID(offer.Node), "error", err)
		return
	}
	if err := h.goOver(ctx, old, next, state); err != nil {
		state.Discard()
		if err := errors.Join(next.store.Close(), os.RemoveAll(next.dir)); err != nil {
			h.node.fail(err)
		}
		old.group.Decline(offer)
		h.node.log.Info("MetaRaft's state was fetched and is not needed any more", "reason", err)
		return
	}
	// Without the confirmation the leader finds out by asking.
	_ = state.Use()
	if err := errors.Join(old.store.Close(), os.RemoveAll(old.dir)); err != nil {
		h.node.fail(err)
	}
	h.node.log.Info("MetaRaft replica goes on from fetched state", "index", state.At.Index)
}

// fetch brings in the leader's state, in a folder of its own.
func (h *home) fetch(ctx context.Context, old *metaReplica, offer *multiraft.Offer) (*metaReplica, *snapshot.Fetched, error) {
	id := old.identity
	dir := h.metaDir(id, old.generation+1)
	if err := os.RemoveAll(dir); err != nil { // of an attempt before
		return nil, nil, err
	}
	store, err := h.node.data.openMeta(dir)
	if err != nil {
		return nil, nil, err
	}
	request := snapshot.Request{Group: id.metaGroup(), To: id.MetaID}
	state, err := h.node.snapshots.Fetch(ctx, offer.Node, request, store)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close(), os.RemoveAll(dir))
	}
	next, err := newMetaReplica(id, old.generation+1, dir, store)
	if err != nil {
		state.Discard()
		return nil, nil, errors.Join(err, store.Close(), os.RemoveAll(dir))
	}
	return next, state, nil
}

// goOver makes the fetched state the replica's. After an error the replica goes
// on as it was, or the node ends.
func (h *home) goOver(ctx context.Context, old, next *metaReplica, state *snapshot.Fetched) error {
	h.moving.Lock()
	defer h.moving.Unlock()
	if h.replica.Load() != old {
		return errors.New("the node has changed its cluster")
	}
	group, err := h.node.host.Reopen(ctx, next.spec(false), &state.At)
	switch {
	case err == nil:
	case errors.Is(err, multiraft.ErrObsolete):
		return err
	default:
		h.node.fail(fmt.Errorf("install MetaRaft's state: %w", err))
		return err
	}
	next.group, next.floor, next.floorTerm = group, old.floor, old.floorTerm
	h.publish(next)
	return nil
}
