package strings

import "github.com/genuineh/aikv/node/command"

// newerCommands returns the rows of the commands that came after Redis 7.2: Redis's and
// one of Valkey's.
func newerCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "delex", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyDelete | command.KeyVariable, Begin: 1, Actual: delExKeyFlags}},
			Doc:   command.Doc{Usage: "key [IFEQ value|IFNE value|IFDEQ digest|IFDNE digest]", Summary: "Deletes a key, if it holds a certain string or another one.", Since: "8.4.0", Group: "string", Complexity: "O(N) with the length of the string"},
			Write: delEx,
		},
		{
			Name: "delifeq", Arity: 3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRM | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key value", Summary: "Deletes a key that holds a certain string.", Since: "9.0.0", Group: "string", Complexity: "O(1)"},
			Write: delIfEq,
		},
		{
			Name: "digest", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the XXH3 digest of the string value of a key.", Since: "8.4.0", Group: "string", Complexity: "O(N) with the length of the string"},
			Read: digest,
		},
		{
			Name: "msetex", Arity: -4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Tips:  []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
			Keys:  []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1, Count: &command.KeyCount{First: 1}, Step: 2}},
			Doc:   command.Doc{Usage: "numkeys key value [key value ...] [NX|XX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]", Summary: "Sets the string values of keys and their expiry, if all or none of them exist.", Since: "8.4.0", Group: "string", Complexity: "O(N)"},
			Write: msetEx,
		},
		{
			Name: "increx", Arity: -2, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key [BYFLOAT increment|BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] [ENX]", Summary: "Adds a number to the number value of a key, within bounds, and changes its expiry.", Since: "8.8.0", Group: "string", Complexity: "O(1)"},
			Write: incrEx,
		},
	}
}
