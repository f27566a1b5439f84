package command

import (
	"context"

	"github.com/genuineh/aikv/node/resp"
)

// memorySubcommands returns the rows of MEMORY.
func memorySubcommands() []*Command {
	return []*Command{
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "4.0.0", Group: "server", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "usage", Arity: -3, Flags: FlagReadOnly,
			Keys:    []KeySpec{{Flags: KeyRO, Begin: 2}},
			Doc:     Doc{Usage: "<key> [SAMPLES <count>]", Summary: "Estimates the bytes that a key takes.", Since: "4.0.0", Group: "server", Complexity: "O(N)"},
			OldRead: memoryUsage,
		},
	}
}

// slowlogSubcommands returns the rows of SLOWLOG.
func slowlogSubcommands() []*Command {
	return []*Command{
		{
			Name: "get", Arity: -2, Flags: FlagAdmin | FlagLoading | FlagStale,
			Tips:     []string{"request_policy:all_nodes", "nondeterministic_output"},
			Doc:      Doc{Usage: "[<count>]", Summary: "Returns the entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			OldLocal: slowlogGet,
		},
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "6.2.0", Group: "server", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "len", Arity: 2, Flags: FlagAdmin | FlagLoading | FlagStale,
			Tips:     []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
			Doc:      Doc{Summary: "Returns the number of entries.", Since: "2.2.12", Group: "server", Complexity: "O(1)"},
			OldLocal: slowlogLen,
		},
		{
			Name: "reset", Arity: 2, Flags: FlagAdmin | FlagLoading | FlagStale,
			Tips:     []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:      Doc{Summary: "Deletes the entries.", Since: "2.2.12", Group: "server", Complexity: "O(N)"},
			OldLocal: slowlogReset,
		},
	}
}

// latencySubcommands returns the rows of LATENCY.
func latencySubcommands() []*Command {
	return []*Command{
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "latest", Arity: 2, Flags: FlagAdmin | FlagNoScript | FlagLoading | FlagStale,
			Tips:     []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"},
			Doc:      Doc{Summary: "Returns the last events.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			OldLocal: latencyLatest,
		},
		{
			Name: "reset", Arity: -2, Flags: FlagAdmin | FlagNoScript | FlagLoading | FlagStale,
			Tips:     []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Doc:      Doc{Usage: "[<event> ...]", Summary: "Deletes events.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			OldLocal: latencyReset,
		},
	}
}

// moduleSubcommands returns the rows of MODULE.
func moduleSubcommands() []*Command {
	return []*Command{
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "list", Arity: 2, Flags: FlagAdmin | FlagNoScript,
			Tips:     []string{"nondeterministic_output_order"},
			Doc:      Doc{Summary: "Lists the modules.", Since: "4.0.0", Group: "server", Complexity: "O(N)"},
			OldLocal: emptyList,
		},
	}
}

// functionSubcommands returns the rows of FUNCTION.
func functionSubcommands() []*Command {
	return []*Command{
		{
			Name: "flush", Arity: -2, Flags: FlagWrite | FlagNoScript, ACL: CatScripting,
			Tips:     []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Doc:      Doc{Usage: "[ASYNC|SYNC]", Summary: "Deletes all libraries, of which there are none.", Since: "7.0.0", Group: "scripting", Complexity: "O(N)"},
			OldLocal: functionFlush,
		},
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale, ACL: CatScripting,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "7.0.0", Group: "scripting", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "list", Arity: -2, Flags: FlagNoScript, ACL: CatScripting,
			Tips:     []string{"nondeterministic_output_order"},
			Doc:      Doc{Usage: "[LIBRARYNAME <pattern>] [WITHCODE]", Summary: "Lists the function libraries.", Since: "7.0.0", Group: "scripting", Complexity: "O(N)"},
			OldLocal: functionList,
		},
	}
}

func functionFlush(_ context.Context, _ *Env, args [][]byte) resp.Value {
	switch {
	case len(args) > 3:
		return errSubcommand(args)
	case len(args) == 3 && !Is(args[2], "async") && !Is(args[2], "sync"):
		return resp.Err("FUNCTION FLUSH only supports SYNC|ASYNC option")
	}
	return resp.OK
}

func functionList(_ context.Context, _ *Env, args [][]byte) resp.Value {
	named, withCode := false, false
	for rest := args[2:]; len(rest) > 0; rest = rest[1:] {
		switch {
		case !withCode && Is(rest[0], "withcode"):
			withCode = true
		case !named && Is(rest[0], "libraryname"):
			if len(rest) < 2 {
				return resp.Err("library name argument was not given")
			}
			named, rest = true, rest[1:]
		default:
			return resp.Err("Unknown argument %s", Printable(rest[0], 128))
		}
	}
	return resp.Array()
}

// recordOverhead is about what a key takes in the store beside key and value:
// record header, index entry, and its share of tables and filters.
const recordOverhead = 48

// memoryUsage estimates: most of a key's bytes are on disk, not in memory.
func memoryUsage(tx ReadTx, args [][]byte) resp.Value {
	switch {
	case len(args) == 3:
	case len(args) != 5 || !Is(args[3], "samples"):
		return errSyntax()
	default:
		n, ok := ParseInt(args[4])
		if !ok {
			return errNotInteger()
		}
		if n < 0 {
			return errSyntax()
		}
	}
	m, ok := tx.Lookup(args[2])
	if !ok {
		return resp.Null
	}
	return resp.Int(int64(len(args[2])) + m.Size + recordOverhead)
}

func slowlogGet(_ context.Context, _ *Env, args [][]byte) resp.Value {
	if len(args) > 3 {
		return errSyntax()
	}
	if len(args) == 3 {
		if n, ok := ParseInt(args[2]); !ok || n < -1 {
			return resp.Err("count should be greater than or equal to -1")
		}
	}
	return resp.Array()
}

func slowlogLen(context.Context, *Env, [][]byte) resp.Value { return resp.Int(0) }

func slowlogReset(context.Context, *Env, [][]byte) resp.Value { return resp.OK }

func latencyLatest(context.Context, *Env, [][]byte) resp.Value { return resp.Array() }

func latencyReset(context.Context, *Env, [][]byte) resp.Value { return resp.Int(0) }

// emptyList is the answer where AiKv has nothing of a kind that Redis has.
func emptyList(context.Context, *Env, [][]byte) resp.Value { return resp.Array() }
