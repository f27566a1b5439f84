package lists

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
)

const group = "list"

// endCommands are those that push and pop.
func endCommands() []*command.Command {
	insert := []command.KeySpec{{Flags: command.KeyRW | command.KeyInsert, Begin: 1}}
	remove := []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}}
	return []*command.Command{
		{
			Name: "lpush", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatList,
			Keys:  insert,
			Doc:   command.Doc{Usage: "key element [element ...]", Summary: "Puts elements before a list; creates the list if there is none.", Since: "1.0.0", Group: group, Complexity: "O(log(N)) for each element"},
			Write: lpush,
		},
		{
			Name: "rpush", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatList,
			Keys:  insert,
			Doc:   command.Doc{Usage: "key element [element ...]", Summary: "Puts elements behind a list; creates the list if there is none.", Since: "1.0.0", Group: group, Complexity: "O(log(N)) for each element"},
			Write: rpush,
		},
		{
			Name: "lpushx", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatList,
			Keys:  insert,
			Doc:   command.Doc{Usage: "key element [element ...]", Summary: "Puts elements before a list, if there is one.", Since: "2.2.0", Group: group, Complexity: "O(log(N)) for each element"},
			Write: lpushx, Idle: command.IdleIfAbsent,
		},
		{
			Name: "rpushx", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatList,
			Keys:  insert,
			Doc:   command.Doc{Usage: "key element [element ...]", Summary: "Puts elements behind a list, if there is one.", Since: "2.2.0", Group: group, Complexity: "O(log(N)) for each element"},
			Write: rpushx, Idle: command.IdleIfAbsent,
		},
		{
			Name: "lpop", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatList,
			Keys:  remove,
			Doc:   command.Doc{Usage: "key [count]", Summary: "Removes the first elements of a list and returns them; the list goes with its last one.", Since: "1.0.0", Group: group, Complexity: "O(log(N)+M) with M elements returned"},
			Write: lpop, Returns: option.ReturnsPopped, Idle: command.IdlePop,
		},
		{
			Name: "rpop", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatList,
			Keys:  remove,
			Doc:   command.Doc{Usage: "key [count]", Summary: "Removes the last elements of a list and returns them; the list goes with its last one.", Since: "1.0.0", Group: group, Complexity: "O(log(N)+M) with M elements returned"},
			Write: rpop, Returns: option.ReturnsPopped, Idle: command.IdlePop,
		},
		{
			Name: "lmpop", Arity: -4, Flags: command.FlagWrite, ACL: command.CatList,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1, Count: &command.KeyCount{First: 1}}},
			Doc:   command.Doc{Usage: "numkeys key [key ...] LEFT|RIGHT [COUNT count]", Summary: "Removes elements from an end of the first of some lists that has any, and returns them.", Since: "7.0.0", Group: group, Complexity: "O(K)+O(log(N)+M) with K keys and M elements returned"},
			Write: lmpop, Returns: option.ReturnsPops,
		},
	}
}

// elementCommands are those on single elements, or that only count.
func elementCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "llen", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatList,
			Keys: []command.KeySpec{{Flags: command.KeyRO, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the number of elements of a list.", Since: "1.0.0", Group: group, Complexity: "O(1)"},
			Read: llen,
		},
		{
			Name: "lindex", Arity: 3, Flags: command.FlagReadOnly, ACL: command.CatList,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key index", Summary: "Returns the element at a position of a list.", Since: "1.0.0", Group: group, Complexity: "O(log(N))"},
			Read: lindex,
		},
		{
			Name: "lset", Arity: 4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatList,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key index element", Summary: "Replaces the element at a position of a list.", Since: "1.0.0", Group: group, Complexity: "O(log(N))"},
			Write: lset,
		},
		{
			Name: "linsert", Arity: 5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatList,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyInsert, Begin: 1}},
			Doc:   command.Doc{Usage: "key BEFORE|AFTER pivot element", Summary: "Puts an element next to the first one in a list that is the same as another.", Since: "2.2.0", Group: group, Complexity: "O(M)+O(log(N)) with M elements before the one that is looked for"},
			Write: linsert,
		},
		{
			Name: "lpos", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatList,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]", Summary: "Returns the positions of elements that are the same as another.", Since: "6.0.6", Group: group, Complexity: "O(N), or as many as MAXLEN says"},
			Read: lpos,
		},
	}
}

// rangeCommands are those on more than one element.
func rangeCommands() []*command.Command {
	remove := []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete, Begin: 1}}
	return []*command.Command{
		{
			Name: "lrange", Arity: 4, Flags: command.FlagReadOnly, ACL: command.CatList,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key start stop", Summary: "Returns a range of elements of a list.", Since: "1.0.0", Group: group, Complexity: "O(log(N)+M) with M elements returned"},
			Read: lrange,
		},
		{
			Name: "lrem", Arity: 4, Flags: command.FlagWrite, ACL: command.CatList,
			Keys:  remove,
			Doc:   command.Doc{Usage: "key count element", Summary: "Removes elements from a list that are the same as another; the list goes with its last one.", Since: "1.0.0", Group: group, Complexity: "O(N)"},
			Write: lrem,
		},
		{
			Name: "ltrim", Arity: 4, Flags: command.FlagWrite, ACL: command.CatList,
			Keys:  remove,
			Doc:   command.Doc{Usage: "key start stop", Summary: "Removes all elements of a list but a range; the list goes with its last one.", Since: "1.0.0", Group: group, Complexity: "O(log(N)+M) with M elements removed"},
			Write: ltrim,
		},
	}
}

// moveCommands are those that take from one list and give to another.
func moveCommands() []*command.Command {
	keys := []command.KeySpec{
		{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1},
		{Flags: command.KeyRW | command.KeyInsert, Begin: 2},
	}
	return []*command.Command{
		{
			Name: "lmove", Arity: 5, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatList,
			Keys:  keys,
			Doc:   command.Doc{Usage: "source destination LEFT|RIGHT LEFT|RIGHT", Summary: "Moves an element from an end of a list to an end of another, and returns it.", Since: "6.2.0", Group: group, Complexity: "O(log(N))"},
			Write: lmove, Returns: returnsMoved,
		},
		{
			Name: "rpoplpush", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatList,
			Keys:  keys,
			Doc:   command.Doc{Usage: "source destination", Summary: "Moves the last element of a list before another list, and returns it.", Since: "1.2.0", Group: group, Complexity: "O(log(N))", DeprecatedSince: "6.2.0", ReplacedBy: "`LMOVE` with the `RIGHT` and `LEFT` arguments"},
			Write: rpoplpush, Returns: returnsMoved,
		},
	}
}
