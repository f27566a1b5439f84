package hashes

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/resp"
)

// What the commands answer for one field.
const (
	noField     = -2
	noExpiry    = -1
	notMet      = 0
	expirySet   = 1
	fieldGone   = 2
	expiryMoved = 1
)

func hexpire(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, 1000, tx.Now(), r)
}

func hpexpire(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, 1, tx.Now(), r)
}

func hexpireat(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, 1000, 0, r)
}

func hpexpireat(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	return setExpiry(tx, args, 1, 0, r)
}

// setExpiry gives fields a time of expiry, in units of so many ms from base on.
func setExpiry(tx *command.Tx, args *command.Args, unit, base int64, r *resp.Reply) error {
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return err
	}
	at, err := takeTime(args, unit, base)
	if err != nil {
		return err
	}
	fields := fieldList{step: 1, bad: errNumFields, short: command.Errorf("FIELDS requires at least numfields and one field argument")}
	var when condition
	for args.More() {
		if args.Is("fields") {
			err = fields.take(args)
		} else if taken, wrong := when.take(args); taken {
			err = wrong
		} else {
			err = unknown(args.Next())
		}
		if err != nil {
			return err
		}
	}
	if fields.list == nil {
		return errNoFields
	}
	r.Array(len(fields.list))
	for _, field := range fields.list {
		_, old, found := hash.Get(field)
		switch {
		case !found:
			r.Int(noField)
		case !when.allows(old, at):
			r.Int(notMet)
		case at <= tx.Now():
			hash.Delete(field)
			r.Int(fieldGone)
		default:
			hash.SetExpire(field, at)
			r.Int(expirySet)
		}
	}
	return nil
}

const errNoFields = resp.Error("ERR missing FIELDS argument")

func httl(v *command.View, args *command.Args, r *resp.Reply) error {
	return showExpiry(v, args, r, func(at int64) int64 { return toSeconds(at - v.Time()) })
}

func hpttl(v *command.View, args *command.Args, r *resp.Reply) error {
	return showExpiry(v, args, r, func(at int64) int64 { return at - v.Time() })
}

func hexpiretime(v *command.View, args *command.Args, r *resp.Reply) error {
	return showExpiry(v, args, r, toSeconds)
}

func hpexpiretime(v *command.View, args *command.Args, r *resp.Reply) error {
	return showExpiry(v, args, r, func(at int64) int64 { return at })
}

// toSeconds rounds up, unlike TTL and EXPIRETIME, as Redis does for fields.
func toSeconds(ms int64) int64 { return (ms + 999) / 1000 }

// showExpiry writes the times of expiry of fields.
func showExpiry(v *command.View, args *command.Args, r *resp.Reply, show func(at int64) int64) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	fields, err := takeFields(args)
	if err != nil {
		return err
	}
	r.Array(len(fields))
	for _, field := range fields {
		_, at, found := hash.Get(field)
		switch {
		case !found:
			r.Int(noField)
		case at == 0:
			r.Int(noExpiry)
		default:
			r.Int(max(0, show(at)))
		}
	}
	return nil
}

// takeFields takes FIELDS, a number and as many fields, to the end of the arguments.
func takeFields(args *command.Args) ([][]byte, error) {
	if !args.Is("fields") {
		return nil, command.Errorf("Mandatory argument FIELDS is missing or not at the right position")
	}
	n, err := args.Int()
	switch {
	case err != nil || n <= 0:
		return nil, command.Errorf("Number of fields must be a positive integer")
	case n != int64(args.Len()):
		return nil, command.Errorf("The `numfields` parameter must match the number of arguments")
	}
	return args.Rest(), nil
}

func hpersist(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return err
	}
	fields, err := takeFields(args)
	if err != nil {
		return err
	}
	r.Array(len(fields))
	for _, field := range fields {
		_, at, found := hash.Get(field)
		switch {
		case !found:
			r.Int(noField)
		case at == 0:
			r.Int(noExpiry)
		default:
			hash.SetExpire(field, 0)
			r.Int(expiryMoved)
		}
	}
	return nil
}

