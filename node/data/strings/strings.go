package strings

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// stringCommands returns the rows of the commands on whole strings.
func stringCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "get", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Read: get,
		},
		{
			Name: "getset", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key value", Summary: "Sets the string value of a key and returns the old one.", Since: "1.0.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "6.2.0", ReplacedBy: "`SET` with the `!GET` argument"},
			Write: getSet, Returns: command.ReturnsValue,
		},
		{
			Name: "getdel", Arity: 2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyDelete, Begin: 1}},
			Doc:   command.Doc{Usage: "key", Summary: "Returns the string value of a key and deletes it.", Since: "6.2.0", Group: "string", Complexity: "O(1)"},
			Write: getDel, Returns: command.ReturnsValue,
		},
		{
			Name: "getex", Arity: -2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatString,
			Keys: []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate, Begin: 1, Notes: "RW and UPDATE because it changes the TTL"}},
			Doc:  command.Doc{Usage: "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]", Summary: "Returns the string value of a key and changes its expiry.", Since: "6.2.0", Group: "string", Complexity: "O(1)"},
			Read: getExKept, Write: getEx, Writes: getExWrites, Returns: command.ReturnsValue,
		},
		{
			Name: "set", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyAccess | command.KeyUpdate | command.KeyVariable, Begin: 1, Actual: setKeyFlags, Notes: "RW and ACCESS due to the optional `GET` argument"}},
			Doc:   command.Doc{Usage: "key value [NX|XX|IFEQ value|IFNE value|IFDEQ digest|IFDNE digest] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]", Summary: "Sets the string value of a key.", Since: "1.0.0", Group: "string", Complexity: "O(1)"},
			Write: set, Returns: setReturns,
		},
		{
			Name: "setnx", Arity: 3, Flags: command.FlagWrite | command.FlagDenyOOM | command.FlagFast, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyOW | command.KeyInsert, Begin: 1}},
			Doc:   command.Doc{Usage: "key value", Summary: "Sets the string value of a key that does not exist.", Since: "1.0.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "2.6.12", ReplacedBy: "`SET` with the `NX` argument"},
			Write: setNX, Idle: command.IdleIfThere,
		},
		{
			Name: "setex", Arity: 4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key seconds value", Summary: "Sets the string value of a key and its time to live in seconds.", Since: "2.0.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "2.6.12", ReplacedBy: "`SET` with the `EX` argument"},
			Write: setEx,
		},
		{
			Name: "psetex", Arity: 4, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key milliseconds value", Summary: "Sets the string value of a key and its time to live in milliseconds.", Since: "2.6.0", Group: "string", Complexity: "O(1)", DeprecatedSince: "2.6.12", ReplacedBy: "`SET` with the `PX` argument"},
			Write: psetEx,
		},
		{
			Name: "mget", Arity: -2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatString,
			Tips: []string{"request_policy:multi_shard"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1, Last: -1}},
			Doc:  command.Doc{Usage: "key [key ...]", Summary: "Returns the string values of keys.", Since: "1.0.0", Group: "string", Complexity: "O(N)"},
			Read: mget,
		},
		{
			Name: "mset", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Tips:  []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
			Keys:  []command.KeySpec{{Flags: command.KeyOW | command.KeyUpdate, Begin: 1, Last: -1, Step: 2}},
			Doc:   command.Doc{Usage: "key value [key value ...]", Summary: "Sets the string values of keys.", Since: "1.0.1", Group: "string", Complexity: "O(N)"},
			Write: mset,
		},
		{
			Name: "msetnx", Arity: -3, Flags: command.FlagWrite | command.FlagDenyOOM, ACL: command.CatString,
			Keys:  []command.KeySpec{{Flags: command.KeyOW | command.KeyInsert, Begin: 1, Last: -1, Step: 2}},
			Doc:   command.Doc{Usage: "key value [key value ...]", Summary: "Sets the string values of keys if none of them exists.", Since: "1.0.1", Group: "string", Complexity: "O(N)"},
			Write: msetNX,
		},
	}
}

func get(v *command.View, args *command.Args, r *resp.Reply) error {
	m, found, err := stringAt(v, args.Next())
	if err == nil {
		reply(r, m, found)
	}
	return err
}

// state is what both a view and a transaction are, to who looks for a key.
type state interface {
	Lookup(key []byte) (keyspace.Meta, bool)
}

// stringAt returns the string that key holds, or that it holds something else.
func stringAt(s state, key []byte) (m keyspace.Meta, found bool, err error) {
	m, found = s.Lookup(key)
	if found && m.Type != keyspace.TypeString {
		return m, true, command.ErrWrongType
	}
	return m, found, nil
}

// reply writes what GET answers.
func reply(r *resp.Reply, m keyspace.Meta, found bool) {
	if found {
		r.Bulk(m.Value)
	} else {
		r.Null()
	}
}

func getSet(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	old, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	reply(r, old, found)
	tx.SetString(key, args.Next(), 0)
	return nil
}

func getDel(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	old, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	reply(r, old, found)
	if found {
		tx.Delete(key)
	}
	return nil
}

// getExWrites: without options, GETEX is GET.
func getExWrites(args [][]byte) bool { return len(args) > 2 }

func getExKept(v *command.View, args *command.Args, r *resp.Reply) error { return get(v, args, r) }

