package hashes

import "github.com/genuineh/aikv/node/command"

const (
	group = "hash"

	fastRead  = command.FlagReadOnly | command.FlagFast
	fastWrite = command.FlagWrite | command.FlagFast
	// fastGrow is of a write that may take more memory.
	fastGrow = fastWrite | command.FlagDenyOOM
)

// key is the specification of the one key that each of these commands has.
func key(flags command.KeyFlags) []command.KeySpec {
	return []command.KeySpec{{Flags: flags, Begin: 1}}
}

// fieldCommands are those on single fields.
func fieldCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "hset", Arity: -4, Flags: fastGrow, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key field value [field value ...]", Summary: "Sets fields of a hash; creates the hash if there is none.", Since: "2.0.0", Group: group, Complexity: "O(1) for each field"},
			Write: hset,
		},
		{
			Name: "hmset", Arity: -4, Flags: fastGrow, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key field value [field value ...]", Summary: "Sets fields of a hash.", Since: "2.0.0", Group: group, Complexity: "O(1) for each field", DeprecatedSince: "4.0.0", ReplacedBy: "`HSET` with multiple field-value pairs"},
			Write: hmset,
		},
		{
			Name: "hsetnx", Arity: 4, Flags: fastGrow, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyInsert),
			Doc:   command.Doc{Usage: "key field value", Summary: "Sets a field of a hash if it is not there.", Since: "2.0.0", Group: group, Complexity: "O(1)"},
			Write: hsetnx,
		},
		{
			Name: "hget", Arity: 3, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key field", Summary: "Returns the value of a field.", Since: "2.0.0", Group: group, Complexity: "O(1)"},
			Read: hget,
		},
		{
			Name: "hmget", Arity: -3, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key field [field ...]", Summary: "Returns the values of fields.", Since: "2.0.0", Group: group, Complexity: "O(N), N the number of fields asked for"},
			Read: hmget,
		},
		{
			Name: "hexists", Arity: 3, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO),
			Doc:  command.Doc{Usage: "key field", Summary: "Says whether a field is there.", Since: "2.0.0", Group: group, Complexity: "O(1)"},
			Read: hexists,
		},
		{
			Name: "hstrlen", Arity: 3, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO),
			Doc:  command.Doc{Usage: "key field", Summary: "Returns the length of the value of a field.", Since: "3.2.0", Group: group, Complexity: "O(1)"},
			Read: hstrlen,
		},
		{
			Name: "hdel", Arity: -3, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyDelete),
			Doc:   command.Doc{Usage: "key field [field ...]", Summary: "Deletes fields of a hash, which goes with its last one.", Since: "2.0.0", Group: group, Complexity: "O(N), N the number of fields to delete"},
			Write: hdel, Idle: command.IdleIfAbsent,
		},
		{
			Name: "hincrby", Arity: 4, Flags: fastGrow, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyAccess | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key field increment", Summary: "Adds a number to the integer value of a field.", Since: "2.0.0", Group: group, Complexity: "O(1)"},
			Write: hincrby,
		},
		{
			Name: "hincrbyfloat", Arity: 4, Flags: fastGrow, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyAccess | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key field increment", Summary: "Adds a number to the decimal value of a field.", Since: "2.6.0", Group: group, Complexity: "O(1)"},
			Write: hincrbyfloat,
		},
	}
}

