package command

import (
	"slices"

	"github.com/genuineh/aikv/node/resp"
)

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

// Info is what COMMAND INFO says of the command: ten fields. They are made anew each
// time, as they would take more memory than all else that an idle node knows.
func (c *Command) Info() resp.Value {
	first, last, step, movable := c.keyRange()
	flags := c.Flags
	if movable {
		flags |= FlagMovableKeys
	}
	specs := make([]resp.Value, len(c.Keys))
	for i := range c.Keys {
		specs[i] = c.Keys[i].value()
	}
	subs := make([]resp.Value, len(c.Subcommands))
	for i, sub := range c.Subcommands {
		subs[i] = sub.Info()
	}
	return resp.Array(
		resp.BulkString(c.FullName()),
		resp.Int(int64(c.Arity)),
		resp.Set(statuses("", flags.names())...),
		resp.Int(int64(first)), resp.Int(int64(last)), resp.Int(int64(step)),
		resp.Set(statuses("@", names(uint64(c.Categories()), categoryNames()))...),
		resp.Set(bulks(c.Tips)...),
		resp.Set(specs...),
		resp.Set(subs...),
	)
}

// keyRange returns the keys as Redis showed them before it had specifications: one
// range over those that are neighbours, with last counted from the end if it is
// negative. movable says that there may be other keys.
func (c *Command) keyRange() (first, last, step int, movable bool) {
	if len(c.Keys) == 1 && c.Keys[0].plain() {
		k := &c.Keys[0]
		return k.Begin, k.absolute(), k.step(), k.Flags&KeyIncomplete != 0
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		if !k.plain() || k.step() != 1 || last != 0 && last != k.Begin-1 {
			movable = true
			continue
		}
		movable = movable || k.Flags&KeyIncomplete != 0
		if first == 0 {
			first, step = k.Begin, 1
		}
		last = k.absolute()
	}
	return first, last, step, movable
}

// absolute returns the index of a plain range's last key, counted from the end if it
// is negative.
func (k *KeySpec) absolute() int {
	if k.Last < 0 {
		return k.Last
	}
	return k.Begin + k.Last
}

// value is the key specification as COMMAND shows it.
func (k *KeySpec) value() resp.Value {
	var pairs []resp.Value
	if k.Notes != "" {
		pairs = append(pairs, resp.BulkString("notes"), resp.BulkString(k.Notes))
	}
	begin, find := k.values()
	return resp.Map(append(pairs,
		resp.BulkString("flags"), resp.Set(statuses("", k.Flags.Names())...),
		resp.BulkString("begin_search"), begin,
		resp.BulkString("find_keys"), find,
	)...)
}

// values are the two halves of the specification.
func (k *KeySpec) values() (begin, find resp.Value) {
	typed := func(name string, fields ...resp.Value) resp.Value {
		return resp.Map(resp.BulkString("type"), resp.BulkString(name), resp.BulkString("spec"), resp.Map(fields...))
	}
	number := func(name string, n int) []resp.Value { return []resp.Value{resp.BulkString(name), resp.Int(int64(n))} }
	if k.Find != nil {
		return typed("unknown"), typed("unknown")
	}
	begin = typed("index", number("index", k.Begin)...)
	if k.Keyword != "" {
		begin = typed("keyword", append([]resp.Value{resp.BulkString("keyword"), resp.BulkString(k.Keyword)},
			number("startfrom", k.From)...)...)
	}
	if k.Count != nil {
		return begin, typed("keynum", slices.Concat(
			number("keynumidx", k.Count.Index), number("firstkey", k.Count.First), number("keystep", k.step()))...)
	}
	return begin, typed("range", slices.Concat(
		number("lastkey", k.Last), number("keystep", k.step()), number("limit", k.Limit))...)
}

// Docs is what COMMAND DOCS says of the command.
func (c *Command) Docs() resp.Value {
	var pairs []resp.Value
	add := func(name, text string) {
		pairs = append(pairs, resp.BulkString(name), resp.BulkString(text))
	}
	add("summary", c.Doc.Summary)
	add("since", c.Doc.Since)
	add("group", c.Doc.Group)
	add("complexity", c.Doc.Complexity)
	if c.Doc.System {
		pairs = append(pairs, resp.BulkString("doc_flags"), resp.Set(resp.Simple("syscmd")))
	}
	if c.Doc.DeprecatedSince != "" {
		pairs = append(pairs, resp.BulkString("doc_flags"), resp.Set(resp.Simple("deprecated")))
		add("deprecated_since", c.Doc.DeprecatedSince)
		add("replaced_by", c.Doc.ReplacedBy)
	}
	if list := arguments(c.Doc.Usage); list != nil {
		d := argumentDocs{specs: len(c.Keys)}
		pairs = append(pairs, resp.BulkString("arguments"), d.of(list))
	}
	if c.Subcommands != nil {
		subs := make([]resp.Value, 0, 2*len(c.Subcommands))
		for _, sub := range c.Subcommands {
			subs = append(subs, resp.BulkString(sub.FullName()), sub.Docs())
		}
		pairs = append(pairs, resp.BulkString("subcommands"), resp.Map(subs...))
	}
	return resp.Map(pairs...)
}
