package command

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// keyCommands returns the rows.
func keyCommands() []*Command {
	return []*Command{
		{
			Name: "del", Arity: -2, Flags: FlagWrite, ACL: CatKeyspace,
			Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:  []KeySpec{{Flags: KeyRM | KeyDelete, Begin: 1, Last: -1}},
			Doc:   Doc{Usage: "key [key ...]", Summary: "Deletes keys.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			Write: del,
		},
		{
			Name: "unlink", Arity: -2, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys:  []KeySpec{{Flags: KeyRM | KeyDelete, Begin: 1, Last: -1}},
			Doc:   Doc{Usage: "key [key ...]", Summary: "Deletes keys.", Since: "4.0.0", Group: "generic", Complexity: "O(1)"},
			Write: del,
		},
		{
			Name: "exists", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys: []KeySpec{{Flags: KeyRO, Begin: 1, Last: -1}},
			Doc:  Doc{Usage: "key [key ...]", Summary: "Counts how many of the keys exist.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			Read: exists,
		},
		{
			Name: "touch", Arity: -2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips: []string{"request_policy:multi_shard", "response_policy:agg_sum"},
			Keys: []KeySpec{{Flags: KeyRO, Begin: 1, Last: -1}},
			Doc:  Doc{Usage: "key [key ...]", Summary: "Counts how many of the keys exist.", Since: "3.2.1", Group: "generic", Complexity: "O(N)"},
			Read: exists,
		},
		{
			Name: "type", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Keys: []KeySpec{{Flags: KeyRO, Begin: 1}},
			Doc:  Doc{Usage: "key", Summary: "Returns the type of a key's value.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Read: typeOf,
		},
		{
			Name: "expire", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:  []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key seconds [NX|XX|GT|LT]", Summary: "Sets a key's time to live in seconds.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Write: expire,
		},
		{
			Name: "pexpire", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:  []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key milliseconds [NX|XX|GT|LT]", Summary: "Sets a key's time to live in milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			Write: pexpire,
		},
		{
			Name: "expireat", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:  []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key unix-time-seconds [NX|XX|GT|LT]", Summary: "Sets when a key expires, as Unix seconds.", Since: "1.2.0", Group: "generic", Complexity: "O(1)"},
			Write: expireAt,
		},
		{
			Name: "pexpireat", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:  []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key unix-time-milliseconds [NX|XX|GT|LT]", Summary: "Sets when a key expires, as Unix milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			Write: pexpireAt,
		},
		{
			Name: "expiretime", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:  Doc{Usage: "key", Summary: "Returns when a key expires, as Unix seconds.", Since: "7.0.0", Group: "generic", Complexity: "O(1)"},
			Read: expireTime,
		},
		{
			Name: "pexpiretime", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:  Doc{Usage: "key", Summary: "Returns when a key expires, as Unix milliseconds.", Since: "7.0.0", Group: "generic", Complexity: "O(1)"},
			Read: pexpireTime,
		},
		{
			Name: "ttl", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips: []string{"nondeterministic_output"},
			Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:  Doc{Usage: "key", Summary: "Returns a key's time to live in seconds.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Read: ttl,
		},
		{
			Name: "pttl", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips: []string{"nondeterministic_output"},
			Keys: []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:  Doc{Usage: "key", Summary: "Returns a key's time to live in milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			Read: pttl,
		},
		{
			Name: "persist", Arity: 2, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:  []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:   Doc{Usage: "key", Summary: "Removes the expiry of a key.", Since: "2.2.0", Group: "generic", Complexity: "O(1)"},
			Write: persist,
		},
		{
			Name: "keys", Arity: 2, Flags: FlagReadOnly, ACL: CatKeyspace | CatDangerous,
			Tips: []string{"request_policy:all_shards", "nondeterministic_output_order"},
			Doc:  Doc{Usage: "pattern", Summary: "Returns the keys of this node's shard that match a pattern.", Since: "1.0.0", Group: "generic", Complexity: "O(N)"},
			Read: keysMatching,
		},
		{
			Name: "scan", Arity: -2, Flags: FlagReadOnly, ACL: CatKeyspace,
			Tips: []string{"nondeterministic_output", "request_policy:special"},
			Doc:  Doc{Usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Summary: "Walks over the keys of this node's shard.", Since: "2.8.0", Group: "generic", Complexity: "O(1)"},
			Read: scan,
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

func expire(tx *keyspace.Tx, args [][]byte) resp.Value {
	return setExpiry(tx, args, 1000, tx.Now())
}

func pexpire(tx *keyspace.Tx, args [][]byte) resp.Value { return setExpiry(tx, args, 1, tx.Now()) }

func expireAt(tx *keyspace.Tx, args [][]byte) resp.Value { return setExpiry(tx, args, 1000, 0) }

func pexpireAt(tx *keyspace.Tx, args [][]byte) resp.Value { return setExpiry(tx, args, 1, 0) }

// setExpiry is EXPIRE and its kin: args are name, key, time in units of unit
// milliseconds since base, options. A time that is over deletes the key.
func setExpiry(tx *keyspace.Tx, args [][]byte, unit, base int64) resp.Value {
	opts, bad := parseExpireOptions(args[3:])
	if bad != nil {
		return *bad
	}
	n, ok := parseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	if n > math.MaxInt64/unit || n < math.MinInt64/unit || n*unit > math.MaxInt64-base {
		return errExpireTime(lower(args[0]))
	}
	at := n*unit + base
	m, ok := tx.Lookup(args[1])
	if !ok || !opts.allow(m.ExpireAt, at) {
		return resp.Int(0)
	}
	if at <= tx.Now() {
		tx.Delete(args[1])
	} else {
		tx.SetExpire(args[1], at)
	}
	return resp.Int(1)
}

// expireOptions are the conditions of EXPIRE.
type expireOptions struct{ nx, xx, gt, lt bool }

func parseExpireOptions(args [][]byte) (o expireOptions, bad *resp.Value) {
	for _, arg := range args {
		switch {
		case is(arg, "nx"):
			o.nx = true
		case is(arg, "xx"):
			o.xx = true
		case is(arg, "gt"):
			o.gt = true
		case is(arg, "lt"):
			o.lt = true
		default:
			v := resp.Err("Unsupported option %s", arg)
			return o, &v
		}
	}
	if o.nx && (o.xx || o.gt || o.lt) {
		v := resp.Err("NX and XX, GT or LT options at the same time are not compatible")
		return o, &v
	}
	if o.gt && o.lt {
		v := resp.Err("GT and LT options at the same time are not compatible")
		return o, &v
	}
	return o, nil
}

// allow tells whether an expiry may be changed from old (0: none, which counts
// as never) to at.
func (o expireOptions) allow(old, at int64) bool {
	switch {
	case o.nx && old != 0, o.xx && old == 0:
		return false
	case o.gt && (old == 0 || at <= old):
		return false
	case o.lt && old != 0 && at >= old:
		return false
	}
	return true
}

func persist(tx *keyspace.Tx, args [][]byte) resp.Value {
	m, ok := tx.Lookup(args[1])
	if !ok || m.ExpireAt == 0 {
		return resp.Int(0)
	}
	tx.SetExpire(args[1], 0)
	return resp.Int(1)
}

// Replies of the TTL family for a key that is not there or does not expire.
const (
	noKey    = -2
	noExpiry = -1
)

func expiry(tx ReadTx, key []byte, show func(at int64) int64) resp.Value {
	m, ok := tx.Lookup(key)
	switch {
	case !ok:
		return resp.Int(noKey)
	case m.ExpireAt == 0:
		return resp.Int(noExpiry)
	default:
		return resp.Int(show(m.ExpireAt))
	}
}

func expireTime(tx ReadTx, args [][]byte) resp.Value {
	return expiry(tx, args[1], func(at int64) int64 { return toSeconds(at) })
}

// toSeconds rounds milliseconds to the nearest second.
func toSeconds(ms int64) int64 { return ms/1000 + (ms%1000+500)/1000 }

func pexpireTime(tx ReadTx, args [][]byte) resp.Value {
	return expiry(tx, args[1], func(at int64) int64 { return at })
}

func ttl(tx ReadTx, args [][]byte) resp.Value {
	return expiry(tx, args[1], func(at int64) int64 { return toSeconds(max(at-tx.Time(), 0)) })
}

func pttl(tx ReadTx, args [][]byte) resp.Value {
	return expiry(tx, args[1], func(at int64) int64 { return max(at-tx.Time(), 0) })
}

func keysMatching(tx ReadTx, args [][]byte) resp.Value {
	found := []resp.Value{}
	tx.Each(func(key []byte, _ keyspace.Meta) bool {
		if Match(args[1], key, false) {
			found = append(found, resp.Bulk(key))
		}
		return true
	})
	return resp.Array(found...)
}

// scanOptions are SCAN's.
type scanOptions struct {
	cursor   uint64
	count    int64
	match    []byte // nil: all
	typeName []byte // nil: all
}

func parseScan(args [][]byte) (o scanOptions, bad *resp.Value) {
	fail := func(v resp.Value) (scanOptions, *resp.Value) { return o, &v }
	cursor, err := strconv.ParseUint(string(args[1]), 10, 64)
	if err != nil {
		return fail(resp.Err("invalid cursor"))
	}
	o = scanOptions{cursor: cursor, count: 10}
	for rest := args[2:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 {
			return fail(errSyntax())
		}
		switch {
		case is(rest[0], "count"):
			n, ok := parseInt(rest[1])
			if !ok {
				return fail(errNotInteger())
			}
			if n < 1 {
				return fail(errSyntax())
			}
			o.count = min(n, 1<<20)
		case is(rest[0], "match"):
			o.match = rest[1]
		case is(rest[0], "type"):
			o.typeName = rest[1]
		default:
			return fail(errSyntax())
		}
	}
	return o, nil
}

func scan(tx ReadTx, args [][]byte) resp.Value {
	o, bad := parseScan(args)
	if bad != nil {
		return *bad
	}
	found := []resp.Value{}
	next := tx.Scan(o.cursor, int(o.count), func(key []byte, m keyspace.Meta) {
		if o.match != nil && !Match(o.match, key, false) {
			return
		}
		if o.typeName != nil && !is(o.typeName, m.Type.String()) {
			return
		}
		found = append(found, resp.Bulk(key))
	})
	return resp.Array(resp.BulkString(strconv.FormatUint(next, 10)), resp.Array(found...))
}
