package strings

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/longdouble"
	"github.com/genuineh/aikv/node/resp"
)

// counterCommands returns the rows of the commands that count.
func counterCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "incr", Arity: 2, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key", Summary: "Adds one to the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: incr,
		},
		{
			Name: "incrby", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key increment", Summary: "Adds a number to the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: incrBy,
		},
		{
			Name: "incrbyfloat", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key increment", Summary: "Adds a number to the decimal value of a key.", Since: "2.6.0", Group: "string", Complexity: "O(1)"},
			Write: incrByFloat,
		},
		{
			Name: "decr", Arity: 2, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key", Summary: "Takes one from the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: decr,
		},
		{
			Name: "decrby", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key decrement", Summary: "Takes a number from the integer value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: decrBy,
		},
	}
}

const (
	errOverflow  = resp.Error("ERR increment or decrement would overflow")
	errDecrement = resp.Error("ERR decrement would overflow")
	errInfinite  = resp.Error("ERR increment would produce NaN or Infinity")
)

func incr(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return addTo(tx, args.Next(), 1, r)
}

func decr(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return addTo(tx, args.Next(), -1, r)
}

func incrBy(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	n, err := args.Int()
	if err != nil {
		return err
	}
	return addTo(tx, key, n, r)
}

func decrBy(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	n, err := args.Int()
	switch {
	case err != nil:
		return err
	case n == math.MinInt64:
		return errDecrement
	}
	return addTo(tx, key, -n, r)
}

// addTo adds n to the integer that key holds, 0 if it is not there, and keeps
// its expiry.
func addTo(tx *command.Tx, key []byte, n int64, r *resp.Reply) error {
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	old := int64(0)
	if found {
		var ok bool
		if old, ok = command.ParseInt(m.Value); !ok {
			return command.ErrNotInteger
		}
	}
	if n > 0 && old > math.MaxInt64-n || n < 0 && old < math.MinInt64-n {
		return errOverflow
	}
	var text [20]byte
	tx.SetString(key, strconv.AppendInt(text[:0], old+n, 10), m.ExpireAt)
	r.Int(old + n)
	return nil
}

func incrByFloat(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	old, ok := longdouble.New(), true
	if found {
		old, ok = longdouble.Parse(m.Value)
	}
	n, valid := longdouble.Parse(args.Next())
	if !ok || !valid {
		return command.ErrNotFloat
	}
	sum, ok := longdouble.Add(old, n)
	if !ok {
		return errInfinite
	}
	text := longdouble.Format(sum)
	tx.SetString(key, text, m.ExpireAt)
	r.Bulk(text)
	return nil
}
