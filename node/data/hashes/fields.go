package hashes

import (
	"math"
	"strconv"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/longdouble"
	"github.com/genuineh/aikv/node/resp"
)

func hset(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	added, err := setFields(tx, args)
	if err != nil {
		return err
	}
	r.Int(added)
	return nil
}

func hmset(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	if _, err := setFields(tx, args); err != nil {
		return err
	}
	r.OK()
	return nil
}

// setFields sets the fields that follow a key, without a time of expiry, and returns
// how many were not there before.
func setFields(tx *command.Tx, args *command.Args) (added int64, err error) {
	if args.Len()%2 == 0 {
		return 0, args.ErrArity()
	}
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return 0, err
	}
	for args.More() {
		if hash.Set(args.Next(), args.Next(), 0) {
			added++
		}
	}
	return added, nil
}

func hsetnx(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return err
	}
	field, value := args.Next(), args.Next()
	if _, _, found := hash.Get(field); found {
		r.Int(0)
		return nil
	}
	hash.Set(field, value, 0)
	r.Int(1)
	return nil
}

func hget(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	writeValue(hash, args.Next(), r)
	return nil
}

func hmget(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	r.Array(args.Len())
	for args.More() {
		writeValue(hash, args.Next(), r)
	}
	return nil
}

// getter is what has fields: a hash, or a view of one.
type getter interface {
	Get(field []byte) (value []byte, expireAt int64, ok bool)
}

// writeValue writes a field's value, or null.
func writeValue(hash getter, field []byte, r *resp.Reply) {
	if value, _, found := hash.Get(field); found {
		r.Bulk(value)
	} else {
		r.Null()
	}
}

func hexists(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	exists := int64(0)
	if _, _, found := hash.Get(args.Next()); found {
		exists = 1
	}
	r.Int(exists)
	return nil
}

func hstrlen(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	value, _, _ := hash.Get(args.Next())
	r.Int(int64(len(value)))
	return nil
}

func hdel(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	hash, err := tx.Hash(args.Next())
	if err != nil {
		return err
	}
	deleted := int64(0)
	for args.More() {
		if hash.Delete(args.Next()) {
			deleted++
		}
	}
	r.Int(deleted)
	return nil
}

func hincrby(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, field := args.Next(), args.Next()
	increment, err := args.Int()
	if err != nil {
		return err
	}
	hash, err := tx.Hash(key)
	if err != nil {
		return err
	}
	value, expireAt, found := hash.Get(field)
	n, ok := int64(0), true
	if found {
		n, ok = command.ParseInt(value)
	}
	switch {
	case !ok:
		return command.Errorf("hash value is not an integer")
	case increment > 0 && n > math.MaxInt64-increment, increment < 0 && n < math.MinInt64-increment:
		return command.Errorf("increment or decrement would overflow")
	}
	hash.Set(field, strconv.AppendInt(nil, n+increment, 10), expireAt)
	r.Int(n + increment)
	return nil
}

func hincrbyfloat(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key, field := args.Next(), args.Next()
	increment, ok := longdouble.Parse(args.Next())
	if !ok {
		return command.ErrNotFloat
	}
	if increment.IsInf() {
		return command.Errorf("value is NaN or Infinity")
	}
	hash, err := tx.Hash(key)
	if err != nil {
		return err
	}
	value, expireAt, found := hash.Get(field)
	n := longdouble.New()
	if found {
		if n, ok = longdouble.Parse(value); !ok {
			return command.Errorf("hash value is not a float")
		}
	}
	sum, ok := longdouble.Add(n, increment)
	if !ok {
		return command.Errorf("increment would produce NaN or Infinity")
	}
	text := longdouble.Format(sum)
	hash.Set(field, text, expireAt)
	r.Bulk(text)
	return nil
}
