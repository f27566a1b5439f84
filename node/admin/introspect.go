package admin

import (
	"context"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// commandSubcommands returns the rows of COMMAND.
func (a *admin) commandSubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "count", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Returns the number of commands.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			Local: commandCount,
		},
		{
			Name: "docs", Arity: -2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output_order"},
			Doc:   command.Doc{Usage: "[<command-name> ...]", Summary: "Documents commands.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			Local: commandDocs,
		},
		{
			Name: "getkeys", Arity: -3, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<command> [<arg> ...]", Summary: "Returns the keys of a whole command.", Since: "2.8.13", Group: "server", Complexity: "O(N)"},
			Local: commandGetKeys,
		},
		{
			Name: "getkeysandflags", Arity: -3, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Usage: "<command> [<arg> ...]", Summary: "Returns the keys of a whole command and what it does with them.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			Local: commandGetKeysAndFlags,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "info", Arity: -2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output_order"},
			Doc:   command.Doc{Usage: "[<command-name> ...]", Summary: "Describes commands.", Since: "2.8.13", Group: "server", Complexity: "O(N)"},
			Local: commandInfo,
		},
		{
			Name: "list", Arity: -2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatConnection,
			Tips:  []string{"nondeterministic_output_order"},
			Doc:   command.Doc{Usage: "[FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]", Summary: "Returns the names of the commands.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			Local: commandList,
		},
	}
}

func commandAll(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	rows := e.Table.Commands()
	r.Array(len(rows))
	for _, row := range rows {
		r.Value(row.Info())
	}
	return nil
}

func commandCount(_ context.Context, e *command.Env, _ *command.Args, r *resp.Reply) error {
	r.Int(int64(len(e.Table.Commands())))
	return nil
}

func commandInfo(ctx context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	if !args.More() {
		return commandAll(ctx, e, args, r)
	}
	r.Array(args.Len())
	for args.More() {
		if row := e.Table.ByFullName(args.Next()); row != nil {
			r.Value(row.Info())
		} else {
			r.Null()
		}
	}
	return nil
}

func commandDocs(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	rows := e.Table.Commands()
	if args.More() {
		rows = nil
	}
	for args.More() {
		if row := e.Table.ByFullName(args.Next()); row != nil {
			rows = append(rows, row)
		}
	}
	r.Map(len(rows))
	for _, row := range rows {
		r.BulkString(row.FullName())
		r.Value(row.Docs())
	}
	return nil
}

const (
	errNoCommand = resp.Error("ERR Invalid command specified")
	errNoKeys    = resp.Error("ERR The command has no key arguments")
	errBadNumber = resp.Error("ERR Invalid number of arguments specified for command")
	errBadKeys   = resp.Error("ERR Invalid arguments specified for command")
)

// takeKeys returns the keys of the whole command that COMMAND GETKEYS is asked about.
func takeKeys(t *command.Table, args *command.Args) (keys []command.Key, err error) {
	full := args.Rest()
	row := t.Named(full)
	switch {
	case row == nil:
		return nil, errNoCommand
	case !row.HasKeys():
		return nil, errNoKeys
	case !row.Fits(len(full)):
		return nil, errBadNumber
	case !row.EachKey(full, func(k command.Key) bool { keys = append(keys, k); return true }):
		return nil, errBadKeys
	default:
		return keys, nil
	}
}

func commandGetKeys(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	keys, err := takeKeys(e.Table, args)
	if err != nil {
		return err
	}
	r.Array(len(keys))
	for _, key := range keys {
		r.Bulk(key.Name)
	}
	return nil
}

func commandGetKeysAndFlags(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	keys, err := takeKeys(e.Table, args)
	if err != nil {
		return err
	}
	r.Array(len(keys))
	for _, key := range keys {
		r.Array(2)
		r.Bulk(key.Name)
		flags := key.Flags.Names()
		r.Set(len(flags))
		for _, flag := range flags {
			r.Simple(flag)
		}
	}
	return nil
}

// commandList filters the names, also those of subcommands, as Redis does.
func commandList(_ context.Context, e *command.Env, args *command.Args, r *resp.Reply) error {
	wanted := func(*command.Command) bool { return true }
	if args.More() {
		if args.Len() != 3 || !args.Is("filterby") {
			return command.ErrSyntax
		}
		switch {
		case args.Is("module"):
			wanted = func(*command.Command) bool { return false } // there are none
		case args.Is("aclcat"):
			category := lower(args.Next())
			wanted = func(row *command.Command) bool { return slices.Contains(row.Categories().Names(), category) }
		case args.Is("pattern"):
			pattern := args.Next()
			wanted = func(row *command.Command) bool { return command.Match(pattern, []byte(row.FullName()), true) }
		default:
			return command.ErrSyntax
		}
	}
	at, found := r.Here(), 0
	for _, row := range e.Table.Rows() {
		if wanted(row) {
			r.BulkString(row.FullName())
			found++
		}
	}
	r.ArrayAt(at, found)
	return nil
}
