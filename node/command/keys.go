package command

import (
	"bytes"
	"math"
	"math/rand/v2"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
	"github.com/genuineh/aikv/node/slot"
)

// keyCommands returns the rows.
func keyCommands() []*Command {
	return []*Command{
		{
			Name: "del", Arity: -2, Flags: FlagWrite, ACL: CatKeyspace,
			Tips:     []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:     []KeySpec{{Flags: KeyRM | KeyDelete, Begin: 1, Last: -1}},
			Doc:      Doc{Usage: "key [key ...]", Summary: "Deletes keys.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			OldWrite: del,
		},
		{
			Name: "unlink", Arity: -2, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Tips:     []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:     []KeySpec{{Flags: KeyRM | KeyDelete, Begin: 1, Last: -1}},
			Doc:      Doc{Usage: "key [key ...]", Summary: "Deletes keys.", Since: "4.0.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: del,
		},
		{
			Name: "exists", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:    []KeySpec{{Flags: KeyRO, Begin: 1, Last: -1}},
			Doc:     Doc{Usage: "key [key ...]", Summary: "Counts how many of the keys exist.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			OldRead: exists,
		},
		{
			Name: "touch", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips:    []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:    []KeySpec{{Flags: KeyRO, Begin: 1, Last: -1}},
			Doc:     Doc{Usage: "key [key ...]", Summary: "Counts how many of the keys exist.", Since: "3.2.1", Group: "generic", Complexity: "O(N)"},
			OldRead: exists,
		},
		{
			Name: "type", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Keys:    []KeySpec{{Flags: KeyRO, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns the type of a key's value.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			OldRead: typeOf,
		},
		{
			Name: "rename", Arity: 3, Flags: FlagWrite, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Begin: 1}, {Flags: KeyOW | KeyUpdate, Begin: 2}},
			Doc:      Doc{Usage: "key newkey", Summary: "Renames a key.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: rename,
		},
		{
			Name: "renamenx", Arity: 3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Begin: 1}, {Flags: KeyOW | KeyInsert, Begin: 2}},
			Doc:      Doc{Usage: "key newkey", Summary: "Renames a key if no key has the new name.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: renameNX,
		},
		{
			Name: "copy", Arity: -3, Flags: FlagWrite | FlagDenyOOM, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}, {Flags: KeyOW | KeyUpdate, Begin: 2}},
			Doc:      Doc{Usage: "source destination [DB destination-db] [REPLACE]", Summary: "Copies a key.", Since: "6.2.0", Group: "generic", Complexity: "O(N)"},
			OldWrite: copyKey,
		},
		{
			Name: "randomkey", Arity: 1, Flags: FlagReadOnly, ACL: CatKeyspace,
			Tips:    []string{"request_policy:all_shards", "nondeterministic_output"},
			Doc:     Doc{Usage: "", Summary: "Returns a random key of this node's shard.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			OldRead: randomKey,
		},
		{
			Name: "object", Arity: -2,
			Doc:         Doc{Summary: "Tells how keys are stored.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			Subcommands: objectSubcommands(),
		},
	}
}

func del(tx *keyspace.Tx, args [][]byte) resp.Value {
	n := int64(0)
	for _, key := range args[1:] {
		if tx.Delete(key) {
			n++
		}
	}
	return resp.Int(n)
}

func exists(tx ReadTx, args [][]byte) resp.Value {
	n := int64(0)
	for _, key := range args[1:] {
		if _, ok := tx.Lookup(key); ok {
			n++
		}
	}
	return resp.Int(n)
}

func typeOf(tx ReadTx, args [][]byte) resp.Value {
	m, ok := tx.Lookup(args[1])
	if !ok {
		return resp.Simple("none")
	}
	return resp.Simple(m.Type.String())
}

func errNoSuchKey() resp.Value { return resp.Err("no such key") }

func rename(tx *keyspace.Tx, args [][]byte) resp.Value {
	if !tx.Rename(args[1], args[2]) {
		return errNoSuchKey()
	}
	return resp.OK
}

func renameNX(tx *keyspace.Tx, args [][]byte) resp.Value {
	if _, found := tx.Lookup(args[1]); !found {
		return errNoSuchKey()
	}
	if _, taken := tx.Lookup(args[2]); taken { // also by the key itself
		return resp.Int(0)
	}
	tx.Rename(args[1], args[2])
	return resp.Int(1)
}

func copyKey(tx *keyspace.Tx, args [][]byte) resp.Value {
	from, to := args[1], args[2]
	replace := false
	db := int64(0)
	for args = args[3:]; len(args) > 0; {
		switch {
		case Is(args[0], "replace"):
			replace = true
			args = args[1:]
		case Is(args[0], "db") && len(args) > 1:
			var bad *resp.Value
			if db, bad = parseDB(args[1]); bad != nil {
				return *bad
			}
			args = args[2:]
		default:
			return errSyntax()
		}
	}
	if db != 0 {
		return resp.Err("Copying to another database is not allowed in cluster mode")
	}
	if bytes.Equal(from, to) {
		return resp.Err("source and destination objects are the same")
	}
	if _, found := tx.Lookup(from); !found {
		return resp.Int(0)
	}
	if !replace {
		if _, taken := tx.Lookup(to); taken {
			return resp.Int(0)
		}
	}
	tx.Copy(from, to)
	return resp.Int(1)
}

// parseDB reads the number of one of the databases that a Redis has by default.
// A cluster uses the first alone.
func parseDB(arg []byte) (db int64, bad *resp.Value) {
	const databases = 16
	fail := func(v resp.Value) (int64, *resp.Value) { return 0, &v }
	db, ok := ParseInt(arg)
	switch {
	case !ok:
		return fail(errNotInteger())
	case db < math.MinInt32 || db > math.MaxInt32:
		return fail(resp.Err("value is out of range, value must between %d and %d", math.MinInt32, math.MaxInt32))
	case db < 0 || db >= databases:
		return fail(resp.Err("DB index is out of range"))
	default:
		return db, nil
	}
}

// sample is how many keys randomKey chooses from. With no more keys than these,
// each is as likely as any other.
const sample = 64

// randomKey begins at a random key's slot, at a random place of it, and chooses
// among the keys that follow. Where all of them have expired it goes on.
func randomKey(tx ReadTx, _ [][]byte) resp.Value {
	cursor := uint64(0)
	if tx.Len() > sample {
		cursor = randomCursor(tx)
	}
	var found [][]byte
	for ends := 0; len(found) == 0 && ends < 2; {
		cursor = tx.Scan(cursor, sample, func(key []byte, _ keyspace.Meta) { found = append(found, key) })
		if cursor == 0 {
			ends++
		}
	}
	if len(found) == 0 {
		return resp.Null
	}
	return resp.Bulk(found[rand.IntN(len(found))])
}

// randomCursor returns a place in a slot that is as likely as it has many keys.
func randomCursor(tx ReadTx) uint64 {
	skip := rand.Int64N(tx.Len())
	for s := range uint16(slot.Count) {
		if skip -= tx.LenSlot(s); skip < 0 {
			return uint64(s)<<32 | uint64(rand.Uint32())
		}
	}
	return 0
}
