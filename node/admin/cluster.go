package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// clusterCommands returns CLUSTER.
func (a *admin) clusterCommands() []*command.Command {
	rows := append(a.clusterReadRows(), a.clusterChangeRows()...)
	rows = append(append(rows, a.clusterOwnRows()...), a.migrationRows()...)
	rows = append(rows, a.slotStatsRow())
	slices.SortFunc(rows, func(a, b *command.Command) int { return strings.Compare(a.Name, b.Name) })
	return []*command.Command{{
		Name: "cluster", Arity: -2,
		Doc: command.Doc{
			Summary: "Commands about the cluster.", Since: "3.0.0", Group: "cluster",
			Complexity: "Depends on subcommand",
		},
		Subcommands: rows,
	}}
}

// DataCommands returns rows of those commands that read the data, as a transaction may
// have them in the log, where replicas must know them.
func DataCommands() []*command.Command {
	rows := slices.DeleteFunc(new(admin).clusterReadRows(), func(c *command.Command) bool { return c.Read == nil })
	return []*command.Command{{Name: "cluster", Arity: -2, Subcommands: rows}}
}

// clusterReadRows returns the rows of CLUSTER.
func (a *admin) clusterReadRows() []*command.Command {
	return []*command.Command{
		{
			Name: "countkeysinslot", Arity: 3, Flags: command.FlagStale,
			Doc:  command.Doc{Usage: "<slot>", Summary: "Counts this node's keys in a slot.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Read: clusterCountKeysInSlot,
		},
		{
			Name: "count-failure-reports", Arity: 3, Flags: command.FlagAdmin | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Says whether this node suspects another one.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterCountFailureReports,
		},
		{
			Name: "getkeysinslot", Arity: 4, Flags: command.FlagStale,
			Tips: []string{"nondeterministic_output"},
			Doc:  command.Doc{Usage: "<slot> <count>", Summary: "Returns some of this node's keys in a slot.", Since: "3.0.0", Group: "cluster", Complexity: "O(log(N))"},
			Read: clusterGetKeysInSlot,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "info", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes the state of the cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterInfo,
		},
		{
			Name: "keyslot", Arity: 3, Flags: command.FlagStale,
			Doc:   command.Doc{Usage: "<key>", Summary: "Returns the slot of a key.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterKeySlot,
		},
		{
			Name: "links", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes the streams to the other nodes.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterLinks,
		},
		{
			Name: "myid", Arity: 2, Flags: command.FlagStale,
			Doc:   command.Doc{Summary: "Returns the node's id.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterMyID,
		},
		{
			Name: "nodes", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes every node of the cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterNodes,
		},
		{
			Name: "replicas", Arity: 3, Flags: command.FlagAdmin | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Describes the replicas of a master.", Since: "5.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterReplicas,
		},
		{
			Name: "shards", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes every shard of the cluster.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterShards,
		},
		{
			Name: "slaves", Arity: 3, Flags: command.FlagAdmin | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Describes the replicas of a master.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)", DeprecatedSince: "5.0.0", ReplacedBy: "`CLUSTER REPLICAS`"},
			Local: a.clusterReplicas,
		},
		{
			Name: "slots", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Says which nodes serve which slots.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)", DeprecatedSince: "7.0.0", ReplacedBy: "`CLUSTER SHARDS`"},
			Local: a.clusterSlots,
		},
	}
}

// clusterOwnRows returns the rows that Redis 7.0 does not have.
func (a *admin) clusterOwnRows() []*command.Command {
	return []*command.Command{
		{
			Name: "myshardid", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Returns the id of this node's shard.", Since: "7.2.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterMyShardID,
		},
		{
			Name: "metaraft", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Tips: []string{"nondeterministic_output"},
			Doc: command.Doc{
				Usage:   "(MEMBERS|STATUS|ADDLEARNER <node-id> <raft-addr>|PROMOTE <node-id> [<node-id> ...])",
				Summary: "Shows and changes the Raft group that holds the topology.", Since: "aikv", Group: "cluster",
				Complexity: "O(N)",
			},
			Local: a.clusterMetaRaft,
		},
	}
}

func (a *admin) clusterInfo(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Verbatim(topology.InfoText(a.node.View(ctx), a.node.Live(), fullCoverage(a.node.Config())))
	return nil
}

func (a *admin) clusterNodes(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Verbatim(topology.NodesText(a.node.View(ctx), a.node.Live(), time.Now()))
	return nil
}

func (a *admin) clusterMyID(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.BulkString(a.node.View(ctx).Self.String())
	return nil
}

// clusterMyShardID answers for a node without a shard with its own id: some id
// it must have.
func (a *admin) clusterMyShardID(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	v := a.node.View(ctx)
	if me := v.Me(); me != nil && me.Shard != nil {
		r.BulkString(me.Shard.ID.String())
	} else {
		r.BulkString(v.Self.String())
	}
	return nil
}

func (a *admin) clusterKeySlot(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	r.Int(int64(slot.Of(args.Next())))
	return nil
}

func clusterCountKeysInSlot(v *command.View, args *command.Args, r *resp.Reply) error {
	n, err := args.Int()
	switch {
	case err != nil:
		return err
	case n < 0 || n >= slot.Count:
		return errSlot
	}
	r.Int(v.LenSlot(uint16(n)))
	return nil
}

const (
	errSlot         = resp.Error("ERR Invalid slot")
	errSlotOrNumber = resp.Error("ERR Invalid slot or number of keys")
)

func clusterGetKeysInSlot(v *command.View, args *command.Args, r *resp.Reply) error {
	n, err := args.Int()
	if err != nil {
		return err
	}
	limit, err := args.Int()
	switch {
	case err != nil:
		return err
	case n < 0 || n >= slot.Count || limit < 0:
		return errSlotOrNumber
	}
	keys := v.KeysInSlot(uint16(n), int(min(limit, 1<<30)))
	r.Array(len(keys))
	for _, key := range keys {
		r.Bulk(key)
	}
	return nil
}

// knownNode returns the node that arg names, or Redis's error.
func knownNode(v *topology.View, arg []byte) (*topology.Node, error) {
	if id, err := topology.ParseNodeID(lower(arg)); err == nil {
		if n := v.Node(id); n != nil {
			return n, nil
		}
	}
	return nil, errUnknownNode(arg)
}

func errUnknownNode(arg []byte) error {
	return command.Errorf("Unknown node %s", command.Printable(arg, 128))
}

func (a *admin) clusterReplicas(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	v := a.node.View(ctx)
	n, err := knownNode(v, args.Next())
	if err != nil {
		return err
	}
	if n.Replica() {
		return command.Errorf("The specified node is not a master")
	}
	var replicas []*topology.Node
	if n.Shard != nil {
		replicas = v.Replicas(n.Shard)
	}
	live, now := a.node.Live(), time.Now()
	r.Array(len(replicas))
	for _, replica := range replicas {
		r.BulkString(topology.NodeLine(v, replica, live, now))
	}
	return nil
}

// clusterCountFailureReports knows one reporter, this node: liveness is
// committed by MetaRaft, not gathered from gossip.
func (a *admin) clusterCountFailureReports(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	v := a.node.View(ctx)
	n, err := knownNode(v, args.Next())
	switch {
	case err != nil:
		return err
	case n.ID != v.Self && (n.Failed || a.node.Live().Contact(n.ID).Suspect):
		r.Int(1)
	default:
		r.Int(0)
	}
	return nil
}

// clusterSlots names for each range the master, then the replicas that have
// the data and have not failed.
func (a *admin) clusterSlots(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	v := a.node.View(ctx)
	endpoint := endpointType(a.node.Config())
	list, ranges := r.Here(), 0
	for _, owned := range v.SlotRanges() {
		nodes := offered(v, owned.Shard)
		if nodes == nil {
			continue
		}
		ranges++
		r.Array(2 + len(nodes))
		r.Int(int64(owned.Start))
		r.Int(int64(owned.End))
		for _, n := range nodes {
			writeSlotsNode(r, n, endpoint)
		}
	}
	r.ArrayAt(list, ranges)
	return nil
}

// offered returns a shard's master, and its replicas that have the data and have not
// failed; nil without a master.
func offered(v *topology.View, s *topology.Shard) []*topology.Node {
	master := v.Master(s)
	if master == nil {
		return nil
	}
	nodes := []*topology.Node{master}
	for _, replica := range v.Replicas(s) {
		if !replica.Failed && replica.Synced() {
			nodes = append(nodes, replica)
		}
	}
	return nodes
}

// endpointType is the value of cluster-preferred-endpoint-type.
func endpointType(config *Config) string { return config.Value("cluster-preferred-endpoint-type") }

// fullCoverage is cluster-require-full-coverage: while a slot is unassigned, no
// slot is served.
func fullCoverage(config *Config) bool { return config.Value("cluster-require-full-coverage") != "no" }

// writeSlotsNode writes a node in CLUSTER SLOTS; what is known beside the preferred
// endpoint stands in a map at its end.
func writeSlotsNode(r *resp.Reply, n *topology.Node, preferred string) {
	host, kind := n.Endpoint(preferred)
	r.Array(4)
	if kind == "unknown-endpoint" {
		r.Null()
	} else {
		r.BulkString(host)
	}
	r.Int(int64(n.Address.Port))
	r.BulkString(n.ID.String())
	more, pairs := r.Here(), 0
	if kind != "ip" {
		bulks(r, "ip", n.Address.Host)
		pairs++
	}
	if kind != "hostname" && n.Address.Hostname != "" {
		bulks(r, "hostname", n.Address.Hostname)
		pairs++
	}
	r.MapAt(more, pairs)
}

// clusterShards describes the shards, and each node without one as a shard of
// its own, as Redis does.
func (a *admin) clusterShards(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	v := a.node.View(ctx)
	endpoint := endpointType(a.node.Config())
	offsets := shardOffsets(a.node)
	list, shards := r.Here(), 0
	write := func(ranges []slot.Range, nodes []*topology.Node) {
		shards++
		r.Map(2)
		r.BulkString("slots")
		r.Array(2 * len(ranges))
		for _, owned := range ranges {
			r.Int(int64(owned.Start))
			r.Int(int64(owned.End))
		}
		r.BulkString("nodes")
		r.Array(len(nodes))
		for _, n := range nodes {
			offset := max(offsets[n.ID], a.node.Live().Contact(n.ID).Offset)
			a.writeShardNode(r, v, n, endpoint, offset)
		}
	}
	for _, s := range v.Shards {
		var nodes []*topology.Node
		if master := v.Master(s); master != nil {
			nodes = append(nodes, master)
		}
		if nodes = append(nodes, v.Replicas(s)...); len(nodes) > 0 {
			write(s.Slots.Ranges(), nodes)
		}
	}
	for _, n := range v.Nodes {
		if n.Shard == nil {
			write(nil, []*topology.Node{n})
		}
	}
	r.ArrayAt(list, shards)
	return nil
}

// shardOffsets returns how far nodes of this node's own shards are known to
// store their logs. Of others it knows what they said themselves, in Contact.
func shardOffsets(n Node) map[topology.NodeID]uint64 {
	offsets := make(map[topology.NodeID]uint64)
	for _, s := range n.ShardStatuses() {
		if s.Kind != topology.Data {
			continue
		}
		for _, m := range s.Members {
			offsets[m.Node] = max(offsets[m.Node], m.Match)
		}
		if len(s.Members) == 0 && s.Leader != 0 {
			offsets[s.Leader] = max(offsets[s.Leader], s.Commit)
		}
	}
	return offsets
}

// writeShardNode writes a node in CLUSTER SHARDS.
func (a *admin) writeShardNode(r *resp.Reply, v *topology.View, n *topology.Node, endpoint string, offset uint64) {
	role := "master"
	if n.Replica() {
		role = "replica"
	}
	if n.ID == v.Self {
		for _, s := range a.node.ShardStatuses() {
			if n.Shard != nil && s.Group == n.Shard.ID {
				offset = s.Applied
			}
		}
	}
	host, _ := n.Endpoint(endpoint)
	pairs := 7
	if n.Address.Hostname != "" {
		pairs++
	}
	r.Map(pairs)
	bulks(r, "id", n.ID.String(), "port")
	r.Int(int64(n.Address.Port))
	bulks(r, "ip", n.Address.Host, "endpoint", host) // not null as in SLOTS: so it is in Redis
	if n.Address.Hostname != "" {
		bulks(r, "hostname", n.Address.Hostname)
	}
	bulks(r, "role", role, "replication-offset")
	r.Int(int64(offset))
	bulks(r, "health", a.health(v, n))
}

// health is what CLUSTER SHARDS says of a node's.
func (a *admin) health(v *topology.View, n *topology.Node) string {
	switch {
	case n.ID == v.Self && a.node.Info().Loading:
		return "loading"
	case n.ID != v.Self && n.Failed:
		return "fail"
	case n.ID != v.Self && n.Replica() && !n.Synced():
		return "loading"
	default:
		return "online"
	}
}

// clusterLinks describes the streams to each peer and from it. Frames go only one
// way: what comes in has no send buffer.
func (a *admin) clusterLinks(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	v := a.node.View(ctx)
	live := a.node.Live()
	list, streams := r.Here(), 0
	write := func(direction string, n *topology.Node, since time.Time, events string, queued int) {
		streams++
		r.Map(6)
		bulks(r, "direction", direction, "node", n.ID.String(), "create-time")
		r.Int(since.UnixMilli())
		bulks(r, "events", events, "send-buffer-allocated")
		r.Int(int64(queued))
		r.BulkString("send-buffer-used")
		r.Int(int64(queued))
	}
	for _, n := range v.Nodes {
		if n.ID == v.Self {
			continue
		}
		contact := live.Contact(n.ID)
		if contact.Connected {
			write("to", n, contact.Since, "rw", contact.SendBuffer)
		}
		if !contact.From.IsZero() {
			write("from", n, contact.From, "r", 0)
		}
	}
	r.ArrayAt(list, streams)
	return nil
}
