package admin

import (
	"context"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// multiCommands returns the rows of the commands around transactions, most of which
// the front end carries out.
func multiCommands() []*command.Command {
	flags := command.FlagNoScript | command.FlagLoading | command.FlagStale
	fast := flags | command.FlagFast | command.FlagAllowBusy
	return []*command.Command{
		{
			Name: "multi", Arity: 1, Flags: fast, ACL: command.CatTransaction, Multi: command.MultiBegin,
			Doc: command.Doc{Summary: "Begins a transaction: the commands up to EXEC are queued.", Since: "1.2.0", Group: "transactions", Complexity: "O(1)"},
		},
		{
			Name: "exec", Arity: 1, Flags: flags | command.FlagSkipSlowlog, ACL: command.CatTransaction, Multi: command.MultiExec,
			Doc: command.Doc{Summary: "Runs the commands of a transaction in one piece, unless a watched key has changed.", Since: "1.2.0", Group: "transactions", Complexity: "Depends on commands in the transaction"},
		},
		{
			Name: "discard", Arity: 1, Flags: fast, ACL: command.CatTransaction, Multi: command.MultiDiscard,
			Doc: command.Doc{Summary: "Drops the commands of a transaction.", Since: "2.0.0", Group: "transactions", Complexity: "O(N)"},
		},
		{
			Name: "watch", Arity: -2, Flags: fast, ACL: command.CatTransaction, Multi: command.MultiWatch,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Has EXEC do nothing if one of the keys changes before it.", Since: "2.2.0", Group: "transactions", Complexity: "O(1) for every key."},
			Read: watch,
		},
		{
			Name: "unwatch", Arity: 1, Flags: fast, ACL: command.CatTransaction,
			Doc:   command.Doc{Summary: "Forgets the watched keys.", Since: "2.2.0", Group: "transactions", Complexity: "O(1)"},
			Local: unwatch,
		},
	}
}

// watch looks at the keys. Nothing else needs to be done for them: a key's version
// tells EXEC whether it has changed.
func watch(v *command.View, args *command.Args, r *resp.Reply) error {
	for args.More() {
		key := args.Next()
		seen := command.Watched{Key: key, Watch: v.Watch(key)}
		if v.Watches != nil {
			*v.Watches = append(*v.Watches, seen)
		}
	}
	r.OK()
	return nil
}

func unwatch(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	e.Unwatch()
	r.OK()
	return nil
}
