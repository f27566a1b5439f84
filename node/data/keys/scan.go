package keys

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// scanCommands returns the rows of the commands that look through all keys.
func scanCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "keys", Arity: 2, Flags: command.FlagReadOnly, ACL: command.CatKeyspace | command.CatDangerous,
			Tips: []string{"request_policy:all_shards", "nondeterministic_output_order"},
			Doc:  command.Doc{Usage: "pattern", Summary: "Returns the keys of this node's shard that match a pattern.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			Read: keysMatching,
		},
		{
			Name: "scan", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatKeyspace,
			Tips: []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
			Doc:  command.Doc{Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Summary: "Walks over the keys of this node's shard.", Since: "2.8.0", Group: "generic", Complexity: "O(1)"},
			Read: scan,
		},
		{
			Name: "clusterscan", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatKeyspace,
			Tips: []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
			Keys: []command.KeySpec{{Flags: command.KeyNotKey, Begin: 1}},
			Doc:  command.Doc{Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type] [SLOT slot]", Summary: "Walks over the keys of the cluster.", Since: "9.1.0", Group: "cluster", Complexity: "O(N) where N is the number of elements returned."},
			Read: clusterScan,
		},
	}
}

func keysMatching(v *command.View, args *command.Args, r *resp.Reply) error {
	pattern := args.Next()
	at, found := r.Here(), 0
	v.Each(func(key []byte, _ keyspace.Meta) bool {
		if command.Match(pattern, key, false) {
			r.Bulk(key)
			found++
		}
		return !r.Full()
	})
	r.ArrayAt(at, found)
	return nil
}

func scan(v *command.View, args *command.Args, r *resp.Reply) error {
	cursor, err := args.Cursor()
	if err != nil {
		return err
	}
	var o command.ScanOptions
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
			return command.ErrSyntax
		}
	}
	at, found := r.Here(), 0
	next := v.Scan(cursor, o.Count(), func(key []byte, m keyspace.Meta) {
		if o.Matches(key) && (typeName == nil || command.Is(typeName, m.Type.String())) {
			r.Bulk(key)
			found++
		}
	})
	r.ScannedAt(at, next, found)
	return nil
}
