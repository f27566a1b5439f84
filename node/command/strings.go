package command

import (
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// stringCommands returns the rows of the commands on whole strings.
func stringCommands() []*Command {
	return []*Command{
		{
			Name: "get", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatString,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldRead: get,
		},
		{
			Name: "getset", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key value", Summary: "Sets the string value of a key and returns the old one.", Since: "1.0.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "6.2.0", ReplacedBy: "`SET` with the `!GET` argument"},
			OldWrite: getSet,
		},
		{
			Name: "getdel", Arity: 2, Flags: FlagWrite | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Begin: 1}},
			Doc:      Doc{Usage: "key", Summary: "Returns the string value of a key and deletes it.", Since: "6.2.0", Group: "string", Complexity: "O(1)"},
			OldWrite: getDel,
		},
		{
			Name: "getex", Arity: -2, Flags: FlagWrite | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1, Notes: "RW and UPDATE because it changes the TTL"}},
			Doc:      Doc{Usage: "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]", Summary: "Returns the string value of a key and changes its expiry.", Since: "6.2.0", Group: "string", Complexity: "O(1)"},
			OldWrite: getEx,
		},
		{
			Name: "set", Arity: -3, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate | KeyVariable, Begin: 1, Actual: setKeyFlags, Notes: "RW and ACCESS due to the optional `GET` argument"}},
			Doc:      Doc{Usage: "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]", Summary: "Sets the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: set,
		},
		{
			Name: "setnx", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyOW | KeyInsert, Begin: 1}},
			Doc:      Doc{Usage: "key value", Summary: "Sets the string value of a key that does not exist.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: setNX,
		},
		{
			Name: "setex", Arity: 4, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyOW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key seconds value", Summary: "Sets the string value of a key and its time to live in seconds.", Since: "2.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: setEx,
		},
		{
			Name: "psetex", Arity: 4, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyOW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key milliseconds value", Summary: "Sets the string value of a key and its time to live in milliseconds.", Since: "2.6.0", Group: "string", Complexity: "O(1)"},
			OldWrite: psetEx,
		},
		{
			Name: "mget", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatString,
			Tips:    []string{"request_policy:multi_shard"},
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1, Last: -1}},
			Doc:     Doc{Usage: "key [key ...]", Summary: "Returns the string values of keys.", Since: "1.0.0", Group: "string", Complexity: "O(N)"},
			OldRead: mget,
		},
		{
			Name: "mset", Arity: -3, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Tips:     []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
			Keys:     []KeySpec{{Flags: KeyOW | KeyUpdate, Begin: 1, Last: -1, Step: 2}},
			Doc:      Doc{Usage: "key value [key value ...]", Summary: "Sets the string values of keys.", Since: "1.0.1", Group: "string", Complexity: "O(N)"},
			OldWrite: mset,
		},
		{
			Name: "msetnx", Arity: -3, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Tips:     []string{"request_policy:multi_shard", "response_policy:agg_min"},
			Keys:     []KeySpec{{Flags: KeyOW | KeyInsert, Begin: 1, Last: -1, Step: 2}},
			Doc:      Doc{Usage: "key value [key value ...]", Summary: "Sets the string values of keys if none of them exists.", Since: "1.0.1", Group: "string", Complexity: "O(N)"},
			OldWrite: msetNX,
		},
	}
}

func get(tx ReadTx, args [][]byte) resp.Value {
	m, ok := tx.Lookup(args[1])
	switch {
	case !ok:
		return resp.Null
	case m.Type != keyspace.TypeString:
		return errWrongType()
	default:
		return resp.Bulk(m.Value)
	}
}

// lookup is how both a view and a transaction find a key.
type lookup interface {
	Lookup(key []byte) (keyspace.Meta, bool)
}

// stringAt returns the string that key holds; bad is set if it holds something
// else.
func stringAt(tx lookup, key []byte) (m keyspace.Meta, found bool, bad *resp.Value) {
	m, found = tx.Lookup(key)
	if found && m.Type != keyspace.TypeString {
		v := errWrongType()
		return m, true, &v
	}
	return m, found, nil
}

// bulkOf is the reply that GET gives.
func bulkOf(m keyspace.Meta, found bool) resp.Value {
	if !found {
		return resp.Null
	}
	return resp.Bulk(m.Value)
}

func getSet(tx *keyspace.Tx, args [][]byte) resp.Value {
	old, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	tx.SetString(args[1], args[2], 0)
	return bulkOf(old, found)
}

func getDel(tx *keyspace.Tx, args [][]byte) resp.Value {
	old, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	if found {
		tx.Delete(args[1])
	}
	return bulkOf(old, found)
}

