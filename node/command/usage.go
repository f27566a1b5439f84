package command

import (
	"slices"
	"strings"

	"github.com/genuineh/aikv/node/resp"
)

// argument is what COMMAND DOCS says of one argument, as read from Doc.Usage.
type argument struct {
	name string
	// kind is oneof or block, of arguments with parts, or pure-token; empty: a value.
	kind  string
	token string // the word that stands before it, or that it is
	parts []argument

	optional, multiple bool
	multipleToken      bool // its token comes again with it
}

const (
	oneOfKind = "oneof"
	blockKind = "block"
	tokenKind = "pure-token"
)

// usageParser reads a usage: words in capitals are tokens, others are values; [] is
// around what may be left out, () and | are between what is to be chosen from, "..." is
// behind what may come again. A part that ends so and begins as what is before it, as in
// "key [key ...]", says the same.
type usageParser struct{ rest []string }

// arguments returns what a usage says.
func arguments(usage string) []argument {
	for _, mark := range []string{"[", "]", "(", ")", "|"} {
		usage = strings.ReplaceAll(usage, mark, " "+mark+" ")
	}
	p := usageParser{strings.Fields(strings.NewReplacer("<", "", ">", "").Replace(usage))}
	return join(p.sequence(false))
}

// next takes the word, if it comes now.
func (p *usageParser) next(word string) bool {
	if len(p.rest) == 0 || p.rest[0] != word {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// sequence reads up to a mark that ends it. Outside of brackets, | is between single words.
func (p *usageParser) sequence(inside bool) []argument {
	var items []argument
	for len(p.rest) > 0 && !slices.Contains([]string{"]", ")"}, p.rest[0]) && (!inside || p.rest[0] != "|") {
		switch {
		case p.next("["):
			items = p.bracket(items)
		case p.next("("):
			items = append(items, p.choice(")"))
		case p.next("|"):
			choice := &items[len(items)-1]
			if choice.kind != oneOfKind {
				*choice = argument{name: choice.name, kind: oneOfKind, parts: []argument{*choice}}
			}
			choice.parts = append(choice.parts, word(p.rest[0]))
			p.rest = p.rest[1:]
		case p.next("..."):
			items = join(items)
			items = []argument{repeated(items)}
		default:
			items = append(items, word(p.rest[0]))
			p.rest = p.rest[1:]
		}
	}
	return items
}

func word(text string) argument {
	if text == `""` {
		return argument{name: "empty-string", kind: tokenKind}
	}
	if text == strings.ToUpper(text) {
		return argument{name: strings.ToLower(text), kind: tokenKind, token: text}
	}
	return argument{name: text}
}

// bracket reads what may be left out, behind items.
func (p *usageParser) bracket(items []argument) []argument {
	part := p.choice("]")
	body := part.parts
	if part.kind != blockKind {
		once := part
		once.multiple, once.multipleToken = false, false
		body = []argument{once}
	}
	for n := len(items) - 1; n >= 0 && part.multiple; n-- {
		if tail := join(items[n:]); sameNames(tail, body) {
			return append(items[:n:n], repeated(tail))
		}
	}
	part.optional = true
	return append(items, part)
}

// repeated makes one argument of several that come again together.
func repeated(items []argument) argument {
	again := block(items)
	again.multiple, again.multipleToken = true, again.token != ""
	return again
}

// sameNames reports whether arguments are called the same.
func sameNames(a, b []argument) bool {
	return slices.EqualFunc(a, b, func(a, b argument) bool { return a.name == b.name && a.token == b.token })
}

// choice reads alternatives up to the mark that ends them: one alone is what it is.
func (p *usageParser) choice(end string) argument {
	alternatives := [][]argument{p.sequence(true)}
	for p.next("|") {
		alternatives = append(alternatives, p.sequence(true))
	}
	p.next(end)
	first := alternatives[0]
	var one argument
	switch {
	case len(alternatives) == 1:
		one = block(join(first))
	case len(first) == 2 && first[0].kind == tokenKind && first[1].kind == tokenKind: // "AGGREGATE SUM|MIN|MAX"
		alternatives[0] = first[1:]
		one = argument{name: first[0].name, kind: oneOfKind, token: first[0].token}
	default:
		one = argument{name: join(first)[0].name, kind: oneOfKind}
	}
	if one.kind == oneOfKind && len(alternatives) > 1 {
		for _, alternative := range alternatives {
			one.parts = append(one.parts, block(join(alternative)))
		}
	}
	if p.next("...") {
		one.multiple = true
	}
	return one
}

// block makes one argument of several.
func block(items []argument) argument {
	if len(items) == 1 {
		return items[0]
	}
	return argument{name: items[0].name, kind: blockKind, parts: items}
}

// join puts tokens before the values that follow them.
func join(items []argument) []argument {
	var joined []argument
	for len(items) > 0 {
		first, n := items[0], 1
		if first.kind == tokenKind && !first.optional {
			for n < len(items) && items[n].value() {
				n++
			}
			if n == 1 && len(items) > 1 && items[1].kind == oneOfKind && items[1].plain() {
				n++ // "OVERFLOW (WRAP|SAT|FAIL)"
			}
		}
		if n > 1 {
			values := block(slices.Clone(items[1:n]))
			if values.kind != "" {
				values.name = first.name
			}
			values.token = first.token
			first = values
		}
		joined, items = append(joined, first), items[n:]
	}
	return joined
}

// plain reports whether an argument must be given, and no word stands before it.
func (a *argument) plain() bool { return a.token == "" && !a.optional }

// value reports whether it is plain and a value, or values that come again.
func (a *argument) value() bool { return a.plain() && (a.kind == "" || a.multiple) }

// keyNames are the names that keys have in usages.
var keyNames = []string{"key", "key1", "key2", "destkey", "sourcekey", "destination", "source", "newkey", "dst", "src"}

// typeOf is the type of a value, as far as its name tells.
func typeOf(name string) string {
	switch {
	case name == "pattern":
		return "pattern"
	case strings.HasPrefix(name, "unix-time"):
		return "unix-time"
	case slices.Contains([]string{"score", "longitude", "latitude"}, name):
		return "double"
	case slices.Contains([]string{
		"count", "numkeys", "numfields", "offset", "start", "end", "stop", "seconds", "milliseconds", "cursor", "index", "index1",
		"index2", "limit", "numreplicas", "timeout", "rank", "len", "slot", "start-slot", "end-slot", "port", "bus-port", "epoch", "id",
	}, name):
		return "integer"
	default:
		return "string"
	}
}

// argumentDocs shows the arguments of a command as COMMAND DOCS does. Its keys are those
// of its key specs, in their order; the last spec has the rest.
type argumentDocs struct{ specs, keys int }

func (d *argumentDocs) of(arguments []argument) resp.Value {
	all := make([]resp.Value, len(arguments))
	for i := range arguments {
		all[i] = d.one(&arguments[i])
	}
	return resp.Array(all...)
}

func (d *argumentDocs) one(a *argument) resp.Value {
	kind, isKey := a.kind, false
	if kind == "" {
		kind = typeOf(a.name)
		if isKey = d.specs > 0 && slices.Contains(keyNames, a.name); isKey {
			kind = "key"
		}
	}
	text := resp.BulkString
	fields := []resp.Value{text("name"), text(a.name), text("type"), text(kind)}
	if a.parts == nil {
		fields = append(fields, text("display_text"), text(a.name))
	}
	if isKey {
		fields = append(fields, text("key_spec_index"), resp.Int(int64(min(d.keys, d.specs-1))))
		d.keys++
	}
	if a.token != "" {
		fields = append(fields, text("token"), text(a.token))
	}
	var flags []resp.Value
	if a.optional {
		flags = append(flags, resp.Simple("optional"))
	}
	if a.multiple {
		flags = append(flags, resp.Simple("multiple"))
	}
	if a.multipleToken {
		flags = append(flags, resp.Simple("multiple_token"))
	}
	if flags != nil {
		fields = append(fields, text("flags"), resp.Set(flags...))
	}
	if a.parts != nil {
		fields = append(fields, text("arguments"), d.of(a.parts))
	}
	return resp.Map(fields...)
}
