package keys

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/resp"
)

// expiryCommands returns the rows of the commands on times of expiry.
func expiryCommands() []*command.Command {
	return []*command.Command{
		{
			Name: "expire", Arity: -3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key seconds [NX|XX|GT|LT]", Summary: "Sets a key's time to live in seconds.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Write: expire,
		},
		{
			Name: "pexpire", Arity: -3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key milliseconds [NX|XX|GT|LT]", Summary: "Sets a key's time to live in milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			Write: pexpire,
		},
		{
			Name: "expireat", Arity: -3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key unix-time-seconds [NX|XX|GT|LT]", Summary: "Sets when a key expires, as Unix seconds.", Since: "1.2.0", Group: "generic", Complexity: "O(1)"},
			Write: expireAt,
		},
		{
			Name: "pexpireat", Arity: -3, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key unix-time-milliseconds [NX|XX|GT|LT]", Summary: "Sets when a key expires, as Unix milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			Write: pexpireAt,
		},
		{
			Name: "expiretime", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns when a key expires, as Unix seconds.", Since: "7.0.0", Group: "generic", Complexity: "O(1)"},
			Read: expireTime,
		},
		{
			Name: "pexpiretime", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns when a key expires, as Unix milliseconds.", Since: "7.0.0", Group: "generic", Complexity: "O(1)"},
			Read: pexpireTime,
		},
		{
			Name: "ttl", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns a key's time to live in seconds.", Since: "1.0.0", Group: "generic", Complexity: "O(1)"},
			Read: ttl,
		},
		{
			Name: "pttl", Arity: 2, Flags: command.FlagReadOnly | command.FlagFast, ACL: command.CatKeyspace,
			Tips: []string{"nondeterministic_output"},
			Keys: []command.KeySpec{{Flags: command.KeyRO | command.KeyAccess, Begin: 1}},
			Doc:  command.Doc{Usage: "key", Summary: "Returns a key's time to live in milliseconds.", Since: "2.6.0", Group: "generic", Complexity: "O(1)"},
			Read: pttl,
		},
		{
			Name: "persist", Arity: 2, Flags: command.FlagWrite | command.FlagFast, ACL: command.CatKeyspace,
			Keys:  []command.KeySpec{{Flags: command.KeyRW | command.KeyUpdate, Begin: 1}},
			Doc:   command.Doc{Usage: "key", Summary: "Removes the expiry of a key.", Since: "2.2.0", Group: "generic", Complexity: "O(1)"},
			Write: persist,
		},
	}
}

func expire(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, r, 1000, tx.Now())
}

func pexpire(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, r, 1, tx.Now())
}

func expireAt(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, r, 1000, 0)
}

func pexpireAt(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, r, 1, 0)
}

// setExpiry is EXPIRE and its kin: the time is in units of unit milliseconds since
// base. A time that is over deletes the key. The options are judged first, as in Redis.
func setExpiry(tx *command.Tx, args *command.Args, r *resp.Reply, unit, base int64) error {
	key, amount := args.Next(), args.Next()
	var only option.ExpireIf
	if err := only.TakeAll(args); err != nil {
		return err
	}
	n, ok := command.ParseInt(amount)
	if !ok {
		return command.ErrNotInteger
	}
	if n > math.MaxInt64/unit || n < math.MinInt64/unit || n*unit > math.MaxInt64-base {
		return args.ErrExpireTime()
	}
	at := n*unit + base
	m, found := tx.Lookup(key)
	if !found || !only.Allow(m.ExpireAt, at) {
		r.Int(0)
		return nil
	}
	if at <= tx.Now() {
		tx.Delete(key)
	} else {
		tx.SetExpire(key, at)
	}
	r.Int(1)
	return nil
}

func persist(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	m, found := tx.Lookup(key)
	if !found || m.ExpireAt == 0 {
		r.Int(0)
		return nil
	}
	tx.SetExpire(key, 0)
	r.Int(1)
	return nil
}

// Replies of the TTL family for a key that is not there or does not expire.
const (
	noKey    = -2
	noExpiry = -1
)

// expiry answers with what show makes of a key's time of expiry.
func expiry(v *command.View, args *command.Args, r *resp.Reply, show func(at int64) int64) error {
	m, found := v.Lookup(args.Next())
	switch {
	case !found:
		r.Int(noKey)
	case m.ExpireAt == 0:
		r.Int(noExpiry)
	default:
		r.Int(show(m.ExpireAt))
	}
	return nil
}

func expireTime(v *command.View, args *command.Args, r *resp.Reply) error {
	return expiry(v, args, r, toSeconds)
}

// toSeconds rounds milliseconds to the nearest second.
func toSeconds(ms int64) int64 { return ms/1000 + (ms%1000+500)/1000 }

func pexpireTime(v *command.View, args *command.Args, r *resp.Reply) error {
	return expiry(v, args, r, func(at int64) int64 { return at })
}

func ttl(v *command.View, args *command.Args, r *resp.Reply) error {
	return expiry(v, args, r, func(at int64) int64 { return toSeconds(max(at-v.Time(), 0)) })
}

func pttl(v *command.View, args *command.Args, r *resp.Reply) error {
	return expiry(v, args, r, func(at int64) int64 { return max(at-v.Time(), 0) })
}