// getEx looks at its deadline only if the key is there, as Redis does.
func getEx(tx *keyspace.Tx, args [][]byte) resp.Value {
	key := args[1]
	var expiry deadline
	persist := false
	for args = args[2:]; len(args) > 0; {
		switch {
		case Is(args[0], "persist") && !expiry.given:
			persist = true
			args = args[1:]
		case !persist && expiry.take(args):
			args = args[2:]
		default:
			return errSyntax()
		}
	}
	m, found, bad := stringAt(tx, key)
	if bad != nil {
		return *bad
	}
	if !found {
		return resp.Null
	}
	switch {
	case expiry.given:
		at, bad := expiry.at(tx.Now(), "getex")
		if bad != nil {
			return *bad
		}
		tx.SetExpire(key, at)
	case persist:
		tx.SetExpire(key, 0)
	}
	return resp.Bulk(m.Value)
}

// mget answers null for what is no string, as Redis does.
func mget(tx ReadTx, args [][]byte) resp.Value {
	if !tx.Memory.Take((len(args) - 1) * elementSize) {
		return resp.Null
	}
	values := make([]resp.Value, len(args)-1)
	for i, key := range args[1:] {
		if m, ok := tx.Lookup(key); ok && m.Type == keyspace.TypeString {
			if !tx.Memory.Take(2 * len(m.Value)) {
				return resp.Null
			}
			values[i] = resp.Bulk(m.Value)
		}
	}
	return resp.Array(values...)
}

func mset(tx *keyspace.Tx, args [][]byte) resp.Value {
	if len(args)%2 == 0 {
		return errArityValue("mset")
	}
	for i := 1; i < len(args); i += 2 {
		tx.SetString(args[i], args[i+1], 0)
	}
	return resp.OK
}

func msetNX(tx *keyspace.Tx, args [][]byte) resp.Value {
	if len(args)%2 == 0 {
		return errArityValue("msetnx")
	}
	for i := 1; i < len(args); i += 2 {
		if _, found := tx.Lookup(args[i]); found {
			return resp.Int(0)
		}
	}
	for i := 1; i < len(args); i += 2 {
		tx.SetString(args[i], args[i+1], 0)
	}
	return resp.Int(1)
}

func setNX(tx *keyspace.Tx, args [][]byte) resp.Value {
	if _, found := tx.Lookup(args[1]); found {
		return resp.Int(0)
	}
	tx.SetString(args[1], args[2], 0)
	return resp.Int(1)
}

func setEx(tx *keyspace.Tx, args [][]byte) resp.Value { return setFor(tx, args, 1000, "setex") }

func psetEx(tx *keyspace.Tx, args [][]byte) resp.Value { return setFor(tx, args, 1, "psetex") }

// setFor is SETEX and PSETEX: args are name, key, time to live in units of unit
// milliseconds, value.
func setFor(tx *keyspace.Tx, args [][]byte, unit int64, name string) resp.Value {
	expiry := deadline{given: true, amount: args[2], unit: unit, relative: true}
	at, bad := expiry.at(tx.Now(), name)
	if bad != nil {
		return *bad
	}
	tx.SetString(args[1], args[3], at)
	return resp.OK
}

// setKeyFlags: SET reads its key only for the option GET.
func setKeyFlags(args [][]byte) KeyFlags {
	for _, arg := range args[3:] {
		if Is(arg, "get") {
			return KeyRW | KeyAccess | KeyUpdate
		}
	}
	return KeyOW | KeyUpdate
}

// setOptions are SET's.
type setOptions struct {
	nx, xx, get, keepTTL bool
	expiry               deadline
}

func set(tx *keyspace.Tx, args [][]byte) resp.Value {
	key, value := args[1], args[2]
	if len(args) == 3 { // the hot case needs to know nothing of the old value
		tx.SetString(key, value, 0)
		return resp.OK
	}
	o, ok := parseSet(args[3:])
	if !ok {
		return errSyntax()
	}
	var expireAt int64
	if o.expiry.given {
		at, bad := o.expiry.at(tx.Now(), "set")
		if bad != nil {
			return *bad
		}
		expireAt = at
	}
	reply := resp.OK
	if o.nx || o.xx || o.get || o.keepTTL {
		old, found := tx.Lookup(key)
		if o.get {
			if found && old.Type != keyspace.TypeString {
				return errWrongType()
			}
			reply = bulkOf(old, found)
		}
		if o.nx && found || o.xx && !found {
			if o.get {
				return reply
			}
			return resp.Null
		}
		if o.keepTTL {
			expireAt = old.ExpireAt
		}
	}
	tx.SetString(key, value, expireAt)
	return reply
}

func parseSet(args [][]byte) (o setOptions, ok bool) {
	for len(args) > 0 {
		switch arg := args[0]; {
		case Is(arg, "nx") && !o.xx:
			o.nx = true
		case Is(arg, "xx") && !o.nx:
			o.xx = true
		case Is(arg, "get"):
			o.get = true
		case Is(arg, "keepttl") && !o.expiry.given:
			o.keepTTL = true
		case !o.keepTTL && o.expiry.take(args):
			args = args[1:] // its number
		default:
			return o, false
		}
		args = args[1:]
	}
	return o, true
}
