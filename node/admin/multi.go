package admin

import (
	"context"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// There are no transactions yet. A client that does not look at MULTI's reply
// before it sends the rest, as those that send all of it in one pipeline, would
// have its commands run one by one: so they are refused, until EXEC or DISCARD
// ends what would have been the transaction.

// multiCommands returns the rows of the commands around transactions.
func (a *admin) multiCommands() []*command.Command {
	flags := command.FlagNoScript | command.FlagLoading | command.FlagStale
	return []*command.Command{
		{
			Name: "multi", Arity: 1, Flags: flags | command.FlagFast | command.FlagAllowBusy, ACL: command.CatTransaction, InMulti: true,
			Doc:   command.Doc{Summary: "Refused, with all commands up to EXEC or DISCARD: there are no transactions yet.", Since: "1.2.0", Group: "transactions", Complexity: "O(1)"},
			Local: a.old(multi),
		},
		{
			Name: "exec", Arity: 1, Flags: flags | command.FlagSkipSlowlog, ACL: command.CatTransaction, InMulti: true,
			Doc:   command.Doc{Summary: "Ends what MULTI began: nothing was executed.", Since: "1.2.0", Group: "transactions", Complexity: "O(1)"},
			Local: a.old(execMulti),
		},
		{
			Name: "discard", Arity: 1, Flags: flags | command.FlagFast | command.FlagAllowBusy, ACL: command.CatTransaction, InMulti: true,
			Doc:   command.Doc{Summary: "Ends what MULTI began.", Since: "2.0.0", Group: "transactions", Complexity: "O(1)"},
			Local: a.old(discard),
		},
	}
}

func multi(_ context.Context, c *call, _ [][]byte) resp.Value {
	if c.Session.InMulti {
		return resp.Err("MULTI calls can not be nested")
	}
	c.Session.InMulti = true
	return resp.Err("MULTI is not supported yet: the commands up to EXEC or DISCARD are refused, none is executed")
}

func execMulti(_ context.Context, c *call, _ [][]byte) resp.Value {
	if !c.Session.InMulti {
		return resp.Err("EXEC without MULTI")
	}
	c.Session.InMulti = false
	return resp.FromError(resp.Error("EXECABORT Transaction discarded because of previous errors."))
}

func discard(_ context.Context, c *call, _ [][]byte) resp.Value {
	if !c.Session.InMulti {
		return resp.Err("DISCARD without MULTI")
	}
	c.Session.InMulti = false
	return resp.OK
}
