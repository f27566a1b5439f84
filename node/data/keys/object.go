package keys

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// objectSubcommands returns the rows of OBJECT.
func objectSubcommands() []*command.Command {
	tips := []string{"nondeterministic_output"}
	keys := []command.KeySpec{{Flags: command.KeyRO, Begin: 2}}
	return []*command.Command{
		{
			Name: "encoding", Arity: 3, Flags: command.FlagReadOnly, ACL: command.CatKeyspace, Tips: tips, Keys: keys,
			Doc:  command.Doc{Usage: "<key>", Summary: "Returns how Redis would keep the value of a key.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			Read: objectEncoding,
		},
		{
			Name: "freq", Arity: 3, Flags: command.FlagReadOnly, ACL: command.CatKeyspace, Tips: tips, Keys: keys,
			Doc:  command.Doc{Usage: "<key>", Summary: "Refused: how often keys are used is not counted.", Since: "4.0.0", Group: "generic", Complexity: "O(1)"},
			Read: objectFreq,
		},
		{
			Name: "help", Arity: 2, Flags: command.FlagLoading | command.FlagStale, ACL: command.CatKeyspace,
			Doc:   command.Doc{Summary: "Lists the subcommands.", Since: "6.2.0", Group: "generic", Complexity: "O(1)"},
			Local: command.Help,
		},
		{
			Name: "idletime", Arity: 3, Flags: command.FlagReadOnly, ACL: command.CatKeyspace, Tips: tips, Keys: keys,
			Doc:  command.Doc{Usage: "<key>", Summary: "Refused: when keys are used is not kept.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			Read: objectIdleTime,
		},
		{
			Name: "refcount", Arity: 3, Flags: command.FlagReadOnly, ACL: command.CatKeyspace, Tips: tips, Keys: keys,
			Doc:  command.Doc{Usage: "<key>", Summary: "Returns how many references a key's value has: one.", Since: "2.2.3", Group: "generic", Complexity: "O(1)"},
			Read: objectRefCount,
		},
	}
}

// ofKey answers null for a key that is not there, else what write says of it.
func ofKey(v *command.View, key []byte, r *resp.Reply, write func(m keyspace.Meta) error) error {
	m, found := v.Lookup(key)
	if !found {
		r.Null()
		return nil
	}
	return write(m)
}

// objectEncoding answers what Redis says, of a string as if it was set as a
// whole.
func objectEncoding(v *command.View, args *command.Args, r *resp.Reply) error {
	return ofKey(v, args.Next(), r, func(m keyspace.Meta) error {
		r.BulkString(encodingOf(m))
		return nil
	})
}

func encodingOf(m keyspace.Meta) string {
	const embedded = 44 // bytes that Redis keeps in one piece with their header
	switch _, isInt := command.ParseInt(m.Value); {
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

const (
	errNoLFU = resp.Error("ERR An LFU maxmemory policy is not selected, access frequency not tracked. " +
		"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	errNoIdleTime = resp.Error("ERR access times are not kept, idle time not tracked")
)

func objectFreq(v *command.View, args *command.Args, r *resp.Reply) error {
	return ofKey(v, args.Next(), r, func(keyspace.Meta) error { return errNoLFU })
}

// objectIdleTime refuses: times of access are not kept, and any number would be
// made up.
func objectIdleTime(v *command.View, args *command.Args, r *resp.Reply) error {
	return ofKey(v, args.Next(), r, func(keyspace.Meta) error { return errNoIdleTime })
}

// objectRefCount: no two keys share a value.
func objectRefCount(v *command.View, args *command.Args, r *resp.Reply) error {
	return ofKey(v, args.Next(), r, func(keyspace.Meta) error {
		r.Int(1)
		return nil
	})
}
