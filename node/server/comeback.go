package server

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
)

const (
	// comeBackPatience is for how long a node that has lost part of its log asks the
	// others to take it back: they may have to elect leaders without it first.
	comeBackPatience = 30 * time.Second
	comeBackPause    = 300 * time.Millisecond
)

// comeBack makes a node that may have forgotten what it promised a new member of all
// its groups: see metaraft.ComeBack. None of them has been opened. The former ones end,
// and the MetaRaft replica under its new id begins, in one batch of the log; a crash
// before it has the node ask again, and be answered the same.
func (h *home) comeBack(ctx context.Context) error {
	id := *h.current.Load()
	u := h.node.data.unsynced
	h.node.log.Warn("the machine stopped while wal.fsync was not \"always\": the node may have forgotten votes and entries, and asks the others to take it back under new Raft ids",
		"node", id.Node)
	admit, err := h.askBack(ctx, id)
	if err != nil {
		return u.advice(id.Node, err)
	}
	var shards []multiraft.Stored
	change := multiraft.Change{}
	for _, s := range h.stored {
		change.Remove = append(change.Remove, s.ID)
		if s.ID != id.metaGroup() {
			shards = append(shards, s)
		}
	}
	if err := h.node.replicas.Forsake(shards); err != nil {
		return err
	}
	next := id
	next.MetaID, next.Peers = admit.MetaID, admit.Peers
	meta, err := h.openReplica(next, 0)
	if err != nil {
		return err
	}
	former := h.opened
	if err := h.establish(ctx, meta, change, h.node.host.Apply, false); err != nil {
		return err
	}
	if err := errors.Join(former.store.Close(), os.RemoveAll(former.dir)); err != nil {
		return err
	}
	h.node.log.Info("the node has come back, and fetches its data anew", "node", id.Node, "former_raft_id", id.MetaID, "raft_id", next.MetaID)
	return h.node.replicas.Restore(ctx, nil)
}

// askBack asks every member that the node knows of, until one of them has had the
// node taken back. The error is the last reason why not.
func (h *home) askBack(ctx context.Context, id identity) (admit metaraft.AdmitOutcome, err error) {
	addrs := h.otherMembers(h.opened.machine.State())
	for _, p := range id.Peers {
		if p.Node != id.Node && !slices.Contains(addrs, p.RaftAddr) {
			addrs = append(addrs, p.RaftAddr)
		}
	}
	change := metaraft.ComeBack{Node: id.Node, MetaID: id.MetaID, Lineage: h.node.past.lineage()}
	deadline := h.node.sched.Now().Add(comeBackPatience)
	err = errors.New("it knows no other member")
	for {
		for _, addr := range addrs {
			call, cancel := h.node.sched.WithTimeout(ctx, time.Duration(h.node.cfg.Cluster.CommandTimeout)+time.Second)
			admit, err = metaraft.AskComeBack(call, peers{h.node.transport}, addr, id.Cluster, change)
			cancel()
			if err == nil {
				return admit, nil
			}
			h.node.log.Debug("not taken back yet", "asked", addr, "reason", err)
		}
		if len(addrs) == 0 || !h.node.sched.Now().Before(deadline) {
			return admit, err
		}
		if !sched.Sleep(ctx, h.node.sched, comeBackPause) {
			return admit, ctx.Err()
		}
	}
}
