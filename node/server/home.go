package server

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/sched"
	"github.com/genuineh/aikv/node/storage"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
	"github.com/genuineh/aikv/node/wal"
)

// identity is the blob that the log keeps: who the node is, which cluster it
// belongs to, and whom it knew there when it came. It changes only in one batch
// with the groups that it speaks of.
type identity struct {
	Node    topology.NodeID
	Cluster uint64
	MetaID  uint64
	Peers   []metaraft.MetaMember `json:",omitempty"`
	Former  uint64                `json:",omitempty"` // see metaraft.Identity
	// Recovered is set where MetaRaft began again from this node: see Recover.
	Recovered recovered `json:",omitzero"`
	metaraft.Beginning
}

// identityFormat is the first byte of the blob.
const identityFormat = 1

func (i identity) encode() ([]byte, error) {
	text, err := json.Marshal(i)
	return append([]byte{identityFormat}, text...), err
}

func decodeIdentity(blob []byte) (i identity, err error) {
	if blob[0] != identityFormat {
		return i, fmt.Errorf("the node's identity has format %d: %w", blob[0], errNewer)
	}
	return i, json.Unmarshal(blob[1:], &i)
}

// metaGroup is the id of the MetaRaft group: the cluster's.
func (i identity) metaGroup() multiraft.GroupID { return multiraft.GroupID(i.Cluster) }

// home is this node's place in the world: its identity, and the MetaRaft
// replica that goes with it. It implements metaraft.Home.
type home struct {
	node *node

	moving  *sched.Mutex // held while the place changes
	current atomic.Pointer[identity]
	replica atomic.Pointer[metaReplica]
	kick    chan struct{} // signalled when follow is to look again
	streams peerStreams
	// opened and stored are what load has found: the MetaRaft replica, which has no
	// group yet, and the groups of the log.
	opened *metaReplica
	stored []multiraft.Stored
}

// metaReplica is a MetaRaft replica and what belongs to it.
type metaReplica struct {
	identity identity
	// generation tells the folders of the replica's states apart; the log keeps
	// it.
	generation uint64
	dir        string
	store      storage.Store
	machine    *metaraft.Machine
	group      *multiraft.Group
	// floor and floorTerm are the last entry of its log when it was opened:
	// whatever the node had acted upon before is at or below that.
	floor, floorTerm uint64
}

// recovered reports whether the replica has applied again what a crash may have
// taken back. Where the log's end was never committed, an entry of a later term
// stands for it: its leader had everything that was.
func (r *metaReplica) recovered() bool {
	return r != nil && (r.machine.Applied() >= r.floor || r.group.AppliedTerm() > r.floorTerm)
}

// noteFloor is called before the replica starts.
func (r *metaReplica) noteFloor(log *wal.GroupLog) (err error) {
	if r.floor, err = log.LastIndex(); err == nil {
		r.floorTerm, err = log.Term(r.floor)
	}
	return err
}

func newHome(n *node) *home {
	return &home{node: n, moving: sched.NewMutex(n.sched), kick: make(chan struct{}, 1)}
}

// load reads the identity from the log, or invents that of a new node, which
// is stored with its first group, and opens MetaRaft's state.
func (h *home) load() error {
	blob := h.node.data.log.Identity()
	id := identity{Node: topology.NodeID(randomID()), Cluster: randomID(), MetaID: 1}
	if len(blob) > 0 {
		var err error
		if id, err = decodeIdentity(blob); err != nil {
			return fmt.Errorf("cannot use the data folder: %w", err)
		}
	}
	h.current.Store(&id)
	return h.openStored(id)
}

// openStored opens what the node has of MetaRaft's state.
func (h *home) openStored(id identity) (err error) {
	if h.stored, err = multiraft.StoredGroups(h.node.data.log); err != nil {
		return err
	}
	generation, err := metaGeneration(h.stored, id)
	if err != nil {
		return err
	}
	if err := h.removeMetaDirs(h.metaDir(id, generation)); err != nil {
		return err
	}
	h.opened, err = h.openReplica(id, generation)
	return err
}

// restore brings the replicas back that the log holds, or founds a cluster of
// one.
func (h *home) restore(ctx context.Context) error {
	if err := h.mayStart(ctx); err != nil {
		return err
	}
	if h.node.data.unsynced.forgetful(h.stored) {
		return h.comeBack(ctx)
	}
	if u := h.node.data.unsynced; u != nil && u.lost {
		h.node.log.Warn("the machine stopped while wal.fsync was not \"always\": the last writes may be lost")
	}
	id, meta := *h.current.Load(), h.opened
	var err error
	if len(h.node.data.log.Identity()) == 0 {
		if err := h.establish(ctx, meta, multiraft.Change{}, h.node.host.Apply, true); err != nil {
			return err
		}
		return h.node.replicas.Restore(ctx, nil)
	}
	var shards []multiraft.Stored
	for _, s := range h.stored {
		if s.ID != id.metaGroup() {
			shards = append(shards, s)
			continue
		}
		if err = meta.noteFloor(h.node.data.log.Storage(uint64(s.ID))); err != nil {
			return err
		}
		if meta.group, err = h.node.host.Open(ctx, meta.spec(false)); err != nil {
			return err
		}
	}
	if meta.group == nil {
		return errors.New("cannot use the data folder: the log does not hold the MetaRaft group that the node belongs to")
	}
	h.adopt(meta)
	return h.node.replicas.Restore(ctx, shards)
}

