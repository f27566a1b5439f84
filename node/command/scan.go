package command

import (
	"strconv"
	"strings"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// scanCommands returns the rows of the commands that look through all keys.
func scanCommands() []*Command {
	return []*Command{
		{
			Name: "keys", Arity: 2, Flags: FlagReadOnly, ACL: CatKeyspace | CatDangerous,
			Tips:    []string{"request_policy:all_shards", "nondeterministic_output_order"},
			Doc:     Doc{Usage: "pattern", Summary: "Returns the keys of this node's shard that match a pattern.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			OldRead: keysMatching,
		},
		{
			Name: "scan", Arity: -2, Flags: FlagReadOnly, ACL: CatKeyspace,
			Tips:    []string{"nondeterministic_output", "request_policy:special"},
			Doc:     Doc{Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Summary: "Walks over the keys of this node's shard.", Since: "2.8.0", Group: "generic", Complexity: "O(1)"},
			OldRead: scan,
		},
	}
}

func keysMatching(tx ReadTx, args [][]byte) resp.Value {
	found := []resp.Value{}
	tx.Each(func(key []byte, _ keyspace.Meta) bool {
		if Match(args[1], key, false) {
			if !tx.takeText(len(key)) {
				return false
			}
			found = append(found, resp.Bulk(key))
		}
		return true
	})
	return resp.Array(found...)
}

// scanOptions are SCAN's.
type scanOptions struct {
	cursor   uint64
	count    int64
	match    []byte // nil: all
	typeName []byte // nil: all
}

// parseCursor reads a cursor as C's strtoul does: nothing is 0, -1 the largest
// number, and a zero byte ends the text.
func parseCursor(arg []byte) (cursor uint64, ok bool) {
	digits, _, _ := strings.Cut(string(arg), "\x00")
	negative := strings.HasPrefix(digits, "-")
	if negative || strings.HasPrefix(digits, "+") {
		digits = digits[1:]
	} else if digits == "" {
		return 0, true
	}
	cursor, err := strconv.ParseUint(digits, 10, 64)
	if negative {
		cursor = -cursor
	}
	return cursor, err == nil
}

func parseScan(args [][]byte) (o scanOptions, bad *resp.Value) {
	fail := func(v resp.Value) (scanOptions, *resp.Value) { return o, &v }
	cursor, ok := parseCursor(args[1])
	if !ok {
		return fail(resp.Err("invalid cursor"))
	}
	o = scanOptions{cursor: cursor, count: 10}
	for rest := args[2:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 {
			return fail(errSyntax())
		}
		switch {
		case Is(rest[0], "count"):
			n, ok := ParseInt(rest[1])
			if !ok {
				return fail(errNotInteger())
			}
			if n < 1 {
				return fail(errSyntax())
			}
			o.count = min(n, 1<<20)
		case Is(rest[0], "match"):
			o.match = rest[1]
		case Is(rest[0], "type"):
			o.typeName = rest[1]
		default:
			return fail(errSyntax())
		}
	}
	return o, nil
}

func scan(tx ReadTx, args [][]byte) resp.Value {
	o, bad := parseScan(args)
	if bad != nil {
		return *bad
	}
	found := []resp.Value{}
	next := tx.Scan(o.cursor, int(o.count), func(key []byte, m keyspace.Meta) {
		if o.match != nil && !Match(o.match, key, false) {
			return
		}
		if o.typeName != nil && !Is(o.typeName, m.Type.String()) {
			return
		}
		if tx.takeText(len(key)) {
			found = append(found, resp.Bulk(key))
		}
	})
	return resp.Array(resp.BulkString(strconv.FormatUint(next, 10)), resp.Array(found...))
}
