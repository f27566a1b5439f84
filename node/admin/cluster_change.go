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
			Local: a.old(clusterAddSlots),
		},
		{
			Name: "addslotsrange", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<start-slot> <end-slot> [<start-slot> <end-slot> ...]", Summary: "Gives ranges of unassigned slots to this node.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterAddSlotsRange),
		},
		{
			Name: "bumpepoch", Arity: 2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Tips:  []string{"nondeterministic_output"},
			Doc:   command.Doc{Summary: "Gives this node the largest epoch.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterBumpEpoch),
		},
		{
			Name: "delslots", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<slot> [<slot> ...]", Summary: "Takes slots from their owners.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterDelSlots),
		},
		{
			Name: "delslotsrange", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<start-slot> <end-slot> [<start-slot> <end-slot> ...]", Summary: "Takes ranges of slots from their owners.", Since: "7.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterDelSlotsRange),
		},
		{
			Name: "failover", Arity: -2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "[FORCE|TAKEOVER]", Summary: "Makes this replica the master.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterFailover),
		},
		{
			Name: "flushslots", Arity: 2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Summary: "Takes all slots from this node.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterFlushSlots),
		},
		{
			Name: "forget", Arity: -3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<node-id> [FORCE]", Summary: "Removes a node from the cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterForget),
		},
		{
			Name: "meet", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<ip> <port> [<bus-port>]", Summary: "Joins the cluster of another node.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterMeet),
		},
		{
			Name: "replicate", Arity: 3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<node-id>", Summary: "Makes this node a replica of a master.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterReplicate),
		},
		{
			Name: "reset", Arity: -2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagStale,
			Doc:   command.Doc{Usage: "[HARD|SOFT]", Summary: "Makes this node leave its cluster.", Since: "3.0.0", Group: "cluster", Complexity: "O(N)"},
			Local: a.old(clusterReset),
		},
		{
			Name: "saveconfig", Arity: 2, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Summary: "Syncs the topology to disk.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterSaveConfig),
		},
		{
			Name: "set-config-epoch", Arity: 3, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<epoch>", Summary: "Gives an epoch to a node that is alone.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterSetConfigEpoch),
		},
		{
			Name: "setslot", Arity: -4, Flags: command.FlagAdmin | command.FlagStale | command.FlagNoAsyncLoading,
			Doc:   command.Doc{Usage: "<slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)", Summary: "Moves a slot; not built yet.", Since: "3.0.0", Group: "cluster", Complexity: "O(1)"},
			Local: a.old(clusterSetSlot),
		},
	}
}

// slotList reads slot numbers. Those that lie outside or come twice are
// Redis's errors; everything else about them is checked where they change.
func slotList(args [][]byte) (slots slot.Set, bad *resp.Value) {
	for _, arg := range args {
		n, bad := parseSlot(arg)
		if bad != nil {
			return slots, bad
		}
		if slots.Has(n) {
			return slots, errSlotTwice(n)
		}
		slots.Add(n)
	}
	return slots, nil
}