func hgetdel(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return err
	}
	fields, err := takeFields(args)
	if err != nil {
		return err
	}
	r.Array(len(fields))
	for _, field := range fields {
		writeValue(hash, field, r)
		hash.Delete(field)
	}
	return nil
}

// returnsFields is the Command.Returns of HGETDEL and HGETEX. Options are looked up as
// if they were fields, too.
func returnsFields(args *command.Args, look func() *command.View) (size int64) {
	hash, _, _ := look().Hash(args.Next())
	for args.More() {
		if value, _, ok := hash.Get(args.Next()); ok {
			size += int64(len(value))
		}
	}
	return size
}

// takeGetEx takes the arguments of HGETEX behind its key.
func takeGetEx(args *command.Args, now int64) (fields [][]byte, e expiry, err error) {
	list := fieldList{step: 1, bad: errFields, short: errCount}
	e.other = "PERSIST"
	for err == nil && args.More() {
		if args.Is("fields") {
			err = list.take(args)
		} else if taken, wrong := e.take(args, now); taken {
			err = wrong
		} else {
			err = unknownOf(args, "fnx", "fxx")
		}
	}
	if err == nil && list.list == nil {
		err = errNoFields
	}
	return list.list, e, err
}

// unknownOf is the error for the next argument, which the command does not take; those
// words are options of a kindred command, which Redis does not name.
func unknownOf(args *command.Args, kindred ...string) error {
	for _, word := range kindred {
		if args.Is(word) {
			return command.Errorf("unknown argument")
		}
	}
	return unknown(args.Next())
}

// readEx is HGETEX without options.
func readEx(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	fields, _, err := takeGetEx(args, v.Time())
	if err != nil {
		return err
	}
	r.Array(len(fields))
	for _, field := range fields {
		writeValue(hash, field, r)
	}
	return nil
}

func hgetex(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return err
	}
	fields, e, err := takeGetEx(args, tx.Now())
	if err != nil {
		return err
	}
	r.Array(len(fields))
	for _, field := range fields {
		writeValue(hash, field, r)
		if e.given {
			hash.SetExpire(field, e.at)
		}
	}
	return nil
}

// writesEx reports whether HGETEX changes anything: with an option it does.
func writesEx(args [][]byte) bool {
	n, ok := command.ParseInt(args[3])
	return !ok || !command.Is(args[2], "fields") || n != int64(len(args)-4)
}

// hsetex looks at the key's type behind all its arguments, unlike its kin.
func hsetex(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	list := fieldList{step: 2, bad: errFields, short: errCount}
	e := expiry{other: "KEEPTTL"}
	ifNew, ifThere := false, false
	for args.More() {
		var err error
		if args.Is("fields") {
			err = list.take(args)
		} else if taken, wrong := e.take(args, tx.Now()); taken {
			err = wrong
		} else if fnx := args.Is("fnx"); fnx || args.Is("fxx") {
			if ifNew || ifThere {
				err = command.Errorf("Only one of FXX or FNX arguments can be specified")
			}
			ifNew, ifThere = fnx, !fnx
		} else {
			err = unknown(args.Next())
		}
		if err != nil {
			return err
		}
	}
	if list.list == nil {
		return errNoFields
	}
	hash, err := tx.Hash(key)
	if err != nil {
		return err
	}
	for i := 0; i < len(list.list) && (ifNew || ifThere); i += 2 {
		if _, _, found := hash.Get(list.list[i]); found != ifThere {
			r.Int(0)
			return nil
		}
	}
	for i := 0; i < len(list.list); i += 2 {
		at := e.at
		if e.keep {
			_, at, _ = hash.Get(list.list[i])
		}
		hash.Set(list.list[i], list.list[i+1], at)
	}
	r.Int(1)
	return nil
}
