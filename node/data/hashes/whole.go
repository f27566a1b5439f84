package hashes

import (
	"math"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

func hlen(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	r.Int(hash.Len())
	return nil
}

func hgetall(v *command.View, args *command.Args, r *resp.Reply) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	at, n := r.Here(), 0
	hash.Each(func(field, value []byte, _ int64) bool {
		r.Bulk(field)
		r.Bulk(value)
		n++
		return !r.Full()
	})
	r.MapAt(at, n)
	return nil
}

func hkeys(v *command.View, args *command.Args, r *resp.Reply) error {
	return writeEach(v, args, r, func(field, _ []byte) []byte { return field })
}

func hvals(v *command.View, args *command.Args, r *resp.Reply) error {
	return writeEach(v, args, r, func(_, value []byte) []byte { return value })
}

// writeEach writes one thing of each field.
func writeEach(v *command.View, args *command.Args, r *resp.Reply, choose func(field, value []byte) []byte) error {
	hash, _, err := v.Hash(args.Next())
	if err != nil {
		return err
	}
	at, n := r.Here(), 0
	hash.Each(func(field, value []byte, _ int64) bool {
		r.Bulk(choose(field, value))
		n++
		return !r.Full()
	})
	r.ArrayAt(at, n)
	return nil
}

// hrandfield answers one field or, with a count, a list: of different fields if the
// count is positive, and else of as many as it says, some of them more than once.
func hrandfield(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	if !args.More() {
		hash, found, err := v.Hash(key)
		switch {
		case err != nil:
			return err
		case !found:
			r.Null()
		default:
			field, _ := hash.At(v.Rand().Int64N(hash.Len()))
			r.Bulk(field)
		}
		return nil
	}
	count, err := args.IntWithin(-math.MaxInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	withValues := args.Len() == 1 && args.Is("withvalues")
	switch {
	case args.More():
		return command.ErrSyntax
	case withValues && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return command.Errorf("value is out of range")
	}
	hash, found, err := v.Hash(key)
	if err != nil {
		return err
	}
	if !found || count == 0 {
		r.Array(0)
		return nil
	}
	writeRandom(v, hash, count, withValues, r)
	return nil
}

// writeRandom writes count fields of a hash that has some.
func writeRandom(v *command.View, hash keyspace.HashView, count int64, withValues bool, r *resp.Reply) {
	n, places := v.Places(count, hash.Len())
	if withValues {
		r.Pairs(int(n))
	} else {
		r.Array(int(n))
	}
	write := func(field, value []byte) bool {
		if withValues {
			r.Pair()
		}
		r.Bulk(field)
		if withValues {
			r.Bulk(value)
		}
		return !r.Full()
	}
	if count >= hash.Len() {
		hash.Each(func(field, value []byte, _ int64) bool { return write(field, value) })
		return
	}
	for place := range places {
		if !write(hash.At(place)) {
			return
		}
	}
}

// hscan looks at its options only if the key is there, as Redis does.
func hscan(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	cursor, err := args.Cursor()
	if err != nil {
		return err
	}
	hash, found, err := v.Hash(key)
	if err != nil {
		return err
	}
	var o command.ScanOptions
	noValues := false
	for found && args.More() {
		taken, err := o.Take(args)
		switch {
		case err != nil:
			return err
		case taken:
		case args.Is("novalues"):
			noValues = true
		default:
			return command.ErrSyntax
		}
	}
	at, n := r.Here(), 0
	next := hash.Scan(cursor, o.Count(), func(field, value []byte, _ int64) {
		if !o.Matches(field) {
			return
		}
		r.Bulk(field)
		n++
		if !noValues {
			r.Bulk(value)
			n++
		}
	})
	r.ScannedAt(at, next, n)
	return nil
}