// slotRanges reads pairs of first and last slot.
func slotRanges(c *command.Command, args [][]byte) (slots slot.Set, bad *resp.Value) {
	if len(args)%2 != 0 {
		v := errArityValue(c.FullName())
		return slots, &v
	}
	for ; len(args) > 0; args = args[2:] {
		start, bad := parseSlot(args[0])
		if bad != nil {
			return slots, bad
		}
		end, bad := parseSlot(args[1])
		if bad != nil {
			return slots, bad
		}
		if start > end {
			v := resp.Err("start slot number %d is greater than end slot number %d", start, end)
			return slots, &v
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

func parseSlot(arg []byte) (uint16, *resp.Value) {
	n, ok := command.ParseInt(arg)
	if !ok || n < 0 || n >= slot.Count {
		v := resp.Err("Invalid or out of range slot")
		return 0, &v
	}
	return uint16(n), nil
}

func errSlotTwice(n uint16) *resp.Value {
	v := resp.Err("Slot %d specified multiple times", n)
	return &v
}

// changeSlots runs change with the slots that parsing found.
func changeSlots(ctx context.Context, slots slot.Set, bad *resp.Value,
	change func(context.Context, slot.Set) error,
) resp.Value {
	if bad != nil {
		return *bad
	}
	return okOr(change(ctx, slots))
}

func clusterAddSlots(ctx context.Context, c *call, args [][]byte) resp.Value {
	slots, bad := slotList(args[2:])
	return changeSlots(ctx, slots, bad, c.Node.AddSlots)
}

func clusterDelSlots(ctx context.Context, c *call, args [][]byte) resp.Value {
	slots, bad := slotList(args[2:])
	return changeSlots(ctx, slots, bad, c.Node.DelSlots)
}

func clusterAddSlotsRange(ctx context.Context, c *call, args [][]byte) resp.Value {
	slots, bad := slotRanges(c.row(args), args[2:])
	return changeSlots(ctx, slots, bad, c.Node.AddSlots)
}

func clusterDelSlotsRange(ctx context.Context, c *call, args [][]byte) resp.Value {
	slots, bad := slotRanges(c.row(args), args[2:])
	return changeSlots(ctx, slots, bad, c.Node.DelSlots)
}

// row returns the row that args, which passed Lookup, name.
func (c *call) row(args [][]byte) *command.Command {
	row, _ := c.Table.Lookup(args)
	return row
}

func clusterFlushSlots(ctx context.Context, c *call, _ [][]byte) resp.Value {
	return okOr(c.Node.FlushSlots(ctx))
}

// clusterMeet checks as Redis does: the base port, the bus port, then the
// address. Redis takes IPs alone; a name that resolves is welcome here, since
// in containers there is nothing else to go by.
func clusterMeet(ctx context.Context, c *call, args [][]byte) resp.Value {
	if len(args) > 5 {
		return errSubcommand(args)
	}
	port, ok := command.ParseInt(args[3])
	if !ok {
		return resp.Err("Invalid base port specified: %s", command.Printable(args[3], 128))
	}
	busPort, named := int64(0), len(args) == 5
	if named {
		if busPort, ok = command.ParseInt(args[4]); !ok {
			return resp.Err("Invalid bus port specified: %s", command.Printable(args[4], 128))
		}
	}
	host := string(args[2])
	// A client port near the end has no bus port 10000 above it; nothing here
	// listens on that one, so only what was named is checked.
	if port < 1 || port > math.MaxUint16 || named && busPort < 1 || busPort > math.MaxUint16 || !resolves(ctx, host) {
		return resp.Err("Invalid node address specified: %s:%s", command.Printable(args[2], 128), command.Printable(args[3], 128))
	}
	return okOr(c.Node.Meet(ctx, host, int(port), int(busPort)))
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
func nodeID(arg []byte) (topology.NodeID, *resp.Value) {
	id, err := topology.ParseNodeID(lower(arg))
	if err != nil {
		v := errUnknownNode(arg)
		return 0, &v
	}
	return id, nil
}

// okOrUnknown is okOr for a command that names a node: that nobody knows it is said
// in the client's form of its id.
func okOrUnknown(err error, id topology.NodeID, arg []byte) resp.Value {
	if err != nil && err.Error() == "ERR Unknown node "+id.String() {
		return errUnknownNode(arg)
	}
	return okOr(err)
}

func clusterForget(ctx context.Context, c *call, args [][]byte) resp.Value {
	id, bad := nodeID(args[2])
	if bad != nil {
		return *bad
	}
	force := false
	switch {
	case len(args) == 3:
	case len(args) == 4 && lower(args[3]) == "force":
		force = true
	default:
		return errSyntax()
	}
	warning, err := c.Node.Forget(ctx, id, force)
	if err == nil && warning != "" {
		return resp.Simple("OK " + warning)
	}
	return okOrUnknown(err, id, args[2])
}

func clusterReplicate(ctx context.Context, c *call, args [][]byte) resp.Value {
	id, bad := nodeID(args[2])
	if bad != nil {
		return *bad
	}
	return okOrUnknown(c.Node.Replicate(ctx, id), id, args[2])
}

func clusterReset(ctx context.Context, c *call, args [][]byte) resp.Value {
	if len(args) > 3 {
		return errSubcommand(args)
	}
	hard := len(args) == 3 && command.Is(args[2], "hard")
	if len(args) == 3 && !hard && !command.Is(args[2], "soft") {
		return errSyntax()
	}
	return okOr(c.Node.Reset(ctx, hard))
}

func clusterSetConfigEpoch(ctx context.Context, c *call, args [][]byte) resp.Value {
	epoch, ok := command.ParseInt(args[2])
	switch {
	case !ok:
		return errNotInteger()
	case epoch < 0:
		return resp.Err("Invalid config epoch specified: %d", epoch)
	default:
		return okOr(c.Node.SetConfigEpoch(ctx, uint64(epoch)))
	}
}

func clusterBumpEpoch(ctx context.Context, c *call, _ [][]byte) resp.Value {
	epoch, bumped, err := c.Node.BumpEpoch(ctx)
	if err != nil {
		return resp.FromError(err)
	}
	word := "STILL "
	if bumped {
		word = "BUMPED "
	}
	return resp.Simple(word + strconv.FormatUint(epoch, 10))
}

func clusterSaveConfig(ctx context.Context, c *call, _ [][]byte) resp.Value {
	return okOr(c.Node.SaveConfig(ctx))
}

// clusterFailover makes this replica the master. FORCE does without the master's
// consent; TAKEOVER means the same, because a minority can decide nothing here.
func clusterFailover(ctx context.Context, c *call, args [][]byte) resp.Value {
	if len(args) > 3 {
		return errSubcommand(args)
	}
	if len(args) == 3 && !command.Is(args[2], "force") && !command.Is(args[2], "takeover") {
		return errSyntax()
	}
	v := c.Node.View(ctx)
	me := v.Me()
	if me == nil || !me.Replica() {
		return resp.Err("You should send CLUSTER FAILOVER to a replica")
	}
	force := len(args) == 3
	if master := v.Master(me.Shard); !force {
		switch {
		case master == nil:
			return resp.Err("I'm a replica but my master is unknown to me")
		case master.Failed || c.Node.Live().Contact(master.ID).Suspect:
			return resp.Err("Master is down or failed, please use CLUSTER FAILOVER FORCE")
		}
	}
	return okOr(c.Node.Failover(ctx, force))
}

// clusterSetSlot checks what can be checked, then says that it cannot.
func clusterSetSlot(ctx context.Context, c *call, args [][]byte) resp.Value {
	v := c.Node.View(ctx)
	if me := v.Me(); me != nil && me.Replica() {
		return resp.Err("Please use SETSLOT only with masters.")
	}
	if _, bad := parseSlot(args[2]); bad != nil {
		return *bad
	}
	action := lower(args[3])
	switch {
	case len(args) == 4 && action == "stable":
	case len(args) == 5 && (action == "migrating" || action == "importing"):
		if _, bad := knownNode(v, args[4]); bad != nil {
			return resp.Err("I don't know about node %s", command.Printable(args[4], 128))
		}
	case len(args) == 5 && action == "node":
		if _, bad := knownNode(v, args[4]); bad != nil {
			return *bad
		}
	default:
		return resp.Err("Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
	}
	return resp.Err("CLUSTER SETSLOT is not built yet: give slots away with DELSLOTS and ADDSLOTS")
}
