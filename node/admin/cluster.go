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
	rows = append(rows, a.clusterOwnRows()...)
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
			Local: a.old(clusterCountFailureReports),
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
			Local: a.old(clusterInfo),
		},
		{
			Name: "keyslot", Arity: 3, Flags: command.FlagStale,
			Doc:   command.Doc{Usage: "<key>", Summary: "Returns the slot of a key.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterKeySlot),
		},
		{
			Name: "links", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes the streams to the other nodes.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterLinks),
		},
		{
			Name: "myid", Arity: 2, Flags: command.FlagStale,
			Doc:   command.Doc{Summary: "Returns the node's id.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterMyID),
		},
		{
			Name: "nodes", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes every node of the cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterNodes),
		},
		{
			Name: "replicas", Arity: 3, Flags: command.FlagAdmin | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Describes the replicas of a master.", Since: "5.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterReplicas),
		},
		{
			Name: "shards", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Describes every shard of the cluster.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterShards),
		},
		{
			Name: "slaves", Arity: 3, Flags: command.FlagAdmin | command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Describes the replicas of a master.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)", DeprecatedSince: "5.0.0", ReplacedBy: "`CLUSTER REPLICAS`"},
			Local: a.old(clusterReplicas),
		},
		{
			Name: "slots", Arity: 2, Flags: command.FlagStale,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Says which nodes serve which slots.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)", DeprecatedSince: "7.0.0", ReplacedBy: "`CLUSTER SHARDS`"},
			Local: a.old(clusterSlots),
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
			Local: a.old(clusterMyShardID),
		},
		{
			Name: "metaraft", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Tips: []string{"nondeterministic_output"},
			Doc: command.Doc{
				Usage:   "(MEMBERS|STATUS|ADDLEARNER <node-id> <raft-addr>|PROMOTE <node-id> [<node-id> ...])",
				Summary: "Shows and changes the Raft group that holds the topology.", Since: "aikv", Group: "cluster",
				Complexity: "O(N)",
			},
			Local: a.old(clusterMetaRaft),
		},
	}
}

func clusterInfo(ctx context.Context, c *call, _ [][]byte) resp.Value {
	return resp.Verbatim(topology.InfoText(c.Node.View(ctx), c.Node.Live(), fullCoverage(c.Node.Config())))
}

func clusterNodes(ctx context.Context, c *call, _ [][]byte) resp.Value {
	return resp.Verbatim(topology.NodesText(c.Node.View(ctx), c.Node.Live(), time.Now()))
}

func clusterMyID(ctx context.Context, c *call, _ [][]byte) resp.Value {
	return resp.BulkString(c.Node.View(ctx).Self.String())
}

// clusterMyShardID answers for a node without a shard with its own id: some id
// it must have.
func clusterMyShardID(ctx context.Context, c *call, _ [][]byte) resp.Value {
	v := c.Node.View(ctx)
	if me := v.Me(); me != nil && me.Shard != nil {
		return resp.BulkString(me.Shard.ID.String())
	}
	return resp.BulkString(v.Self.String())
}

