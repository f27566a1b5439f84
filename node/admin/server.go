package admin

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// serverCommands returns the rows.
func (a *admin) serverCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "command", Arity: -1, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:        []string{"nondeterministic_output_order"},
			Doc:         command.Doc{Summary: "Describes all commands.", Since: "2.8.13", Group: "server", Complexity: "O(N)"},
			Local:       commandAll,
			Subcommands: a.commandSubcommands(),
		},
		{
			Name: "config", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about the configuration.", Since: "2.0.0", Group: "server", Complexity: "Depends on subcommand"},
			Subcommands: a.configSubcommands(),
		},
		{
			Name: "info", Arity: -1, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatDangerous,
			Tips:  []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
			Doc:   command.Doc{Usage: "[section [section ...]]", Summary: "Returns information and statistics about the node.", Since: "1.0.0", Group: "server", Complexity: "O(1)"},
			Local: a.info,
		},
		{
			Name: "time", Arity: 1, Flags: command.FlagLoading | command.FlagStale | command.FlagFast,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Returns the node's clock.", Since: "2.6.0", Group: "server", Complexity: "O(1)"},
			Local: a.serverTime,
		},
		{
			Name: "lolwut", Arity: -1, Flags: command.FlagReadOnly | command.FlagFast,
			Doc:   command.Doc{Usage: "[VERSION version]", Summary: "Shows the version.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			Local: a.lolwut,
		},
		{
			Name: "role", Arity: 1, Flags: command.FlagNoScript | command.FlagLoading | command.FlagStale | command.FlagFast, ACL: command.CatAdmin | command.CatDangerous,
			Doc:   command.Doc{Summary: "Returns the node's role in its shard.", Since: "2.8.12", Group: "server", Complexity: "O(1)"},
			Local: a.role,
		},
		{
			Name: "slowlog", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about those commands that have run for long.", Since: "2.2.12", Group: "server", Complexity: "Depends on subcommand"},
			Subcommands: a.slowlogSubcommands(),
		},
		{
			Name: "commandlog", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about those commands that have run for long, or were large.", Since: "8.1.0", Group: "server", Complexity: "Depends on subcommand"},
			Subcommands: a.commandlogSubcommands(),
		},
		{
			Name: "monitor", Arity: 1, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Shows every command that the node runs.", Since: "1.0.0", Group: "server"},
			Local: a.monitor,
		},
		{
			Name: "latency", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about what took long.", Since: "2.8.13", Group: "server", Complexity: "Depends on subcommand"},
			Subcommands: a.latencySubcommands(),
		},
		{
			Name: "module", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about modules, of which there are none.", Since: "4.0.0", Group: "server", Complexity: "Depends on subcommand"},
			Subcommands: a.moduleSubcommands(),
		},
		{
			Name: "function", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about functions, of which there are none.", Since: "7.0.0", Group: "scripting", Complexity: "Depends on subcommand"},
			Subcommands: a.functionSubcommands(),
		},
		{
			Name: "swapdb", Arity: 3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace | command.CatDangerous,
			Doc:   command.Doc{Usage: "index1 index2", Summary: "Swaps databases: refused in a cluster.", Since: "4.0.0", Group: "server", Complexity: "O(N)"},
			Local: refuse("SWAPDB is not allowed in cluster mode"),
		},
		{
			Name: "move", Arity: 3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key db", Summary: "Moves a key to another database: refused in a cluster.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Local: refuse("MOVE is not allowed in cluster mode"),
		},
		{
			Name: "replicaof", Arity: 3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "host port", Summary: "Refused in a cluster: see CLUSTER REPLICATE.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			Local: refuse("REPLICAOF not allowed in cluster mode."),
		},
		{
			Name: "slaveof", Arity: 3, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "host port", Summary: "Refused in a cluster: see CLUSTER REPLICATE.", Since: "1.0.0", Group: "server", Complexity: "O(1)", DeprecatedSince: "5.0.0", ReplacedBy: "`REPLICAOF`"},
			Local: refuse("REPLICAOF not allowed in cluster mode."),
		},
		{
			Name: "wait", Arity: 3, Flags: command.FlagBlocking, ACL: command.CatConnection,
			Tips:  []string{"request_policy:all_shards", "response_policy:agg_min"},
			Doc:   command.Doc{Usage: "numreplicas timeout", Summary: "Waits until replicas store all earlier writes of this node's shard.", Since: "3.0.0", Group: "generic", Complexity: "O(1)"},
			Local: a.wait,
		},
		{
			Name: "waitaof", Arity: 4, Flags: command.FlagBlocking, ACL: command.CatConnection,
			Tips:  []string{"request_policy:all_shards", "response_policy:agg_min"},
			Doc:   command.Doc{Usage: "numlocal numreplicas timeout", Summary: "Waits until this node and replicas store all earlier writes of this node's shard.", Since: "7.2.0", Group: "generic", Complexity: "O(1)"},
			Local: a.waitAOF,
		},
	}
}

// refuse returns the handler of a command that a cluster has no use for.
func refuse(text string) func(context.Context, *command.Env, *command.Args, *resp.Reply) error {
	return func(context.Context, *command.Env, *command.Args, *resp.Reply) error {
		return resp.Error("ERR " + text)
	}
}

