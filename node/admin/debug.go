package admin

import (
	"context"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// debugCommands returns the row of DEBUG, with which tests do damage.
func (a *admin) debugCommands() []*command.Command {
	return []*command.Command{{
		Name: "debug", Arity: -2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
		Doc: command.Doc{
			Usage:   "(PARTITION (IN|OUT|BOTH) <node-id> [<node-id> ...]|HEAL)",
			Summary: "Cuts the node off from others, for tests.", Since: "1.0.0", Group: "server",
			Complexity: "Depends on subcommand.",
		},
		Local: a.old(debug),
	}}
}

// debug: PARTITION loses what other nodes send (IN), what is sent to them (OUT),
// or both; it replaces an earlier one. HEAL ends it.
func debug(ctx context.Context, c *call, args [][]byte) resp.Value {
	if !c.Node.Faults() {
		return resp.Err("DEBUG command not allowed. It needs debug.faults = true in the configuration, which is for tests.")
	}
	switch {
	case command.Is(args[1], "heal") && len(args) == 2:
		c.Node.Partition(nil, nil)
		return resp.OK
	case command.Is(args[1], "partition") && len(args) >= 4:
		return debugPartition(ctx, c, args)
	default:
		return errSubcommand(args)
	}
}

func debugPartition(ctx context.Context, c *call, args [][]byte) resp.Value {
	v := c.Node.View(ctx)
	var nodes []topology.NodeID
	for _, arg := range args[3:] {
		n, bad := knownNode(v, arg)
		if bad != nil {
			return *bad
		}
		nodes = append(nodes, n.ID)
	}
	switch lower(args[2]) {
	case "in":
		c.Node.Partition(nodes, nil)
	case "out":
		c.Node.Partition(nil, nodes)
	case "both":
		c.Node.Partition(nodes, nodes)
	default:
		return errSyntax()
	}
	return resp.OK
}
