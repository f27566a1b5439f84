package command

import (
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// objectSubcommands returns the rows of OBJECT.
func objectSubcommands() []*Command {
	tips := []string{"nondeterministic_output"}
	keys := []KeySpec{{Flags: KeyRO, Begin: 2}}
	return []*Command{
		{
			Name: "encoding", Arity: 3, Flags: FlagReadOnly, ACL: CatKeyspace, Tips: tips, Keys: keys,
			Doc:     Doc{Usage: "<key>", Summary: "Returns how Redis would keep the value of a key.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			OldRead: objectEncoding,
		},
		{
			Name: "freq", Arity: 3, Flags: FlagReadOnly, ACL: CatKeyspace, Tips: tips, Keys: keys,
			Doc:     Doc{Usage: "<key>", Summary: "Refused: how often keys are used is not counted.", Since: "4.0.0", Group: "generic", Complexity: "O(1)"},
			OldRead: objectFreq,
		},
		{
			Name: "help", Arity: 2, Flags: FlagLoading | FlagStale, ACL: CatKeyspace,
			Doc:      Doc{Summary: "Lists the subcommands.", Since: "6.2.0", Group: "generic", Complexity: "O(1)"},
			OldLocal: help,
		},
		{
			Name: "idletime", Arity: 3, Flags: FlagReadOnly, ACL: CatKeyspace, Tips: tips, Keys: keys,
			Doc:     Doc{Usage: "<key>", Summary: "Refused: when keys are used is not kept.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			OldRead: objectIdleTime,
		},
		{
			Name: "refcount", Arity: 3, Flags: FlagReadOnly, ACL: CatKeyspace, Tips: tips, Keys: keys,
			Doc:     Doc{Usage: "<key>", Summary: "Returns how many references a key's value has: one.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			OldRead: objectRefCount,
		},
	}
}

// objectEncoding answers what Redis says, of a string as if it was set as a
// whole.
func objectEncoding(tx ReadTx, args [][]byte) resp.Value {
	m, found := tx.Lookup(args[2])
	if !found {
		return resp.Null
	}
	return resp.BulkString(encodingOf(m))
}

func encodingOf(m keyspace.Meta) string {
	const embedded = 44 // bytes that Redis keeps in one piece with their header
	switch _, isInt := ParseInt(m.Value); {
	case m.Type != keyspace.TypeString:
		return m.Encoding()
	case isInt:
		return "int"
	case len(m.Value) <= embedded:
		return "embstr"
	default:
		return "raw"
	}
}

func objectFreq(tx ReadTx, args [][]byte) resp.Value {
	if _, found := tx.Lookup(args[2]); !found {
		return resp.Null
	}
	return resp.Err("An LFU maxmemory policy is not selected, access frequency not tracked. " +
		"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
}

// objectIdleTime refuses: times of access are not kept, and any number would be
// made up.
func objectIdleTime(tx ReadTx, args [][]byte) resp.Value {
	if _, found := tx.Lookup(args[2]); !found {
		return resp.Null
	}
	return resp.Err("access times are not kept, idle time not tracked")
}

// objectRefCount: no two keys share a value.
func objectRefCount(tx ReadTx, args [][]byte) resp.Value {
	if _, found := tx.Lookup(args[2]); !found {
		return resp.Null
	}
	return resp.Int(1)
}