func (a *admin) serverTime(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	now := time.Now()
	r.Array(2)
	r.BulkInt(now.Unix())
	r.BulkInt(int64(now.Nanosecond() / 1000))
	return nil
}

func (a *admin) lolwut(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Verbatim("AiKv ver. " + a.node.Info().Version + "\n")
	return nil
}

// lastSave answers now: a write is on disk before it is acknowledged.
// wait is WAIT numreplicas timeout.
func (a *admin) wait(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	if localRole(a.node) == "replica" {
		return command.Errorf("WAIT cannot be used with replica instances. Please also note that since Redis 4.0 " +
			"if a replica is configured to be writable (which is not the default) writes to replicas are just " +
			"local and are not propagated.")
	}
	replicas, err := args.Int()
	if err != nil {
		return err
	}
	d, err := takeTimeout(args)
	if err != nil {
		return err
	}
	stored, _, err := a.awaitReplicas(e, false, replicas, d)
	if err == nil {
		r.Int(int64(stored))
	}
	return err
}

// waitAOF is WAITAOF numlocal numreplicas timeout. What a member of the group stores is
// synced, on its disk.
func (a *admin) waitAOF(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	local, err := args.IntWithin(0, 1)
	if err != nil {
		return err
	}
	replicas, err := args.NotNegative()
	if err != nil {
		return err
	}
	d, err := takeTimeout(args)
	if err != nil {
		return err
	}
	if localRole(a.node) == "replica" {
		return command.Errorf("WAITAOF cannot be used with replica instances. Please also note that writes to " +
			"replicas are just local and are not propagated.")
	}
	stored, own, err := a.awaitReplicas(e, local > 0, replicas, d)
	if err != nil {
		return err
	}
	r.Array(2)
	if own {
		r.Int(1)
	} else {
		r.Int(0)
	}
	r.Int(int64(stored))
	return nil
}

// awaitReplicas waits until replicas store everything, and the node itself if local
// says so. It returns how many do, and whether the node does.
func (a *admin) awaitReplicas(e *command.Env, local bool, replicas int64, d time.Duration) (stored int, own bool, err error) {
	w := a.node.AwaitReplicas(local, int(min(max(replicas, 0), math.MaxInt32)), e.Wake)
	if w == nil {
		return 0, true, nil // no shard, and so no writes
	}
	defer w.Stop()
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	err = e.Park(until, func() bool {
		_, done, lost := w.State()
		return done || lost
	})
	if err != nil {
		return 0, false, err
	}
	stored, _, lost := w.State()
	if lost {
		e.Session.CloseAfterReply = true
		return 0, false, errInstanceState
	}
	return stored, w.Own(), nil
}

// errInstanceState is what Redis tells blocked clients, before it closes their
// connections, when a master becomes a replica.
var errInstanceState = resp.Error("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")

// role is ROLE; offsets are indexes of the shard's Raft log.
func (a *admin) role(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	place := replicationOf(a.node.View(ctx), a.node)
	if place.master != nil {
		state := "connect"
		switch {
		case place.linkUp:
			state = "connected"
		case place.syncing:
			state = "sync"
		}
		r.Array(5)
		bulks(r, "slave", place.master.Address.Host)
		r.Int(int64(place.master.Address.Port))
		r.BulkString(state)
		r.Int(int64(place.offset))
		return nil
	}
	r.Array(3)
	r.BulkString("master")
	r.Int(int64(place.offset))
	r.Array(len(place.replicas))
	for _, replica := range place.replicas {
		r.Array(3)
		r.BulkString(replica.node.Address.Host)
		r.BulkInt(int64(replica.node.Address.Port))
		r.BulkString(strconv.FormatUint(replica.offset, 10))
	}
	return nil
}

// replication is a node's place in its shard.
type replication struct {
	master   *topology.Node // nil on a master
	linkUp   bool           // the shard has a leader that this replica hears, and follows
	syncing  bool           // this replica does not have all of the data
	replicas []replicaState // of a master
	offset   uint64         // a master's last committed index, a replica's last applied one
	shard    *topology.Shard
}

type replicaState struct {
	node   *topology.Node
	offset uint64 // the last index that it is known to store
	online bool
	lag    int64 // seconds since it was heard from; -1: never
}

func replicationOf(v *topology.View, n Node) replication {
	me := v.Me()
	if me == nil || me.Shard == nil {
		return replication{}
	}
	r := replication{shard: me.Shard}
	var status ShardStatus
	for _, s := range n.ShardStatuses() {
		if s.Group == me.Shard.ID {
			status = s
		}
	}
	if me.Replica() {
		r.master, r.offset, r.syncing = v.Node(me.Shard.Master), status.Applied, !me.Synced()
		r.linkUp = status.Leader != 0 && !r.syncing
		return r
	}
	r.offset = status.Commit
	for _, node := range v.Replicas(me.Shard) {
		if node.Failed {
			continue // Redis lists those that are connected
		}
		state := replicaState{node: node, lag: -1}
		for _, m := range status.Members {
			if m.Node == node.ID {
				state.offset, state.online = m.Match, m.LastContact >= 0 && node.Synced()
				if m.LastContact >= 0 {
					state.lag = seconds(m.LastContact)
				}
			}
		}
		r.replicas = append(r.replicas, state)
	}
	return r
}
