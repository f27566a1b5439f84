// Package hyperloglog holds PFADD, PFCOUNT and PFMERGE. A HyperLogLog estimates how many
// different elements it has seen. It is a string, and here it is Redis's, byte by byte: so
// GET, DUMP and whoever copies it that way get what they would get from Redis.
//
// It begins with a header of 16 bytes: "HYLL", the encoding, three bytes that mean nothing,
// and the last estimate (8 bytes, little endian), whose highest bit says that it is out of
// date. 16384 registers follow, dense or sparse.
//
// A read changes nothing here: PFCOUNT of a key whose estimate is out of date leaves it so,
// where Redis would write the new one into the value.
package hyperloglog

import (
	"github.com/genuineh/aikv/node/command"
)

// Commands returns the rows of the family.
func Commands() []*command.Command {
	const group = "hyperloglog"
	return []*command.Command{
		{
			Name: "pfadd", Arity: -2, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatHyperLogLog,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyInsert, Begin: 1}},
			Doc:   command.Doc{Usage: "key [element [element ...]]", Summary: "Adds elements to a HyperLogLog; creates it if there is none.", Since: "2.8.9", Group: group, Complexity: "O(1) for each element"},
			Write: pfadd,
		},
		{
			Name: "pfcount", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatHyperLogLog,
			Keys: []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess, Begin: 1, Last: -1, Notes: "RW because it may change the internal representation of the key, and propagate to replicas"}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Estimates how many different elements HyperLogLogs have seen together.", Since: "2.8.9", Group: group, Complexity: "O(N) with N keys, and a large constant"},
			Read: pfcount,
		},
		{
			Name: "pfmerge", Arity: -2, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatHyperLogLog,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyInsert, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Last: -1}},
			Doc:   command.Doc{Usage: "destkey [sourcekey [sourcekey ...]]", Summary: "Merges HyperLogLogs into one.", Since: "2.8.9", Group: group, Complexity: "O(N) with N keys, and a large constant"},
			Write: pfmerge,
		},
		{
			Name: "pfdebug", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagAdmin, ACL: command.CatHyperLogLog,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess, Begin: 2}},
			Doc:   command.Doc{Usage: "(GETREG|DECODE|ENCODING|TODENSE) key", Summary: "Shows how a HyperLogLog is kept, or makes it dense.", Since: "2.8.9", Group: group, Complexity: "O(1)"},
			Write: pfdebug,
		},
	}
}
