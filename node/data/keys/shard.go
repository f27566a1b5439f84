package keys

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// shardCommands returns the rows of the commands on all keys of a shard, and on what
// they take.
func shardCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "dbsize", Arity: 1, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Tips: []string{"request_policy:all_shards", "response_policy:agg_sum"},
			Doc:  command.Doc{Summary: "Returns the number of keys of this node's shard.", Since: "1.0.0", Group: "server", Complexity: "O(1)"},
			Read: dbSize,
		},
		{
			Name: "flushdb", Arity: -1, Flags: command.FlagWrite, ACL: command.CatKeyspace | command.CatDangerous,
			Tips:  []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "[ASYNC|SYNC]", Summary: "Deletes every key of this node's shard.", Since: "1.0.0", Group: "server", Complexity: "O(N)"},
			Write: flush,
		},
		{
			Name: "flushall", Arity: -1, Flags: command.FlagWrite, ACL: command.CatKeyspace | command.CatDangerous,
			Tips:  []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			Doc:   command.Doc{Usage: "[ASYNC|SYNC]", Summary: "Deletes every key of this node's shard.", Since: "1.0.0", Group: "server", Complexity: "O(N)"},
			Write: flush,
		},
		{
			Name: "memory", Arity: -2,
			Doc:         command.Doc{Summary: "Commands about memory.", Since: "4.0.0", Group: "server", Complexity: "Depends on subcommand"},
			Subcommands: memorySubcommands(),
		},
	}
}

// memorySubcommands returns the rows of MEMORY.
func memorySubcommands() []*command.Command {
	return []*command.Command{
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "4.0.0", Group: "server", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "usage", Arity: -3, Flags: command.FlagReadOnly,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 2}},
			Doc:  command.Doc{Usage: "<key> [SAMPLES <count>]", Summary: "Estimates the bytes that a key takes.", Since: "4.0.0", Group: "server", Complexity: "O(N)"},
			Read: memoryUsage,
		},
	}
}

func dbSize(v *command.View, _ *command.Args, r *resp.Reply) error {
	r.Int(v.Len())
	return nil
}

// flush is FLUSHALL and FLUSHDB. ASYNC and SYNC make no difference.
func flush(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	if args.More() && !args.Is("async") && !args.Is("sync") || args.More() {
		return command.ErrSyntax
	}
	tx.Flush()
	r.OK()
	return nil
}

// recordOverhead is about what a key takes in the store beside key and value:
// record header, index entry, and its share of tables and filters.
const recordOverhead = 48

// memoryUsage estimates: most of a key's bytes are on disk, not in memory. The size of
// a value is known without samples of it.
func memoryUsage(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	for args.More() {
		if !args.IsWith("samples", 1) {
			return command.ErrSyntax
		}
		if n, err := args.Int(); err != nil {
			return err
		} else if n < 0 {
			return command.ErrSyntax
		}
	}
	return ofKey(v, key, r, func(keyspace.Meta) error {
		size, _ := v.SizeOf(key)
		r.Int(int64(len(key)) + size + recordOverhead)
		return nil
	})
}
