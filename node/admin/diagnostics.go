package admin

import (
	"context"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// slowlogSubcommands returns the rows of SLOWLOG.
func (a *admin) slowlogSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "get", Arity: -2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "nondeterministic_output"},
			Doc:   command.Doc{Usage: "[<count>]", Summary: "Returns the entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			Local: a.slowlogGet,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "6.2.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "len", Arity: 2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
			Doc:   command.Doc{Summary: "Returns the number of entries.", Since: "2.2.12", Group: "server", Complexity: "O(1)"},
			Local: a.slowlogLen,
		},
		{
			Name: "reset", Arity: 2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Summary: "Deletes the entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			Local: a.slowlogReset,
		},
	}
}

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

func (a *admin) slowlogGet(_ context.Context, _ *command.Env, args *command.Args, r *resp.Reply) error {
	if args.Len() > 1 {
		return command.ErrSyntax
	}
	if args.More() {
		if n, err := args.Int(); err != nil || n < -1 {
			return command.Errorf("count should be greater than or equal to -1")
		}
	}
	r.Array(0)
	return nil
}

func (a *admin) slowlogLen(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Int(0)
	return nil
}

func (a *admin) slowlogReset(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.OK()
	return nil
}

// emptyList is the answer where AiKv has nothing of a kind that Redis has.
func (a *admin) emptyList(_ context.Context, _ *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Array(0)
	return nil
}
