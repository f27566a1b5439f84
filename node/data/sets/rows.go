package sets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
)

const group = "set"

// memberCommands are those that add, remove and look at members.
func memberCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "sadd", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyInsert, Begin: 1}},
			Doc:   command.Doc{Usage: "key member [member ...]", Summary: "Adds members to a set; creates the set if there is none.", Since: "1.0.0", Group: group, Complexity: "O(log(N)) for each member"},
			Write: sadd, Idle: saddIdle,
		},
		{
			Name: "srem", Arity: -3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key member [member ...]", Summary: "Removes members from a set; the set goes with its last one.", Since: "1.0.0", Group: group, Complexity: "O(log(N)) for each member"},
			Write: srem, Idle: command.IdleIfAbsent,
		},
		{
			Name: "scard", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the number of members of a set.", Since: "1.0.0", Group: group, Complexity: "O(1)"},
			Read: scard,
		},
		{
			Name: "sismember", Arity: 3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1}},
			Doc:  command.Doc{Usage: "key member", Summary: "Tells whether a set has a member.", Since: "1.0.0", Group: group, Complexity: "O(log(N))"},
			Read: sismember,
		},
		{
			Name: "smismember", Arity: -3, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key member [member ...]", Summary: "Tells of several members whether a set has them.", Since: "6.2.0", Group: group, Complexity: "O(log(N)) for each member"},
			Read: smismember,
		},
		{
			Name: "smembers", Arity: 2, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Tips: []string{"nondeterministic_output_order"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns all members of a set.", Since: "1.0.0", Group: group, Complexity: "O(N)"},
			Read: smembers,
		},
		{
			Name: "smove", Arity: 4, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatSet,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}, {Flags: command.KeyRW | command.KeyInsert, Begin: 2}},
			Doc:   command.Doc{Usage: "source destination member", Summary: "Moves a member from one set to another.", Since: "1.0.0", Group: group, Complexity: "O(log(N))"},
			Write: smove,
		},
		{
			Name: "sscan", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key cursor [MATCH pattern] [COUNT count]", Summary: "Walks over the members of a set.", Since: "2.8.0", Group: group, Complexity: "O(log(N)) for a call, O(N) for all of a walk"},
			Read: sscan,
		},
	}
}

// randomCommands are those that choose members at random.
func randomCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "spop", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatSet,
			Tips:  []string{"nondeterministic_output"},
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key [count]", Summary: "Removes random members from a set and returns them.", Since: "1.0.0", Group: group, Complexity: "O(log(N)) for each member"},
			Write: spop, Returns: option.ReturnsPopped, Idle: command.IdlePop,
		},
		{
			Name: "srandmember", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key [count]", Summary: "Returns random members of a set.", Since: "1.0.0", Group: group, Complexity: "O(log(N)) for each member"},
			Read: srandmember,
		},
	}
}

// combineCommands are SUNION, SINTER and SDIFF with their families.
func combineCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "sinter", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Tips: []string{"nondeterministic_output_order"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Returns the intersection of sets.", Since: "1.0.0", Group: group, Complexity: "O(N*K*log(L)) with K sets, N members of the smallest and L of the largest"},
			Read: sinter,
		},
		{
			Name: "sintercard", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:  command.Doc{Usage: "numkeys key [key ...] [LIMIT limit]", Summary: "Counts the members of the intersection of sets.", Since: "7.0.0", Group: group, Complexity: "O(N*K*log(L)) with K sets, N members of the smallest and L of the largest"},
			Read: sintercard,
		},
		{
			Name: "sinterstore", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Last: -1}},
			Doc:    command.Doc{Usage: "destination key [key ...]", Summary: "Stores the intersection of sets.", Since: "1.0.0", Group: group, Complexity: "O(N*K*log(L)) with K sets, N members of the smallest and L of the largest"},
			Write:  sinterstore,
			Weight: command.Copies,
		},
		{
			Name: "sunion", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Tips: []string{"nondeterministic_output_order"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Returns the union of sets.", Since: "1.0.0", Group: group, Complexity: "O(N) with N members of all sets"},
			Read: sunion,
		},
		{
			Name: "sunionstore", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Last: -1}},
			Doc:    command.Doc{Usage: "destination key [key ...]", Summary: "Stores the union of sets.", Since: "1.0.0", Group: group, Complexity: "O(N*log(N)) with N members of all sets"},
			Write:  sunionstore,
			Weight: command.Copies,
		},
		{
			Name: "sdiff", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatSet,
			Tips: []string{"nondeterministic_output_order"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Returns the members of a set that are in none of the others.", Since: "1.0.0", Group: group, Complexity: "O(N) with N members of all sets"},
			Read: sdiff,
		},
		{
			Name: "sdiffstore", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatSet,
			Keys:   []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}, {Flags: command.KeyRO | command.KeyAccess, Begin: 2, Last: -1}},
			Doc:    command.Doc{Usage: "destination key [key ...]", Summary: "Stores the members of a set that are in none of the others.", Since: "1.0.0", Group: group, Complexity: "O(N*log(N)) with N members of all sets"},
			Write:  sdiffstore,
			Weight: command.Copies,
		},
	}
}
