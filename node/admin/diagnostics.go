package admin

import (
	"context"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// moduleSubcommands returns the rows of MODULE.
func (a *admin) moduleSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "list", Arity: 2, Flags: command.FlagAdmin | command.FlagNoScript,
			Tips:  []string{"nondeterministic_output_order"},
			Doc:   command.Doc{Summary: "Lists the modules.", Since: "4.0.0", Group: "server", Complexity: "O(N)"},
			Local: a.emptyList,
		},
	}
}

// functionSubcommands returns the rows of FUNCTION.
func (a *admin) functionSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "flush", Arity: -2, Flags: command.FlagWrite | command.FlagNoScript, ACL: command.CatScripting,
			Tips:  []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "[ASYNC|SYNC]", Summary: "Deletes all libraries, of which there are none.", Since: "7.0.0", Group: "scripting", Complexity: "O(N)"},
			Local: a.functionFlush,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatScripting,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "7.0.0", Group: "scripting", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "list", Arity: -2, Flags: command.FlagNoScript, ACL: command.CatScripting,
			Tips:  []string{"nondeterministic_output_order"},
			Doc:   command.Doc{Usage: "[LIBRARYNAME <pattern>] [WITHCODE]", Summary: "Lists the function libraries.", Since: "7.0.0", Group: "scripting", Complexity: "O(N)"},
			Local: a.functionList,
		},
	}
}

func (a *admin) functionFlush(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	switch {
	case args.Len() > 1:
		return args.ErrSubcommand()
	case args.More() && !args.Is("async") && !args.Is("sync"):
		return command.Errorf("FUNCTION FLUSH only supports SYNC|ASYNC option")
	}
	r.OK()
	return nil
}

func (a *admin) functionList(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	named, withCode := false, false
	for args.More() {
		switch {
		case !withCode && args.Is("withcode"):
			withCode = true
		case !named && args.Is("libraryname"):
			if !args.More() {
				return command.Errorf("library name argument was not given")
			}
			named = args.Next() != nil
		default:
			return command.Errorf("Unknown argument %s", command.Printable(args.Next(), 128))
		}
	}
	r.Array(0)
	return nil
}

// emptyList is the answer where AiKv has nothing of a kind that Redis has.
func (a *admin) emptyList(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Array(0)
	return nil
}
