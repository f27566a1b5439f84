package admin

import (
	"context"
	"math"
	"net"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
	"github.com/genuineh/aikv/node/topology"
)

// clusterChangeRows returns the rows of CLUSTER.
func (a *admin) clusterChangeRows() []*command.Command {
	return []*command.Command{
		{
			Name: "addslots", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<slot> [<slot> ...]", Summary: "Gives unassigned slots to this node.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterAddSlots,
		},
		{
			Name: "addslotsrange", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<start-slot> <end-slot> [<start-slot> <end-slot> ...]", Summary: "Gives ranges of unassigned slots to this node.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterAddSlotsRange,
		},
		{
			Name: "bumpepoch", Arity: 2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Gives this node the largest epoch.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterBumpEpoch,
		},
		{
			Name: "delslots", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<slot> [<slot> ...]", Summary: "Takes slots from their owners.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterDelSlots,
		},
		{
			Name: "delslotsrange", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<start-slot> <end-slot> [<start-slot> <end-slot> ...]", Summary: "Takes ranges of slots from their owners.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterDelSlotsRange,
		},
		{
			Name: "failover", Arity: -2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "[FORCE|TAKEOVER]", Summary: "Makes this replica the master.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterFailover,
		},
		{
			Name: "flushslots", Arity: 2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Summary: "Takes all slots from this node.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterFlushSlots,
		},
		{
			Name: "forget", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<node-id> [FORCE]", Summary: "Removes a node from the cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterForget,
		},
		{
			Name: "meet", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<ip> <port> [<bus-port>]", Summary: "Joins the cluster of another node.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterMeet,
		},
		{
			Name: "replicate", Arity: 3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Makes this node a replica of a master.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterReplicate,
		},
		{
			Name: "reset", Arity: -2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagStale,
			Doc:   command.Doc{Usage: "[HARD|SOFT]", Summary: "Makes this node leave its cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.clusterReset,
		},
		{
			Name: "saveconfig", Arity: 2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Summary: "Syncs the topology to disk.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterSaveConfig,
		},
		{
			Name: "set-config-epoch", Arity: 3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<epoch>", Summary: "Gives an epoch to a node that is alone.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterSetConfigEpoch,
		},
		{
			Name: "setslot", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<slot> (IMPORTING <node-id>|MIGRATING <node-id>|NODE <node-id>|STABLE)", Summary: "Opens a slot, closes it, or gives it to a node.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.clusterSetSlot,
		},
	}
}

// takeSlots takes slot numbers. Those that lie outside or come twice are
// Redis's errors; everything else about them is checked where they change.
func takeSlots(args *command.Args) (slots slot.Set, err error) {
	for args.More() {
		n, err := takeSlot(args)
		if err != nil {
			return slots, err
		}
		if slots.Has(n) {
			return slots, errSlotTwice(n)
		}
		slots.Add(n)
	}
	return slots, nil
}

// takeSlotRanges takes pairs of first and last slot.
func takeSlotRanges(args *command.Args) (slots slot.Set, err error) {
	if args.Len()%2 != 0 {
		return slots, args.ErrArity()
	}
	for args.More() {
		start, err := takeSlot(args)
		if err != nil {
			return slots, err
		}
		end, err := takeSlot(args)
		if err != nil {
			return slots, err
		}
		if start > end {
			return slots, command.Errorf("start slot number %d is greater than end slot number %d", start, end)
		}
		for n := int(start); n <= int(end); n++ {
			if slots.Has(uint16(n)) {
				return slots, errSlotTwice(uint16(n))
			}
			slots.Add(uint16(n))
		}
	}
	return slots, nil
}

func takeSlot(args *command.Args) (uint16, error) {
	n, err := args.Int()
	if err != nil || n < 0 || n >= slot.Count {
		return 0, command.Errorf("Invalid or out of range slot")
	}
	return uint16(n), nil
}

func errSlotTwice(n uint16) error { return command.Errorf("Slot %d specified multiple times", n) }

func (a *admin) clusterAddSlots(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	slots, err := takeSlots(args)
	if err != nil {
		return err
	}
	return ok(r, a.node.AddSlots(ctx, slots))
}

func (a *admin) clusterDelSlots(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	slots, err := takeSlots(args)
	if err != nil {
		return err
	}
	return ok(r, a.node.DelSlots(ctx, slots))
}

func (a *admin) clusterAddSlotsRange(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	slots, err := takeSlotRanges(args)
	if err != nil {
		return err
	}
	return ok(r, a.node.AddSlots(ctx, slots))
}

func (a *admin) clusterDelSlotsRange(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	slots, err := takeSlotRanges(args)
	if err != nil {
		return err
	}
	return ok(r, a.node.DelSlots(ctx, slots))
}

func (a *admin) clusterFlushSlots(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	return ok(r, a.node.FlushSlots(ctx))
}

// clusterMeet checks as Redis does: the base port, the bus port, then the
// address. Redis takes IPs alone; a name that resolves is welcome here, since
// in containers there is nothing else to go by.
func (a *admin) clusterMeet(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 3 {
		return args.ErrSubcommand()
	}
	host, base := args.Next(), args.Next()
	port, isPort := command.ParseInt(base)
	if !isPort {
		return command.Errorf("Invalid base port specified: %s", command.Printable(base, 128))
	}
	busPort, named := int64(0), args.More()
	if named {
		bus := args.Next()
		if busPort, isPort = command.ParseInt(bus); !isPort {
			return command.Errorf("Invalid bus port specified: %s", command.Printable(bus, 128))
		}
	}
	// A client port near the end has no bus port 10000 above it; nothing here
	// listens on that one, so only what was named is checked.
	if port < 1 || port > math.MaxUint16 || named && busPort < 1 || busPort > math.MaxUint16 || !resolves(ctx, string(host)) {
		return command.Errorf("Invalid node address specified: %s:%s", command.Printable(host, 128), command.Printable(base, 128))
	}
	return ok(r, a.node.Meet(ctx, string(host), int(port), int(busPort)))
}

// resolves reports whether host is an IP address or a name that has one.
func resolves(ctx context.Context, host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	if host == "" {
		return false
	}
	addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	return err == nil && len(addrs) > 0
}

// nodeID reads a node's id; a text that is none is a node that nobody knows.
func nodeID(arg []byte) (topology.NodeID, error) {
	id, err := topology.ParseNodeID(lower(arg))
	if err != nil {
		return 0, errUnknownNode(arg)
	}
	return id, nil
}

// okOrUnknown is ok for a command that names a node: that nobody knows it is said
// in the client's form of its id.
func okOrUnknown(r *resp.Reply, err error, id topology.NodeID, arg []byte) error {
	if err != nil && err.Error() == "ERR Unknown node "+id.String() {
		return errUnknownNode(arg)
	}
	return ok(r, err)
}

func (a *admin) clusterForget(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	arg := args.Next()
	id, err := nodeID(arg)
	if err != nil {
		return err
	}
	force := args.Is("force")
	if err := args.End(); err != nil {
		return err
	}
	warning, err := a.node.Forget(ctx, id, force)
	if err == nil && warning != "" {
		r.Simple("OK " + warning)
		return nil
	}
	return okOrUnknown(r, err, id, arg)
}

func (a *admin) clusterReplicate(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	arg := args.Next()
	id, err := nodeID(arg)
	if err != nil {
		return err
	}
	return okOrUnknown(r, a.node.Replicate(ctx, id), id, arg)
}

func (a *admin) clusterReset(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 1 {
		return args.ErrSubcommand()
	}
	hard := args.Is("hard")
	if args.More() && !args.Is("soft") {
		return command.ErrSyntax
	}
	return ok(r, a.node.Reset(ctx, hard))
}

func (a *admin) clusterSetConfigEpoch(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	epoch, err := args.Int()
	switch {
	case err != nil:
		return err
	case epoch < 0:
		return command.Errorf("Invalid config epoch specified: %d", epoch)
	default:
		return ok(r, a.node.SetConfigEpoch(ctx, uint64(epoch)))
	}
}

func (a *admin) clusterBumpEpoch(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	epoch, bumped, err := a.node.BumpEpoch(ctx)
	if err != nil {
		return err
	}
	word := "STILL "
	if bumped {
		word = "BUMPED "
	}
	r.Simple(word + strconv.FormatUint(epoch, 10))
	return nil
}

func (a *admin) clusterSaveConfig(ctx context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	return ok(r, a.node.SaveConfig(ctx))
}

// clusterFailover makes this replica the master. FORCE does without the master's
// consent; TAKEOVER means the same, because a minority can decide nothing here.
func (a *admin) clusterFailover(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 1 {
		return args.ErrSubcommand()
	}
	force := args.Is("force") || args.Is("takeover")
	if err := args.End(); err != nil {
		return err
	}
	v := a.node.View(ctx)
	me := v.Me()
	if me == nil || !me.Replica() {
		return command.Errorf("You should send CLUSTER FAILOVER to a replica")
	}
	if master := v.Master(me.Shard); !force {
		switch {
		case master == nil:
			return command.Errorf("I'm a replica but my master is unknown to me")
		case master.Failed || a.node.Live().Contact(master.ID).Suspect:
			return command.Errorf("Master is down or failed, please use CLUSTER FAILOVER FORCE")
		}
	}
	return ok(r, a.node.Failover(ctx, force))
}