// wholeCommands are those on a hash as a whole.
func wholeCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "hlen", Arity: 2, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO),
			Doc:  command.Doc{Usage: "key", Summary: "Returns the number of fields.", Since: "2.0.0", Group: group, Complexity: "O(1)"},
			Read: hlen,
		},
		{
			Name: "hgetall", Arity: 2, Flags: command.FlagReadOnly, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output_order"},
			Doc:  command.Doc{Usage: "key", Summary: "Returns all fields and values.", Since: "2.0.0", Group: group, Complexity: "O(N), N the number of fields"},
			Read: hgetall,
		},
		{
			Name: "hkeys", Arity: 2, Flags: command.FlagReadOnly, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output_order"},
			Doc:  command.Doc{Usage: "key", Summary: "Returns all fields.", Since: "2.0.0", Group: group, Complexity: "O(N), N the number of fields"},
			Read: hkeys,
		},
		{
			Name: "hvals", Arity: 2, Flags: command.FlagReadOnly, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output_order"},
			Doc:  command.Doc{Usage: "key", Summary: "Returns all values.", Since: "2.0.0", Group: group, Complexity: "O(N), N the number of fields"},
			Read: hvals,
		},
		{
			Name: "hrandfield", Arity: -2, Flags: command.FlagReadOnly, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output"},
			Doc:  command.Doc{Usage: "key [count [WITHVALUES]]", Summary: "Returns random fields.", Since: "6.2.0", Group: group, Complexity: "O(N log(M)), N the number of fields returned, M that of all"},
			Read: hrandfield,
		},
		{
			Name: "hscan", Arity: -3, Flags: command.FlagReadOnly, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output"},
			Doc:  command.Doc{Usage: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]", Summary: "Walks over the fields.", Since: "2.8.0", Group: group, Complexity: "O(log(N)) for each call"},
			Read: hscan,
		},
	}
}

// expiryCommands are those on the times of expiry of fields.
func expiryCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "hexpire", Arity: -6, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]", Summary: "Sets the times to live of fields in seconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hexpire,
		},
		{
			Name: "hpexpire", Arity: -6, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]", Summary: "Sets the times to live of fields in milliseconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hpexpire,
		},
		{
			Name: "hexpireat", Arity: -6, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]", Summary: "Sets when fields expire, as Unix seconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hexpireat,
		},
		{
			Name: "hpexpireat", Arity: -6, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]", Summary: "Sets when fields expire, as Unix milliseconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hpexpireat,
		},
		{
			Name: "httl", Arity: -5, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output"},
			Doc:  command.Doc{Usage: "key FIELDS numfields field [field ...]", Summary: "Returns the times to live of fields in seconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Read: httl,
		},
		{
			Name: "hpttl", Arity: -5, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Tips: []string{"nondeterministic_output"},
			Doc:  command.Doc{Usage: "key FIELDS numfields field [field ...]", Summary: "Returns the times to live of fields in milliseconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Read: hpttl,
		},
		{
			Name: "hexpiretime", Arity: -5, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key FIELDS numfields field [field ...]", Summary: "Returns when fields expire, as Unix seconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Read: hexpiretime,
		},
		{
			Name: "hpexpiretime", Arity: -5, Flags: fastRead, ACL: command.CatHash, Keys: key(command.KeyRO | command.KeyAccess),
			Doc:  command.Doc{Usage: "key FIELDS numfields field [field ...]", Summary: "Returns when fields expire, as Unix milliseconds.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Read: hpexpiretime,
		},
		{
			Name: "hpersist", Arity: -5, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key FIELDS numfields field [field ...]", Summary: "Removes the expiry of fields.", Since: "7.4.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hpersist,
		},
		{
			Name: "hgetdel", Arity: -5, Flags: fastWrite, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyAccess | command.KeyDelete),
			Doc:   command.Doc{Usage: "key FIELDS numfields field [field ...]", Summary: "Returns the values of fields and deletes them.", Since: "8.0.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hgetdel, Returns: returnsFields,
		},
		{
			Name: "hgetex", Arity: -5, Flags: fastWrite, ACL: command.CatHash,
			Keys: []command.KeySpec{{
				Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1, Notes: "RW and UPDATE because it changes the TTL",
			}},
			Read: readEx, Writes: writesEx,
			Doc:   command.Doc{Usage: "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] FIELDS numfields field [field ...]", Summary: "Returns the values of fields and changes their expiry.", Since: "8.0.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hgetex, Returns: returnsFields,
		},
		{
			Name: "hsetex", Arity: -6, Flags: fastGrow, ACL: command.CatHash, Keys: key(command.KeyRW | command.KeyUpdate),
			Doc:   command.Doc{Usage: "key [FNX|FXX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] FIELDS numfields field value [field value ...]", Summary: "Sets fields and their expiry, if all of them exist or none does.", Since: "8.0.0", Group: group, Complexity: "O(N), N the number of fields named"},
			Write: hsetex,
		},
	}
}
