package command

import (
	"context"

	"github.com/genuineh/aikv/node/resp"
)

// There are no transactions yet. A client that does not look at MULTI's reply
// before it sends the rest, as those that send all of it in one pipeline, would
// have its commands run one by one: so they are refused, until EXEC or DISCARD
// ends what would have been the transaction.

// multiCommands returns the rows of the commands around transactions.
func multiCommands() []*Command {
	flags := FlagNoScript | FlagLoading | FlagStale
	return []*Command{
		{
			Name: "multi", Arity: 1, Flags: flags | FlagFast | FlagAllowBusy, ACL: CatTransaction, InMulti: true,
			Doc:      Doc{Summary: "Refused, with all commands up to EXEC or DISCARD: there are no transactions yet.", Since: "1.2.0", Group: "transactions", Complexity: "O(1)"},
			OldLocal: multi,
		},
		{
			Name: "exec", Arity: 1, Flags: flags | FlagSkipSlowlog, ACL: CatTransaction, InMulti: true,
			Doc:      Doc{Summary: "Ends what MULTI began: nothing was executed.", Since: "1.2.0", Group: "transactions", Complexity: "O(1)"},
			OldLocal: execMulti,
		},
		{
			Name: "discard", Arity: 1, Flags: flags | FlagFast | FlagAllowBusy, ACL: CatTransaction, InMulti: true,
			Doc:      Doc{Summary: "Ends what MULTI began.", Since: "2.0.0", Group: "transactions", Complexity: "O(1)"},
			OldLocal: discard,
		},
	}
}

// ErrInMulti answers a command between MULTI and EXEC.
var ErrInMulti error = resp.Error("ERR Not executed: MULTI was refused, and so are all commands until EXEC or DISCARD")

func multi(_ context.Context, c *Env, _ [][]byte) resp.Value {
	if c.Session.InMulti {
		return resp.Err("MULTI calls can not be nested")
	}
	c.Session.InMulti = true
	return resp.Err("MULTI is not supported yet: the commands up to EXEC or DISCARD are refused, none is executed")
}

func execMulti(_ context.Context, c *Env, _ [][]byte) resp.Value {
	if !c.Session.InMulti {
		return resp.Err("EXEC without MULTI")
	}
	c.Session.InMulti = false
	return resp.FromError(resp.Error("EXECABORT Transaction discarded because of previous errors."))
}

func discard(_ context.Context, c *Env, _ [][]byte) resp.Value {
	if !c.Session.InMulti {
		return resp.Err("DISCARD without MULTI")
	}
	c.Session.InMulti = false
	return resp.OK
}
