package server

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genuineh/aikv/node/admin"
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/frontend"
	"github.com/genuineh/aikv/node/metaraft"
	"github.com/genuineh/aikv/node/multiraft"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
	"github.com/genuineh/aikv/node/transport"
)

// backend is the node as its front end and the command handlers see it; it
// implements frontend.Backend.
type backend struct {
	node   *node
	live   live
	config *admin.Config
	front  atomic.Pointer[frontend.Server]
	info   processInfo
	saves  saves
	// As CONFIG SET left them:
	limits    frontend.Limits
	announced announcement
}

var _ frontend.Backend = (*backend)(nil)

func newBackend(n *node) *backend {
	s := n.cfg.Server
	b := &backend{node: n, live: live{n}, info: newProcessInfo(), announced: announcement{cfg: n.cfg}, limits: frontend.Limits{
		MaxClients: s.MaxClients, Timeout: time.Duration(s.Timeout),
		ReadMemory: int(s.ReadMemory), MaxBulk: int(s.ProtoMaxBulkLen), QueryBuffer: int(s.QueryBufferLimit),
		Output: frontend.OutputLimit{
			Hard: int(s.OutputBufferLimit.Hard), Soft: int(s.OutputBufferLimit.Soft),
			SoftFor: time.Duration(s.OutputBufferLimit.SoftFor),
		},
	}}
	b.config = newConfig(n, b)
	return b
}

// attach completes the backend with the front end that uses it.
func (b *backend) attach(f *frontend.Server) {
	b.front.Store(f)
	for name, hook := range b.logHooks() {
		_ = hook(context.Background(), b.config.Value(name)) // a number
	}
}

// password is what clients must give, "" for nothing.
func (b *backend) password() string { return b.config.Value("requirepass") }

// LocalView implements frontend.Backend.
func (b *backend) LocalView() *topology.View { return b.node.meta.Current() }

// ViewChanged implements frontend.Backend.
func (b *backend) ViewChanged() <-chan struct{} { return b.node.meta.Changed() }

// Live implements admin.Node.
func (b *backend) Live() topology.Live { return b.live }

// Replica implements frontend.Backend.
func (b *backend) Replica(shard topology.GroupID) frontend.Replica {
	if r := b.node.replicas.Data(shard); r != nil {
		return r
	}
	return nil
}

// Own implements frontend.Backend.
func (b *backend) Own() frontend.Replica {
	if r := b.node.replicas.Own(); r != nil {
		return r
	}
	return nil
}

// View implements admin.Node.
func (b *backend) View(ctx context.Context) *topology.View { return b.node.meta.View(ctx) }

// Meet implements admin.Node.
func (b *backend) Meet(ctx context.Context, host string, port, busPort int) error {
	return clientError(b.node.meta.Meet(ctx, host, port, busPort))
}

// Forget implements admin.Node.
func (b *backend) Forget(ctx context.Context, id topology.NodeID, force bool) (warning string, err error) {
	warning, err = b.node.meta.Forget(ctx, id, force)
	return warning, clientError(err)
}

// AddSlots implements admin.Node.
func (b *backend) AddSlots(ctx context.Context, slots slot.Set) error {
	return clientError(b.node.meta.AddSlots(ctx, slots))
}

// DelSlots implements admin.Node.
func (b *backend) DelSlots(ctx context.Context, slots slot.Set) error {
	return clientError(b.node.meta.DelSlots(ctx, slots))
}

// FlushSlots implements admin.Node.
func (b *backend) FlushSlots(ctx context.Context) error {
	return clientError(b.node.meta.FlushSlots(ctx))
}

// Replicate implements admin.Node.
func (b *backend) Replicate(ctx context.Context, master topology.NodeID) error {
	return clientError(b.node.meta.Replicate(ctx, master))
}

// Reset implements admin.Node.
func (b *backend) Reset(ctx context.Context, hard bool) error {
	return clientError(b.node.meta.Reset(ctx, hard))
}

