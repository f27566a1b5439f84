package command

import (
	"bytes"
	"math"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// expiryCommands returns the rows of the commands on times of expiry.
func expiryCommands() []*Command {
	return []*Command{
		{
			Name: "expire", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key seconds [NX|XX|GT|LT]", Summary: "Sets a key's time to live in seconds.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: expire,
		},
		{
			Name: "pexpire", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key milliseconds [NX|XX|GT|LT]", Summary: "Sets a key's time to live in milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: pexpire,
		},
		{
			Name: "expireat", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key unix-time-seconds [NX|XX|GT|LT]", Summary: "Sets when a key expires, as Unix seconds.", Since: "1.2.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: expireAt,
		},
		{
			Name: "pexpireat", Arity: -3, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key unix-time-milliseconds [NX|XX|GT|LT]", Summary: "Sets when a key expires, as Unix milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: pexpireAt,
		},
		{
			Name: "expiretime", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns when a key expires, as Unix seconds.", Since: "7.0.0", Group: "generic", Complexity: "O(1)"},
			OldRead: expireTime,
		},
		{
			Name: "pexpiretime", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns when a key expires, as Unix milliseconds.", Since: "7.0.0", Group: "generic", Complexity: "O(1)"},
			OldRead: pexpireTime,
		},
		{
			Name: "ttl", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips:    []string{"nondeterministic_output"},
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns a key's time to live in seconds.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			OldRead: ttl,
		},
		{
			Name: "pttl", Arity: 2, Flags: FlagReadOnly | FlagFast, ACL: CatKeyspace,
			Tips:    []string{"nondeterministic_output"},
			Keys:    []KeySpec{{Flags: KeyRO | KeyAccess, Begin: 1}},
			Doc:     Doc{Usage: "key", Summary: "Returns a key's time to live in milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			OldRead: pttl,
		},
		{
			Name: "persist", Arity: 2, Flags: FlagWrite | FlagFast, ACL: CatKeyspace,
			Keys:     []KeySpec{{Flags: KeyRW | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key", Summary: "Removes the expiry of a key.", Since: "2.2.0", Group: "generic", Complexity: "O(1)"},
			OldWrite: persist,
		},
	}
}

// deadline is a time of expiry as the options EX, PX, EXAT and PXAT give it.
type deadline struct {
	given    bool
	amount   []byte // a number
	unit     int64  // of the amount, in ms
	relative bool   // to now
}

// take reports whether args begin with an option and its number, and enters
// them. Only the same option may come again; it then counts anew.
func (d *deadline) take(args [][]byte) bool {
	if len(args) < 2 {
		return false
	}
	next := deadline{given: true, amount: args[1]}
	switch {
	case Is(args[0], "ex"):
		next.unit, next.relative = 1000, true
	case Is(args[0], "px"):
		next.unit, next.relative = 1, true
	case Is(args[0], "exat"):
		next.unit = 1000
	case Is(args[0], "pxat"):
		next.unit = 1
	default:
		return false
	}
	if d.given && (d.unit != next.unit || d.relative != next.relative) {
		return false
	}
	*d = next
	return true
}

// at returns the deadline in unix ms, always above 0: it may be over, but not
// before 1970. name is the command's, for the error.
func (d deadline) at(now int64, name string) (at int64, bad *resp.Value) {
	n, ok := ParseInt(d.amount)
	if !ok {
		v := errNotInteger()
		return 0, &v
	}
	base := int64(0)
	if d.relative {
		base = now
	}
	if n <= 0 || n > math.MaxInt64/d.unit || n*d.unit > math.MaxInt64-base {
		v := errExpireTime(name)
		return 0, &v
	}
	return base + n*d.unit, nil
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
	n, ok := ParseInt(args[2])
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
		case Is(arg, "nx"):
			o.nx = true
		case Is(arg, "xx"):
			o.xx = true
		case Is(arg, "gt"):
			o.gt = true
		case Is(arg, "lt"):
			o.lt = true
		default:
			text, _, _ := bytes.Cut(arg, []byte{0}) // as C prints it
			v := resp.Err("Unsupported option %s", bytes.TrimRight(text, "\r\n"))
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
