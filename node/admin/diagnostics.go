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
			Local: a.old(slowlogGet),
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
			Local: a.old(slowlogLen),
		},
		{
			Name: "reset", Arity: 2, Flags: command.FlagAdmin | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Summary: "Deletes the entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			Local: a.old(slowlogReset),
		},
	}
}

// latencySubcommands returns the rows of LATENCY.
func (a *admin) latencySubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "latest", Arity: 2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Tips:  []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"},
			Doc:   command.Doc{Summary: "Returns the last events.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.old(latencyLatest),
		},
		{
			Name: "reset", Arity: -2, Flags: command.FlagAdmin | command.FlagNoScript | command.FlagLoading | command.FlagStale,
			Tips:  []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "[<event> ...]", Summary: "Deletes events.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: a.old(latencyReset),
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
			Local: a.old(emptyList),
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
			Local: a.old(functionFlush),
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
			Local: a.old(functionList),
		},
	}
}

func functionFlush(_ context.Context, _ *call, args [][]byte) resp.Value {
	switch {
	case len(args) > 3:
		return errSubcommand(args)
	case len(args) == 3 && !command.Is(args[2], "async") && !command.Is(args[2], "sync"):
		return resp.Err("FUNCTION FLUSH only supports SYNC|ASYNC option")
	}
	return resp.OK
}

func functionList(_ context.Context, _ *call, args [][]byte) resp.Value {
	named, withCode := false, false
	for rest := args[2:]; len(rest) > 0; rest = rest[1:] {
		switch {
		case !withCode && command.Is(rest[0], "withcode"):
			withCode = true
		case !named && command.Is(rest[0], "libraryname"):
			if len(rest) < 2 {
				return resp.Err("library name argument was not given")
			}
			named, rest = true, rest[1:]
		default:
			return resp.Err("Unknown argument %s", command.Printable(rest[0], 128))
		}
	}
	return resp.Array()
}

func slowlogGet(_ context.Context, _ *call, args [][]byte) resp.Value {
	if len(args) > 3 {
		return errSyntax()
	}
	if len(args) == 3 {
		if n, ok := command.ParseInt(args[2]); !ok || n < -1 {
			return resp.Err("count should be greater than or equal to -1")
		}
	}
	return resp.Array()
}

func slowlogLen(context.Context, *call, [][]byte) resp.Value { return resp.Int(0) }

func slowlogReset(context.Context, *call, [][]byte) resp.Value { return resp.OK }

func latencyLatest(context.Context, *call, [][]byte) resp.Value { return resp.Array() }

func latencyReset(context.Context, *call, [][]byte) resp.Value { return resp.Int(0) }

// emptyList is the answer where AiKv has nothing of a kind that Redis has.
func emptyList(context.Context, *call, [][]byte) resp.Value { return resp.Array() }
