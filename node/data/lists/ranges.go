package lists

import (
	"math"
	"slices"

	"github.com/genuineh/aikv/node/command"
	"github.com/genuineh/aikv/node/data/option"
	"github.com/genuineh/aikv/node/keyspace"
	"github.com/genuineh/aikv/node/resp"
)

// takeRange takes the ends of a range.
func takeRange(args *command.Args) (first, last int64, err error) {
	if first, err = args.Int(); err == nil {
		last, err = args.Int()
	}
	return first, last, err
}

func lrange(v *command.View, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	first, last, err := takeRange(args)
	if err != nil {
		return err
	}
	list, _, err := v.List(key)
	if err != nil {
		return err
	}
	from, to := option.Positions(first, last, list.Len())
	writeRange(r, list, from, to, false)
	return nil
}

// writeRange writes the elements between two positions, the second of which does not
// belong to them, as an array, in one of the two directions.
func writeRange(r *resp.Reply, list keyspace.ListView, from, to int64, reverse bool) {
	left, start := to-from, from
	if reverse {
		start = to - 1
	}
	r.Array(int(left))
	if left == 0 {
		return
	}
	for element := range list.From(start, reverse) {
		if r.Bulk(element); r.Full() {
			return
		}
		if left--; left == 0 {
			return
		}
	}
}

func ltrim(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	first, last, err := takeRange(args)
	if err != nil {
		return err
	}
	list, err := tx.List(key)
	if err != nil {
		return err
	}
	list.Trim(option.Positions(first, last, list.Len()))
	r.OK()
	return nil
}

// lrem removes up to count elements, the first ones, or, if it is negative, the last
// ones; 0 stands for all.
func lrem(tx *command.Tx, args *command.Args, r *resp.Reply) error {
	key := args.Next()
	count, err := args.IntWithin(-math.MaxInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	list, err := tx.List(key)
	if err != nil {
		return err
	}
	element := args.Next()
	s := search{rank: 1, reverse: count < 0, most: math.MaxInt64}
	var found []int64
	for at := range s.matches(list.ListView, element) {
		if found = append(found, at); int64(len(found)) == max(count, -count) {
			break
		}
	}
	if s.reverse {
		slices.Reverse(found)
	}
	list.Delete(found...)
	r.Int(int64(len(found)))
	return nil
}