func clusterKeySlot(_ context.Context, _ *call, args [][]byte) resp.Value {
	return resp.Int(int64(slot.Of(args[2])))
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
func knownNode(v *topology.View, arg []byte) (*topology.Node, *resp.Value) {
	if id, err := topology.ParseNodeID(lower(arg)); err == nil {
		if n := v.Node(id); n != nil {
			return n, nil
		}
	}
	bad := errUnknownNode(arg)
	return nil, &bad
}

func errUnknownNode(arg []byte) resp.Value {
	return resp.Err("Unknown node %s", command.Printable(arg, 128))
}

func clusterReplicas(ctx context.Context, c *call, args [][]byte) resp.Value {
	v := c.Node.View(ctx)
	n, bad := knownNode(v, args[2])
	if bad != nil {
		return *bad
	}
	if n.Replica() {
		return resp.Err("The specified node is not a master")
	}
	lines := []resp.Value{}
	if n.Shard != nil {
		live, now := c.Node.Live(), time.Now()
		for _, replica := range v.Replicas(n.Shard) {
			lines = append(lines, resp.BulkString(topology.NodeLine(v, replica, live, now)))
		}
	}
	return resp.Array(lines...)
}

// clusterCountFailureReports knows one reporter, this node: liveness is
// committed by MetaRaft, not gathered from gossip.
func clusterCountFailureReports(ctx context.Context, c *call, args [][]byte) resp.Value {
	v := c.Node.View(ctx)
	n, bad := knownNode(v, args[2])
	if bad != nil {
		return *bad
	}
	if n.ID != v.Self && (n.Failed || c.Node.Live().Contact(n.ID).Suspect) {
		return resp.Int(1)
	}
	return resp.Int(0)
}

// clusterSlots names for each range the master, then the replicas that have
// the data and have not failed.
func clusterSlots(ctx context.Context, c *call, _ [][]byte) resp.Value {
	v := c.Node.View(ctx)
	endpoint := endpointType(c.Node.Config())
	ranges := []resp.Value{}
	for _, r := range v.SlotRanges() {
		master := v.Master(r.Shard)
		if master == nil {
			continue
		}
		entry := []resp.Value{resp.Int(int64(r.Start)), resp.Int(int64(r.End)), slotsNode(master, endpoint)}
		for _, replica := range v.Replicas(r.Shard) {
			if !replica.Failed && replica.Synced() {
				entry = append(entry, slotsNode(replica, endpoint))
			}
		}
		ranges = append(ranges, resp.Array(entry...))
	}
	return resp.Array(ranges...)
}

// endpointType is the value of cluster-preferred-endpoint-type.
func endpointType(config *Config) string { return config.Value("cluster-preferred-endpoint-type") }

// fullCoverage is cluster-require-full-coverage: while a slot is unassigned, no
// slot is served.
func fullCoverage(config *Config) bool { return config.Value("cluster-require-full-coverage") != "no" }

// slotsNode is a node in CLUSTER SLOTS; what is known beside the preferred
// endpoint stands in a map at its end.
func slotsNode(n *topology.Node, preferred string) resp.Value {
	host, kind := n.Endpoint(preferred)
	endpoint := resp.BulkString(host)
	if kind == "unknown-endpoint" {
		endpoint = resp.Null
	}
	var more []resp.Value
	if kind != "ip" {
		more = append(more, resp.BulkString("ip"), resp.BulkString(n.Address.Host))
	}
	if kind != "hostname" && n.Address.Hostname != "" {
		more = append(more, resp.BulkString("hostname"), resp.BulkString(n.Address.Hostname))
	}
	return resp.Array(endpoint, resp.Int(int64(n.Address.Port)), resp.BulkString(n.ID.String()), resp.Map(more...))
}

// clusterShards describes the shards, and each node without one as a shard of
// its own, as Redis does.
func clusterShards(ctx context.Context, c *call, _ [][]byte) resp.Value {
	v := c.Node.View(ctx)
	endpoint := endpointType(c.Node.Config())
	offsets := shardOffsets(c.Node)
	describe := func(ranges []slot.Range, nodes []*topology.Node) resp.Value {
		bounds := []resp.Value{}
		for _, r := range ranges {
			bounds = append(bounds, resp.Int(int64(r.Start)), resp.Int(int64(r.End)))
		}
		described := []resp.Value{}
		for _, n := range nodes {
			offset := max(offsets[n.ID], c.Node.Live().Contact(n.ID).Offset)
			described = append(described, shardNode(v, n, endpoint, offset, c.Node))
		}
		return resp.Map(resp.BulkString("slots"), resp.Array(bounds...),
			resp.BulkString("nodes"), resp.Array(described...))
	}
	shards := []resp.Value{}
	for _, s := range v.Shards {
		var nodes []*topology.Node
		if master := v.Master(s); master != nil {
			nodes = append(nodes, master)
		}
		if nodes = append(nodes, v.Replicas(s)...); len(nodes) > 0 {
			shards = append(shards, describe(s.Slots.Ranges(), nodes))
		}
	}
	for _, n := range v.Nodes {
		if n.Shard == nil {
			shards = append(shards, describe(nil, []*topology.Node{n}))
		}
	}
	return resp.Array(shards...)
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

// shardNode is a node in CLUSTER SHARDS.
func shardNode(v *topology.View, n *topology.Node, endpoint string, offset uint64, node Node) resp.Value {
	role, health := "master", "online"
	if n.Replica() {
		role = "replica"
	}
	switch {
	case n.ID == v.Self && node.Info().Loading:
		health = "loading"
	case n.ID != v.Self && n.Failed:
		health = "fail"
	case n.ID != v.Self && n.Replica() && !n.Synced():
		health = "loading"
	}
	if n.ID == v.Self {
		for _, s := range node.ShardStatuses() {
			if n.Shard != nil && s.Group == n.Shard.ID {
				offset = s.Applied
			}
		}
	}
	host, _ := n.Endpoint(endpoint)
	pairs := []resp.Value{
		resp.BulkString("id"), resp.BulkString(n.ID.String()),
		resp.BulkString("port"), resp.Int(int64(n.Address.Port)),
		resp.BulkString("ip"), resp.BulkString(n.Address.Host),
		resp.BulkString("endpoint"), resp.BulkString(host), // not null as in SLOTS: so it is in Redis
	}
	if n.Address.Hostname != "" {
		pairs = append(pairs, resp.BulkString("hostname"), resp.BulkString(n.Address.Hostname))
	}
	return resp.Map(append(pairs,
		resp.BulkString("role"), resp.BulkString(role),
		resp.BulkString("replication-offset"), resp.Int(int64(offset)),
		resp.BulkString("health"), resp.BulkString(health),
	)...)
}

// clusterLinks describes the streams to each peer and from it. Frames go only one
// way: what comes in has no send buffer.
func clusterLinks(ctx context.Context, c *call, _ [][]byte) resp.Value {
	v := c.Node.View(ctx)
	live := c.Node.Live()
	links := []resp.Value{}
	add := func(direction string, n *topology.Node, since time.Time, events string, queued int) {
		links = append(links, resp.Map(
			resp.BulkString("direction"), resp.BulkString(direction),
			resp.BulkString("node"), resp.BulkString(n.ID.String()),
			resp.BulkString("create-time"), resp.Int(since.UnixMilli()),
			resp.BulkString("events"), resp.BulkString(events),
			resp.BulkString("send-buffer-allocated"), resp.Int(int64(queued)),
			resp.BulkString("send-buffer-used"), resp.Int(int64(queued)),
		))
	}
	for _, n := range v.Nodes {
		if n.ID == v.Self {
			continue
		}
		contact := live.Contact(n.ID)
		if contact.Connected {
			add("to", n, contact.Since, "rw", contact.SendBuffer)
		}
		if !contact.From.IsZero() {
			add("from", n, contact.From, "r", 0)
		}
	}
	return resp.Array(links...)
}