// getEx looks at its deadline only if the key is there, as Redis does.
func getEx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	var expiry option.Deadline
	persist := false
	for args.More() {
		switch {
		case !expiry.Given() && args.Is("persist"):
			persist = true
		case !persist && expiry.Take(args):
		default:
			return command.ErrSyntax
		}
	}
	m, found, err := stringAt(tx, key)
	if err != nil {
		return err
	}
	if !found {
		r.Null()
		return nil
	}
	at := int64(0)
	if expiry.Given() {
		if at, err = expiry.At(tx.Now(), args); err != nil {
			return err
		}
	}
	r.Bulk(m.Value)
	tx.SetExpire(key, at)
	return nil
}

// mget answers null for what is no string, as Redis does.
func mget(v *command.View, args *command.Args, r *resp.Reply) error {
	r.Array(args.Len())
	for args.More() && !r.Full() {
		m, found, err := stringAt(v, args.Next())
		reply(r, m, found && err == nil)
	}
	return nil
}

func mset(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	if args.Len()%2 != 0 {
		return args.ErrArity()
	}
	setAll(tx, args)
	r.OK()
	return nil
}

func setAll(tx *command.Tx, args *command.Args) {
	for args.More() {
		key := args.Next()
		tx.SetString(key, args.Next(), 0)
	}
}

func msetNX(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	if args.Len()%2 != 0 {
		return args.ErrArity()
	}
	for pairs := *args; pairs.More(); pairs.Next() {
		if _, found := tx.Lookup(pairs.Next()); found {
			r.Int(0)
			return nil
		}
	}
	setAll(tx, args)
	r.Int(1)
	return nil
}

func setNX(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	if _, found := tx.Lookup(key); found {
		r.Int(0)
		return nil
	}
	tx.SetString(key, args.Next(), 0)
	r.Int(1)
	return nil
}

func setEx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setFor(tx, args, r, 1000)
}

func psetEx(tx *command.Tx, args *command.Args, r *resp.Reply) error { return setFor(tx, args, r, 1) }

// setFor is SETEX and PSETEX: the time to live is in units of so many milliseconds.
func setFor(tx *command.Tx, args *command.Args, r *resp.Reply, unit int64) error {
	key := args.Next()
	expiry := option.For(args.Next(), unit)
	at, err := expiry.At(tx.Now(), args)
	if err != nil {
		return err
	}
	tx.SetString(key, args.Next(), at)
	r.OK()
	return nil
}

// setKeyFlags: SET reads its key only for the option GET and for conditions.
func setKeyFlags(args [][]byte) command.KeyFlags {
	flags := command.KeyOW
	for _, arg := range args[3:] {
		switch {
		case command.Is(arg, "get"):
			return command.KeyRW | command.KeyAccess | command.KeyUpdate
		case conditionNamed(arg) != unconditional:
			flags = command.KeyRW
		}
	}
	return flags | command.KeyUpdate
}

// setOptions are SET's.
type setOptions struct {
	nx, xx, get, keepTTL bool
	condition            condition
	expiry               option.Deadline
}

// setReturns is SET's Command.Returns: with GET, the old value.
func setReturns(args *command.Args, look func() *command.View) int64 {
	key := args.Next()
	for args.Next(); args.More(); args.Next() {
		if command.Is(args.Peek(), "get") {
			size, _ := look().SizeOf(key)
			return size
		}
	}
	return 0
}

func set(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, value := args.Next(), args.Next()
	if !args.More() { // the hot case needs to know nothing of the old value
		tx.SetString(key, value, 0)
		r.OK()
		return nil
	}
	o, err := takeSetOptions(args, true)
	if err != nil {
		return err
	}
	expireAt := int64(0)
	if o.expiry.Given() {
		if expireAt, err = o.expiry.At(tx.Now(), args); err != nil {
			return err
		}
	}
	if o.nx || o.xx || o.get || o.keepTTL || o.condition.kind != unconditional {
		old, found := tx.Lookup(key)
		if o.get && found && old.Type != keyspace.TypeString {
			return command.ErrWrongType
		}
		if o.get {
			reply(r, old, found)
		}
		switch allowed, err := o.allow(old, found); {
		case err != nil:
			return err
		case !allowed:
			if !o.get {
				r.Null()
			}
			return nil
		}
		if o.keepTTL {
			expireAt = old.ExpireAt
		}
	}
	if !o.get {
		r.OK()
	}
	tx.SetString(key, value, expireAt)
	return nil
}

// allow reports whether the options allow to set a key that holds old, if it is there.
func (o *setOptions) allow(old keyspace.Meta, found bool) (bool, error) {
	if o.nx && found || o.xx && !found {
		return false, nil
	}
	return o.condition.holds(old, found)
}

// takeSetOptions takes the options of SET, or those that MSETEX has as well. NX and XX are
// taken behind a condition, and not in front of one, as in Redis.
func takeSetOptions(args *command.Args, all bool) (o setOptions, err error) {
	for args.More() {
		switch {
		case !o.xx && args.Is("nx"):
			o.nx = true
		case !o.nx && args.Is("xx"):
			o.xx = true
		case all && args.Is("get"):
			o.get = true
		case !o.expiry.Given() && args.Is("keepttl"):
			o.keepTTL = true
		case !o.keepTTL && o.expiry.Take(args):
		case all && !o.nx && !o.xx && o.condition.take(args):
		default:
			return o, command.ErrSyntax
		}
	}
	return o, nil
}
