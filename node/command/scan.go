package command

import (
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
			Tips: []string{"nondeterministic_output", "request_policy:special"},
			Doc:  Doc{Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Summary: "Walks over the keys of this node's shard.", Since: "2.8.0", Group: "generic", Complexity: "O(1)"},
			Read: scan,
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

func scan(v *View, args *Args, r *resp.Reply) error {
	cursor, err := args.Cursor()
	if err != nil {
		return err
	}
	var o ScanOptions
	var typeName []byte // nil: all
	for args.More() {
		taken, err := o.Take(args)
		switch {
		case err != nil:
			return err
		case taken:
		case args.IsWith("type", 1):
			typeName = args.Next()
		default:
			return ErrSyntax
		}
	}
	at, n := r.Here(), 0
	next := v.Scan(cursor, o.Count(), func(key []byte, m keyspace.Meta) {
		if o.Matches(key) && (typeName == nil || Is(typeName, m.Type.String())) {
			r.Bulk(key)
			n++
		}
	})
	r.ScannedAt(at, next, n)
	return nil
}
