package keys

import (
	"bytes"
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// keyCommands returns the rows.
func keyCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "del", Arity: -2, Flags: command.FlagWrite, ACL: command.CatKeyspace,
			Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:  []command.KeySpec{{Flags: command.KeyRM | command.KeyDelete, Begin: 1, Last: -1}},
			Doc:   command.Doc{Usage: "key [key ...]", Summary: "Deletes keys.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			Write: del, Idle: command.IdleIfAllAbsent,
		},
		{
			Name: "unlink", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:  []command.KeySpec{{Flags: command.KeyRM | command.KeyDelete, Begin: 1, Last: -1}},
			Doc:   command.Doc{Usage: "key [key ...]", Summary: "Deletes keys.", Since: "4.0.0", Group: "generic", Complexity: "O(1)"},
			Write: del, Idle: command.IdleIfAllAbsent,
		},
		{
			Name: "exists", Arity: -2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Counts how many of the keys exist.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			Read: exists,
		},
		{
			Name: "touch", Arity: -2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Counts how many of the keys exist.", Since: "3.2.1", Group: "generic", Complexity: "O(N)"},
			Read: exists,
		},
		{
			Name: "type", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the type of a key's value.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Read: typeOf,
		},
		{
			Name: "rename", Arity: 3, Flags: command.FlagWrite, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}, {Flags: command.KeyOW | command.KeyUpdate, Begin: 2}},
			Doc:   command.Doc{Usage: "key newkey", Summary: "Renames a key.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Write: rename,
		},
		{
			Name: "renamenx", Arity: 3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}, {Flags: command.KeyOW | command.KeyInsert, Begin: 2}},
			Doc:   command.Doc{Usage: "key newkey", Summary: "Renames a key if no key has the new name.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Write: renameNX,
		},
		{
			Name: "copy", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatKeyspace,
			Keys:   []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}, {Flags: command.KeyOW | command.KeyUpdate, Begin: 2}},
			Doc:    command.Doc{Usage: "source destination [DB destination-db] [REPLACE]", Summary: "Copies a key.", Since: "6.2.0", Group: "generic", Complexity: "O(N)"},
			Write:  copyKey,
			Weight: command.Copies,
		},
		{
			Name: "randomkey", Arity: 1, Flags: command.FlagReadOnly, ACL: command.CatKeyspace,
			Tips: []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"},
			Doc:  command.Doc{Usage: "", Summary: "Returns a random key of this node's shard.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Read: randomKey,
		},
		{
			Name: "object", Arity: -2,
			Doc:         command.Doc{Summary: "Tells how keys are stored.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			Subcommands: objectSubcommands(),
		},
	}
}

func del(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	n := int64(0)
	for args.More() {
		if tx.Delete(args.Next()) {
			n++
		}
	}
	r.Int(n)
	return nil
}

func exists(v *command.View, args *command.Args, r *resp.Reply) error {
	n := int64(0)
	for args.More() {
		if _, ok := v.Lookup(args.Next()); ok {
			n++
		}
	}
	r.Int(n)
	return nil
}

func typeOf(v *command.View, args *command.Args, r *resp.Reply) error {
	if m, ok := v.Lookup(args.Next()); ok {
		r.Simple(m.Type.String())
	} else {
		r.Simple("none")
	}
	return nil
}

func rename(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	from := args.Next()
	if !tx.Rename(from, args.Next()) {
		return command.ErrNoSuchKey
	}
	r.OK()
	return nil
}

func renameNX(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	from, to := args.Next(), args.Next()
	if _, found := tx.Lookup(from); !found {
		return command.ErrNoSuchKey
	}
	if _, taken := tx.Lookup(to); taken { // also by the key itself
		r.Int(0)
		return nil
	}
	tx.Rename(from, to)
	r.Int(1)
	return nil
}

const (
	errOtherDB  = resp.Error("ERR Copying to another database is not allowed in cluster mode")
	errSameKey  = resp.Error("ERR source and destination objects are the same")
	errNoSuchDB = resp.Error("ERR DB index is out of range")
	databases   = 16 // of a Redis by default; a cluster uses the first alone
)

func copyKey(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	from, to := args.Next(), args.Next()
	replace := false
	db := int64(0)
	for args.More() {
		switch {
		case args.Is("replace"):
			replace = true
		case args.IsWith("db", 1):
			var err error
			if db, err = args.IntWithin(math.MinInt32, math.MaxInt32); err != nil {
				return err
			}
			if db < 0 || db >= databases {
				return errNoSuchDB
			}
		default:
			return command.ErrSyntax
		}
	}
	if db != 0 {
		return errOtherDB
	}
	if bytes.Equal(from, to) {
		return errSameKey
	}
	_, found := tx.Lookup(from)
	if found && !replace {
		_, taken := tx.Lookup(to)
		found = !taken
	}
	if !found {
		r.Int(0)
		return nil
	}
	tx.Copy(from, to)
	r.Int(1)
	return nil
}

// sample is how many keys randomKey chooses from. With no more keys than these,
// each is as likely as any other.
const sample = 64

// randomKey begins at a random key's slot, at a random place of it, and chooses
// among the keys that follow. Where all of them have expired it goes on.
func randomKey(v *command.View, _ *command.Args, r *resp.Reply) error {
	cursor := uint64(0)
	if v.Len() > sample {
		cursor = randomCursor(v)
	}
	var found [][]byte
	for ends := 0; len(found) == 0 && ends < 2; {
		cursor = v.Scan(cursor, sample, func(key []byte, _ keyspace.Meta) { found = append(found, key) })
		if cursor == 0 {
			ends++
		}
	}
	if len(found) == 0 {
		r.Null()
	} else {
		r.Bulk(found[v.Rand().IntN(len(found))])
	}
	return nil
}

// randomCursor returns a place in a slot that is as likely as it has many keys.
func randomCursor(v *command.View) uint64 {
	skip := v.Rand().Int64N(v.Len())
	for s := range uint16(slot.Count) {
		if skip -= v.LenSlot(s); skip < 0 {
			return uint64(s)<<32 | uint64(uint32(v.Rand().Uint64()))
		}
	}
	return 0
}