// SetConfigEpoch implements admin.Node.
func (b *backend) SetConfigEpoch(ctx context.Context, epoch uint64) error {
	return clientError(b.node.meta.SetConfigEpoch(ctx, epoch))
}

// BumpEpoch implements admin.Node.
func (b *backend) BumpEpoch(ctx context.Context) (uint64, bool, error) {
	epoch, bumped, err := b.node.meta.BumpEpoch(ctx)
	return epoch, bumped, clientError(err)
}

// SaveConfig implements admin.Node.
func (b *backend) SaveConfig(ctx context.Context) error {
	return clientError(b.node.meta.SaveConfig(ctx))
}

// MetaAddLearner implements admin.Node.
func (b *backend) MetaAddLearner(ctx context.Context, id topology.NodeID, addr string) error {
	return clientError(b.node.meta.MetaAddLearner(ctx, id, addr))
}

// MetaPromote implements admin.Node.
func (b *backend) MetaPromote(ctx context.Context, ids []topology.NodeID) (string, error) {
	warning, err := b.node.meta.MetaPromote(ctx, ids)
	if err != nil {
		return "", clientError(err)
	}
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !promoted(b.MetaStatus(ctx), ids) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return "", resp.Error("ERR the promotion is decided, but the group does not vote with it yet: see CLUSTER METARAFT MEMBERS")
		}
	}
	return warning, nil
}

// promoted reports whether MetaRaft's leader counts the nodes as voters.
func promoted(s admin.MetaStatus, ids []topology.NodeID) bool {
	voters := 0
	for _, m := range s.Members {
		if m.Voter && m.Match > 0 && slices.Contains(ids, m.Node) {
			voters++
		}
	}
	return voters == len(ids)
}

// AwaitReplicas implements admin.Node.
func (b *backend) AwaitReplicas(local bool, n int, changed func()) admin.ReplicaWait {
	if r := b.node.replicas.Own(); r != nil {
		return r.Group().AwaitStored(local, n, changed)
	}
	return nil
}

// SlotKeys implements admin.Node.
func (b *backend) SlotKeys(s uint16) int64 {
	if r := b.node.replicas.Own(); r != nil {
		return r.Machine().SlotKeys(s)
	}
	return 0
}

// SlotBytes implements admin.Node.
func (b *backend) SlotBytes(s uint16) (int64, error) {
	if r := b.node.replicas.Own(); r != nil {
		return r.Machine().SlotBytes(s)
	}
	return 0, nil
}

// Faults implements admin.Node.
func (b *backend) Faults() bool { return b.node.cfg.Debug.Faults }

// Partition implements admin.Node.
func (b *backend) Partition(from, to []topology.NodeID) {
	if len(from)+len(to) == 0 {
		b.node.log.Info("not cut off from any node")
		b.node.transport.SetFaults(nil)
		return
	}
	b.node.log.Warn("cut off from other nodes", "not_heard", from, "not_reached", to)
	b.node.transport.SetFaults(&transport.Faults{From: numbers(from), To: numbers(to)})
}

func numbers(ids []topology.NodeID) (numbers []uint64) {
	for _, id := range ids {
		numbers = append(numbers, uint64(id))
	}
	return numbers
}

// Config implements admin.Node.
func (b *backend) Config() *admin.Config { return b.config }

// Setting implements frontend.Backend.
func (b *backend) Setting(name string) string { return b.config.Value(name) }

// Sessions implements admin.Node.
func (b *backend) Sessions() command.Sessions { return b.front.Load() }

