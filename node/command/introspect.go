package command

import (
	"context"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// commandSubcommands returns the rows of COMMAND.
func commandSubcommands() []*Command {
	return []*Command{
		{
			Name: "count", Arity: 2, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Doc:      Doc{Summary: "Returns the number of commands.", Since: "2.8.13", Group: "server", Complexity: "O(1)"},
			OldLocal: commandCount,
		},
		{
			Name: "docs", Arity: -2, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Tips:     []string{"nondeterministic_output_order"},
			Doc:      Doc{Usage: "[<command-name> ...]", Summary: "Documents commands.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			OldLocal: commandDocs,
		},
		{
			Name: "getkeys", Arity: -4, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Doc:      Doc{Usage: "<full-command>", Summary: "Returns the keys of a whole command.", Since: "2.8.13", Group: "server", Complexity: "O(N)"},
			OldLocal: commandGetKeys,
		},
		{
			Name: "getkeysandflags", Arity: -4, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Doc:      Doc{Usage: "<full-command>", Summary: "Returns the keys of a whole command and what it does with them.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			OldLocal: commandGetKeysAndFlags,
		},
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "info", Arity: -2, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Tips:     []string{"nondeterministic_output_order"},
			Doc:      Doc{Usage: "[<command-name> ...]", Summary: "Describes commands.", Since: "2.8.13", Group: "server", Complexity: "O(N)"},
			OldLocal: commandInfoReply,
		},
		{
			Name: "list", Arity: -2, Flags: FlagLoading | FlagStale, ACL: CatConnection,
			Tips:     []string{"nondeterministic_output_order"},
			Doc:      Doc{Usage: "[FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]", Summary: "Returns the names of the commands.", Since: "7.0.0", Group: "server", Complexity: "O(N)"},
			OldLocal: commandList,
		},
	}
}

// bulks returns texts as bulk strings.
func bulks(texts []string) []resp.Value {
	values := make([]resp.Value, len(texts))
	for i, text := range texts {
		values[i] = resp.BulkString(text)
	}
	return values
}

// statuses returns texts, each behind prefix, as status replies.
func statuses(prefix string, texts []string) []resp.Value {
	values := make([]resp.Value, len(texts))
	for i, text := range texts {
		values[i] = resp.Simple(prefix + text)
	}
	return values
}

// commandInfo makes the ten fields that COMMAND shows of c.
func commandInfo(c *Command) resp.Value {
	first, last, step := c.keyRange()
	specs := make([]resp.Value, len(c.Keys))
	for i, k := range c.Keys {
		specs[i] = k.value()
	}
	subs := make([]resp.Value, len(c.Subcommands))
	for i, sub := range c.Subcommands {
		sub.info = commandInfo(sub)
		subs[i] = sub.info
	}
	return resp.Array(
		resp.BulkString(c.FullName()),
		resp.Int(int64(c.Arity)),
		resp.Set(statuses("", c.Flags.names())...),
		resp.Int(int64(first)), resp.Int(int64(last)), resp.Int(int64(step)),
		resp.Set(statuses("@", names(uint64(c.Categories()), categoryNames()))...),
		resp.Set(bulks(c.Tips)...),
		resp.Set(specs...),
		resp.Set(subs...),
	)
}

// keyRange returns the keys as Redis showed them before it had specifications:
// one range over all, with last counted from the end if it is negative.
func (c *Command) keyRange() (first, last, step int) {
	for i, k := range c.Keys {
		if i == 0 {
			first, step = k.Begin, k.step()
		}
		if last = k.Last; last >= 0 {
			last += k.Begin
		}
	}
	return first, last, step
}

// value is the key specification as COMMAND shows it.
func (k KeySpec) value() resp.Value {
	var pairs []resp.Value
	if k.Notes != "" {
		pairs = append(pairs, resp.BulkString("notes"), resp.BulkString(k.Notes))
	}
	typed := func(name string, fields ...resp.Value) resp.Value {
		return resp.Map(resp.BulkString("type"), resp.BulkString(name), resp.BulkString("spec"), resp.Map(fields...))
	}
	pairs = append(pairs,
		resp.BulkString("flags"), resp.Set(statuses("", k.Flags.names())...),
		resp.BulkString("begin_search"), typed("index", resp.BulkString("index"), resp.Int(int64(k.Begin))),
		resp.BulkString("find_keys"), typed("range",
			resp.BulkString("lastkey"), resp.Int(int64(k.Last)),
			resp.BulkString("keystep"), resp.Int(int64(k.step())),
			resp.BulkString("limit"), resp.Int(0)),
	)
	return resp.Map(pairs...)
}

func commandAll(_ context.Context, c *Env, _ [][]byte) resp.Value {
	all := make([]resp.Value, len(c.Table.commands))
	for i, row := range c.Table.commands {
		all[i] = row.info
	}
	return resp.Array(all...)
}

func commandCount(_ context.Context, c *Env, _ [][]byte) resp.Value {
	return resp.Int(int64(len(c.Table.commands)))
}

func commandInfoReply(ctx context.Context, c *Env, args [][]byte) resp.Value {
	if len(args) == 2 {
		return commandAll(ctx, c, args)
	}
	found := make([]resp.Value, len(args)-2)
	for i, name := range args[2:] {
		found[i] = resp.Null
		if row := c.Table.ByFullName(name); row != nil {
			found[i] = row.info
		}
	}
	return resp.Array(found...)
}

func commandDocs(_ context.Context, c *Env, args [][]byte) resp.Value {
	rows := c.Table.commands
	if len(args) > 2 {
		rows = nil
		for _, name := range args[2:] {
			if row := c.Table.ByFullName(name); row != nil {
				rows = append(rows, row)
			}
		}
	}
	return docsOf(rows)
}

func docsOf(rows []*Command) resp.Value {
	pairs := make([]resp.Value, 0, 2*len(rows))
	for _, row := range rows {
		pairs = append(pairs, resp.BulkString(row.FullName()), row.docs())
	}
	return resp.Map(pairs...)
}

func (c *Command) docs() resp.Value {
	var pairs []resp.Value
	add := func(name, text string) {
		pairs = append(pairs, resp.BulkString(name), resp.BulkString(text))
	}
	add("summary", c.Doc.Summary)
	add("since", c.Doc.Since)
	add("group", c.Doc.Group)
	add("complexity", c.Doc.Complexity)
	if c.Doc.DeprecatedSince != "" {
		pairs = append(pairs, resp.BulkString("doc_flags"), resp.Set(resp.Simple("deprecated")))
		add("deprecated_since", c.Doc.DeprecatedSince)
		add("replaced_by", c.Doc.ReplacedBy)
	}
	if c.Subcommands != nil {
		pairs = append(pairs, resp.BulkString("subcommands"), docsOf(c.Subcommands))
	}
	return resp.Map(pairs...)
}

// keysOf looks up the command that COMMAND GETKEYS is asked about.
func keysOf(t *Table, args [][]byte) (row *Command, bad *resp.Value) {
	fail := func(text string) (*Command, *resp.Value) {
		v := resp.Err("%s", text)
		return nil, &v
	}
	if row = find(t.byName, args[0]); row != nil && row.subs != nil && len(args) > 1 {
		row = find(row.subs, args[1])
	}
	switch {
	case row == nil:
		return fail("Invalid command specified")
	case !row.HasKeys():
		return fail("The command has no key arguments")
	case !row.arityFits(len(args)):
		return fail("Invalid number of arguments specified for command")
	default:
		return row, nil
	}
}

func commandGetKeys(_ context.Context, c *Env, args [][]byte) resp.Value {
	row, bad := keysOf(c.Table, args[2:])
	if bad != nil {
		return *bad
	}
	keys := []resp.Value{}
	for _, key := range row.KeyArgs(args[2:]) {
		keys = append(keys, bulkCopy(key))
	}
	return resp.Array(keys...)
}

func commandGetKeysAndFlags(_ context.Context, c *Env, args [][]byte) resp.Value {
	full := args[2:]
	row, bad := keysOf(c.Table, full)
	if bad != nil {
		return *bad
	}
	keys := []resp.Value{}
	for _, spec := range row.Keys {
		flags := spec.Flags
		if spec.Actual != nil {
			flags = spec.Actual(full)
		}
		first, last := spec.span(len(full))
		for i := first; i <= last; i += spec.step() {
			keys = append(keys, resp.Array(bulkCopy(full[i]), resp.Set(statuses("", flags.names())...)))
		}
	}
	return resp.Array(keys...)
}

// commandList filters the names, also those of subcommands, as Redis does.
func commandList(_ context.Context, c *Env, args [][]byte) resp.Value {
	wanted := func(*Command) bool { return true }
	switch {
	case len(args) == 2:
	case len(args) != 5 || !Is(args[2], "filterby"):
		return errSyntax()
	case Is(args[3], "module"):
		wanted = func(*Command) bool { return false } // there are none
	case Is(args[3], "aclcat"):
		cat := strings.ToLower(string(args[4]))
		wanted = func(row *Command) bool {
			for _, name := range names(uint64(row.Categories()), categoryNames()) {
				if name == cat {
					return true
				}
			}
			return false
		}
	case Is(args[3], "pattern"):
		wanted = func(row *Command) bool { return Match(args[4], []byte(row.FullName()), true) }
	default:
		return errSyntax()
	}
	found := []resp.Value{}
	for _, row := range c.Table.commands {
		if wanted(row) {
			found = append(found, resp.BulkString(row.FullName()))
		}
		for _, sub := range row.Subcommands {
			if wanted(sub) {
				found = append(found, resp.BulkString(sub.FullName()))
			}
		}
	}
	return resp.Array(found...)
}

// help lists the subcommands of the container that args name, from the table.
func help(_ context.Context, c *Env, args [][]byte) resp.Value {
	parent := find(c.Table.byName, args[0])
	lines := []string{strings.ToUpper(parent.Name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, sub := range parent.Subcommands {
		if sub.Name == "help" {
			continue
		}
		lines = append(lines, strings.TrimSpace(strings.ToUpper(sub.Name)+" "+sub.Doc.Usage), "    "+sub.Doc.Summary)
	}
	lines = append(lines, "HELP", "    Prints this help.")
	return resp.Array(statuses("", lines)...)
}
