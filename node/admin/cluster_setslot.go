package admin

import (
	"context"
	"time"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/topology"
)

// SlotAction is what CLUSTER SETSLOT does with a slot.
type SlotAction string

// The actions.
const (
	SlotMigrating SlotAction = "migrating"
	SlotImporting SlotAction = "importing"
	SlotNode      SlotAction = "node"
	SlotStable    SlotAction = "stable"
)

const errSetSlot = resp.Error("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")

// takeSetSlot takes what SETSLOT does, and with which node; stable names none.
func takeSetSlot(args *command.Args) (action SlotAction, peer []byte, err error) {
	if args.Is("stable") {
		return SlotStable, nil, nil
	}
	for _, action := range []SlotAction{SlotMigrating, SlotImporting, SlotNode} {
		if args.IsWith(string(action), 1) {
			return action, args.Next(), nil
		}
	}
	return "", nil, errSetSlot
}

// takeSetSlotTimeout takes Valkey's TIMEOUT: for how long the command may wait until the change has
// been made. 0: as long as others of CLUSTER.
func takeSetSlotTimeout(args *command.Args) (time.Duration, error) {
	switch {
	case !args.More():
		return 0, nil
	case args.Len() == 1 && args.Is("timeout"):
		return 0, command.Errorf("Missing timeout value")
	case !args.IsWith("timeout", 1) || args.Len() > 1:
		return 0, errSetSlot
	}
	const longest = 1 << 40 // ms, which nobody waits
	n, ok := command.ParseInt(args.Next())
	switch {
	case !ok:
		return 0, command.Errorf("timeout is not an integer or out of range")
	case n < 0:
		return 0, command.Errorf("timeout is negative")
	}
	return time.Duration(min(n, longest)) * time.Millisecond, nil
}

// clusterSetSlot opens a slot, so that its keys can be moved one by one, closes it, or gives
// it to another node. It answers when this node's shard acts by it.
func (a *admin) clusterSetSlot(ctx context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if me := a.node.View(ctx).Me(); me != nil && me.Replica() {
		return command.Errorf("Please use SETSLOT only with masters.")
	}
	n, err := takeSlot(args)
	if err != nil {
		return err
	}
	action, arg, err := takeSetSlot(args)
	if err != nil {
		return err
	}
	timeout, err := takeSetSlotTimeout(args)
	if err != nil {
		return err
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	peer, _ := topology.ParseNodeID(lower(arg)) // 0 is a node that nobody knows, either
	err = a.node.SetSlot(ctx, n, action, peer)
	if err != nil && action != SlotStable {
		switch err.Error() {
		case "ERR I don't know about node " + peer.String():
			return command.Errorf("I don't know about node %s", command.Printable(arg, 128))
		case "ERR Unknown node " + peer.String():
			return errUnknownNode(arg)
		}
	}
	return ok(r, err)
}