// MetaStatus implements admin.Node.
func (b *backend) MetaStatus(ctx context.Context) admin.MetaStatus {
	own := b.node.metaStatus(ctx)
	if own.Role == admin.RoleLeader || own.Leader == 0 {
		return own
	}
	leader := b.LocalView().Node(own.Leader)
	if leader == nil {
		return own
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	reply, err := b.node.transport.Call(ctx, leader.Address.Raft, methodMetaStatus, nil)
	var theirs admin.MetaStatus
	if err != nil || json.Unmarshal(reply, &theirs) != nil || theirs.Role != admin.RoleLeader {
		return own // what this node knows itself
	}
	theirs.Role = own.Role
	return theirs
}

// methodMetaStatus asks a node for its own MetaStatus, as JSON. The numbers up
// to 31 are metaraft's.
const methodMetaStatus = 32

// statusTimeout bounds how long the leader is waited for.
const statusTimeout = 500 * time.Millisecond

// metaStatus is the state of MetaRaft as this node knows it.
func (n *node) metaStatus(ctx context.Context) admin.MetaStatus {
	r := n.home.replica.Load()
	status, err := r.group.Status(ctx)
	if err != nil {
		return admin.MetaStatus{}
	}
	byID := make(map[uint64]multiraft.MemberStatus)
	for _, m := range status.Members {
		byID[m.RaftID] = m
	}
	out := admin.MetaStatus{
		Role: status.Role, Term: status.Term, Commit: status.Commit, Applied: status.Applied, Settled: status.Settled,
	}
	for _, m := range r.machine.State().MetaMembers() {
		out.Members = append(out.Members, n.metaMember(m, byID, status))
		if m.MetaID == status.Leader {
			out.Leader = m.Node
		}
	}
	return out
}

// metaMember describes one member of MetaRaft: by what the group says if this
// node leads it, else by the topology and the links of this node.
func (n *node) metaMember(m metaraft.MetaMember, byID map[uint64]multiraft.MemberStatus, s multiraft.Status) admin.MetaMember {
	out := admin.MetaMember{
		Node: m.Node, RaftID: m.MetaID, Addr: m.RaftAddr, Voter: m.Voter,
		Leader: m.MetaID == s.Leader, LastContact: -1,
	}
	heard := n.contact(m.Node).Pong
	if known, ok := byID[m.MetaID]; ok {
		out.Match, out.Voter, heard = known.Match, known.Voter, known.Contact
	}
	if known := n.meta.Current().Node(m.Node); known != nil {
		out.Name = known.Address.Nodename
	}
	if m.Node == n.home.Identity().Node {
		out.LastContact = 0
	} else if !heard.IsZero() {
		out.LastContact = time.Since(heard)
	}
	return out
}

// ShardStatuses implements admin.Node.
func (b *backend) ShardStatuses() []admin.ShardStatus {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var all []admin.ShardStatus
	for _, r := range b.node.replicas.All() {
		s, err := r.Group().Status(ctx)
		if err != nil {
			continue // it was removed meanwhile
		}
		out := b.shardStatus(topology.GroupID(s.ID), topology.NodeID(r.Group().LeaderNode()), s)
		if !r.Serves() {
			out.Kind, out.Copy = topology.Arbiter, s.Data
		}
		all = append(all, out)
	}
	return all
}

func (b *backend) shardStatus(id topology.GroupID, leader topology.NodeID, s multiraft.Status) admin.ShardStatus {
	out := admin.ShardStatus{
		Group: id, Role: s.Role, Leader: leader, Term: s.Term, Commit: s.Commit, Applied: s.Applied,
		LogStart: s.LogStart, Voters: len(s.Voters), Learners: len(s.Learners), Settled: s.Settled,
		ClockOff: s.ClockOff,
	}
	shard := b.LocalView().Shard(id)
	for _, m := range s.Members {
		member := admin.ShardMember{Node: topology.NodeID(m.Node), Match: m.Match, Voter: m.Voter, LastContact: -1}
		if m.Voter && m.Match < s.Last {
			out.Lag = max(out.Lag, s.Last-m.Match)
		}
		if !m.Contact.IsZero() {
			member.LastContact = time.Since(m.Contact)
		}
		if shard != nil {
			if known, _, ok := shard.Member(member.Node); ok {
				member.Kind = known.Kind
			}
		}
		out.Members = append(out.Members, member)
	}
	return out
}