// removeMetaDirs deletes the states of MetaRaft replicas that are no more.
func (h *home) removeMetaDirs(keep string) error {
	entries, err := os.ReadDir(h.node.data.meta)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if dir := filepath.Join(h.node.data.meta, e.Name()); dir != keep {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// metaDir is where the state of a MetaRaft replica lies.
func (h *home) metaDir(id identity, generation uint64) string {
	name := fmt.Sprintf("%016x-%d", id.Cluster, id.MetaID)
	if generation > 0 {
		name += fmt.Sprintf(".%d", generation)
	}
	return filepath.Join(h.node.data.meta, name)
}

// metaGeneration returns which state of the node's MetaRaft replica the log
// belongs to.
func metaGeneration(stored []multiraft.Stored, id identity) (uint64, error) {
	for _, s := range stored {
		if s.ID == id.metaGroup() && len(s.Meta) > 0 {
			generation, size := binary.Uvarint(s.Meta)
			if size != len(s.Meta) {
				return 0, errors.New("the log's record of the MetaRaft replica has an unknown format")
			}
			return generation, nil
		}
	}
	return 0, nil
}

// openReplica opens the state of a MetaRaft replica; it has no group yet.
func (h *home) openReplica(id identity, generation uint64) (*metaReplica, error) {
	dir := h.metaDir(id, generation)
	store, err := h.node.data.openMeta(dir)
	if err != nil {
		return nil, err
	}
	r, err := newMetaReplica(id, generation, dir, store)
	if err != nil {
		store.Close()
		return nil, err
	}
	return r, nil
}

func newMetaReplica(id identity, generation uint64, dir string, store storage.Store) (*metaReplica, error) {
	machine, err := metaraft.NewMachine(store)
	if err != nil {
		return nil, err
	}
	return &metaReplica{identity: id, generation: generation, dir: dir, store: store, machine: machine}, nil
}

// spec describes the replica to the host.
func (r *metaReplica) spec(bootstrap bool) multiraft.Spec {
	s := multiraft.Spec{
		ID: r.identity.metaGroup(), RaftID: r.identity.MetaID, Machine: &metaMachine{machine: r.machine},
		Bootstrap: bootstrap, Prompt: true,
	}
	if r.generation > 0 {
		s.Meta = binary.AppendUvarint(nil, r.generation)
	}
	for _, p := range r.identity.Peers {
		s.Members = append(s.Members, multiraft.Member{RaftID: p.MetaID, Node: uint64(p.Node), Addr: p.RaftAddr})
	}
	return s
}

// apply carries out a change of groups: multiraft.Host.Apply, or the replica
// manager's way of doing it together with the loss of all shards.
type apply func(context.Context, multiraft.Change) ([]*multiraft.Group, error)

// establish makes next the node's MetaRaft replica, in one batch of the log
// with change.
func (h *home) establish(ctx context.Context, next *metaReplica, change multiraft.Change, apply apply, found bool) error {
	blob, err := next.identity.encode()
	if err != nil {
		return err
	}
	change.Create = append(change.Create, next.spec(found))
	change.Identity, change.Cluster = blob, next.identity.Cluster
	groups, err := apply(ctx, change)
	if err != nil {
		return err
	}
	next.group = groups[len(groups)-1]
	h.adopt(next)
	return nil
}

// adopt makes a replica that runs the node's, with its identity.
func (h *home) adopt(r *metaReplica) {
	h.current.Store(&r.identity)
	h.replica.Store(r)
	h.connect()
	h.node.transport.IdentityChanged()
	h.publish(r)
}

// publish makes a replica that runs known to whoever uses it.
func (h *home) publish(r *metaReplica) {
	h.replica.Store(r)
	h.node.meta.Attach(metaRaft{h.node, r.group}, r.machine)
	h.wake()
}

// wake makes follow look again.
func (h *home) wake() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// move replaces the MetaRaft replica while the node runs.
func (h *home) move(ctx context.Context, id identity, apply apply, found bool) error {
	h.moving.Lock()
	defer h.moving.Unlock()
	old := h.replica.Load()
	next, err := h.openReplica(id, 0)
	if err != nil {
		return err
	}
	change := multiraft.Change{Remove: []multiraft.GroupID{old.identity.metaGroup()}}
	// gofail: var homeMove struct{}
	if err := h.establish(ctx, next, change, apply, found); err != nil {
		// The old group may have stopped, and whether the log has the change is
		// unknown: only a restart can tell.
		h.node.fail(fmt.Errorf("change the cluster: %w", err))
		return err
	}
	// gofail: var homeMoved struct{}
	if err := old.store.Close(); err != nil {
		return err
	}
	return os.RemoveAll(old.dir)
}

// Identity implements metaraft.Home.
func (h *home) Identity() metaraft.Identity {
	i := h.current.Load()
	id := metaraft.Identity{
		Node: i.Node, Cluster: i.Cluster, MetaID: i.MetaID, Former: i.Former, Beginning: i.Beginning,
	}
	for _, p := range i.Peers {
		id.Bootstrap = append(id.Bootstrap, p.RaftAddr)
	}
	return id
}

// hello is the identity that the transport tells its peers.
func (h *home) hello() transport.Identity {
	i := h.current.Load()
	return transport.Identity{ClusterID: i.Cluster, NodeID: uint64(i.Node), RaftAddr: h.node.address.Raft, Incarnation: h.node.past.hello()}
}

// Adopt implements metaraft.Home.
func (h *home) Adopt(ctx context.Context, admit metaraft.AdmitOutcome) error {
	old := h.current.Load()
	id := identity{
		Node: old.Node, Cluster: admit.ClusterID, MetaID: admit.MetaID, Peers: admit.Peers, Former: old.Cluster,
		Beginning: metaraft.Beginning{Farewells: old.Farewells},
	}
	return h.move(ctx, id, h.node.host.Apply, false)
}

// BecomeLone implements metaraft.Home.
func (h *home) BecomeLone(ctx context.Context, newID bool, with metaraft.Beginning) error {
	old := h.current.Load()
	id := identity{
		Node: old.Node, Cluster: randomID(), MetaID: 1, Former: old.Former, Beginning: with,
	}
	if newID {
		id.Node = topology.NodeID(randomID())
	}
	return h.move(ctx, id, h.node.replicas.Reset, true)
}

// follow keeps streams, MetaRaft's membership and the replicas in step with the
// topology until ctx ends.
func (h *home) follow(ctx context.Context) {
	w := h.node.sched.Waiter()
	defer w.Stop()
	look := h.node.sched.Now().Add(linger)
	for {
		h.catchUp(ctx, h.replica.Load())
		r := h.replica.Load()
		watch := r.machine.Watch()
		h.connect()
		h.node.transport.Reexamine()
		// Also if the wish no longer has this node: as the leader it has to hand
		// over and see itself out.
		if s := r.machine.State(); len(s.Nodes) > 0 {
			r.group.SetWish(metaWish(s))
		}
		h.node.replicas.Wake()
		h.node.mover.Wake()
		for waiting := true; waiting; {
			switch w.Wait(look, ctx.Done(), watch, h.kick) {
			case 0:
				return
			case sched.Timeout:
				look = h.node.sched.Now().Add(linger)
				waiting = !h.streams.lingering()
			default:
				waiting = false
			}
		}
	}
}

// metaWish is the membership that MetaRaft gives itself.
func metaWish(s *metaraft.State) multiraft.Wish {
	w := multiraft.Wish{Version: s.Index}
	for _, m := range s.MetaMembers() {
		member := multiraft.Member{RaftID: m.MetaID, Node: uint64(m.Node), Addr: m.RaftAddr}
		if m.Voter {
			w.Voters = append(w.Voters, member)
		} else {
			w.Learners = append(w.Learners, member)
		}
	}
	return w
}

// linger is how long a removed member is kept connected: the groups need it to
// see itself out, and it waits for that as long.
const linger = 5 * time.Second

// peerStreams are the members that a home keeps streams to.
type peerStreams struct {
	mu    sync.Mutex
	addrs map[uint64]string
	gone  map[uint64]time.Time // when a removed member may be dropped
}

// connect keeps streams to all other members, to those that the node was told
// of when it came, to those that are in a group of this node whatever the state
// says, and for a while to those that were removed.
func (h *home) connect() {
	r := h.replica.Load()
	s := r.machine.State()
	wanted := h.node.replicas.Peers()
	for _, m := range r.group.Members() {
		if m.Addr != "" {
			wanted[m.Node] = m.Addr
		}
	}
	if s.Node(r.identity.Node) == nil {
		for _, p := range r.identity.Peers {
			wanted[uint64(p.Node)] = p.RaftAddr
		}
	}
	for _, m := range s.MetaMembers() {
		wanted[uint64(m.Node)] = m.RaftAddr
	}
	delete(wanted, uint64(r.identity.Node))
	h.node.transport.SetPeers(h.streams.update(wanted, h.node.sched.Now()))
}

// update takes in the wanted members and returns them with those that linger.
func (p *peerStreams) update(wanted map[uint64]string, now time.Time) map[uint64]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := make(map[uint64]time.Time)
	for id, addr := range p.addrs {
		if _, ok := wanted[id]; ok {
			continue
		}
		until, ok := p.gone[id]
		if !ok {
			until = now.Add(linger)
		}
		if now.Before(until) {
			wanted[id], gone[id] = addr, until
		}
	}
	p.addrs, p.gone = wanted, gone
	return wanted
}

// lingering reports whether a removed member is still connected.
func (p *peerStreams) lingering() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.gone) > 0
}

// close closes MetaRaft's state after its group has stopped.
func (h *home) close() error { return h.replica.Load().store.Close() }
