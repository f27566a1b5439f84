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
			Usage:   "(DIGEST-VALUE key [key ...]|PARTITION (IN|OUT|BOTH) <node-id> [<node-id> ...]|HEAL)",
			Summary: "Digests values, as Redis does; cuts the node off from others, for tests.", Since: "1.0.0", Group: "server",
			Complexity: "Depends on subcommand.",
		},
		Local: a.debug,
	}}
}

// debug: DIGEST-VALUE answers with digests of values, wherever they belong or are being
// imported: redis-cli's fix compares them. PARTITION loses what other nodes send (IN), what is sent to them (OUT),
// or both; it replaces an earlier one. HEAL ends it.
func (a *admin) debug(ctx context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	if args.IsWith("digest-value", 1) {
		digests, err := e.OnData(command.Digest(args.Rest()))
		if err == nil {
			r.Value(digests)
		}
		return err
	}
	if !a.node.Faults() {
		return command.Errorf("DEBUG command not allowed. It needs debug.faults = true in the configuration, which is for tests.")
	}
	switch {
	case args.Len() == 1 && args.Is("heal"):
		a.node.Partition(nil, nil)
	case args.IsWith("partition", 2):
		if err := a.debugPartition(ctx, args); err != nil {
			return err
		}
	default:
		return args.ErrSubcommand()
	}
	r.OK()
	return nil
}

func (a *admin) debugPartition(ctx context.Context, args *command.Args) error {
	v := a.node.View(ctx)
	where := lower(args.Next())
	var nodes []topology.NodeID
	for args.More() {
		n, err := knownNode(v, args.Next())
		if err != nil {
			return err
		}
		nodes = append(nodes, n.ID)
	}
	switch where {
	case "in":
		a.node.Partition(nodes, nil)
	case "out":
		a.node.Partition(nil, nodes)
	case "both":
		a.node.Partition(nodes, nodes)
	default:
		return command.ErrSyntax
	}
	return nil
}
