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
			Local: a.multi,
		},
		{
			Name: "exec", Arity: 1, Flags: flags | command.FlagSkipSlowlog, ACL: command.CatTransaction, InMulti: true,
			Doc:   command.Doc{Summary: "Ends what MULTI began: nothing was executed.", Since: "1.2.0", Group: "transactions", Complexity: "O(1)"},
			Local: a.execMulti,
		},
		{
			Name: "discard", Arity: 1, Flags: flags | command.FlagFast | command.FlagAllowBusy, ACL: command.CatTransaction, InMulti: true,
			Doc:   command.Doc{Summary: "Ends what MULTI began.", Since: "2.0.0", Group: "transactions", Complexity: "O(1)"},
			Local: a.discard,
		},
	}
}

func (a *admin) multi(_ context.Context, e *command.Env, _ *command.Args, _ *resp.Reply) error {
	if e.Session.InMulti {
		return command.Errorf("MULTI calls can not be nested")
	}
	e.Session.InMulti = true
	return command.Errorf("MULTI is not supported yet: the commands up to EXEC or DISCARD are refused, none is executed")
}

func (a *admin) execMulti(_ context.Context, e *command.Env, _ *command.Args, _ *resp.Reply) error {
	if !e.Session.InMulti {
		return command.Errorf("EXEC without MULTI")
	}
	e.Session.InMulti = false
	return resp.Error("EXECABORT Transaction discarded because of previous errors.")
}

func (a *admin) discard(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	if !e.Session.InMulti {
		return command.Errorf("DISCARD without MULTI")
	}
	e.Session.InMulti = false
	r.OK()
	return nil
}
