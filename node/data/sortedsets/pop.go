package sortedsets

import (
	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

func zpopmin(tx *command.Tx, args *command.Args, r *resp.Reply) error { return pop(tx, args, false, r) }

func zpopmax(tx *command.Tx, args *command.Args, r *resp.Reply) error { return pop(tx, args, true, r) }

// pop answers pairs if there is a count, and else one element in a flat list.
func pop(tx *command.Tx, args *command.Args, highest bool, r *resp.Reply) error {
	key := args.Next()
	if args.Len() > 1 {
		return command.ErrSyntax
	}
	count, counted := int64(1), args.More()
	if counted {
		var err error
		if count, err = args.NotNegative(); err != nil {
			return err
		}
	}
	set, err := tx.SortedSet(key)
	if err != nil {
		return err
	}
	n := min(count, set.Len())
	if counted {
		r.Pairs(int(n))
		take(set, n, highest, r, r.Pair)
	} else {
		r.Array(int(2 * n))
		take(set, n, highest, r, func() {})
	}
	return nil
}

// zmpop pops from the first of the keys that holds anything.
func zmpop(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	o, err := option.TakePops(args, "min", "max")
	if err != nil {
		return err
	}
	return popFirst(tx, o, r)
}

// popFirst pops as ZMPOP was asked for.
func popFirst(tx *command.Tx, o option.Pops, r *resp.Reply) error {
	key, set, err := firstOf(tx, o.Keys)
	switch {
	case err != nil:
		return err
	case set == nil:
		r.NullArray()
		return nil
	}
	n := min(o.Count, set.Len())
	r.Array(2)
	r.Bulk(key)
	r.Array(int(n))
	take(set, n, o.Second, r, func() { r.Array(2) })
	return nil
}

// firstOf returns the first of the keys that holds any elements; no set if none does.
func firstOf(tx *command.Tx, keys [][]byte) (key []byte, set *keyspace.SortedSet, err error) {
	for _, key := range keys {
		set, err := tx.SortedSet(key)
		if err != nil || set.Len() > 0 {
			return key, set, err
		}
	}
	return nil, nil, nil
}

// take writes and removes the first n elements of a set or, if highest, the last ones;
// begin begins an element.
func take(set *keyspace.SortedSet, n int64, highest bool, r *resp.Reply, begin func()) {
	from := int64(0)
	if highest {
		from = set.Len() - n
	}
	for member, score := range between(set.SortedSetView, from, from+n, highest) {
		if r.Full() {
			break
		}
		begin()
		r.Bulk(member)
		r.Double(score)
	}
	set.DeleteRange(from, from+n)
}
