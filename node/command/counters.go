package command

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/longdouble"
	"github.com/genuineh/aikv/node/resp"
)

// counterCommands returns the rows of the commands that count.
func counterCommands() []*Command {
	return []*Command{
		{
			Name: "incr", Arity: 2, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key", Summary: "Adds one to the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: incr,
		},
		{
			Name: "incrby", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key increment", Summary: "Adds a number to the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: incrBy,
		},
		{
			Name: "incrbyfloat", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key increment", Summary: "Adds a number to the decimal value of a key.", Since: "2.6.0", Group: "string", Complexity: "O(1)"},
			OldWrite: incrByFloat,
		},
		{
			Name: "decr", Arity: 2, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key", Summary: "Takes one from the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: decr,
		},
		{
			Name: "decrby", Arity: 3, Flags: FlagWrite | FlagDenyOOM | FlagFast, ACL: CatString,
			Keys:     []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Begin: 1}},
			Doc:      Doc{Usage: "key decrement", Summary: "Takes a number from the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			OldWrite: decrBy,
		},
	}
}

func incr(tx *keyspace.Tx, args [][]byte) resp.Value { return addTo(tx, args[1], 1) }

func decr(tx *keyspace.Tx, args [][]byte) resp.Value { return addTo(tx, args[1], -1) }

func incrBy(tx *keyspace.Tx, args [][]byte) resp.Value {
	n, ok := ParseInt(args[2])
	if !ok {
		return errNotInteger()
	}
	return addTo(tx, args[1], n)
}

func decrBy(tx *keyspace.Tx, args [][]byte) resp.Value {
	n, ok := ParseInt(args[2])
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
	m, found, bad := stringAt(tx, key)
	if bad != nil {
		return *bad
	}
	old := int64(0)
	if found {
		var ok bool
		if old, ok = ParseInt(m.Value); !ok {
			return errNotInteger()
		}
	}
	if n > 0 && old > math.MaxInt64-n || n < 0 && old < math.MinInt64-n {
		return resp.Err("increment or decrement would overflow")
	}
	tx.SetString(key, strconv.AppendInt(nil, old+n, 10), m.ExpireAt)
	return resp.Int(old + n)
}

func incrByFloat(tx *keyspace.Tx, args [][]byte) resp.Value {
	m, found, bad := stringAt(tx, args[1])
	if bad != nil {
		return *bad
	}
	old, ok := longdouble.New(), true
	if found {
		old, ok = longdouble.Parse(m.Value)
	}
	n, valid := longdouble.Parse(args[2])
	if !ok || !valid {
		return resp.Err("value is not a valid float")
	}
	sum, ok := longdouble.Add(old, n)
	if !ok {
		return resp.Err("increment would produce NaN or Infinity")
	}
	text := longdouble.Format(sum)
	tx.SetString(args[1], text, m.ExpireAt)
	return resp.Bulk(text)
}
