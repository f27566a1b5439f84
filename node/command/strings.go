package command

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// stringCommands returns the rows.
func stringCommands() []*Command {
	return []*Command{
		{
			Name: "get", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatString,
			Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:  Doc{Usage: "key", Summary: "Returns the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Read: get,
		},
		{
			Name: "set", Arity: -3, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Keys:  []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate | KeyVariable, Begin: 1, Actual: setKeyFlags, Notes: "RW and ACCESS due to the optional `GET` argument"}},
			Doc:   Doc{Usage: "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]", Summary: "Sets the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: set,
		},
		{
			Name: "incr", Arity: 2, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:  []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key", Summary: "Adds one to the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: incr,
		},
		{
			Name: "incrby", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:  []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key increment", Summary: "Adds a number to the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: incrBy,
		},
		{
			Name: "decr", Arity: 2, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:  []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key", Summary: "Takes one from the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: decr,
		},
		{
			Name: "decrby", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:  []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key decrement", Summary: "Takes a number from the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: decrBy,
		},
		{
			Name: "mget", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatString,
			Tips: []string{"request_policy:multi_shard"},
			Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1, Last: -1}},
			Doc:  Doc{Usage: "key [key ...]", Summary: "Returns the string values of keys.", Since: "1.0.0", Group: "string", Complexity: "O(N)"},
			Read: mget,
		},
		{
			Name: "mset", Arity: -3, Flags: FlagWrite | FlagDenyOOM, ACL: CatString,
			Tips:  []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
			Keys:  []KeySpec{{Flags: KeyOW | KeyUpdate, Begin: 1, Last: -1, Step: 2}},
			Doc:   Doc{Usage: "key value [key value ...]", Summary: "Sets the string values of keys.", Since: "1.0.1", Group: "string", Complexity: "O(N)"},
			Write: mset,
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

// mget answers null for what is no string, as Redis does.
func mget(tx ReadTx, args [][]byte) resp.Value {
	values := make([]resp.Value, len(args)-1)
	for i, key := range args[1:] {
		if m, ok := tx.Lookup(key); ok && m.Type == keyspace.TypeString {
			values[i] = resp.Bulk(m.Value)
		}
	}
	return resp.Array(values...)
}

func mset(tx *keyspace.Tx, args [][]byte) resp.Value {
	if len(args)%2 == 0 {
		return errArity("mset")
	}
	for i := 1; i < len(args); i += 2 {
		tx.SetString(args[i], args[i+1], 0)
	}
	return resp.OK
}

// setKeyFlags: SET reads its key only for the option GET.
func setKeyFlags(args [][]byte) KeyFlags {
	for _, arg := range args[3:] {
		if is(arg, "get") {
			return KeyRW | KeyAccess | KeyUpdate
		}
	}
	return KeyOW | KeyUpdate
}

// setOptions are SET's.
type setOptions struct {
	nx, xx, get, keepTTL bool
	expires              bool
	expireAt             int64 // unix ms, if expires
}

func set(tx *keyspace.Tx, args [][]byte) resp.Value {
	key, value := args[1], args[2]
	if len(args) == 3 { // the hot case needs to know nothing of the old value
		tx.SetString(key, value, 0)
		return resp.OK
	}
	o, bad := parseSet(args[3:], tx.Now())
	if bad != nil {
		return *bad
	}
	reply := resp.OK
	var old keyspace.Meta
	if o.nx || o.xx || o.get || o.keepTTL {
		var found bool
		old, found = tx.Lookup(key)
		if o.get {
			reply = resp.Null
			if found {
				if old.Type != keyspace.TypeString {
					return errWrongType()
				}
				reply = resp.Bulk(old.Value)
			}
		}
		if o.nx && found || o.xx && !found {
			if o.get {
				return reply
			}
			return resp.Null
		}
	}
	switch {
	case o.expires && o.expireAt <= tx.Now():
		tx.Delete(key) // set and expired at once
	case o.expires:
		tx.SetString(key, value, o.expireAt)
	case o.keepTTL:
		tx.SetString(key, value, old.ExpireAt)
	default:
		tx.SetString(key, value, 0)
	}
	return reply
}

func parseSet(args [][]byte, now int64) (o setOptions, bad *resp.Value) {
	fail := func(v resp.Value) (setOptions, *resp.Value) { return o, &v }
	var amount []byte
	var unit, base int64
	for i := 0; i < len(args); i++ {
		arg := args[i]
		u, b, isExpiry := expiryOption(arg, now)
		switch {
		case is(arg, "nx") && !o.xx:
			o.nx = true
		case is(arg, "xx") && !o.nx:
			o.xx = true
		case is(arg, "get"):
			o.get = true
		case is(arg, "keepttl") && !o.expires:
			o.keepTTL = true
		case isExpiry && !o.keepTTL && !o.expires && i+1 < len(args):
			o.expires = true
			i++
			amount, unit, base = args[i], u, b
		default:
			return fail(errSyntax())
		}
	}
	if !o.expires {
		return o, nil
	}
	n, ok := parseInt(amount)
	if !ok {
		return fail(errNotInteger())
	}
	if n <= 0 || n > math.MaxInt64/unit || n*unit > math.MaxInt64-base {
		return fail(errExpireTime("set"))
	}
	o.expireAt = n*unit + base
	return o, nil
}

// expiryOption tells what unit, in milliseconds, and what base the number
// after EX, PX, EXAT and PXAT has.
func expiryOption(arg []byte, now int64) (unit, base int64, ok bool) {
	switch {
	case is(arg, "ex"):
		return 1000, now, true
	case is(arg, "px"):
		return 1, now, true
	case is(arg, "exat"):
		return 1000, 0, true
	case is(arg, "pxat"):
		return 1, 0, true
	default:
		return 0, 0, false
	}
}

func incr(tx *keyspace.Tx, args [][]byte) resp.Value { return addTo(tx, args[1], 1) }

func decr(tx *keyspace.Tx, args [][]byte) resp.Value { return addTo(tx, args[1], -1) }

func incrBy(tx *keyspace.Tx, args [][]byte) resp.Value {
	n, ok := parseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	return addTo(tx, args[1], n)
}

func decrBy(tx *keyspace.Tx, args [][]byte) resp.Value {
	n, ok := parseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	if n == math.MinInt64 {
		return resp.Err("decrement would overflow")
	}
	return addTo(tx, args[1], -n)
}

// addTo adds n to the integer that key holds, 0 if it is not there, and keeps
// its expiry.
func addTo(tx *keyspace.Tx, key []byte, n int64) resp.Value {
	m, found := tx.Lookup(key)
	old := int64(0)
	if found {
		if m.Type != keyspace.TypeString {
			return errWrongType()
		}
		var ok bool
		if old, ok = parseInt(m.Value); !ok {
			return errNotInteger()
		}
	}
	if n > 0 && old > math.MaxInt64-n || n < 0 && old < math.MinInt64-n {
		return resp.Err("increment or decrement would overflow")
	}
	tx.SetString(key, strconv.AppendInt(nil, old+n, 10), m.ExpireAt)
	return resp.Int(old + n)
}
