// Package admin holds the Local commands: those that a node answers for itself, of
// connections, clients, the configuration, the cluster and the server.
package admin

import (
	"context"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// admin is what the handlers have in common.
type admin struct{ node Node }

// Commands returns the rows of the commands that are answered by node.
func Commands(node Node) []*command.Command {
	a := &admin{node}
	return slices.Concat(
		a.connectionCommands(), a.multiCommands(), a.serverCommands(), a.clusterCommands(), a.debugCommands(),
	)
}

// call is what a former handler works with.
type call struct {
	*command.Env
	Node Node
}

// old makes a handler of a former one, which returns its reply.
func (a *admin) old(f func(ctx context.Context, c *call, args [][]byte) resp.Value) func(context.Context, *command.Env, *command.Args, *resp.Reply) error {
	return func(ctx context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
		before := e.Session.Proto()
		reply := f(ctx, &call{e, a.node}, args.All())
		if now := e.Session.Proto(); now != before {
			r.SetProto(now)
		}
		r.Value(reply)
		return nil
	}
}
